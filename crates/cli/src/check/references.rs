//! What a config refers to: files, the steps of an ensemble, the models that a pipeline calls.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use asr_decode::hotwords::read_list;
use asr_decode::sentencepiece::Tokenizer;
use asr_decode::vocabulary::Vocabulary;
use itn::Rewriter;
use onnx_file::TOKEN_IDS;
use speech_segments::punctuation::{PunctuationOptions, PunctuationVocabulary};
use wav_frontend::{Cmvn, FrontendOptions, yaml};

use super::finding::Finding;
use super::model::{Config, Model};
use super::pbtxt::Message;
use super::steps::component_of;

/// Parameters that name a model to call, and what they are by default.
const ENCODER: (&str, &str) = ("encoder", "encoder");
const DECODER: (&str, &str) = ("decoder", "decoder");
const HOTWORD_ENCODER: (&str, &str) = ("hotword_encoder", "hotword_encoder");

/// What recordings of any length need; the last one may be absent.
const LONG: [(&str, &str); 3] = [
    ("vad", "vad"),
    ("recogniser", "sensevoice"),
    ("punctuation", ""),
];

/// What streams in two passes need; the last one may be absent.
const TWO_PASS: [(&str, &str); 4] = [
    ("vad", "streaming_vad"),
    ("first_pass", "streaming_paraformer"),
    ("recogniser", "sensevoice"),
    ("punctuation", ""),
];

