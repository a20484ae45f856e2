//! Component `paraformer_scoring`: what an offline Paraformer found to text.
//!
//! `logits` FP32 `[rows, tokens, vocabulary]`, or `token_ids` INT32 and `token_log_probs` FP32 `[rows, tokens]`, and `token_num` INT32 `[rows]` (or `[rows, 1]`) become `OUTPUT0` STRING
//! `[rows, 1]`. Every row is decoded by itself, over its own tokens.

use std::sync::Arc;

use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use asr_decode::{Best, Probabilities, Transcript, paraformer};
use triton_backend::{Error, ModelContext, info};

use crate::component::Component;
use crate::steps::found::Names;
use crate::steps::scoring::{Decoder, Scoring};
use crate::tensors::parameters::{File, Parameter, Table};

/// The parameters that [`TokenDecoder`] reads.
pub(crate) const PARAMETERS: Table = Table {
    name: "paraformer_scoring",
    lines: &[&VOCABULARY, &RAW],
};

const VOCABULARY: Parameter<File> = Parameter::new(
    "vocabulary",
    "`tokens.json`, or a config.yaml with a `token_list` (strings as written)",
)
.required();
const RAW: Parameter<bool> = Parameter::new(
    "raw",
    "true: tokens one after the other as they are, `@@` included",
)
.default(false);

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
        let vocabulary = Vocabulary::from_file(VOCABULARY.read(context)?)
            .map_err(|error| Error::parameter(VOCABULARY.name(), error.to_string()))?;
        if vocabulary.subwords().is_none() {
            info!(
                "model '{}': no token of its vocabulary is marked as a part of a word (@@); if it should have such \
                 tokens, use the tokens.json of the model's export",
                context.name
            );
        }
        let join = if RAW.read(context)? {
            Join::Raw
        } else {
            Join::Words
        };
        Ok(Self { vocabulary, join })
    }
}

impl Decoder for TokenDecoder {
    const NAMES: Names = Names {
        scores: "logits",
        counts: "token_num",
        steps: "tokens",
        units: "entries of the vocabulary",
    };

    fn width(&self) -> usize {
        self.vocabulary.len()
    }

    fn of_scores(
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

    fn of_best(&self, best: &Best<'_>, _: usize) -> Result<Transcript, Box<dyn std::error::Error>> {
        Ok(paraformer::transcript_of_best(
            best,
            &self.vocabulary,
            self.join,
        )?)
    }
}
