//! One repository of several kinds of model.
//!
//! Each kind has an `encoder` and a `feature_extractor` of its own. A pipeline calls its encoder by name, and the server refuses a
//! name that several repositories have. So here every inner model has its kind in its name; the models that clients call keep
//! theirs.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::assembly::Assembly;
use super::beside::{self, Beside};
use super::kind::Kind;
use super::long::{self, Called};
use super::options::Common;
use super::plan::plan;
use super::target::{check_target, make};

/// What to assemble from what.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directories as FunASR or ModelScope exports them, each with its kind: sensevoice, paraformer, paraformer-online
    #[arg(long, value_name = "KIND=EXPORT_DIR", value_parser = export, required = true)]
    pub from: Vec<(Kind, PathBuf)>,
    /// The directory of an export of FSMN-VAD, or with silero_vad.onnx. With it the repository also has `transcribe` and
    /// `transcribe_segments`, for recordings of any length, which call the first recogniser for whole recordings; with paraformer-online too,
    /// `two_pass`, for streams that it hears again
    #[arg(long, value_name = "EXPORT_DIR")]
    pub vad: Option<PathBuf>,
    /// The directory of an export of CT-Transformer, for marks in the text
    #[arg(long, value_name = "EXPORT_DIR")]
    pub punc: Option<PathBuf>,
    /// Where to, and how.
    #[command(flatten)]
    pub common: Common,
}

/// What a repository is made of.
struct Parts {
    recognisers: Vec<(Kind, Assembly)>,
    /// The small models beside them.
    beside: Vec<(Beside, beside::Plan)>,
    /// The configurations of the models that call them.
    long: Vec<(&'static str, String)>,
}

fn export(text: &str) -> Result<(Kind, PathBuf), String> {
    let (kind, path) = text.split_once('=').ok_or("expected KIND=EXPORT_DIR")?;
    Ok((Kind::from_str(kind, false)?, PathBuf::from(path)))
}

/// Checks the exports and assembles the repository; returns what it holds in a few words.
pub fn assemble(options: &Options) -> Result<String> {
    let parts = parts(options)?;
    let part = |name: &str| {
        let mut models = Kind::ALL
            .into_iter()
            .flat_map(|kind| kind.models().map(move |model| named(kind, model)));
        let beside = [Beside::Vad, Beside::Punctuation];
        models.any(|model| model == name)
            || beside.into_iter().any(|kind| kind.has_part(name))
            || long::MODELS.contains(&name)
    };
    let Common { to, force, .. } = &options.common;
    check_target("common", part, to, *force)?;
    make(to, |partial| {
        let large = options.common.large();
        for (kind, assembly) in &parts.recognisers {
            assembly.write(|model| named(*kind, model), partial, large)?;
        }
        for (_, plan) in &parts.beside {
            plan.write(partial, large)?;
        }
        let mut long = parts.long.iter();
        long.try_for_each(|(model, text)| beside::write_model(partial, model, text))
    })?;
    let told = parts
        .recognisers
        .iter()
        .map(|(kind, assembly)| (kind.name(), &assembly.notes, &assembly.facts));
    let beside = parts.beside.iter();
    let told = told.chain(beside.map(|(kind, plan)| (kind.name(), &plan.notes, &plan.facts)));
    let fact = |(name, notes, facts): (&str, &Vec<String>, &String)| {
        notes.iter().for_each(crate::console::warn);
        format!("{name}: {facts}")
    };
    Ok(told.map(fact).collect::<Vec<_>>().join("; "))
}

/// Finds and checks the pieces.
fn parts(options: &Options) -> Result<Parts> {
    let own = |from: &PathBuf| super::options::Options {
        from: from.clone(),
        common: options.common.clone(),
    };
    let mut beside = Vec::new();
    let vad = options.vad.as_deref().map(beside::vad);
    for (kind, from) in [
        (vad, &options.vad),
        (Some(Beside::Punctuation), &options.punc),
    ] {
        if let (Some(kind), Some(from)) = (kind, from) {
            let plan = beside::plan_as_there_is(kind, own(from)).with_context(|| kind.name())?;
            beside.push((kind, plan));
        }
    }
    let offline = |kind: &Kind| *kind != Kind::ParaformerOnline;
    let mut kinds = options.from.iter().map(|(kind, _)| *kind);
    let called = kinds.find(offline).filter(|_| options.vad.is_some());
    let mut recognisers: Vec<(Kind, Assembly)> = Vec::new();
    for (kind, from) in &options.from {
        if recognisers.iter().any(|(other, _)| other == kind) {
            bail!("--from names two exports of {}", kind.name());
        }
        let mut own = own(from);
        let outputs = &mut own.common.outputs;
        if called == Some(*kind) && !outputs.iter().any(|name| name == "all") {
            // What `transcribe` and `two_pass` read.
            outputs.push("RESULT_JSON".to_owned());
        }
        let assembly = plan(*kind, &own).with_context(|| kind.name())?;
        recognisers.push((*kind, renamed(assembly, *kind)));
    }
    let marks = beside.iter().any(|(_, plan)| plan.has("punctuation"));
    if called.is_some() && options.punc.is_some() && !marks {
        bail!(
            "{} is of the realtime kind, for a speech piece by piece; --punc takes one for whole texts here",
            Beside::Punctuation.name()
        );
    }
    Ok(Parts {
        recognisers,
        beside,
        long: match called {
            None => Vec::new(),
            Some(recogniser) => long::configs(Called {
                recogniser,
                punctuation: marks,
                streams: options
                    .from
                    .iter()
                    .any(|(kind, _)| *kind == Kind::ParaformerOnline),
            })?,
        },
    })
}

/// What a model of a kind is called.
fn named(kind: Kind, model: &str) -> String {
    let prefix = match kind {
        Kind::Sensevoice => "sensevoice",
        Kind::Paraformer => "paraformer",
        Kind::ParaformerOnline => "online",
    };
    if kind.models().next() == Some(model) {
        model.to_owned()
    } else {
        format!("{prefix}_{model}")
    }
}

/// The same with the models' new names, wherever a configuration or a file's place has the old ones.
fn renamed(mut assembly: Assembly, kind: Kind) -> Assembly {
    for model in assembly.template.models() {
        let new = named(kind, model);
        // Its own name, a step's, and a path into its directory. A component may have the name of a model.
        for (before, after) in [
            ("\nname: \"", "\""),
            ("model_name: \"", "\""),
            ("string_value: \"", "/"),
        ] {
            let written = |name: &str| format!("{before}{name}{after}");
            assembly.replacements.push((written(model), written(&new)));
        }
    }
    for callee in ["encoder", "decoder", "hotword_encoder"] {
        let written = |name: &str| format!("string_value: \"{name}\"");
        let new = written(&named(kind, callee));
        assembly.replacements.push((written(callee), new));
    }
    for (_, place) in &mut assembly.files {
        if let Some((model, rest)) = place.split_once('/') {
            *place = format!("{}/{rest}", named(kind, model));
        }
    }
    assembly
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::repo::tests::configs;

    fn demo() -> Vec<(Kind, PathBuf)> {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        ["sensevoice", "paraformer", "paraformer_online"]
            .map(|name| {
                let option = format!("{}={}", name.replace('_', "-"), demo.join(name).display());
                export(&option).unwrap()
            })
            .to_vec()
    }

    fn options(from: Vec<(Kind, PathBuf)>, to: &Path) -> Options {
        Options {
            from,
            vad: None,
            punc: None,
            common: Common::new(to.join("repo")),
        }
    }

    /// The quoted texts behind a key.
    fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
        text.split(key)
            .skip(1)
            .filter_map(|rest| rest.split('"').nth(1))
            .collect()
    }

