//! Component `ctc_scoring`: what a CTC encoder found to text.
//!
//! `ctc_logits` FP32 `[rows, frames, vocabulary]`, or `token_ids` INT32 and `token_log_probs` FP32 `[rows, frames]`, and `encoder_out_lens` INT32 `[rows]` (or `[rows, 1]`) become `OUTPUT0`
//! STRING `[rows, 1]`. Every row is decoded by itself, over its own frames.

use std::sync::Arc;

use asr_decode::sentencepiece::Tokenizer;
use asr_decode::{Probabilities, Transcript, ctc, ctc_times};
use triton_backend::{Error, ModelContext};

use crate::component::Component;
use crate::steps::found::{Names, Row, Units};
use crate::steps::scoring::{Decoder, Scoring};
use crate::tensors::outputs::Outputs;
use crate::tensors::parameters::{File, Parameter, Table};

/// SenseVoice's encoder puts four frames in front of the audio's: language, emotion, event, text normalisation.
const SENSE_VOICE_PROMPT: usize = 4;

/// The parameters that [`CtcDecoder`] reads.
pub(crate) const PARAMETERS: Table = Table {
    name: "ctc_scoring",
    lines: &[&TOKENIZER_PATH, &BLANK_ID, &PROMPT_FRAMES],
};

const TOKENIZER_PATH: Parameter<File> = Parameter::new(
    "tokenizer_path",
    "a sentencepiece model with a piece for every column of `ctc_logits`, for every id",
)
.required();
const BLANK_ID: Parameter<u32> =
    Parameter::new("blank_id", "the column that stands for no token").default(0);
const PROMPT_FRAMES: Parameter<usize> = Parameter::new(
    "prompt_frames",
    "leading frames that hold no audio: a row with no more is an empty transcript",
)
.otherwise(r"4 if the vocabulary has tags like `<\|zh\|>`, else 0");

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    Scoring::load(context, CtcDecoder::load(context)?)
}

/// Greedy CTC and a sentencepiece model.
pub(crate) struct CtcDecoder {
    tokenizer: Tokenizer,
    blank: u32,
    /// Leading frames that hold no audio: a row with no frames beyond them is empty.
    prompt_frames: usize,
    /// Whether an output has probabilities of tokens.
    probabilities: Probabilities,
}

impl CtcDecoder {
    /// The decoder that a config describes.
    pub(crate) fn load(context: &ModelContext) -> Result<Self, Error> {
        let tokenizer = Tokenizer::from_file(TOKENIZER_PATH.read(context)?)
            .map_err(|error| Error::parameter(TOKENIZER_PATH.name(), error.to_string()))?;
        let prompt = if tokenizer.has_tags() {
            SENSE_VOICE_PROMPT
        } else {
            0
        };
        Ok(Self {
            blank: BLANK_ID.read(context)?,
            probabilities: Outputs::of(&context.config)?.needs().probabilities(),
            prompt_frames: PROMPT_FRAMES.find(context)?.unwrap_or(prompt),
            tokenizer,
        })
    }
}

impl Decoder for CtcDecoder {
    const NAMES: Names = Names {
        scores: "ctc_logits",
        counts: "encoder_out_lens",
        steps: "frames",
        units: "pieces of the tokenizer",
        // The frames that a unit is the best of tell when it was said.
        times: &[],
        frames: None,
    };

    fn width(&self) -> usize {
        self.tokenizer.len()
    }

    fn heard(&self, row: &Row<'_>) -> Result<Transcript, Box<dyn std::error::Error>> {
        if row.steps <= self.prompt_frames {
            return Ok(Transcript::default());
        }
        let (blank, tokenizer) = (self.blank, &self.tokenizer);
        let mut heard = match &row.units {
            Units::Scores(scores) => ctc::transcript(scores, blank, tokenizer, self.probabilities)?,
            Units::Best(best) => ctc::transcript_of_best(best, blank, tokenizer)?,
        };
        if row.timing.is_some() {
            ctc_times::set_times(&mut heard, self.prompt_frames);
        }
        Ok(heard)
    }
}
