//! Whether a model's config fits its ONNX file.

use onnx_file::config_fits;
use triton_backend::{DataType, ModelConfig, TensorConfig};

use crate::leniency::{LENIENT_CONFIG, Leniency};
use crate::mismatch::Mismatch;
use crate::sequence::{Control, SequenceTensors, State};
use crate::signature::{Signature, Tensor};
use crate::types::shape_text;

/// Compares names, data types and shapes, and says if a lenient look would find nothing wrong.
pub(crate) fn check(
    config: &ModelConfig,
    sequence: &SequenceTensors,
    signature: &Signature,
    leniency: Leniency,
) -> Result<(), String> {
    let comparison = |leniency| Comparison {
        batches: config.batches(),
        max_batch_size: config.max_batch_size,
        leniency,
    };
    let Err(mismatch) = comparison(leniency).compare(config, sequence, signature) else {
        return Ok(());
    };
    let lenient = Leniency {
        config: true,
        ..leniency
    };
    let hint = match comparison(lenient).compare(config, sequence, signature) {
        Ok(()) => format!(
            " (with parameter {LENIENT_CONFIG}: true this backend takes it as it is; the official one knows no such parameter)"
        ),
        Err(_) => String::new(),
    };
    Err(format!("{mismatch}{hint}"))
}

/// How the tensors of a config are compared with those of a file.
struct Comparison {
    batches: bool,
    max_batch_size: i32,
    leniency: Leniency,
}

impl Comparison {
    fn compare(
        &self,
        config: &ModelConfig,
        sequence: &SequenceTensors,
        signature: &Signature,
    ) -> Result<(), Mismatch> {
        for input in &config.input {
            self.tensor(&Claim::of(Rule::Input, input), &signature.inputs)?;
            if !self.leniency.config {
                self.presence(input, sequence, &signature.inputs)?;
            }
            if input.allow_ragged_batch && !self.leniency.group_by_shape {
                let name = input.name.clone();
                return Err(Mismatch::Ragged { name });
            }
        }
        for output in &config.output {
            self.tensor(&Claim::of(Rule::Output, output), &signature.outputs)?;
            // It takes the last request's batch size for the whole state's, and fails the others.
            let fails_there = config.max_batch_size > 1 && sequence.keeps(&output.name);
            if fails_there && !self.leniency.config {
                let name = output.name.clone();
                return Err(Mismatch::StateAsOutput { name });
            }
        }
        for control in &sequence.controls {
            self.control(control, &signature.inputs)?;
        }
        for state in &sequence.states {
            let input = Claim::of_state("state input", &state.input, state);
            self.tensor(&input, &signature.inputs)?;
            let output = Claim::of_state("state output", &state.output, state);
            self.tensor(&output, &signature.outputs)?;
        }
        all_given(config, sequence, signature)
    }

    /// Whether an input may be left out, and whether it is the client's to send.
    fn presence(
        &self,
        input: &TensorConfig,
        sequence: &SequenceTensors,
        tensors: &[Tensor],
    ) -> Result<(), Mismatch> {
        let name = || input.name.clone();
        if sequence.gives(&input.name) {
            return Err(Mismatch::Twice { name: name() });
        }
        let has_default = find("input", &input.name, tensors)?.optional;
        let problem = match (input.optional, has_default) {
            (true, _) if self.batches => "an optional input needs max_batch_size: 0",
            (true, false) => "it has no default in the ONNX file, so it cannot be optional",
            (false, true) => {
                "it has a default in the ONNX file; write optional: true, or take it out of the config"
            }
            _ => return Ok(()),
        };
        let name = name();
        Err(Mismatch::Optional { name, problem })
    }

    fn control(&self, control: &Control, inputs: &[Tensor]) -> Result<(), Mismatch> {
        let kind = "control input";
        let tensor = find(kind, &control.name, inputs)?;
        let file = servable(kind, tensor)?;
        let name = control.name.clone();
        if let Some(sent) = control.data_type
            && sent != file
        {
            return Err(Mismatch::DataType {
                kind,
                name,
                config: sent.config_name(),
                file,
            });
        }
        if !self.leniency.config && tensor.dims.get(usize::from(self.batches)..) != Some(&[1]) {
            let file = shape_text(&tensor.dims);
            return Err(Mismatch::ControlShape { name, file });
        }
        Ok(())
    }

