//! What the streaming decoder answers for tokens that fired, in either form.

use std::fmt::Display;

use asr_decode::{Frames, paraformer::Heard, probability, probability_of_log};
use triton_backend::{Call, Error, ModelContext, Reply, ReplyOutput};

use crate::steps::stream_clock::StreamClock;
use crate::tensors::form::{Form, TOKEN_IDS, TOKEN_LOG_PROBS};
use crate::tensors::layout::not_finite;
use crate::tensors::outputs::Needs;
use crate::tensors::parameters::Parameter;

/// The parameter that tells in which form.
pub(crate) const DECODER_OUTPUTS: Parameter<Form> = Parameter::new(
    "decoder_outputs",
    "`ids`: the decoder has outputs `token_ids` and `token_log_probs`, and says how probable a token is; `scores`: it has `sample_ids`, \
     as exported. `triton-funasr repo` makes the decoder so and sets it",
)
.default("scores");

/// The ids that an exported decoder answers beside its scores.
const SAMPLE_IDS: &str = "sample_ids";
/// Its scores, `[rows, tokens, vocabulary]`.
const LOGITS: &str = "logits";

/// What the decoder is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The ids of an exported decoder.
    Ids,
    /// The same with its scores, which tell how probable a token is.
    IdsAndScores,
    /// The ids and logarithms of a decoder that `triton-funasr repo` made.
    Best,
}

/// The tokens that the decoder answered, of all rows one after the other.
pub(crate) struct Decoded {
    ids: Vec<i64>,
    probabilities: Probabilities,
}

/// How probable the tokens are.
enum Probabilities {
    /// Nobody asked.
    Unknown,
    /// Their natural logarithms, as the decoder answered them.
    Logs(Vec<f32>),
    /// As its scores tell; none where these are no numbers.
    Computed(Vec<Option<f32>>),
}

impl Asked {
    /// As the config has it, whose outputs have these needs.
    pub(crate) fn load(context: &ModelContext, needs: Needs) -> Result<Self, Error> {
        Ok(
            match (DECODER_OUTPUTS.read(context)?, needs.probabilities) {
                (Form::Ids, _) => Self::Best,
                (Form::Scores, true) => Self::IdsAndScores,
                (Form::Scores, false) => Self::Ids,
            },
        )
    }

    /// The outputs that are asked for.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Ids => &[SAMPLE_IDS],
            Self::IdsAndScores => &[SAMPLE_IDS, LOGITS],
            Self::Best => &[TOKEN_IDS, TOKEN_LOG_PROBS],
        }
    }

    /// Whether an answer that was computed from what is no number is told as an error ([`Decoded::heard`]).
    pub(crate) fn tells_of_nan(self) -> bool {
        self == Self::Best
    }

    /// Asks for them.
    pub(crate) fn ask(self, call: Call) -> Call {
        let names = self.names().iter();
        names.fold(call, |call, name| call.output(*name))
    }

    /// Their names, for the log.
    pub(crate) fn tensors(self) -> String {
        self.names().join(" and ")
    }
}

