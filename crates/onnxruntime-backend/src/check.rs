//! Whether a model's config fits its ONNX file.

use triton_backend::{DataType, ModelConfig, TensorConfig};

use crate::sequence::{Control, SequenceTensors, State};
use crate::signature::{Signature, Tensor, shape_text};

/// How a config and an ONNX file disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Mismatch {
    #[error("the config's {kind} '{name}' is not in the ONNX file, which has {known}")]
    Unknown {
        kind: &'static str,
        name: String,
        known: String,
    },
    #[error(
        "the ONNX file needs input '{name}' ({needs}), which the config does not list; its inputs are {listed}"
    )]
    Unlisted {
        name: String,
        needs: String,
        listed: String,
    },
    #[error("{kind} '{name}': the config says {config}, the ONNX file has {file}")]
    DataType {
        kind: &'static str,
        name: String,
        config: String,
        file: DataType,
    },
    #[error("{kind} '{name}' is {found} in the ONNX file, which cannot be served")]
    NotServable {
        kind: &'static str,
        name: String,
        found: String,
    },
    #[error(
        "{kind} '{name}': max_batch_size is {max_batch_size}, so its first dimension must be variable in the ONNX file, \
         but its shape there is {file}; set max_batch_size: 0 and write the whole shape in dims, or export the model with a \
         variable batch dimension"
    )]
    NoBatch {
        kind: &'static str,
        name: String,
        max_batch_size: i32,
        file: String,
    },
    #[error(
        "{kind} '{name}': the ONNX file has {file_rank} dimensions, shape {file}; the config says {config_rank}, shape {config}{how}"
    )]
    Shape {
        kind: &'static str,
        name: String,
        file: String,
        file_rank: usize,
        config: String,
        config_rank: usize,
        how: &'static str,
    },
    #[error(
        "max_batch_size is {max_batch_size}, but the ONNX file cannot batch: {name} has shape {file}, and every first dimension would \
         have to be variable; set max_batch_size: 0"
    )]
    CannotBatch {
        max_batch_size: i32,
        name: String,
        file: String,
    },
    #[error("{0} is not supported")]
    NotSupported(&'static str),
}

/// Compares names, data types and shapes.
pub(crate) fn check(
    config: &ModelConfig,
    sequence: &SequenceTensors,
    signature: &Signature,
) -> Result<(), Mismatch> {
    let max_batch_size = config.max_batch_size;
    for input in &config.input {
        let claim = Claim::of("input", input);
        claim.check(max_batch_size, &signature.inputs)?;
    }
    for output in &config.output {
        let claim = Claim::of("output", output);
        claim.check(max_batch_size, &signature.outputs)?;
    }
    for control in &sequence.controls {
        check_control(control, &signature.inputs)?;
    }
    for state in &sequence.states {
        let input = Claim::of_state("state input", &state.input, state);
        input.check(max_batch_size, &signature.inputs)?;
        let output = Claim::of_state("state output", &state.output, state);
        output.check(max_batch_size, &signature.outputs)?;
    }
    let listed =
        |name: &str| config.input.iter().any(|input| input.name == name) || sequence.gives(name);
    match signature
        .inputs
        .iter()
        .find(|tensor| !tensor.optional && !listed(&tensor.name))
    {
        None => Ok(()),
        Some(tensor) => Err(Mismatch::Unlisted {
            name: tensor.name.clone(),
            needs: describe(tensor),
            listed: quoted(config.input.iter().map(|input| &input.name)),
        }),
    }
}

fn find<'t>(kind: &'static str, name: &str, tensors: &'t [Tensor]) -> Result<&'t Tensor, Mismatch> {
    tensors
        .iter()
        .find(|tensor| tensor.name == name)
        .ok_or_else(|| Mismatch::Unknown {
            kind,
            name: name.to_owned(),
            known: quoted(tensors.iter().map(|tensor| &tensor.name)),
        })
}

fn check_control(control: &Control, inputs: &[Tensor]) -> Result<(), Mismatch> {
    let kind = "control input";
    let tensor = find(kind, &control.name, inputs)?;
    let file = servable(kind, tensor)?;
    match control.data_type {
        Some(sent) if sent != file => Err(Mismatch::DataType {
            kind,
            name: control.name.clone(),
            config: sent.config_name(),
            file,
        }),
        _ => Ok(()),
    }
}

/// What a config says of a tensor.
struct Claim<'c> {
    kind: &'static str,
    name: &'c str,
    data_type: &'c str,
    dims: &'c [i64],
    reshaped: bool,
}

