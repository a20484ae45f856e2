//! Filling in what a model's config leaves out, from the ONNX file.

use serde_json::{Value, json};
use triton_backend::{ModelConfig, TensorConfig};

use crate::check::servable;
use crate::mismatch::Mismatch;
use crate::sequence::SequenceTensors;
use crate::signature::{Signature, Tensor};
use crate::types::shape_text;

/// Whether a config leaves nothing to fill in.
pub(crate) fn is_complete(config: &ModelConfig) -> bool {
    !config.input.is_empty() && !config.output.is_empty()
}

/// The config with inputs, outputs, `max_batch_size` and `dynamic_batching` filled in where they are missing.
///
/// As the official backend does it, or with `lenient`: what the server gives and keeps of a sequence is then left out, and tensors
/// that the config lists with their batch dimension mean that there is no batching.
pub(crate) fn complete(
    config: &ModelConfig,
    json: &Value,
    signature: &Signature,
    default_max_batch_size: i32,
    lenient: bool,
) -> Result<Value, Mismatch> {
    let sequence = match lenient {
        true => SequenceTensors::from_config(json),
        false => SequenceTensors::default(),
    };
    let default = match lenient && has_unbatched_tensor(config, signature) {
        true => 0,
        false => default_max_batch_size.max(0),
    };
    let max_batch_size = batch_size(config, signature, default)?;
    let mut completed = json.clone();
    completed["max_batch_size"] = max_batch_size.into();
    if config.input.is_empty() {
        let clients = signature
            .inputs
            .iter()
            .filter(|input| !input.optional && !sequence.gives(&input.name));
        completed["input"] = tensors("input", clients, max_batch_size)?;
    }
    if config.output.is_empty() {
        let clients = signature
            .outputs
            .iter()
            .filter(|output| !sequence.keeps(&output.name));
        completed["output"] = tensors("output", clients, max_batch_size)?;
    }
    let scheduled = |key: &str| json.get(key).is_some_and(|value| !value.is_null());
    if max_batch_size > 1 && !scheduled("dynamic_batching") && !scheduled("sequence_batching") {
        completed["dynamic_batching"] = json!({});
    }
    Ok(completed)
}

/// The batch size: the config's, or the default where the file can batch.
fn batch_size(config: &ModelConfig, signature: &Signature, default: i32) -> Result<i32, Mismatch> {
    let fixed = signature
        .inputs
        .iter()
        .filter(|tensor| !tensor.optional)
        .chain(&signature.outputs)
        .find(|tensor| tensor.dims.first() != Some(&-1));
    match (fixed, config.max_batch_size) {
        (None, 0) => Ok(default),
        (None, given) => Ok(given),
        (Some(_), 0) => Ok(0),
        (Some(tensor), max_batch_size) => Err(Mismatch::CannotBatch {
            max_batch_size,
            name: tensor.name.clone(),
            file: shape_text(&tensor.dims),
        }),
    }
}

/// Whether a tensor that the config does list is written with all the dimensions of the file, the batch's too.
fn has_unbatched_tensor(config: &ModelConfig, signature: &Signature) -> bool {
    let whole = |listed: &[TensorConfig], tensors: &[Tensor]| {
        listed.iter().any(|listed| {
            tensors.iter().any(|tensor| {
                tensor.name == listed.name && tensor.dims.len() == listed.backend_dims().len()
            })
        })
    };
    whole(&config.input, &signature.inputs) || whole(&config.output, &signature.outputs)
}

