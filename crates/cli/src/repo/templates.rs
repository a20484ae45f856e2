//! The configurations that repositories are made from: those of the project's `model_repo_*`, inside this program.

use std::path::Path;

use include_dir::{Dir, include_dir};

static SENSEVOICE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_sense_voice_small");
static PARAFORMER: Dir<'_> =
    include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_paraformer_large_offline");
static PARAFORMER_ONLINE: Dir<'_> =
    include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_paraformer_large_online");
static SEACO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_seaco_paraformer");

/// A repository of configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Template {
    Sensevoice,
    Paraformer,
    ParaformerOnline,
    /// A Paraformer with hot words.
    Seaco,
}

impl Template {
    /// The project's directory with it.
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::Sensevoice => "model_repo_sense_voice_small",
            Self::Paraformer => "model_repo_paraformer_large_offline",
            Self::ParaformerOnline => "model_repo_paraformer_large_online",
            Self::Seaco => "model_repo_seaco_paraformer",
        }
    }

    /// Its models; the first is the one that clients call.
    pub(super) fn models(self) -> &'static [&'static str] {
        match self {
            Self::Sensevoice => &["sensevoice", "feature_extractor", "encoder", "scoring"],
            Self::Paraformer => &["infer_pipeline", "feature_extractor", "encoder", "scoring"],
            Self::ParaformerOnline => &[
                "streaming_paraformer",
                "feature_extractor",
                "lfr_cmvn_pe",
                "encoder",
                "cif_search",
                "decoder",
            ],
            Self::Seaco => &[
                "infer_pipeline",
                "feature_extractor",
                "encoder",
                "scoring",
                "hotword_embedding",
                "hotword_encoder",
            ],
        }
    }
}

/// The configurations of a model of `template`: their places in the model's directory, config.pbtxt first, and their texts.
pub(super) fn configs(
    template: Template,
    model: &str,
) -> impl Iterator<Item = (&'static Path, &'static str)> {
    let repository = match template {
        Template::Sensevoice => &SENSEVOICE,
        Template::Paraformer => &PARAFORMER,
        Template::ParaformerOnline => &PARAFORMER_ONLINE,
        Template::Seaco => &SEACO,
    };
    let model = repository.get_dir(model);
    let own = model.into_iter().flat_map(Dir::files);
    let more = model
        .and_then(|model| model.get_dir(model.path().join("configs")))
        .into_iter()
        .flat_map(Dir::files);
    let root = model.map(Dir::path).unwrap_or(Path::new(""));
    own.chain(more)
        .filter(|file| file.path().extension().is_some_and(|kind| kind == "pbtxt"))
        .filter_map(move |file| {
            let place = file.path().strip_prefix(root).ok()?;
            Some((place, file.contents_utf8()?))
        })
}