/// The parameters that name files, and what reads them.
const FILES: [(&str, Reader); 9] = [
    ("cmvn_path", |path| {
        Cmvn::read(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("config_path", |path| {
        let text = yaml::read(path).map_err(|error| error.to_string())?;
        FrontendOptions::from_yaml(&text)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("tokenizer_path", |path| {
        Tokenizer::from_file(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("punctuation_config", |path| {
        PunctuationOptions::read(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("punctuation_words", |path| {
        PunctuationVocabulary::read(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("vocabulary", |path| {
        Vocabulary::from_file(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("seg_dict", |path| {
        fs::read_to_string(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("itn_path", |path| {
        Rewriter::read(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }),
    ("hotwords_file", |path| {
        read_list(path).map(drop).map_err(|error| error.to_string())
    }),
];

type Reader = fn(&PathBuf) -> Result<(), String>;

/// What concerns the files and models that a config names.
pub(super) fn of_config(
    models: &[Model],
    model: &Model,
    config: &Config,
    message: &Message,
) -> Vec<Finding> {
    let mut findings = ensemble(models, config, message);
    if message.component().is_some() {
        findings.extend(files(model, config, message));
        findings.extend(callees(models, config, message));
        findings.extend(forms(models, config, message));
    }
    findings.extend(pauses(models, config, message));
    findings
}

fn exists(models: &[Model], name: &str) -> bool {
    models.iter().any(|model| model.name == name)
}

fn ensemble(models: &[Model], config: &Config, message: &Message) -> Vec<Finding> {
    let scheduling = message.messages("ensemble_scheduling");
    scheduling
        .flat_map(|scheduling| scheduling.messages("step"))
        .map(|step| step.text("model_name"))
        .filter(|name| !exists(models, name))
        .map(|name| {
            Finding::error(
                &config.place,
                format!("its step '{name}' is no model of this repository"),
                "add the model, or name another one in this step",
            )
        })
        .collect()
}

fn callees(models: &[Model], config: &Config, message: &Message) -> Vec<Finding> {
    let called: &[(&str, &str)] = match message.component() {
        Some("paraformer") if has_hotwords(message) => &[ENCODER, HOTWORD_ENCODER],
        Some("sensevoice" | "paraformer" | "vad") => &[ENCODER],
        Some("streaming_paraformer") => &[ENCODER, DECODER],
        Some("cif_search") => &[DECODER],
        Some("hotword_embedding") => &[HOTWORD_ENCODER],
        Some("punctuation") => &[("punctuation_model", "ct_transformer")],
        Some("transcribe") if given(message, "punctuation").is_some() => &LONG,
        Some("transcribe") => &LONG[..2],
        Some("two_pass") if given(message, "punctuation").is_some() => &TWO_PASS,
        Some("two_pass") => &TWO_PASS[..3],
        _ => &[],
    };
    called
        .iter()
        .map(|&(key, default)| (key, given(message, key).unwrap_or(default)))
        .filter(|(_, name)| !exists(models, name))
        .map(|(key, name)| {
            Finding::error(
                &config.place,
                format!("it calls the model '{name}', which this repository does not have"),
                format!("add the model, or name another one by the parameter `{key}`"),
            )
        })
        .collect()
}

/// Whether a Paraformer takes hot words.
fn has_hotwords(message: &Message) -> bool {
    let mut inputs = message.messages("input");
    inputs.any(|input| input.text("name") == "HOTWORDS")
        || given(message, "hotword_encoder").is_some()
}

/// A parameter's value; an empty one is none.
fn given<'m>(message: &'m Message, key: &str) -> Option<&'m str> {
    message.parameter(key).filter(|value| !value.is_empty())
}

/// A caller that asks for another form than the called model has: ids, or scores as exported.
fn forms(models: &[Model], config: &Config, message: &Message) -> Option<Finding> {
    let (key, parameter) = match message.component()? {
        "sensevoice" | "paraformer" => ("encoder", "encoder_outputs"),
        "streaming_paraformer" | "cif_search" => ("decoder", "decoder_outputs"),
        _ => return None,
    };
    let name = message.parameter(key).unwrap_or(key);
    let callee = models.iter().find(|model| model.name == name)?;
    let mut configs = callee.configs.iter();
    let outputs = configs.find_map(|config| {
        let outputs = config.content.as_ref().ok()?.messages("output");
        let names: Vec<&str> = outputs.map(|output| output.text("name")).collect();
        (!names.is_empty()).then_some(names)
    })?;
    let has = match outputs.contains(&TOKEN_IDS) {
        true => "ids",
        false => "scores",
    };
    let asked = message.parameter(parameter).unwrap_or("scores");
    (asked != has).then(|| {
        Finding::error(
            &config.place,
            format!(
                "it asks '{name}' for {asked}, but that has the outputs {}",
                outputs.join(", ")
            ),
            format!("write \"{has}\" for the parameter `{parameter}`"),
        )
    })
}

/// A pause between two words that is not unusual.
const PAUSE: Duration = Duration::from_mins(10);

/// The decoder behind a `cif_search` hears of a stream only when a word has ended.
fn pauses(models: &[Model], config: &Config, message: &Message) -> Option<Finding> {
    if component_of(message) != Some("cif_search") {
        return None;
    }
    let (key, default) = DECODER;
    let name = given(message, key).unwrap_or(default);
    let decoder = models.iter().find(|model| model.name == name)?;
    let (place, idle) = decoder.configs.iter().find_map(|of_decoder| {
        let content = of_decoder.content.as_ref().ok()?;
        let batching = content.messages("sequence_batching").last()?;
        let idle = batching.numbers("max_sequence_idle_microseconds");
        // The server's own default is a second.
        Some((&of_decoder.place, *idle.last().unwrap_or(&1_000_000)))
    })?;
    let idle = Duration::from_micros(u64::try_from(idle).unwrap_or(0));
    (idle < PAUSE).then(|| {
        Finding::warning(
            place,
            format!(
                "the decoder's part of a stream ends after {} s without a word: who goes on speaking after a longer pause loses the next one, although \
                 {} ends the streams whose clients have gone",
                idle.as_secs_f64(),
                config.place
            ),
            "write max_sequence_idle_microseconds: 3600000000, and twice the max_candidate_sequences of the other steps",
        )
    })
}

fn files(model: &Model, config: &Config, message: &Message) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, read) in FILES {
        let Some(named) = given(message, key) else {
            continue;
        };
        let found = places(model, named)
            .into_iter()
            .find(|place| place.exists());
        match found.as_ref().map(read) {
            None => findings.push(Finding::error(
                &config.place,
                format!("parameter {key}: there is no file '{named}'"),
                format!(
                    "put the file there, relative to {}, its version, the repository (also without the path's first name, if that is the repository's), or the directory above it",
                    model.directory.display()
                ),
            )),
            Some(Err(reason)) => findings.push(Finding::error(
                &config.place,
                format!("parameter {key}: {named}: {reason}"),
                "take the file from the export of the model",
            )),
            Some(Ok(())) => {}
        }
    }
    findings
}

/// Where the backend looks for a file, but for the server's working directory, which is not known here:
/// `ModelContext::resolve` of crates/triton-backend says why there.
fn places(model: &Model, named: &str) -> Vec<PathBuf> {
    let mut places = vec![model.directory.join(named)];
    places.extend(model.version().map(|version| version.join(named)));
    let mut above = model.directory.ancestors().skip(1);
    if let Some(repository) = above.next() {
        places.push(repository.join(named));
        let mut names = Path::new(named.trim_start_matches("./")).components();
        if let Some(Component::Normal(_)) = names.next()
            && names.as_path().file_name().is_some()
        {
            places.push(repository.join(names.as_path()));
        }
        places.extend(above.next().map(|above| above.join(named)));
    }
    places
}
