//! The small models, and the configurations that their repositories are made from.

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};

static VAD: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_fsmn_vad");
static PUNCTUATION: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_ct_punc");

/// A small model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// FSMN-VAD
    Vad,
    /// CT-Transformer, for whole texts or of the realtime kind
    Punctuation,
}

impl Beside {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vad => "voice activity detection",
            Self::Punctuation => "punctuation",
        }
    }

    /// The models that its repository may hold.
    pub(crate) fn models(self) -> &'static [&'static str] {
        match self {
            Self::Vad => &["vad", "streaming_vad", "fsmn_vad"],
            Self::Punctuation => &["punctuation", "streaming_punctuation", "ct_transformer"],
        }
    }

    /// The text of a configuration of the project's.
    pub(super) fn template(self, path: &str) -> Result<&'static str> {
        let repository = match self {
            Self::Vad => &VAD,
            Self::Punctuation => &PUNCTUATION,
        };
        let file = repository.get_file(path);
        let text = file.and_then(include_dir::File::contents_utf8);
        text.with_context(|| format!("this program lacks {path}"))
    }
}
