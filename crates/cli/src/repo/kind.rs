//! The kinds of models.

/// A kind of model, each with its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// SenseVoice
    Sensevoice,
    /// Paraformer for whole recordings
    Paraformer,
    /// Paraformer for streams
    ParaformerOnline,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sensevoice, Self::Paraformer, Self::ParaformerOnline];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensevoice => "SenseVoice",
            Self::Paraformer => "Paraformer",
            Self::ParaformerOnline => "streaming Paraformer",
        }
    }

    /// The project's directory with the repository's configurations.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Sensevoice => "model_repo_sense_voice_small",
            Self::Paraformer => "model_repo_paraformer_large_offline",
            Self::ParaformerOnline => "model_repo_paraformer_large_online",
        }
    }

    /// The repository's models.
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
        }
    }
}
