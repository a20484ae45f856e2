//! The table of all components, and how a config picks one.

use std::sync::Arc;

use triton_backend::{Error, ModelContext, warn};

use crate::component::Component;
use crate::pipelines::offline::{self, paraformer, sensevoice};
use crate::pipelines::{
    options as calls, punctuation, streaming, transcribe, two_pass, vad, warmup,
};
use crate::steps::cif_search::{self, CifSearch};
use crate::steps::feature_extractor::{self, FeatureExtractor};
use crate::steps::hotword_embedding::{self, HotwordEmbedding};
use crate::steps::hotwords;
use crate::steps::itn;
use crate::steps::lfr_cmvn_pe::{self, LfrCmvnPe};
use crate::steps::online_feature_extractor::{self, OnlineFeatureExtractor};
use crate::steps::{ctc_scoring, paraformer_scoring};
use crate::tensors::parameters::{Table, nearest};
use crate::tensors::{audio, options};

#[cfg(test)]
mod tests;

type Load = fn(&ModelContext) -> Result<Arc<dyn Component>, Error>;

/// A component.
struct Entry {
    /// What configs call it.
    name: &'static str,
    load: Load,
    /// The parameters that it knows.
    tables: &'static [&'static Table],
}

/// Every component.
const COMPONENTS: &[Entry] = &[
    Entry::new(
        "feature_extractor",
        FeatureExtractor::load,
        &[
            &feature_extractor::PARAMETERS,
            &audio::FEATURES,
            &options::FRONTEND,
        ],
    ),
    Entry::new(
        "ctc_scoring",
        ctc_scoring::load,
        &[&ctc_scoring::PARAMETERS],
    ),
    Entry::new(
        "paraformer_scoring",
        paraformer_scoring::load,
        &[&paraformer_scoring::PARAMETERS],
    ),
    Entry::new(
        "hotword_embedding",
        HotwordEmbedding::load,
        &[&hotword_embedding::PARAMETERS, &hotwords::PARAMETERS],
    ),
    Entry::new(
        "online_feature_extractor",
        OnlineFeatureExtractor::load,
        &[&online_feature_extractor::PARAMETERS, &options::FRONTEND],
    ),
    Entry::new(
        "lfr_cmvn_pe",
        LfrCmvnPe::load,
        &[&lfr_cmvn_pe::PARAMETERS, &options::FRONTEND],
    ),
    Entry::new(
        "cif_search",
        CifSearch::load,
        &[
            &cif_search::PARAMETERS,
            &cif_search::CIF,
            &paraformer_scoring::PARAMETERS,
        ],
    ),
    Entry::new(
        "sensevoice",
        sensevoice::load,
        &[
            &sensevoice::PARAMETERS,
            &offline::PARAMETERS,
            &calls::CALLS,
            &audio::FEATURES,
            &options::FRONTEND,
            &ctc_scoring::PARAMETERS,
        ],
    ),
    Entry::new(
        "paraformer",
        paraformer::load,
        &[
            &paraformer::PARAMETERS,
            &itn::SWITCHED,
            &hotwords::PARAMETERS,
            &offline::PARAMETERS,
            &calls::CALLS,
            &audio::FEATURES,
            &options::FRONTEND,
            &paraformer_scoring::PARAMETERS,
        ],
    ),
    Entry::new(
        "streaming_paraformer",
        streaming::load,
        &[
            &streaming::PARAMETERS,
            &calls::CALLS,
            &audio::FEATURES,
            &options::FRONTEND,
            &cif_search::CIF,
            &paraformer_scoring::PARAMETERS,
        ],
    ),
    Entry::new(
        "vad",
        vad::load,
        &[
            &vad::PARAMETERS,
            &vad::fsmn::PARAMETERS,
            &vad::fsmn::POST,
            &vad::silero::PARAMETERS,
            &calls::CALLS,
            &audio::FEATURES,
            &options::FRONTEND,
        ],
    ),
    Entry::new(
        "punctuation",
        punctuation::load,
        &[&punctuation::PARAMETERS],
    ),
    Entry::new("itn", itn::load, &[&itn::PARAMETERS]),
    Entry::new(
        "transcribe",
        transcribe::load,
        &[&transcribe::PARAMETERS, &itn::SWITCHED],
    ),
    Entry::new("two_pass", two_pass::load, &[&two_pass::PARAMETERS]),
];