impl<'c> Claim<'c> {
    fn of(kind: &'static str, config: &'c TensorConfig) -> Self {
        Self {
            kind,
            name: &config.name,
            data_type: &config.data_type_name,
            dims: config.backend_dims(),
            reshaped: config.reshape.is_some(),
        }
    }

    fn of_state(kind: &'static str, name: &'c str, state: &'c State) -> Self {
        Self {
            kind,
            name,
            data_type: &state.data_type_name,
            dims: &state.dims,
            reshaped: false,
        }
    }

    fn check(&self, max_batch_size: i32, tensors: &[Tensor]) -> Result<(), Mismatch> {
        let (kind, name) = (self.kind, || self.name.to_owned());
        let tensor = find(kind, self.name, tensors)?;
        let data_type = servable(kind, tensor)?;
        if DataType::from_config_name(self.data_type) != Some(data_type) {
            return Err(Mismatch::DataType {
                kind,
                name: name(),
                config: self.data_type.to_owned(),
                file: data_type,
            });
        }
        // A file need not say the rank of a tensor; then there is nothing to compare.
        if tensor.dims.is_empty() {
            return Ok(());
        }
        let batches = max_batch_size > 0;
        if batches && tensor.dims[0] != -1 {
            return Err(Mismatch::NoBatch {
                kind,
                name: name(),
                max_batch_size,
                file: shape_text(&tensor.dims),
            });
        }
        let mut dims = self.dims.to_vec();
        if batches {
            dims.insert(0, -1);
        }
        if fits(&dims, &tensor.dims) {
            return Ok(());
        }
        Err(Mismatch::Shape {
            kind,
            name: name(),
            file: shape_text(&tensor.dims),
            file_rank: tensor.dims.len(),
            config: shape_text(&dims),
            config_rank: dims.len(),
            how: match (batches, self.reshaped) {
                (true, true) => " (the batch, then reshape's shape)",
                (true, false) => " (the batch, because max_batch_size is over 0, then dims)",
                (false, true) => " (reshape's shape)",
                (false, false) => "",
            },
        })
    }
}

/// The data type of a tensor that can be served.
pub(crate) fn servable(kind: &'static str, tensor: &Tensor) -> Result<DataType, Mismatch> {
    tensor
        .data_type
        .clone()
        .map_err(|found| Mismatch::NotServable {
            kind,
            name: tensor.name.clone(),
            found,
        })
}

/// Whether two shapes can be the same; -1 is anything.
fn fits(a: &[i64], b: &[i64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| *a == -1 || *b == -1 || a == b)
}

fn describe(tensor: &Tensor) -> String {
    let data_type = tensor
        .data_type
        .as_ref()
        .map_or_else(Clone::clone, ToString::to_string);
    format!("{data_type} {}", shape_text(&tensor.dims))
}

