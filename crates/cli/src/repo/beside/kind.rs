//! The small models, and the configurations that their repositories are made from.

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};

static VAD: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_fsmn_vad");
static SILERO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_silero_vad");
static PUNCTUATION: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_ct_punc");

/// A small model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// FSMN-VAD
    Vad,
    /// Silero's voice activity detection, in the place of FSMN-VAD
    Silero,
    /// CT-Transformer, for whole texts or of the realtime kind
    Punctuation,
}

impl Beside {
    const ALL: [Self; 3] = [Self::Vad, Self::Silero, Self::Punctuation];

    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vad | Self::Silero => "voice activity detection",
            Self::Punctuation => "punctuation",
        }
    }

    /// The models that its repository may hold.
    pub(crate) fn models(self) -> &'static [&'static str] {
        match self {
            Self::Vad => &["vad", "streaming_vad", "fsmn_vad"],
            Self::Silero => &["vad", "streaming_vad", "silero_vad"],
            Self::Punctuation => &["punctuation", "streaming_punctuation", "ct_transformer"],
        }
    }

    /// Whether a repository of its kind, or of what can stand in for it, may hold a model.
    pub(crate) fn has_part(self, model: &str) -> bool {
        let mut kinds = Self::ALL.into_iter();
        kinds.any(|kind| kind.name() == self.name() && kind.models().contains(&model))
    }

    /// The text of a configuration of the project's.
    pub(super) fn template(self, path: &str) -> Result<&'static str> {
        let repository = match self {
            Self::Vad => &VAD,
            Self::Silero => &SILERO,
            Self::Punctuation => &PUNCTUATION,
        };
        let file = repository.get_file(path);
        let text = file.and_then(include_dir::File::contents_utf8);
        text.with_context(|| format!("this program lacks {path}"))
    }
}
