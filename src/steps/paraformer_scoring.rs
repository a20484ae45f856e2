//! Component `paraformer_scoring`: what an offline Paraformer found to text.
//!
//! `logits` FP32 `[rows, tokens, vocabulary]`, or `token_ids` INT32 and `token_log_probs` FP32 `[rows, tokens]`, and `token_num` INT32 `[rows]` (or `[rows, 1]`) become `OUTPUT0` STRING
//! `[rows, 1]`. Every row is decoded by itself, over its own tokens.

use std::sync::Arc;

use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use asr_decode::{Probabilities, Transcript, paraformer, paraformer_times};
use triton_backend::{Error, ModelContext, info};

use crate::component::Component;
use crate::steps::found::{Names, Row, Units};
use crate::steps::scoring::{Decoder, Scoring};
use crate::tensors::outputs::Outputs;
use crate::tensors::parameters::{File, Parameter, Table};

/// The weights of audio, three for each frame of the encoder, as models that tell times hand them out. Their output `us_cif_peak`, where
/// these add up to a token, is not needed.
const ALPHAS: &str = "us_alphas";
/// How many of them a frame has. What a longer row of the same batch needs is behind a row's own.
const WEIGHTS_PER_FRAME: usize = 3;
/// The frames of audio of each row.
const SPEECH_LENGTHS: &str = "speech_lengths";

/// The parameters that [`TokenDecoder`] reads.
pub(crate) const PARAMETERS: Table = Table {
    name: "paraformer_scoring",
    lines: &[&VOCABULARY, &RAW],
};

pub(crate) const VOCABULARY: Parameter<File> = Parameter::new(
    "vocabulary",
    "`tokens.json`, or a config.yaml with a `token_list` (strings as written)",
)
.required();
const RAW: Parameter<bool> = Parameter::new(
    "raw",
    "true: tokens one after the other as they are, `@@` included",
)
.default(false);

/// The tokens that a config names.
pub(crate) fn vocabulary(context: &ModelContext) -> Result<Vocabulary, Error> {
    Vocabulary::from_file(VOCABULARY.read(context)?)
        .map_err(|error| Error::parameter(VOCABULARY.name(), error.to_string()))
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    Scoring::load(context, TokenDecoder::load(context)?)
}

/// The best token of each step, joined into text.
pub(crate) struct TokenDecoder {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) join: Join,
    /// Whether an output has probabilities of tokens.
    pub(crate) probabilities: Probabilities,
}

impl TokenDecoder {
    /// The decoder that a config describes.
    pub(crate) fn load(context: &ModelContext) -> Result<Self, Error> {
        let vocabulary = vocabulary(context)?;
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
        Ok(Self {
            vocabulary,
            join,
            probabilities: Outputs::of(&context.config)?.needs().probabilities(),
        })
    }
}

impl Decoder for TokenDecoder {
    const NAMES: Names = Names {
        scores: "logits",
        counts: "token_num",
        steps: "tokens",
        units: "entries of the vocabulary",
        times: &[ALPHAS],
        frames: Some(SPEECH_LENGTHS),
    };

    fn width(&self) -> usize {
        self.vocabulary.len()
    }

    fn heard(&self, row: &Row<'_>) -> Result<Transcript, Box<dyn std::error::Error>> {
        let (vocabulary, join) = (&self.vocabulary, self.join);
        let mut heard = match &row.units {
            Units::Scores(scores) => {
                paraformer::transcript(scores, row.steps, vocabulary, join, self.probabilities)?
            }
            Units::Best(best) => paraformer::transcript_of_best(best, vocabulary, join)?,
        };
        if let Some(timing) = &row.timing {
            let own = timing.frames.saturating_mul(WEIGHTS_PER_FRAME);
            if let [alphas] = timing.tensors[..] {
                let alphas = &alphas[..own.min(alphas.len())];
                paraformer_times::set_times(&mut heard, alphas)?;
            }
        }
        Ok(heard)
    }
}