/// Parameters that configs written for Python steps carry and that have no meaning here.
const IGNORED: &[&str] = &[
    "FORCE_CPU_ONLY_INPUT_TENSORS",
    "EXECUTION_ENV_PATH",
    "ignore_id",
    "lm_path",
];

/// The parameter that picks one.
const COMPONENT: &str = "component";

impl Entry {
    const fn new(name: &'static str, load: Load, tables: &'static [&'static Table]) -> Self {
        // The unit tests' binary, which looks at the tables, has no server to link what loads to.
        let load = if cfg!(test) { no_server } else { load };
        Self { name, load, tables }
    }

    /// The names of its parameters.
    fn known(&self) -> impl Iterator<Item = &'static str> {
        let lines = self.tables.iter().flat_map(|table| table.lines);
        lines.map(|line| line.name())
    }

    /// A warning for each parameter in a config that it does not know.
    fn warnings<'c>(&self, keys: impl Iterator<Item = &'c str>) -> Vec<String> {
        let known = |key: &&str| {
            *key == COMPONENT || IGNORED.contains(key) || self.known().any(|name| name == *key)
        };
        let warning = |key| {
            let component = self.name;
            let meant = nearest(key, self.known()).map(|name| format!("; did you mean '{name}'?"));
            let meant = meant.unwrap_or_default();
            format!("component '{component}' does not know parameter '{key}'{meant}")
        };
        keys.filter(|key| !known(key)).map(warning).collect()
    }
}

fn no_server(_: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    Err(Error::internal("components are loaded by a server"))
}

/// Loads the component that the config names.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let parameters = &context.config.parameters;
    let wanted = parameters.require(COMPONENT).map_err(|error| {
        let names = names();
        error.context(format_args!(
            "the backend 'funasr' needs to know its job ({names})"
        ))
    })?;
    let Some(entry) = COMPONENTS.iter().find(|entry| entry.name == wanted) else {
        let message = format!("there is no component '{wanted}'; there are {}", names());
        return Err(Error::parameter(COMPONENT, message));
    };
    for warning in entry.warnings(parameters.keys()) {
        warn!("model '{}': {warning}", context.name);
    }
    let calls_others = entry.known().any(|name| name == warmup::WARMUP.name());
    refuse_warmup(context, calls_others)?;
    (entry.load)(context)
}

/// The parameters that the component which the config names knows.
pub(crate) fn parameters(context: &ModelContext) -> impl Iterator<Item = &'static str> {
    let wanted = context.config.parameters.text(COMPONENT);
    let entries = COMPONENTS.iter();
    entries
        .filter(move |entry| Some(entry.name) == wanted)
        .flat_map(Entry::known)
}

/// Refuses a `model_warmup` that cannot work. In tritonserver 2.51.0 one that fails can end the server.
fn refuse_warmup(context: &ModelContext, calls_others: bool) -> Result<(), Error> {
    let given = context.config_json["model_warmup"].as_array();
    if given.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let remedy = if calls_others {
        "the server warms this model up before the models that it calls are ready; remove it and list what to run in parameter 'warmup', \
         or put it into the config of the encoder that this model calls"
    } else if context.config.sequence_batching.is_some() {
        "what the server warms up with belongs to no sequence, which this model refuses; remove it, it belongs into the config of the encoder"
    } else {
        return Ok(());
    };
    Err(Error::Config(format!(
        "model_warmup cannot work here: {remedy}"
    )))
}

fn names() -> String {
    let names: Vec<&str> = COMPONENTS.iter().map(|entry| entry.name).collect();
    names.join(", ")
}