    fn tensor(&self, claim: &Claim<'_>, tensors: &[Tensor]) -> Result<(), Mismatch> {
        let (kind, name) = (claim.kind, || claim.name.to_owned());
        let tensor = find(kind, claim.name, tensors)?;
        let data_type = servable(kind, tensor)?;
        if DataType::from_config_name(claim.data_type) != Some(data_type) {
            return Err(Mismatch::DataType {
                kind,
                name: name(),
                config: claim.data_type.to_owned(),
                file: data_type,
            });
        }
        let rule = match self.leniency.config {
            true => Rule::Either,
            false => claim.rule,
        };
        // A file need not say the rank of a tensor; then there is nothing to compare.
        if tensor.dims.is_empty() && (rule == Rule::Either || !self.batches) {
            return match rule == Rule::Either || claim.dims.iter().all(|dim| *dim == 1) {
                true => Ok(()),
                false => Err(Mismatch::Scalar {
                    kind,
                    name: name(),
                    config: shape_text(claim.dims),
                }),
            };
        }
        if self.batches && tensor.dims.first() != Some(&-1) {
            return Err(Mismatch::NoBatch {
                kind,
                name: name(),
                max_batch_size: self.max_batch_size,
                file: shape_text(&tensor.dims),
            });
        }
        let mut dims = claim.dims.to_vec();
        if self.batches {
            dims.insert(0, -1);
        }
        if rule.allows(&dims, &tensor.dims) {
            return Ok(());
        }
        let how = match (self.batches, claim.reshaped) {
            (true, true) => " (the batch, then reshape's shape)",
            (true, false) => " (the batch, because max_batch_size is over 0, then dims)",
            (false, true) => " (reshape's shape)",
            (false, false) => "",
        };
        Err(Mismatch::Shape {
            kind,
            name: name(),
            file: shape_text(&tensor.dims),
            config: format!("{}{how}", shape_text(&dims)),
            right: self.right(rule, &dims, &tensor.dims, claim.reshaped),
        })
    }

    /// What the config should say of a tensor in place of `config`, both with the batch dimension if there is one.
    fn right(&self, rule: Rule, config: &[i64], file: &[i64], reshaped: bool) -> String {
        let right = file.iter().enumerate().map(|(place, &dim)| {
            // What the file leaves open for an input, the config may fix.
            let free = rule == Rule::Input && dim == -1 && config.len() == file.len();
            if free { config[place] } else { dim }
        });
        let right: Vec<String> = right
            .skip(usize::from(self.batches))
            .map(|dim| dim.to_string())
            .collect();
        match (right.is_empty(), reshaped) {
            (true, _) => "dims: [ 1 ] reshape: { shape: [ ] }".to_owned(),
            (false, true) => format!("reshape: {{ shape: [ {} ] }}", right.join(", ")),
            (false, false) => format!("dims: [ {} ]", right.join(", ")),
        }
    }
}

/// Whether each input that the file has no default for comes from somewhere.
fn all_given(
    config: &ModelConfig,
    sequence: &SequenceTensors,
    signature: &Signature,
) -> Result<(), Mismatch> {
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

/// Which shapes of a config fit a file's; -1 is a dimension that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The config may fix what the file leaves open, and must repeat what the file fixes.
    Input,
    /// The same shape.
    Output,
    /// -1 on either side fits everything.
    Either,
}

impl Rule {
    fn allows(self, config: &[i64], file: &[i64]) -> bool {
        match self {
            Self::Input | Self::Output => config_fits(config, file, self == Self::Output),
            // What the config leaves open fits, too.
            Self::Either => {
                let fits = |(config, file): (&i64, &i64)| {
                    *config == -1 || config_fits(&[*config], &[*file], false)
                };
                config.len() == file.len() && config.iter().zip(file).all(fits)
            }
        }
    }
}

/// What a config says of a tensor.
struct Claim<'c> {
    rule: Rule,
    kind: &'static str,
    name: &'c str,
    data_type: &'c str,
    dims: &'c [i64],
    reshaped: bool,
}

impl<'c> Claim<'c> {
    fn of(rule: Rule, config: &'c TensorConfig) -> Self {
        Self {
            rule,
            kind: match rule {
                Rule::Output => "output",
                _ => "input",
            },
            name: &config.name,
            data_type: &config.data_type_name,
            dims: config.backend_dims(),
            reshaped: config.reshape.is_some(),
        }
    }

    /// The official backend compares no states: what does not fit there fails its requests. So only that is refused.
    fn of_state(kind: &'static str, name: &'c str, state: &'c State) -> Self {
        Self {
            rule: Rule::Either,
            kind,
            name,
            data_type: &state.data_type_name,
            dims: &state.dims,
            reshaped: false,
        }
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
pub(crate) mod tests;
