//! Configs of ONNX models against their files, by the rules of NVIDIA's ONNX Runtime backend.

use onnx_file::{Interface, Tensor, config_fits};

use super::finding::Finding;
use super::model::{Config, Model};
use super::pbtxt::Message;

/// What concerns a config of an ONNX model.
pub(super) fn of_config(model: &Model, config: &Config, message: &Message) -> Vec<Finding> {
    let is_onnx =
        message.text("backend") == "onnxruntime" || message.text("platform") == "onnxruntime_onnx";
    let Some(version) = model.version().filter(|_| is_onnx) else {
        return Vec::new();
    };
    let file = match message.text("default_model_filename") {
        "" => "model.onnx",
        named => named,
    };
    let path = version.join(file);
    // A directory holds the model and its weights.
    let path = match path.is_dir() {
        true => path.join("model.onnx"),
        false => path,
    };
    let interface = match Interface::read(&path) {
        Ok(interface) => interface,
        Err(error) => {
            return vec![Finding::error(
                &config.place,
                format!("{}: {error}", path.display()),
                "put the exported model there",
            )];
        }
    };
    let mut findings = Vec::new();
    for weights in &interface.external_files {
        if !path.with_file_name(weights).is_file() {
            findings.push(Finding::error(
                &config.place,
                format!("{file} keeps weights in {weights}, which is not beside it"),
                "copy that file too",
            ));
        }
    }
    let comparison = Comparison {
        place: &config.place,
        batches: message.numbers("max_batch_size").last() > Some(&0),
        interface: &interface,
    };
    findings.extend(comparison.findings(message));
    findings
}

/// A config beside its file.
struct Comparison<'c> {
    place: &'c str,
    batches: bool,
    interface: &'c Interface,
}

/// What a config says of a tensor.
struct Claim<'c> {
    /// `input`, `output`, …
    kind: &'static str,
    name: &'c str,
    data_type: &'c str,
    dims: Vec<i64>,
    /// The dimensions stand in `reshape`.
    reshaped: bool,
    rule: Rule,
}

/// Which dimensions fit the file's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Input,
    Output,
    /// The official backend compares no states, so only what fails there is told: -1 on either side fits everything.
    State,
    /// A control input's are not in the config.
    Control,
}

