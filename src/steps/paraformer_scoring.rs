//! Component `paraformer_scoring`: an offline Paraformer's scores to text.
//!
//! `logits` FP32 `[rows, tokens, vocabulary]` and `token_num` INT32 `[rows]` (or `[rows, 1]`) become `OUTPUT0` STRING
//! `[rows, 1]`. Every row is decoded by itself, over its own tokens.

use std::sync::Arc;

use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use asr_decode::{Probabilities, Transcript, paraformer};
use triton_backend::{Error, ModelContext, info};

use crate::component::Component;
use crate::steps::scoring::{Decoder, Scoring};

/// The parameters that [`TokenDecoder`] reads.
pub(crate) const PARAMETERS: &[&str] = &["vocabulary", "raw"];

/// Parameters of the Python step that never had a meaning.
pub(crate) const IGNORED: &[&str] = &["ignore_id", "lm_path"];

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    Scoring::load(context, TokenDecoder::load(context)?)
}

/// The best token of each step, joined into text.
pub(crate) struct TokenDecoder {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) join: Join,
}

impl TokenDecoder {
    /// The decoder that a config describes.
    pub(crate) fn load(context: &ModelContext) -> Result<Self, Error> {
        let vocabulary = Vocabulary::from_file(context.file("vocabulary")?)
            .map_err(|error| Error::parameter("vocabulary", error.to_string()))?;
        if vocabulary.subwords().is_none() {
            info!(
                "model '{}': no token of its vocabulary is marked as a part of a word (@@); if it should have such \
                 tokens, use the tokens.json of the model's export",
                context.name
            );
        }
        let join = match context.config.parameters.flag("raw")? {
            Some(true) => Join::Raw,
            _ => Join::Words,
        };
        Ok(Self { vocabulary, join })
    }
}

impl Decoder for TokenDecoder {
    const SCORES: &'static str = "logits";
    const COUNTS: &'static str = "token_num";
    const STEPS: &'static str = "tokens";
    const UNITS: &'static str = "entries of the vocabulary";

    fn width(&self) -> usize {
        self.vocabulary.len()
    }

    fn transcript(
        &self,
        scores: &[f32],
        tokens: usize,
    ) -> Result<Transcript, Box<dyn std::error::Error>> {
        Ok(paraformer::transcript(
            scores,
            tokens,
            &self.vocabulary,
            self.join,
            Probabilities::Absent,
        )?)
    }
}
