//! What a model takes and says, read from its config.

use std::collections::{BTreeMap, BTreeSet};

use super::messages::ModelConfig;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A whole recording as a file, one answer.
    Recording,
    /// A whole recording as a file, what is heard as soon as it is there.
    Segments,
    /// A stream of samples.
    Stream,
}

/// The element types that matter here, as `DataType` of `model_config.proto` numbers them.
const TYPE_FP32: i32 = 11;
const TYPE_STRING: i32 = 13;

/// A model that makes text of audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// As the server calls it.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) role: Role,
    /// `LANGUAGE` is a name, not a number.
    pub(crate) language_by_name: bool,
    /// `TEXT_NORM` is a name, not a number.
    pub(crate) norm_by_name: bool,
    /// It puts marks into the text itself, with a model for that.
    pub(crate) punctuates: bool,
    /// It writes numbers itself, as its config says where a request does not.
    pub(crate) writes_numbers: bool,
    inputs: BTreeSet<String>,
    outputs: BTreeSet<String>,
}

impl Model {
    /// Whether it has an input of that name.
    pub(crate) fn takes(&self, input: &str) -> bool {
        self.inputs.contains(input)
    }

    /// Whether it has an output of that name.
    pub(crate) fn says(&self, output: &str) -> bool {
        self.outputs.contains(output)
    }

    /// If the config is of a model that clients call with audio; `sequences` are the server's models whose requests are sequences.
    fn of(config: &ModelConfig, sequences: &BTreeSet<&str>) -> Option<Self> {
        let named = |name: &str| config.input.iter().find(|input| input.name == name);
        if !config
            .output
            .iter()
            .any(|output| output.name == "TRANSCRIPTS")
        {
            return None;
        }
        let steps = config.ensemble_scheduling.iter().flat_map(|own| &own.step);
        let mut callees = steps.map(|step| &*step.model_name);
        let is_sequence =
            config.sequence_batching.is_some() || callees.any(|own| sequences.contains(own));
        let decoupled = config
            .model_transaction_policy
            .as_ref()
            .is_some_and(|own| own.decoupled);
        let role = match (is_sequence, decoupled) {
            // Streams bring floats; models that want other samples are not asked.
            (true, _) => {
                let floats = named("WAV").is_some_and(|input| input.data_type == TYPE_FP32);
                floats.then_some(Role::Stream)?
            }
            // The gateway does not decode files, so a recogniser has to.
            (false, decoupled) => {
                named("AUDIO")?;
                if decoupled {
                    Role::Segments
                } else {
                    Role::Recording
                }
            }
        };
        let names = |tensors: &[super::messages::ModelTensor]| {
            tensors.iter().map(|tensor| tensor.name.clone()).collect()
        };
        Some(Self {
            name: config.name.clone(),
            role,
            norm_by_name: named("TEXT_NORM").is_some_and(|input| input.data_type == TYPE_STRING),
            language_by_name: named("LANGUAGE").is_some_and(|input| input.data_type == TYPE_STRING),
            punctuates: config.parameters.contains_key("punctuation"),
            writes_numbers: config.parameters.contains_key("itn_path"),
            inputs: names(&config.input),
            outputs: names(&config.output),
        })
    }
}

/// The models of these configs that clients call with audio, by name.
pub(super) fn models(configs: &[ModelConfig]) -> BTreeMap<String, Model> {
    let own = configs
        .iter()
        .filter(|config| config.sequence_batching.is_some());
    let sequences = own.map(|config| &*config.name).collect();
    let models = configs
        .iter()
        .filter_map(|config| Model::of(config, &sequences));
    models.map(|model| (model.name.clone(), model)).collect()
}

/// Models for the tests of other files.
#[cfg(test)]
pub(crate) mod tests_of_models {
    use super::*;

    pub(crate) fn model_with(name: &str, role: Role, inputs: &[&str]) -> Model {
        Model {
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            ..model(name, role)
        }
    }

    pub(crate) fn model(name: &str, role: Role) -> Model {
        Model {
            name: name.to_owned(),
            role,
            language_by_name: false,
            norm_by_name: false,
            punctuates: false,
            writes_numbers: false,
            inputs: BTreeSet::new(),
            outputs: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::*;
    use super::*;

    fn config(name: &str, inputs: &[(&str, i32)], outputs: &[&str]) -> ModelConfig {
        let tensor = |name: &str, data_type| ModelTensor {
            name: name.to_owned(),
            data_type,
        };
        ModelConfig {
            name: name.to_owned(),
            input: inputs
                .iter()
                .map(|(name, kind)| tensor(name, *kind))
                .collect(),
            output: outputs
                .iter()
                .map(|name| tensor(name, TYPE_STRING))
                .collect(),
            ..ModelConfig::default()
        }
    }

    #[test]
    fn models_are_told_apart_by_their_configs() {
        const FILE: (&str, i32) = ("AUDIO", TYPE_STRING);
        const WAV: (&str, i32) = ("WAV", TYPE_FP32);
        let mut segments = config("segments", &[FILE], &["TRANSCRIPTS"]);
        segments.model_transaction_policy = Some(ModelTransactionPolicy { decoupled: true });
        let marks = ModelParameter::default();
        segments.parameters.insert("punctuation".to_owned(), marks);
        let mut stream = config("stream", &[WAV], &["TRANSCRIPTS"]);
        stream.sequence_batching = Some(Present {});
        let mut ensemble = config("ensemble", &[WAV], &["TRANSCRIPTS", "FULL_TEXT"]);
        let step = EnsembleStep {
            model_name: "search".to_owned(),
        };
        ensemble.ensemble_scheduling = Some(ModelEnsembling { step: vec![step] });
        let mut search = config("search", &[("enc", TYPE_FP32)], &["transcripts"]);
        search.sequence_batching = Some(Present {});
        let mut integers = config("integers", &[("WAV", 7)], &["TRANSCRIPTS"]);
        integers.sequence_batching = Some(Present {});
        let found = models(&[
            config(
                "recording",
                &[FILE, WAV, ("LANGUAGE", TYPE_STRING)],
                &["TRANSCRIPTS", "RESULT_JSON"],
            ),
            segments,
            stream,
            ensemble,
            search,
            integers,
            config("samples_alone", &[WAV], &["TRANSCRIPTS"]),
            config("vad", &[FILE, WAV], &["SEGMENTS_MS"]),
        ]);
        let roles: Vec<_> = found
            .values()
            .map(|model| (&*model.name, model.role))
            .collect();
        assert_eq!(
            roles,
            [
                ("ensemble", Role::Stream),
                ("recording", Role::Recording),
                ("segments", Role::Segments),
                ("stream", Role::Stream)
            ]
        );
        assert!(found["recording"].language_by_name && !found["recording"].punctuates);
        assert!(found["segments"].punctuates && !found["segments"].takes("LANGUAGE"));
        assert!(found["recording"].says("RESULT_JSON") && !found["stream"].says("RESULT_JSON"));
    }
}
