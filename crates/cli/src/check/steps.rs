//! Python steps that a component of this backend can take the place of, and the components themselves.

use super::finding::Finding;
use super::model::{Config, Model};
use super::pbtxt::Message;

/// The steps of ensembles: component, the tensors that tell it, and the parameter that it cannot do without.
const STEPS: &[Step] = &[
    Step {
        component: "feature_extractor",
        inputs: &["wav", "wav_lens"],
        outputs: &["speech", "speech_lengths"],
        streams: false,
    },
    Step {
        component: "online_feature_extractor",
        inputs: &["wav", "wav_lens"],
        outputs: &["speech"],
        streams: true,
    },
    Step {
        component: "ctc_scoring",
        inputs: &["ctc_logits", "encoder_out_lens"],
        outputs: &["OUTPUT0"],
        streams: false,
    },
    Step {
        component: "paraformer_scoring",
        inputs: &["logits", "token_num"],
        outputs: &["OUTPUT0"],
        streams: false,
    },
    Step {
        component: "lfr_cmvn_pe",
        inputs: &["chunk_xs"],
        outputs: &["chunk_xs_out", "chunk_xs_out_len"],
        streams: true,
    },
    Step {
        component: "cif_search",
        inputs: &["enc", "enc_len", "alphas"],
        outputs: &["transcripts"],
        streams: true,
    },
];

/// Components that are whole models.
const PIPELINES: [&str; 3] = ["sensevoice", "paraformer", "streaming_paraformer"];

struct Step {
    component: &'static str,
    inputs: &'static [&'static str],
    outputs: &'static [&'static str],
    streams: bool,
}

/// The component whose tensors a config has.
fn step_of(message: &Message) -> Option<&'static Step> {
    let names = |kind| -> Vec<&str> {
        message
            .messages(kind)
            .map(|tensor| tensor.text("name"))
            .collect()
    };
    let (inputs, outputs) = (names("input"), names("output"));
    let same = |names: &[&str], wanted: &[&str]| {
        names.len() == wanted.len() && wanted.iter().all(|name| names.contains(name))
    };
    STEPS.iter().find(|step| {
        same(&inputs, step.inputs)
            && same(&outputs, step.outputs)
            && step.streams == message.has("sequence_batching")
    })
}

/// What concerns a config of a step.
pub(super) fn of_config(model: &Model, config: &Config, message: &Message) -> Vec<Finding> {
    match message.text("backend") {
        "python" => python(model, config, message).into_iter().collect(),
        "funasr" => native(config, message),
        _ => Vec::new(),
    }
}

fn python(model: &Model, config: &Config, message: &Message) -> Option<Finding> {
    let step = step_of(message)?;
    Some(Finding::advice(
        &config.place,
        format!(
            "this Python step can be native: its tensors are those of the component {}",
            step.component
        ),
        format!(
            "- backend: \"python\"\n+ backend: \"funasr\"\n  parameters [\n+   {{ key: \"component\" value: {{ \
             string_value: \"{}\" }} }},\nand delete {}/1/model.py with what it needed",
            step.component, model.name
        ),
    ))
}

fn native(config: &Config, message: &Message) -> Vec<Finding> {
    let place = &config.place;
    let known = || STEPS.iter().map(|step| step.component).chain(PIPELINES);
    let list = || known().collect::<Vec<_>>().join(", ");
    let Some(component) = message.component() else {
        let how = match step_of(message) {
            Some(step) => format!(
                "add to its parameters {{ key: \"component\" value: {{ string_value: \"{}\" }} }}",
                step.component
            ),
            None => format!("add the parameter `component`, one of {}", list()),
        };
        return vec![Finding::error(
            place,
            "the backend funasr is not told its job",
            how,
        )];
    };
    if !known().any(|name| name == component) {
        return vec![Finding::error(
            place,
            format!("there is no component '{component}'"),
            format!("take one of {}", list()),
        )];
    }
    let mut findings = Vec::new();
    if let Some(step) = step_of(message)
        && step.component != component
    {
        findings.push(Finding::error(
            place,
            format!(
                "it has the tensors of the component {}, but says '{component}'",
                step.component
            ),
            format!("write string_value: \"{}\"", step.component),
        ));
    }
    findings.extend(ragged(place, component, message));
    findings
}

/// Without it only requests of equal shapes share a batch.
fn ragged(place: &str, component: &str, message: &Message) -> Option<Finding> {
    let input = match component {
        "feature_extractor" => "wav",
        "sensevoice" | "paraformer" | "streaming_paraformer" => "WAV",
        "ctc_scoring" => "ctc_logits",
        "paraformer_scoring" => "logits",
        _ => return None,
    };
    let tensor = message
        .messages("input")
        .find(|tensor| tensor.text("name") == input)?;
    let fits = tensor.text("allow_ragged_batch") == "true"
        || message.numbers("max_batch_size").last() == Some(&0);
    (!fits).then(|| {
        Finding::advice(
            place,
            format!("requests share a batch only where '{input}' has the same shape"),
            format!("add allow_ragged_batch: true to the input {input}"),
        )
    })
}
