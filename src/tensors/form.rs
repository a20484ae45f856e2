//! The two forms in which a model tells what it found: a score for each unit of the vocabulary, or the best unit and how probable it is.

use triton_backend::{Call, DataType, Error, ModelConfig};

use crate::tensors::layout::check_tensor;
use crate::tensors::parameters::Written;

/// The best unit of each step, INT32.
pub(crate) const TOKEN_IDS: &str = "token_ids";
/// The natural logarithm of its probability, FP32.
pub(crate) const TOKEN_LOG_PROBS: &str = "token_log_probs";

/// In which form a model tells what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As FunASR exports it.
    Scores,
    /// [`TOKEN_IDS`] and [`TOKEN_LOG_PROBS`], as `triton-funasr repo` makes it.
    Ids,
}

impl Written for Form {
    const KIND: &'static str = "`scores` or `ids`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "scores" => Ok(Self::Scores),
            "ids" => Ok(Self::Ids),
            _ => Err("is neither 'scores' nor 'ids'"),
        }
    }
}

impl Form {
    /// The form of a step's inputs: ids if its config lists them, else the scores called `scores`.
    pub(crate) fn of_inputs(config: &ModelConfig, scores: &str) -> Result<Self, Error> {
        let has = |wanted: &str| config.input.iter().any(|input| input.name == wanted);
        match (has(scores), has(TOKEN_IDS) || has(TOKEN_LOG_PROBS)) {
            (true, false) => Ok(Self::Scores),
            (false, true) => {
                check_tensor(config.input(TOKEN_IDS)?, DataType::Int32, &[None])?;
                check_tensor(config.input(TOKEN_LOG_PROBS)?, DataType::Fp32, &[None])?;
                Ok(Self::Ids)
            }
            (true, true) => Err(Error::Config(format!(
                "it has inputs for both '{scores}' and '{TOKEN_IDS}': leave what the step before it hands out"
            ))),
            (false, false) => Err(Error::Config(format!(
                "it has neither an input '{scores}' nor inputs '{TOKEN_IDS}' and '{TOKEN_LOG_PROBS}'"
            ))),
        }
    }

    /// Asks for what a called model found; `scores` is the name of what it hands out in that form.
    pub(crate) fn ask(self, call: Call, scores: &str) -> Call {
        match self {
            Self::Scores => call.output(scores),
            Self::Ids => call.output(TOKEN_IDS).output(TOKEN_LOG_PROBS),
        }
    }

    /// The tensors, for the log; `scores` is the name of the one with scores.
    pub(crate) fn tensors(self, scores: &str) -> String {
        match self {
            Self::Scores => scores.to_owned(),
            Self::Ids => format!("{TOKEN_IDS} and {TOKEN_LOG_PROBS}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inputs: &[(&str, &str, &[i64])]) -> Result<Form, String> {
        let input = |&(name, kind, dims): &(&str, &str, &[i64])| serde_json::json!({"name": name, "data_type": kind, "dims": dims});
        let inputs: Vec<_> = inputs.iter().map(input).collect();
        let json = serde_json::json!({"max_batch_size": 8, "input": inputs});
        let config = ModelConfig::from_json(&json.to_string()).unwrap();
        Form::of_inputs(&config, "logits").map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_is_of_the_form_of_its_inputs() {
        let scores = ("logits", "TYPE_FP32", &[-1, -1][..]);
        let ids = ("token_ids", "TYPE_INT32", &[-1][..]);
        let logs = ("token_log_probs", "TYPE_FP32", &[-1][..]);
        assert_eq!(of(&[scores]), Ok(Form::Scores));
        assert_eq!(of(&[logs, ids]), Ok(Form::Ids));
        for (inputs, words) in [
            (&[ids][..], "input 'token_log_probs' is missing"),
            (&[logs], "input 'token_ids' is missing"),
            (&[scores, ids, logs], "both 'logits' and 'token_ids'"),
            (&[], "neither an input 'logits' nor inputs 'token_ids'"),
            (&[("token_ids", "TYPE_INT64", &[-1]), logs], "TYPE_INT64"),
            (&[ids, ("token_log_probs", "TYPE_FP32", &[-1, -1])], "dims"),
        ] {
            let error = of(inputs).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn forms_are_written_as_words() {
        assert_eq!(Form::parse(" ids"), Ok(Form::Ids));
        assert_eq!(Form::parse("scores"), Ok(Form::Scores));
        assert!(Form::parse("logits").is_err());
    }
}
