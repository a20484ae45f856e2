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
    let batches = message.numbers("max_batch_size").last() > Some(&0);
    for (kind, tensors, is_output) in [
        ("input", &interface.inputs, false),
        ("output", &interface.outputs, true),
    ] {
        for tensor in message.messages(kind) {
            findings.extend(compare(config, (kind, tensor), tensors, batches, is_output));
        }
    }
    findings
}

/// Names and dimensions; the batch's comes first in the file.
fn compare(
    config: &Config,
    (kind, claimed): (&str, &Message),
    tensors: &[Tensor],
    batches: bool,
    is_output: bool,
) -> Option<Finding> {
    let name = claimed.text("name");
    let Some(tensor) = tensors.iter().find(|tensor| tensor.name == name) else {
        let known: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        return Some(Finding::error(
            &config.place,
            format!("the file has no {kind} '{name}'"),
            format!("its {kind}s are {}", known.join(", ")),
        ));
    };
    let file = tensor.config_dims()?;
    let reshape = claimed.messages("reshape").last();
    let mut dims = match reshape {
        Some(reshape) => reshape.numbers("shape"),
        None => claimed.numbers("dims"),
    };
    if batches {
        dims.insert(0, -1);
    }
    if config_fits(&dims, &file, is_output) {
        return None;
    }
    let right = &file[usize::from(batches).min(file.len())..];
    let how = match reshape {
        Some(_) => format!("its reshape has to be {{ shape: {right:?} }}"),
        None => format!("write dims: {right:?}"),
    };
    Some(Finding::error(
        &config.place,
        format!("{kind} '{name}' is {dims:?}, the file has {file:?}"),
        how,
    ))
}