impl Decoded {
    /// Reads an answer of the model called `decoder` for `rows` rows of `tokens` tokens each.
    pub(crate) fn read(
        reply: &Reply,
        asked: Asked,
        decoder: &str,
        (rows, tokens): (usize, usize),
    ) -> Result<Self, Error> {
        let count = rows.saturating_mul(tokens);
        let check = |output: &ReplyOutput<'_>, given: usize| match given == count {
            true => Ok(()),
            false => Err(Error::internal(format!(
                "model '{decoder}' answered '{}' of shape {:?}, expected [{rows}, {tokens}]",
                output.name, output.shape
            ))),
        };
        if asked == Asked::Best {
            let output = reply.output(TOKEN_IDS)?;
            let ids: Vec<i64> = output
                .read::<i32>()?
                .iter()
                .copied()
                .map(i64::from)
                .collect();
            check(&output, ids.len())?;
            let output = reply.output(TOKEN_LOG_PROBS)?;
            let values = output.read::<f32>()?.into_owned();
            check(&output, values.len())?;
            return Ok(Self {
                ids,
                probabilities: Probabilities::Logs(values),
            });
        }
        let output = reply.output(SAMPLE_IDS)?;
        let ids = output.read::<i64>()?.into_owned();
        check(&output, ids.len())?;
        let probabilities = match asked {
            Asked::IdsAndScores => {
                let output = reply.output(LOGITS)?;
                let scores = output.read::<f32>()?;
                let width = scores.len().checked_div(count).unwrap_or(0);
                check(&output, scores.len().checked_div(width).unwrap_or(0))?;
                let of = |(&id, scores): (&i64, &[f32])| {
                    usize::try_from(id)
                        .ok()
                        .and_then(|id| probability(scores, id))
                };
                let rows = ids.iter().zip(scores.chunks_exact(width));
                Probabilities::Computed(rows.map(of).collect())
            }
            _ => Probabilities::Unknown,
        };
        Ok(Self { ids, probabilities })
    }

    /// The tokens from `first` on, which fired in these frames, as the model called `decoder` answered them.
    ///
    /// # Errors
    /// If they have no probability: their scores are no numbers.
    pub(crate) fn heard(
        &self,
        first: usize,
        fires: &[Frames],
        clock: StreamClock,
        decoder: &str,
    ) -> Result<impl Iterator<Item = Heard>, Error> {
        let own = |count: usize| first.min(count)..(first + fires.len()).min(count);
        let ids = &self.ids[own(self.ids.len())];
        let probabilities: Vec<Option<f32>> = match &self.probabilities {
            Probabilities::Unknown => vec![None; ids.len()],
            Probabilities::Logs(logs) => {
                let logs = &logs[own(logs.len())];
                check_finite(decoder, TOKEN_LOG_PROBS, logs)?;
                logs.iter()
                    .copied()
                    .map(probability_of_log)
                    .map(Some)
                    .collect()
            }
            Probabilities::Computed(known) => known[own(known.len())].to_vec(),
        };
        let heard = ids.iter().zip(fires).zip(probabilities);
        Ok(heard.map(move |((&id, &frames), probability)| Heard {
            probability,
            time: Some(clock.time(frames)),
            ..Heard::in_frames(id, frames)
        }))
    }
}

/// An answer that is no numbers would be an empty text, or a wrong one from then on.
pub(crate) fn check_finite(model: &str, name: impl Display, values: &[f32]) -> Result<(), Error> {
    match not_finite(values) {
        None => Ok(()),
        Some(what) => Err(Error::internal(format!(
            "model '{model}' answered {what} of '{name}': its file is broken or its numbers overflow, as those of exports in \
             half precision may"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: Frames = Frames { first: 1, last: 2 };
    const CLOCK: StreamClock = StreamClock { frames_ahead: 1 };

    #[test]
    fn a_row_has_its_own_tokens_and_their_probabilities() {
        let decoded = Decoded {
            ids: vec![3, 4, 5, 6],
            probabilities: Probabilities::Logs(vec![f32::NAN, -9.0, 0.0, 0.5f32.ln()]),
        };
        let heard = |decoded: &Decoded, first, count| {
            let heard = decoded.heard(first, &[FRAMES; 2][..count], CLOCK, "decoder");
            heard.map(Iterator::collect::<Vec<Heard>>)
        };
        let two = heard(&decoded, 2, 2).unwrap();
        let parts = |heard: &Heard| (heard.id, heard.frames, heard.probability);
        assert_eq!(parts(&two[0]), (5, Some(FRAMES), Some(1.0)));
        assert_eq!(parts(&two[1]), (6, Some(FRAMES), Some(0.5)));
        assert_eq!(
            two[1].time.map(|time| (time.start_ms, time.end_ms)),
            Some((0, 120))
        );
        let error = heard(&decoded, 0, 2).unwrap_err().to_string();
        assert!(
            error.starts_with("model 'decoder' answered NaN at place 0 of 'token_log_probs'"),
            "{error}"
        );
        let exported = Decoded {
            probabilities: Probabilities::Unknown,
            ..decoded
        };
        assert_eq!(
            parts(&heard(&exported, 0, 1).unwrap()[0]),
            (3, Some(FRAMES), None)
        );
        let computed = Decoded {
            probabilities: Probabilities::Computed(vec![None, Some(0.25), None, None]),
            ..exported
        };
        assert_eq!(
            parts(&heard(&computed, 1, 1).unwrap()[0]),
            (4, Some(FRAMES), Some(0.25))
        );
    }
}
