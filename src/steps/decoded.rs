//! What the streaming decoder answers for tokens that fired, in either form.

use std::fmt::Display;

use asr_decode::{Frames, paraformer::Heard, probability_of_log};
use triton_backend::{Call, Error, Reply, ReplyOutput};

use crate::tensors::form::{Form, TOKEN_IDS, TOKEN_LOG_PROBS};
use crate::tensors::layout::not_finite;
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

/// The tokens that the decoder answered, of all rows one after the other.
pub(crate) struct Decoded {
    ids: Vec<i64>,
    /// The logarithms of their probabilities, if it answers them.
    log_probs: Option<Vec<f32>>,
}

impl Form {
    /// Asks the decoder for its tokens.
    pub(crate) fn ask_decoder(self, call: Call) -> Call {
        self.ask(call, SAMPLE_IDS)
    }

    /// What the decoder is asked for, for the log.
    pub(crate) fn decoder_tensors(self) -> String {
        self.tensors(SAMPLE_IDS)
    }
}

impl Decoded {
    /// Reads an answer of the model called `decoder` for `rows` rows of `tokens` tokens each.
    pub(crate) fn read(
        reply: &Reply,
        form: Form,
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
        let output = reply.output(match form {
            Form::Scores => SAMPLE_IDS,
            Form::Ids => TOKEN_IDS,
        })?;
        let ids: Vec<i64> = match form {
            Form::Scores => output.read::<i64>()?.into_owned(),
            Form::Ids => output
                .read::<i32>()?
                .iter()
                .copied()
                .map(i64::from)
                .collect(),
        };
        check(&output, ids.len())?;
        let log_probs = match form {
            Form::Scores => None,
            Form::Ids => {
                let output = reply.output(TOKEN_LOG_PROBS)?;
                let values = output.read::<f32>()?.into_owned();
                check(&output, values.len())?;
                Some(values)
            }
        };
        Ok(Self { ids, log_probs })
    }

    /// The tokens from `first` on, which fired in these frames, as the model called `decoder` answered them.
    ///
    /// # Errors
    /// If they have no probability: their scores are no numbers.
    pub(crate) fn heard(
        &self,
        first: usize,
        fires: &[Frames],
        decoder: &str,
    ) -> Result<impl Iterator<Item = Heard>, Error> {
        let own = |count: usize| first.min(count)..(first + fires.len()).min(count);
        let ids = &self.ids[own(self.ids.len())];
        let logs = self.log_probs.as_deref().map(|logs| &logs[own(logs.len())]);
        check_finite(decoder, TOKEN_LOG_PROBS, logs.unwrap_or_default())?;
        let probability = move |place: usize| Some(probability_of_log(*logs?.get(place)?));
        let heard = ids.iter().zip(fires).enumerate();
        Ok(heard.map(move |(place, (&id, &frames))| Heard {
            probability: probability(place),
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

    #[test]
    fn a_row_has_its_own_tokens_and_their_probabilities() {
        let decoded = Decoded {
            ids: vec![3, 4, 5, 6],
            log_probs: Some(vec![f32::NAN, -9.0, 0.0, 0.5f32.ln()]),
        };
        let heard: Vec<Heard> = decoded.heard(2, &[FRAMES; 2], "decoder").unwrap().collect();
        let parts = |heard: &Heard| (heard.id, heard.frames, heard.probability);
        assert_eq!(parts(&heard[0]), (5, Some(FRAMES), Some(1.0)));
        assert_eq!(parts(&heard[1]), (6, Some(FRAMES), Some(0.5)));
        let error = decoded.heard(0, &[FRAMES; 2], "decoder").err().unwrap();
        assert!(
            error
                .to_string()
                .starts_with("model 'decoder' answered NaN at place 0 of 'token_log_probs'"),
            "{error}"
        );
        let exported = Decoded {
            log_probs: None,
            ..decoded
        };
        let heard: Vec<Heard> = exported.heard(0, &[FRAMES], "decoder").unwrap().collect();
        assert_eq!(parts(&heard[0]), (3, Some(FRAMES), None));
    }
}