fn tensors<'t>(
    kind: &'static str,
    tensors: impl Iterator<Item = &'t Tensor>,
    max_batch_size: i32,
) -> Result<Value, Mismatch> {
    let entries = tensors.map(|tensor| entry(kind, tensor, max_batch_size));
    entries.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn entry(kind: &'static str, tensor: &Tensor, max_batch_size: i32) -> Result<Value, Mismatch> {
    let data_type = servable(kind, tensor)?.config_name();
    let batches = max_batch_size > 0;
    let dims = match batches {
        true => tensor.dims.get(1..).unwrap_or_default(),
        false => &tensor.dims,
    };
    let mut entry = json!({"name": tensor.name, "data_type": data_type, "dims": dims});
    if dims.is_empty() {
        // Triton has no empty dims.
        entry["dims"] = json!([1]);
        if batches {
            entry["reshape"] = json!({"shape": []});
        }
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use triton_backend::DataType;

    use super::*;
    use crate::check::tests::tensor;

    fn signature() -> Signature {
        Signature {
            inputs: vec![
                tensor("speech", DataType::Fp32, &[-1, -1, 560]),
                tensor("lengths", DataType::Int32, &[-1]),
            ],
            outputs: vec![tensor("text", DataType::String, &[-1, 1])],
        }
    }

    fn completed(json: Value, signature: &Signature) -> Result<Value, Mismatch> {
        completed_with(&json, signature, false)
    }

    fn completed_with(
        json: &Value,
        signature: &Signature,
        lenient: bool,
    ) -> Result<Value, Mismatch> {
        let config = ModelConfig::from_json(&json.to_string()).unwrap();
        complete(&config, json, signature, 4, lenient)
    }

    #[test]
    fn an_empty_config_gets_everything() {
        let config = completed(json!({"name": "m"}), &signature()).unwrap();
        let expected = json!({
            "name": "m",
            "max_batch_size": 4,
            "dynamic_batching": {},
            "input": [
                {"name": "speech", "data_type": "TYPE_FP32", "dims": [-1, 560]},
                {"name": "lengths", "data_type": "TYPE_INT32", "dims": [1], "reshape": {"shape": []}},
            ],
            "output": [{"name": "text", "data_type": "TYPE_STRING", "dims": [1]}],
        });
        assert_eq!(config, expected);
    }

    #[test]
    fn what_is_there_stays() {
        let input = json!([
            {"name": "speech", "data_type": "TYPE_FP32", "dims": [-1, 560]},
            {"name": "lengths", "data_type": "TYPE_INT32", "dims": [1], "reshape": {"shape": []}},
        ]);
        let given = json!({"max_batch_size": 8, "input": input, "sequence_batching": {}});
        let config = completed(given, &signature()).unwrap();
        assert_eq!(config["max_batch_size"], 8);
        assert_eq!(config["input"], input);
        assert_eq!(config["output"][0]["name"], "text");
        assert!(config.get("dynamic_batching").is_none());
    }

    #[test]
    fn tensors_written_with_their_batch_dimension_are_not_batched_if_one_is_lenient() {
        let input = json!([
            {"name": "speech", "data_type": "TYPE_FP32", "dims": [1, -1, 560]},
            {"name": "lengths", "data_type": "TYPE_INT32", "dims": [1]},
        ]);
        let given = json!({"input": input});
        let config = completed_with(&given, &signature(), true).unwrap();
        assert_eq!(config["max_batch_size"], 0);
        assert_eq!(config["output"][0]["dims"], json!([-1, 1]));
        let config = completed_with(&given, &signature(), false).unwrap();
        assert_eq!(config["max_batch_size"], 4);
    }

    #[test]
    fn a_file_with_a_fixed_batch_is_not_batched() {
        let mut fixed = signature();
        fixed.outputs[0].dims = vec![1, 1];
        let config = completed(json!({}), &fixed).unwrap();
        assert_eq!(config["max_batch_size"], 0);
        assert_eq!(config["input"][0]["dims"], json!([-1, -1, 560]));
        assert!(config.get("dynamic_batching").is_none());
        let refused = completed(json!({"max_batch_size": 2}), &fixed);
        assert!(matches!(refused, Err(Mismatch::CannotBatch { name, .. }) if name == "text"));
    }

    #[test]
    fn states_and_controls_are_left_out_if_one_is_lenient() {
        let mut with_state = signature();
        with_state
            .inputs
            .push(tensor("cache", DataType::Fp32, &[-1, 8]));
        with_state
            .outputs
            .push(tensor("new_cache", DataType::Fp32, &[-1, 8]));
        let sequence = json!({"sequence_batching": {"state": [{"input_name": "cache", "output_name": "new_cache", "data_type": "TYPE_FP32", "dims": [8]}]}});
        for (lenient, inputs, outputs) in [(true, 2, 1), (false, 3, 2)] {
            let config = completed_with(&sequence, &with_state, lenient).unwrap();
            assert_eq!(config["input"].as_array().unwrap().len(), inputs);
            assert_eq!(config["output"].as_array().unwrap().len(), outputs);
        }
    }

    #[test]
    fn inputs_with_a_default_are_left_to_the_file() {
        let mut with_default = signature();
        with_default.inputs.push(Tensor {
            optional: true,
            ..tensor("scale", DataType::Fp32, &[1])
        });
        let config = completed(json!({}), &with_default).unwrap();
        assert_eq!(config["max_batch_size"], 4);
        assert_eq!(config["input"].as_array().unwrap().len(), 2);
    }
}
