//! The model that turns a hot word's tokens into what the recogniser listens for: `model_eb.onnx` of an export.
//!
//! Its input `hotword` is `[words, tokens]`, rows filled up with zeros; its output `hw_embed` is `[tokens, words, dim]`, what an LSTM
//! makes of the first tokens of each word. A word's embedding is where its last token is. Neither what fills the row up nor other
//! words have a part in it, so that each word is remembered by itself.

use std::sync::Arc;

use triton_backend::{Call, Error, ErrorCode, ModelContext, Reply};

use super::cache::{Embedding, Word};
use crate::steps::decoded::check_finite;
use crate::tensors::layout::dim;
use crate::tensors::memory::room;
use crate::tensors::parameters::{Parameter, Text, Written};

const INPUT: &str = "hotword";
const OUTPUT: &str = "hw_embed";

pub(super) const HOTWORD_ENCODER: Parameter<Text> = Parameter::new(
    "hotword_encoder",
    "the model to call for hot words: `model_eb.onnx` of the export",
)
.default("hotword_encoder");
pub(super) const HOTWORD_IDS: Parameter<Integers> = Parameter::new(
    "hotword_ids",
    "the type of that model's input `hotword`. `triton-funasr repo` reads it from the file",
)
.default("int32");

/// In which type the model takes ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integers {
    Int32,
    Int64,
}

impl Written for Integers {
    const KIND: &'static str = "`int32` or `int64`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "int32" => Ok(Self::Int32),
            "int64" => Ok(Self::Int64),
            _ => Err("is neither 'int32' nor 'int64'"),
        }
    }
}

/// The model to call.
pub(super) struct HotwordEncoder {
    pub(super) model: String,
    ids: Integers,
    /// Tokens that each word is filled up to.
    tokens: usize,
}

impl HotwordEncoder {
    /// As a config has it, for words of up to `tokens` tokens.
    pub(super) fn load(context: &ModelContext, tokens: usize) -> Result<Self, Error> {
        Ok(Self {
            model: HOTWORD_ENCODER.read(context)?,
            ids: HOTWORD_IDS.read(context)?,
            tokens,
        })
    }

    /// A call for these words.
    pub(super) fn call(&self, words: &[Word]) -> Result<Call, Error> {
        let Self { model, ids, tokens } = self;
        let mut values: Vec<i32> = room(words.len().saturating_mul(*tokens), "hot words")?;
        for (index, word) in words.iter().enumerate() {
            values.extend_from_slice(word);
            values.resize((index + 1) * tokens, 0);
        }
        let shape = [dim(words.len()), dim(*tokens)];
        let call = Call::new(model);
        let call = match ids {
            Integers::Int32 => call.input(INPUT, &shape, values),
            Integers::Int64 => {
                let values: Vec<i64> = values.into_iter().map(i64::from).collect();
                call.input(INPUT, &shape, values)
            }
        };
        Ok(call.output(OUTPUT))
    }

    /// What came of a call for these words.
    pub(super) fn embeddings(
        &self,
        words: &[Word],
        reply: Result<Reply, Error>,
    ) -> Result<Vec<Embedding>, Error> {
        let reply = reply.map_err(|error| self.failed(error))?;
        let output = reply.output(OUTPUT)?;
        let values = output.read::<f32>()?;
        check_finite(&self.model, OUTPUT, &values)?;
        let count = words.len();
        let width = match *output.shape {
            [tokens, given, width] if tokens == dim(self.tokens) && given == dim(count) => {
                usize::try_from(width).unwrap_or(0)
            }
            _ => 0,
        };
        if width == 0 {
            return Err(Error::internal(format!(
                "model '{}' answered '{OUTPUT}' of shape {:?}, expected [{}, {count}, values]",
                self.model, output.shape, self.tokens
            )));
        }
        let embedding = |(place, word): (usize, &Word)| {
            let last = word.len().saturating_sub(1);
            Arc::from(&values[(last * count + place) * width..][..width])
        };
        Ok(words.iter().enumerate().map(embedding).collect())
    }

    /// No client is to blame: what it can get wrong was checked before.
    fn failed(&self, error: Error) -> Error {
        let message = format!(
            "hot words could not be computed by model '{}': {error}",
            self.model
        );
        match error.code() {
            ErrorCode::InvalidArgument => Error::internal(message),
            code => Error::new(code, message),
        }
    }
}
