//! Python steps that a component of this backend can take the place of, and the components themselves.

use super::finding::Finding;
use super::model::{Config, Model};
use super::pbtxt::Message;

/// The steps of ensembles: component, the tensors that tell it, and the parameters that it cannot do without.
const STEPS: &[Step] = &[
    Step {
        component: "feature_extractor",
        inputs: &["wav", "wav_lens"],
        optional: &["language", "textnorm"],
        or_inputs: &[],
        outputs: &["speech", "speech_lengths"],
        required: &["cmvn_path"],
        streams: false,
    },
    Step {
        component: "online_feature_extractor",
        inputs: &["wav", "wav_lens"],
        optional: &[],
        or_inputs: &[],
        outputs: &["speech"],
        required: &[],
        streams: true,
    },
    Step {
        component: "ctc_scoring",
        inputs: &["ctc_logits", "encoder_out_lens"],
        optional: &[],
        or_inputs: &["token_ids", "token_log_probs", "encoder_out_lens"],
        outputs: &["OUTPUT0"],
        required: &["tokenizer_path"],
        streams: false,
    },
    Step {
        component: "paraformer_scoring",
        inputs: &["logits", "token_num"],
        optional: &[],
        or_inputs: &["token_ids", "token_log_probs", "token_num"],
        outputs: &["OUTPUT0"],
        required: &["vocabulary"],
        streams: false,
    },
    Step {
        component: "hotword_embedding",
        inputs: &["wav_lens"],
        optional: &["hotwords"],
        or_inputs: &[],
        outputs: &["bias_embed"],
        required: &["vocabulary"],
        streams: false,
    },
    Step {
        component: "lfr_cmvn_pe",
        inputs: &["chunk_xs"],
        optional: &[],
        or_inputs: &[],
        outputs: &["chunk_xs_out", "chunk_xs_out_len"],
        required: &[],
        streams: true,
    },
    Step {
        component: "cif_search",
        inputs: &["enc", "enc_len", "alphas"],
        optional: &[],
        or_inputs: &[],
        outputs: &["transcripts"],
        required: &["vocabulary"],
        streams: true,
    },
];

/// Components that are whole models, and the parameters that they cannot do without.
const PIPELINES: [(&str, &[&str]); 8] = [
    ("sensevoice", &["cmvn_path", "tokenizer_path"]),
    ("paraformer", &["cmvn_path", "vocabulary"]),
    ("streaming_paraformer", &["cmvn_path", "vocabulary"]),
    ("vad", &["cmvn_path"]),
    ("punctuation", &[]),
    ("itn", &["itn_path"]),
    ("transcribe", &[]),
    ("two_pass", &[]),
];

struct Step {
    component: &'static str,
    inputs: &'static [&'static str],
    /// Inputs that it may have besides.
    optional: &'static [&'static str],
    /// Those that it may have in their place.
    or_inputs: &'static [&'static str],
    outputs: &'static [&'static str],
    required: &'static [&'static str],
    streams: bool,
}

/// The component that a config names, or could: a Python step with its tensors.
pub(super) fn component_of(message: &Message) -> Option<&str> {
    let step = || step_of(message).map(|step| step.component);
    match message.text("backend") {
        "python" => step(),
        _ => message.component(),
    }
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
        let mut needed = inputs.clone();
        needed.retain(|name| !step.optional.contains(name));
        (same(&needed, step.inputs) || !step.or_inputs.is_empty() && same(&inputs, step.or_inputs))
            && same(&outputs, step.outputs)
            && step.streams == message.has("sequence_batching")
    })
}

/// What concerns a config of a step.
pub(super) fn of_config(model: &Model, config: &Config, message: &Message) -> Vec<Finding> {
    match message.text("backend") {
        "python" => python(model, config, message).into_iter().collect(),
        "funasr" => native(config, message),
        "onnxruntime" => exported(config, message).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn python(model: &Model, config: &Config, message: &Message) -> Option<Finding> {
    let step = step_of(message)?;
    let lacking: Vec<String> = lacking(message, step.required)
        .map(|key| format!("+   {{ key: \"{key}\" value: {{ string_value: \"FILE\" }} }},\n"))
        .collect();
    Some(Finding::advice(
        &config.place,
        format!(
            "this Python step can be native: its tensors are those of the component {}",
            step.component
        ),
        format!(
            "- backend: \"python\"\n+ backend: \"funasr\"\n  parameters [\n+   {{ key: \"component\" value: {{ \
             string_value: \"{}\" }} }},\n{}and delete {}/1/model.py with what it needed",
            step.component,
            lacking.concat(),
            model.name
        ),
    ))
}

/// A step that FunASR exports as an ONNX model. Its table of positions ends at 300 s.
fn exported(config: &Config, message: &Message) -> Option<Finding> {
    let step = step_of(message).filter(|step| step.component == "lfr_cmvn_pe")?;
    let file = match message.text("default_model_filename") {
        "" => String::new(),
        name => format!("- default_model_filename: \"{name}\"\n"),
    };
    Some(Finding::advice(
        &config.place,
        "this ONNX model can be native: its tensors are those of the component lfr_cmvn_pe, whose streams may be longer than 300 s",
        format!(
            "- backend: \"onnxruntime\"\n{file}+ backend: \"funasr\"\n+ parameters [\n+   {{ key: \"component\" value: {{ string_value: \"{}\" }} }},\n\
             +   {{ key: \"config_path\" value: {{ string_value: \"config.yaml\" }} }}\n+ ]\nand put the model's am.mvn and config.yaml beside the config",
            step.component
        ),
    ))
}

/// The parameters of `required` that a config does not have.
fn lacking<'m>(
    message: &'m Message,
    required: &'static [&'static str],
) -> impl Iterator<Item = &'static str> + use<'m> {
    let keys = required.iter().copied();
    keys.filter(|key| message.parameter(key).is_none_or(str::is_empty))
}

fn native(config: &Config, message: &Message) -> Vec<Finding> {
    let place = &config.place;
    let known = || {
        let steps = STEPS.iter().map(|step| (step.component, step.required));
        steps.chain(PIPELINES)
    };
    let list = || known().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
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
    let Some((_, required)) = known().find(|(name, _)| *name == component) else {
        return vec![Finding::error(
            place,
            format!("there is no component '{component}'"),
            format!("take one of {}", list()),
        )];
    };
    // Silero's model has no front end.
    let silero = component == "vad" && message.parameter("vad_kind") == Some("silero");
    let required = if silero { &[] } else { required };
    let mut findings: Vec<Finding> = lacking(message, required)
        .map(|key| {
            Finding::error(
                place,
                format!("the component {component} needs the parameter {key}"),
                format!(
                    "add to its parameters {{ key: \"{key}\" value: {{ string_value: \"FILE\" }} }}"
                ),
            )
        })
        .collect();
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
    let inputs: &[&str] = match component {
        "feature_extractor" => &["wav"],
        "sensevoice" | "paraformer" | "streaming_paraformer" | "vad" | "two_pass" => &["WAV"],
        "ctc_scoring" => &["ctc_logits", "token_ids"],
        "paraformer_scoring" => &["logits", "token_ids"],
        _ => return None,
    };
    let tensor = message
        .messages("input")
        .find(|tensor| inputs.contains(&tensor.text("name")))?;
    let input = tensor.text("name");
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
