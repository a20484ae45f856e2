//! The table of all components, and how a config picks one.

use std::sync::Arc;

use triton_backend::{Error, ModelContext, warn};

use crate::component::Component;
use crate::pipelines::offline::{self, paraformer, sensevoice};
use crate::pipelines::{streaming, warmup};
use crate::steps::cif_search::CifSearch;
use crate::steps::feature_extractor::FeatureExtractor;
use crate::steps::lfr_cmvn_pe::LfrCmvnPe;
use crate::steps::online_feature_extractor::OnlineFeatureExtractor;
use crate::steps::{ctc_scoring, paraformer_scoring};
use crate::tensors::{audio, options};

type Load = fn(&ModelContext) -> Result<Arc<dyn Component>, Error>;

/// Every component: its name in a config, how it is loaded, and the parameters it knows.
const COMPONENTS: &[(&str, Load, &[&[&str]])] = &[
    (
        "feature_extractor",
        FeatureExtractor::load,
        FeatureExtractor::PARAMETERS,
    ),
    ("ctc_scoring", ctc_scoring::load, &[ctc_scoring::PARAMETERS]),
    (
        "paraformer_scoring",
        paraformer_scoring::load,
        &[paraformer_scoring::PARAMETERS, paraformer_scoring::IGNORED],
    ),
    (
        "online_feature_extractor",
        OnlineFeatureExtractor::load,
        OnlineFeatureExtractor::PARAMETERS,
    ),
    ("lfr_cmvn_pe", LfrCmvnPe::load, LfrCmvnPe::PARAMETERS),
    ("cif_search", CifSearch::load, CifSearch::PARAMETERS),
    (
        "sensevoice",
        sensevoice::load,
        &[
            options::FRONTEND,
            audio::PARAMETERS,
            offline::PARAMETERS,
            ctc_scoring::PARAMETERS,
            sensevoice::PARAMETERS,
        ],
    ),
    (
        "paraformer",
        paraformer::load,
        &[
            options::FRONTEND,
            audio::PARAMETERS,
            offline::PARAMETERS,
            paraformer_scoring::PARAMETERS,
            paraformer::PARAMETERS,
        ],
    ),
    (
        "streaming_paraformer",
        streaming::load,
        streaming::PARAMETERS,
    ),
];

/// Parameters that configs written for Python steps carry and that have no meaning here.
const IGNORED: &[&str] = &[
    "component",
    "FORCE_CPU_ONLY_INPUT_TENSORS",
    "EXECUTION_ENV_PATH",
];

/// Loads the component that the config names.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let parameters = &context.config.parameters;
    let wanted = parameters.require("component").map_err(|error| {
        let names = names();
        error.context(format_args!(
            "the backend 'funasr' needs to know its job ({names})"
        ))
    })?;
    let Some((_, load, known)) = COMPONENTS.iter().find(|(name, ..)| *name == wanted) else {
        let message = format!("there is no component '{wanted}'; there are {}", names());
        return Err(Error::parameter("component", message));
    };
    for key in parameters.keys() {
        if !known.iter().any(|keys| keys.contains(&key)) && !IGNORED.contains(&key) {
            warn!(
                "model '{}': component '{wanted}' does not know parameter '{key}'",
                context.name
            );
        }
    }
    let calls_others = known.iter().any(|keys| keys.contains(&warmup::PARAMETER));
    refuse_warmup(context, calls_others)?;
    load(context)
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
    let names: Vec<&str> = COMPONENTS.iter().map(|(name, ..)| *name).collect();
    names.join(", ")
}
