//! What the server itself wants of a model, or does with it.

use super::finding::Finding;
use super::model::{Config, Model};
use super::pbtxt::Message;

/// What concerns the model's directory.
pub(super) fn of_model(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    if model.version().is_none() {
        findings.push(Finding::error(
            &model.name,
            "it has no version: Triton wants a directory with a number as name",
            format!("mkdir {}/1", model.name),
        ));
    }
    findings
}

/// What concerns a config, whatever its model does.
pub(super) fn of_config(model: &Model, config: &Config, message: &Message) -> Vec<Finding> {
    let place = &config.place;
    let mut findings = Vec::new();
    let name = message.text("name");
    if !name.is_empty() && name != model.name {
        findings.push(Finding::error(
            place,
            format!(
                "it says name: \"{name}\", but the directory is called {}",
                model.name
            ),
            format!("write name: \"{}\", or leave the line away", model.name),
        ));
    }
    findings.extend(correlation_id(place, message));
    findings.extend(kinds(place, message));
    findings.extend(warm_up(place, message));
    findings.extend(circles(place, message));
    findings.extend(convolutions(place, message));
    findings
}

/// What was the fast choice until ONNX Runtime 1.19: docs/acceleration.md has the figures.
fn convolutions(place: &str, message: &Message) -> Option<Finding> {
    const SEARCH: &str = "cudnn_conv_algo_search";
    let mut groups = message.messages("instance_group").peekable();
    let on_processors =
        groups.peek().is_some() && groups.all(|group| group.text("kind") == "KIND_CPU");
    let slow = message.text("backend") == "onnxruntime"
        && message.parameter(SEARCH).map(str::trim) == Some("2");
    (slow && !on_processors).then(|| {
        Finding::warning(
            place,
            format!("with {SEARCH} \"2\" and ONNX Runtime 1.20 or newer a call takes up to fifty times as long on a GPU"),
            "write string_value: \"1\"",
        )
    })
}

/// The server copies a text id, whatever its length, into the 8 bytes of a UINT64 control.
fn correlation_id(place: &str, message: &Message) -> Option<Finding> {
    let batching = message.messages("sequence_batching").last()?;
    let control = batching
        .messages("control_input")
        .flat_map(|input| input.messages("control"))
        .find(|control| control.text("kind") == "CONTROL_SEQUENCE_CORRID")?;
    if control.text("data_type") == "TYPE_STRING" {
        return None;
    }
    Some(Finding::warning(
        place,
        format!(
            "its control input for the correlation id is {}: the server overruns it when a client sends a text as id",
            control.text("data_type")
        ),
        match message.text("backend") {
            "python" => "accept numbers only as ids, or let a native step take this one's place",
            _ => "remove that control input: the id is known without it",
        },
    ))
}

/// Native code runs on the CPU; KIND_GPU on a machine without one keeps a model from loading.
fn kinds(place: &str, message: &Message) -> Option<Finding> {
    let on_gpu = message
        .messages("instance_group")
        .any(|group| group.text("kind") == "KIND_GPU");
    if !on_gpu {
        return None;
    }
    if message.text("backend") == "funasr" {
        return Some(Finding::warning(
            place,
            "its instances are of KIND_GPU, but this backend's code runs on the CPU, and without a GPU the model does not load",
            "write kind: KIND_CPU",
        ));
    }
    let gpu = std::path::Path::new("/dev/nvidiactl").exists();
    (!gpu).then(|| {
        Finding::warning(
            place,
            "its instances are of KIND_GPU: on a machine without a GPU, such as this one, the model does not load",
            "leave `kind` away: then it runs on the GPU where there is one, and on the CPU elsewhere",
        )
    })
}

/// A model that calls others cannot be warmed up by the server while these load, a stream never.
fn warm_up(place: &str, message: &Message) -> Option<Finding> {
    if !message.has("model_warmup") {
        return None;
    }
    let calls = [
        "sensevoice",
        "paraformer",
        "streaming_paraformer",
        "cif_search",
        "vad",
        "punctuation",
    ];
    let pipeline = message
        .component()
        .is_some_and(|component| calls.contains(&component));
    if !pipeline && !message.has("sequence_batching") {
        return None;
    }
    Some(Finding::error(
        place,
        "model_warmup cannot work here: the models that this one calls are not ready when it loads, and a warm-up request is \
         of no stream",
        "move model_warmup to the encoder's config; a pipeline has the parameter `warmup`",
    ))
}

/// The server's batcher looks again and again at the next request of its queue while that has another shape than the batch which waits
/// for an instance, unless it takes that batch for full: docs/triton-notes.md. Steps of this project take any shapes together, and have
/// an advice of their own.
fn circles(place: &str, message: &Message) -> Option<Finding> {
    let batching = message.messages("dynamic_batching").last()?;
    let rows = message.numbers("max_batch_size").last().copied();
    let largest = batching.numbers("preferred_batch_size").into_iter().max();
    let queue = batching.messages("default_queue_policy").last();
    // With any of these the batcher does not fill a batch before an instance is free.
    let patient = batching.has("priority_levels")
        || queue.is_some_and(|queue| {
            ["max_queue_size", "default_timeout_microseconds"]
                .iter()
                .any(|limit| queue.has(limit))
                || queue.text("allow_timeout_override") == "true"
        });
    if message.text("backend") == "funasr" || rows <= Some(1) || largest == Some(1) || patient {
        return None;
    }
    let input = message.messages("input").find(|tensor| {
        tensor.numbers("dims").contains(&-1) && tensor.text("allow_ragged_batch") != "true"
    })?;
    Some(Finding::advice(
        place,
        format!(
            "its batcher keeps a core busy while requests with different shapes of '{}' wait",
            input.text("name")
        ),
        "write dynamic_batching { preferred_batch_size: [ 1 ] max_queue_delay_microseconds: 1 }: those of equal shape that wait \
         still share a batch",
    ))
}