    #[test]
    fn every_model_has_a_name_of_its_own_and_calls_its_own_kind() {
        let directory = tempfile::tempdir().unwrap();
        let options = options(demo(), directory.path());
        let facts = assemble(&options).unwrap();
        assert_eq!(
            facts,
            "SenseVoice: model.onnx, 560 features, 178 pieces; Paraformer: model.onnx, 560 features, 124 tokens; \
             streaming Paraformer: model.onnx and decoder.onnx, 560 features, 124 tokens, 4 caches of 128 x 10"
        );
        let mut texts = BTreeMap::new();
        for entry in fs::read_dir(&options.common.to).unwrap() {
            let model = entry.unwrap();
            for config in configs(&model.path()).unwrap() {
                let text = fs::read_to_string(model.path().join(&config)).unwrap();
                let name = model.file_name().into_string().unwrap();
                assert_eq!(values(&text, "\nname:"), [name.as_str()]);
                texts.insert((name, config), text);
            }
        }
        let models: BTreeSet<&str> = texts.keys().map(|(name, _)| name.as_str()).collect();
        assert_eq!(models.len(), 14);
        for ((name, _), text) in &texts {
            let called = values(text, "model_name:").into_iter();
            let called = called
                .chain(values(text, "key: \"encoder\""))
                .chain(values(text, "key: \"decoder\""));
            for model in called {
                assert!(models.contains(model), "{name} calls {model}");
            }
            for value in values(text, "_path\"")
                .into_iter()
                .chain(values(text, "key: \"vocabulary\""))
            {
                let found = [options.common.to.join(name), options.common.to.clone()];
                assert!(
                    found.iter().any(|place| place.join(value).exists()),
                    "{name}: {value}"
                );
            }
        }
        let text = |name: &str, config| &texts[&(name.to_owned(), PathBuf::from(config))];
        let online = text("streaming_paraformer", "configs/pipeline.pbtxt");
        assert_eq!(values(online, "key: \"decoder\""), ["online_decoder"]);
        assert_eq!(
            values(online, "key: \"component\""),
            ["streaming_paraformer"]
        );
        let steps = text("infer_pipeline", "config.pbtxt");
        assert_eq!(
            values(steps, "model_name:"),
            [
                "paraformer_feature_extractor",
                "paraformer_encoder",
                "paraformer_scoring"
            ]
        );
        let front_end = text("sensevoice_feature_extractor", "config.pbtxt");
        assert_eq!(
            values(front_end, "key: \"component\""),
            ["feature_extractor"]
        );
        assert!(
            options
                .common
                .to
                .join("online_decoder/1/decoder.onnx")
                .exists()
        );
    }

