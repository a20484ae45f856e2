//! What is measured.

use crate::repo::Kind;

/// What is served, by the names of the repository that `triton-funasr repo` makes.
pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) export: &'static str,
    pub(super) top: &'static str,
}

pub(super) const MODELS: [Model; 2] = [
    Model {
        kind: Kind::Sensevoice,
        export: "sensevoice",
        top: "sensevoice",
    },
    Model {
        kind: Kind::Paraformer,
        export: "paraformer",
        top: "infer_pipeline",
    },
];

/// What is asked in streams.
pub(super) const STREAMING: Model = Model {
    kind: Kind::ParaformerOnline,
    export: "paraformer-online",
    top: "streaming_paraformer",
};