fn quoted<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tensor(name: &str, data_type: DataType, dims: &[i64]) -> Tensor {
        Tensor {
            name: name.to_owned(),
            data_type: Ok(data_type),
            dims: dims.to_vec(),
            optional: false,
        }
    }

    fn encoder() -> Signature {
        Signature {
            inputs: vec![
                tensor("speech", DataType::Fp32, &[-1, -1, 560]),
                tensor("lengths", DataType::Int32, &[-1]),
            ],
            outputs: vec![tensor("logits", DataType::Fp32, &[-1, -1, 178])],
        }
    }

    fn config(json: serde_json::Value) -> ModelConfig {
        ModelConfig::from_json(&json.to_string()).unwrap()
    }

    fn encoder_json() -> serde_json::Value {
        serde_json::json!({
            "max_batch_size": 16,
            "input": [
                {"name": "speech", "data_type": "TYPE_FP32", "dims": [-1, 560]},
                {"name": "lengths", "data_type": "TYPE_INT32", "dims": [1], "reshape": {"shape": []}},
            ],
            "output": [{"name": "logits", "data_type": "TYPE_FP32", "dims": [-1, -1]}],
        })
    }

    fn problem(change: impl FnOnce(&mut serde_json::Value)) -> Mismatch {
        let mut json = encoder_json();
        change(&mut json);
        check(&config(json), &SequenceTensors::default(), &encoder()).unwrap_err()
    }

    #[test]
    fn a_fitting_config_with_reshape_and_free_dims_passes() {
        let sequence = SequenceTensors::default();
        check(&config(encoder_json()), &sequence, &encoder()).unwrap();
    }

    #[test]
    fn names_data_types_and_shapes_are_compared() {
        let unknown = problem(|json| json["output"][0]["name"] = "logit".into());
        assert_eq!(
            unknown.to_string(),
            "the config's output 'logit' is not in the ONNX file, which has 'logits'"
        );
        let unlisted = problem(|json| {
            json["input"].as_array_mut().unwrap().pop();
        });
        assert_eq!(
            unlisted.to_string(),
            "the ONNX file needs input 'lengths' (INT32 [-1]), which the config does not list; its inputs are 'speech'"
        );
        let data_type = problem(|json| json["input"][1]["data_type"] = "TYPE_INT64".into());
        assert_eq!(
            data_type.to_string(),
            "input 'lengths': the config says TYPE_INT64, the ONNX file has INT32"
        );
        let shape = problem(|json| json["input"][0]["dims"] = serde_json::json!([-1, 400]));
        assert_eq!(
            shape.to_string(),
            "input 'speech': the ONNX file has 3 dimensions, shape [-1,-1,560]; the config says 3, shape [-1,-1,400] \
             (the batch, because max_batch_size is over 0, then dims)"
        );
    }

    #[test]
    fn a_length_without_reshape_is_told_both_shapes() {
        let shape = problem(|json| {
            json["input"][1].as_object_mut().unwrap().remove("reshape");
        });
        assert!(matches!(
            shape,
            Mismatch::Shape {
                file_rank: 1,
                config_rank: 2,
                ..
            }
        ));
    }

    #[test]
    fn without_batching_dims_are_the_whole_shape() {
        let mut json = encoder_json();
        json["max_batch_size"] = 0.into();
        json["input"][0]["dims"] = serde_json::json!([2, -1, 560]);
        json["input"][1] =
            serde_json::json!({"name": "lengths", "data_type": "TYPE_INT32", "dims": [2]});
        json["output"][0]["dims"] = serde_json::json!([2, -1, 178]);
        check(&config(json), &SequenceTensors::default(), &encoder()).unwrap();
    }

    #[test]
    fn a_fixed_first_dimension_cannot_batch() {
        let mut signature = encoder();
        signature.inputs[0].dims[0] = 1;
        let error = check(
            &config(encoder_json()),
            &SequenceTensors::default(),
            &signature,
        );
        assert!(matches!(error, Err(Mismatch::NoBatch { name, .. }) if name == "speech"));
    }

    #[test]
    fn controls_and_states_are_the_servers_to_give() {
        let mut signature = encoder();
        signature
            .inputs
            .push(tensor("START", DataType::Fp32, &[-1, 1]));
        signature
            .inputs
            .push(tensor("cache", DataType::Fp32, &[-1, 128, 10]));
        signature
            .outputs
            .push(tensor("new_cache", DataType::Fp32, &[-1, 128, 10]));
        let mut sequence = SequenceTensors {
            controls: vec![Control {
                name: "START".to_owned(),
                data_type: Some(DataType::Fp32),
            }],
            states: vec![State {
                input: "cache".to_owned(),
                output: "new_cache".to_owned(),
                data_type_name: "TYPE_FP32".to_owned(),
                dims: vec![128, 10],
            }],
        };
        let with = |sequence: &SequenceTensors, signature: &Signature| {
            check(&config(encoder_json()), sequence, signature)
        };
        with(&sequence, &signature).unwrap();
        let unknown = with(&sequence, &encoder());
        assert!(matches!(unknown, Err(Mismatch::Unknown { name, .. }) if name == "START"));
        sequence.states[0].dims = vec![128, 11];
        let shape = with(&sequence, &signature).unwrap_err().to_string();
        assert!(shape.starts_with("state input 'cache'") && shape.contains("[-1,128,11]"));
        sequence.controls[0].data_type = Some(DataType::Int32);
        let data_type = with(&sequence, &signature).unwrap_err().to_string();
        assert_eq!(
            data_type,
            "control input 'START': the config says TYPE_INT32, the ONNX file has FP32"
        );
    }

    #[test]
    fn what_is_no_tensor_cannot_be_served() {
        let mut signature = encoder();
        signature.outputs[0].data_type = Err("a sequence".to_owned());
        let error = check(
            &config(encoder_json()),
            &SequenceTensors::default(),
            &signature,
        );
        assert!(matches!(error, Err(Mismatch::NotServable { .. })));
    }
}