    #[test]
    fn with_voice_activity_detection_it_transcribes_recordings_of_any_length() {
        let directory = tempfile::tempdir().unwrap();
        let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/segments/models");
        let mut options = options(demo()[1..].to_vec(), directory.path());
        options.vad = Some(small.join("fsmn_vad"));
        options.punc = Some(small.join("ct_punc"));
        let facts = assemble(&options).unwrap();
        assert!(facts.contains("; punctuation: model.onnx, "), "{facts}");
        let to = &options.common.to;
        let config = |model: &str| fs::read_to_string(to.join(model).join("config.pbtxt")).unwrap();
        let two_pass = config("two_pass");
        for called in ["streaming_vad", "streaming_paraformer", "punctuation"] {
            let value = format!("string_value: \"{called}\"");
            assert!(two_pass.contains(&value) && to.join(called).exists());
        }
        for model in ["transcribe", "transcribe_segments", "two_pass"] {
            assert_eq!(
                values(&config(model), "key: \"recogniser\""),
                ["infer_pipeline"]
            );
            for called in ["punctuation", "infer_pipeline"] {
                let key = format!("\"{called}\"");
                assert!(config(model).contains(&key) && to.join(called).exists());
            }
        }
        assert!(config("transcribe").contains("string_value: \"vad\"") && to.join("vad").exists());
        assert!(config("infer_pipeline").contains("RESULT_JSON"));
        assert!(!config("streaming_paraformer").contains("RESULT_JSON"));
        options.vad = Some(small.join("silero"));
        options.common.force = true;
        assemble(&options).unwrap();
        // The small models may lack what the large ones have, and have what they lack.
        let vad = directory.path().join("vad");
        fs::create_dir(&vad).unwrap();
        for entry in fs::read_dir(small.join("fsmn_vad")).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, vad.join(from.file_name().unwrap())).unwrap();
        }
        let notes = |vad: &Path, quantized| {
            let common = Common {
                quantized,
                ..Common::new(to.clone())
            };
            let own = crate::repo::Options {
                from: vad.to_owned(),
                common,
            };
            let kind = beside::vad(vad);
            beside::plan_as_there_is(kind, own).unwrap().notes
        };
        assert_eq!(notes(&vad, false), [""; 0]);
        assert!(notes(&vad, true)[0].ends_with("has no quantized file: the plain one is taken"));
        let silero = notes(&small.join("silero"), true);
        assert!(silero.last().unwrap().ends_with("the plain one is taken"));
        fs::rename(vad.join("model.onnx"), vad.join("model_quant.onnx")).unwrap();
        assert!(notes(&vad, false)[0].ends_with("has a quantized file alone: it is taken"));
        assert_eq!(notes(&vad, true), [""; 0]);
        assert!(to.join("silero_vad/1/model.onnx").exists() && !to.join("fsmn_vad").exists());
        assert!(config("vad").contains("\"silero\""));
        options.punc = Some(small.join("ct_punc_realtime"));
        let error = assemble(&options).unwrap_err().to_string();
        assert!(
            error.starts_with("punctuation is of the realtime kind"),
            "{error}"
        );
    }

    #[test]
    fn a_kind_is_named_once_and_known() {
        let directory = tempfile::tempdir().unwrap();
        let mut from = demo();
        from.push(from[1].clone());
        let error = assemble(&options(from, directory.path())).unwrap_err();
        assert_eq!(error.to_string(), "--from names two exports of Paraformer");
        assert!(export("whisper=/x").is_err());
        assert_eq!(export("/x").unwrap_err(), "expected KIND=EXPORT_DIR");
    }

    #[test]
    fn only_a_common_repository_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(demo()[..1].to_vec(), directory.path());
        assemble(&options).unwrap();
        let error = assemble(&options).unwrap_err().to_string();
        assert!(
            error.ends_with("it holds a repository already; --force replaces it"),
            "{error}"
        );
        options.common.force = true;
        assemble(&options).unwrap();
        fs::create_dir(options.common.to.join("encoder")).unwrap();
        let error = assemble(&options).unwrap_err().to_string();
        assert!(
            error.ends_with("it holds encoder, which is no part of a common repository"),
            "{error}"
        );
    }
}