impl Comparison<'_> {
    fn findings(&self, message: &Message) -> Vec<Finding> {
        let mut findings = Vec::new();
        for input in message.messages("input") {
            let claim = Claim::of("input", input, Rule::Input);
            findings.extend(self.compare(&claim));
            findings.extend(self.presence(input));
        }
        for output in message.messages("output") {
            let claim = Claim::of("output", output, Rule::Output);
            findings.extend(self.compare(&claim));
        }
        let of_server = of_server(message);
        for claim in &of_server {
            findings.extend(self.compare(claim));
        }
        // Without any the backend completes the config from the file.
        if message.has("input") {
            findings.extend(self.unlisted(message, &of_server));
        }
        findings
    }

    fn error(&self, what: String, how: impl Into<String>) -> Finding {
        Finding::error(self.place, what, how)
    }

    /// Name, type of the elements, and dimensions, of which the batch's comes first in the file.
    fn compare(&self, claim: &Claim<'_>) -> Option<Finding> {
        let Claim { kind, name, .. } = *claim;
        let interface = self.interface;
        let (direction, mut tensors) = match kind.ends_with("output") {
            true => ("output", interface.outputs.iter().chain(&[])),
            false => (
                "input",
                interface.inputs.iter().chain(&interface.optional_inputs),
            ),
        };
        let known: Vec<&str> = tensors.clone().map(|tensor| &*tensor.name).collect();
        let Some(tensor) = tensors.find(|tensor| tensor.name == name) else {
            return Some(self.error(
                format!("{kind} '{name}': the file has no such {direction}"),
                format!("its {direction}s are {}", known.join(", ")),
            ));
        };
        let finding = self.data_type(claim, tensor);
        // Both are told of such a file: what it says, and what ONNX Runtime makes of it.
        let one_row = !self.batches && claim.rule == Rule::Output && claim.dims.first() == Some(&1);
        finding.or_else(|| {
            let file = match one_row {
                true => interface.unbatched_dims(tensor),
                false => tensor.config_dims(),
            };
            self.dims(claim, &file?)
        })
    }

    fn data_type(&self, claim: &Claim<'_>, tensor: &Tensor) -> Option<Finding> {
        let Claim {
            kind,
            name,
            data_type,
            ..
        } = *claim;
        let Some(element) = tensor.element else {
            return Some(self.error(
                format!("{kind} '{name}' is a sequence, a map or optional in the file, which cannot be served"),
                "export the model with a tensor in its place",
            ));
        };
        let right = format!("TYPE_{element}");
        // What is not said is completed from the file.
        let said = !data_type.is_empty() && data_type.parse::<i32>().is_err();
        (said && data_type != right).then(|| {
            let how = match claim.rule {
                Rule::Control => format!(
                    "take the control's values of {element}, or export the model with another type"
                ),
                _ => format!("write data_type: {right}"),
            };
            self.error(
                format!("{kind} '{name}' is {data_type}, the file has {right}"),
                how,
            )
        })
    }

    fn dims(&self, claim: &Claim<'_>, file: &[i64]) -> Option<Finding> {
        let (kind, name) = (claim.kind, claim.name);
        if claim.rule == Rule::Control {
            return None;
        }
        // A single number without a shape of its own.
        if file.is_empty() && !self.batches && claim.dims.iter().all(|dim| *dim == 1) {
            return None;
        }
        let mut dims = claim.dims.clone();
        if self.batches {
            if file.first() != Some(&-1) {
                return Some(self.error(
                    format!("{kind} '{name}': max_batch_size is over 0, so the file's first dimension must be open, but it has {file:?}"),
                    "export the model with a batch dimension of any size, or write max_batch_size: 0 and whole shapes in dims",
                ));
            }
            dims.insert(0, -1);
        }
        let mut said = dims.clone();
        if claim.rule == Rule::State {
            for (said, file) in said.iter_mut().zip(file).filter(|(said, _)| **said == -1) {
                *said = *file;
            }
        }
        if config_fits(&said, file, claim.rule == Rule::Output) {
            return None;
        }
        let right = file.get(usize::from(self.batches)..).unwrap_or_default();
        let how = match claim.reshaped {
            true => format!("its reshape has to be {{ shape: {right:?} }}"),
            false => format!("write dims: {right:?}"),
        };
        Some(self.error(
            format!("{kind} '{name}' is {dims:?}, the file has {file:?}"),
            how,
        ))
    }

    /// Whether an input may be left out.
    fn presence(&self, input: &Message) -> Option<Finding> {
        let name = input.text("name");
        let is = |tensors: &[Tensor]| tensors.iter().any(|tensor| tensor.name == name);
        let has_default = is(&self.interface.optional_inputs);
        if !has_default && !is(&self.interface.inputs) {
            return None;
        }
        let (what, how) = match (input.text("optional") == "true", has_default) {
            (true, _) if self.batches => (
                "is optional in a model that batches",
                "write max_batch_size: 0, or take optional: true away",
            ),
            (true, false) => (
                "is optional, but has no default in the file",
                "take optional: true away",
            ),
            (false, true) => (
                "has a default in the file, but is not optional",
                "write optional: true, or take the input out of the config",
            ),
            _ => return None,
        };
        Some(self.error(format!("input '{name}' {what}"), how))
    }

    /// What the file needs and nobody gives.
    fn unlisted(&self, message: &Message, of_server: &[Claim<'_>]) -> Vec<Finding> {
        let by_client = |name: &str| {
            let mut inputs = message.messages("input");
            inputs.any(|input| input.text("name") == name)
        };
        let by_server = |name: &str| of_server.iter().any(|claim| claim.name == name);
        let inputs = self.interface.inputs.iter();
        inputs
            .filter(|tensor| !by_client(&tensor.name) && !by_server(&tensor.name))
            .map(|tensor| {
                let element = tensor.element.map(|element| element.to_string());
                let dims = tensor.config_dims().unwrap_or_default();
                self.error(
                    format!("the file's input '{}' is not in the config", tensor.name),
                    format!(
                        "list it: data_type: TYPE_{} dims: {:?}",
                        element.unwrap_or_default(),
                        dims.get(usize::from(self.batches)..).unwrap_or_default()
                    ),
                )
            })
            .collect()
    }
}

impl<'c> Claim<'c> {
    fn of(kind: &'static str, tensor: &'c Message, rule: Rule) -> Self {
        let reshape = tensor.messages("reshape").last();
        Self {
            kind,
            name: tensor.text("name"),
            data_type: tensor.text("data_type"),
            dims: match reshape {
                Some(reshape) => reshape.numbers("shape"),
                None => tensor.numbers("dims"),
            },
            reshaped: reshape.is_some(),
            rule,
        }
    }
}

/// The tensors that the server itself gives and keeps in a stream.
fn of_server(message: &Message) -> Vec<Claim<'_>> {
    let Some(batching) = message.messages("sequence_batching").last() else {
        return Vec::new();
    };
    let mut claims = Vec::new();
    for input in batching.messages("control_input") {
        claims.push(Claim {
            kind: "control input",
            name: input.text("name"),
            data_type: input
                .messages("control")
                .find_map(control_type)
                .unwrap_or_default(),
            dims: Vec::new(),
            reshaped: false,
            rule: Rule::Control,
        });
    }
    for state in batching.messages("state") {
        for (kind, key) in [
            ("state input", "input_name"),
            ("state output", "output_name"),
        ] {
            claims.push(Claim {
                kind,
                name: state.text(key),
                data_type: state.text("data_type"),
                dims: state.numbers("dims"),
                reshaped: false,
                rule: Rule::State,
            });
        }
    }
    claims
}

/// What a control is sent as: said, or told by the values that it can have.
fn control_type(control: &Message) -> Option<&str> {
    let pairs = [
        ("fp32_false_true", "TYPE_FP32"),
        ("int32_false_true", "TYPE_INT32"),
        ("bool_false_true", "TYPE_BOOL"),
    ];
    let paired = || pairs.into_iter().find(|(key, _)| control.has(key));
    match control.text("data_type") {
        "" | "TYPE_INVALID" => paired().map(|(_, data_type)| data_type),
        said => Some(said),
    }
}
