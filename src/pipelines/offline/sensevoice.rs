//! Component `sensevoice`: the whole of SenseVoice, with the encoder called inside the server.
//!
//! The ensemble's tensors: `WAV`, `WAV_LENS`, `LANGUAGE`, `TEXT_NORM` in, `TRANSCRIPTS` out.

use std::sync::Arc;

use asr_decode::Transcript;
use triton_backend::{Call, DataType, Error, ModelContext, Reply, Request, excerpt};

use crate::component::Component;
use crate::pipelines::offline::{OfflinePipeline, Recogniser, max_padding_percent};
use crate::steps::ctc_scoring::CtcDecoder;
use crate::steps::scoring::Decoder;
use crate::tensors::layout::{Layout, dim};
use crate::tensors::parameters::{Count, Parameter, Table};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "sensevoice",
    lines: &[&SenseVoice::MAX_PADDING_PERCENT, &PROMPT_IDS],
};

const PROMPT_IDS: Parameter<Count> = Parameter::new(
    "prompt_ids",
    "ids that `LANGUAGE` and `TEXT_NORM` pick from: rows of the encoder's embedding. `triton-funasr repo` reads it from the file",
)
.default(16);

/// What the published model knows, by the names of its authors.
const LANGUAGES: Names = &[
    ("auto", 0),
    ("zh", 3),
    ("en", 4),
    ("yue", 7),
    ("ja", 11),
    ("ko", 12),
    ("nospeech", 13),
];
const TEXT_NORMS: Names = &[("withitn", 14), ("woitn", 15)];

type Names = &'static [(&'static str, i32)];

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    OfflinePipeline::load(
        context,
        SenseVoice {
            decoder: CtcDecoder::load(context)?,
            language: PromptInput::load(context, "LANGUAGE", LANGUAGES)?,
            text_norm: PromptInput::load(context, "TEXT_NORM", TEXT_NORMS)?,
        },
    )
}

struct SenseVoice {
    decoder: CtcDecoder,
    language: PromptInput,
    text_norm: PromptInput,
}

/// An input that picks a row of the encoder's embedding.
struct PromptInput {
    name: &'static str,
    names: Names,
    /// It is a text: a name or a number.
    text: bool,
    /// Ids are below this.
    ids: i32,
    layout: Layout,
}

impl PromptInput {
    fn load(context: &ModelContext, name: &'static str, names: Names) -> Result<Self, Error> {
        let config = &context.config;
        let tensor = config.input(name)?;
        let text = match tensor.data_type() {
            Some(DataType::Int32) => false,
            Some(DataType::String) => true,
            _ => {
                let given = &tensor.data_type_name;
                return Err(Error::Config(format!(
                    "tensor '{name}' is {given}, but this component has TYPE_INT32 or TYPE_STRING"
                )));
            }
        };
        Ok(Self {
            name,
            names,
            text,
            ids: i32::try_from(PROMPT_IDS.read(context)?).unwrap_or(i32::MAX),
            layout: Layout {
                batched: config.batches(),
            },
        })
    }

    /// The id of each of a request's `rows` rows.
    fn read(&self, request: &Request, rows: usize) -> Result<Vec<i32>, Error> {
        let (name, input) = (self.name, request.input(self.name)?);
        if self.text {
            let texts = self
                .layout
                .ids(name, input.shape(), &input.strings()?, rows)?;
            let texts = texts.iter().enumerate();
            return texts
                .map(|(row, text)| self.named(row, &String::from_utf8_lossy(text)))
                .collect();
        }
        let ids = self
            .layout
            .ids(name, input.shape(), &input.read::<i32>()?, rows)?;
        let ids = ids.into_iter().enumerate();
        ids.map(|(row, id)| self.checked(row, id, &id.to_string()))
            .collect()
    }

    fn named(&self, row: usize, text: &str) -> Result<i32, Error> {
        let known = self.names.iter().find(|(name, _)| *name == text);
        let shown = format!("'{}'", excerpt(text));
        match known.map(|&(_, id)| id).or_else(|| text.parse().ok()) {
            Some(id) => self.checked(row, id, &shown),
            None => Err(self.refused(row, &shown)),
        }
    }

    /// An id that the embedding has; on a GPU, the encoder would read beyond it without a word.
    fn checked(&self, row: usize, id: i32, shown: &str) -> Result<i32, Error> {
        if (0..self.ids).contains(&id) {
            return Ok(id);
        }
        Err(self.refused(row, shown))
    }

    fn refused(&self, row: usize, shown: &str) -> Error {
        let numbers = format!("0 to {}", self.ids - 1);
        let expected = if self.text {
            let names: Vec<&str> = self.names.iter().map(|&(name, _)| name).collect();
            format!("{}, or a number from {numbers}", names.join(", "))
        } else {
            numbers
        };
        Error::input(
            self.name,
            format!("row {row} is {shown}, expected {expected}"),
        )
    }
}

/// What a row is told about itself, as ids.
#[derive(Clone, Copy, Default)]
struct Prompt {
    language: i32,
    text_norm: i32,
}

impl Recogniser for SenseVoice {
    type Extra = Prompt;
    /// The encoder masks what lies behind a row's end: padding costs time and changes nothing.
    const MAX_PADDING_PERCENT: Parameter<f64> = max_padding_percent(20.0);

    fn extras(&self, request: &Request, rows: usize) -> Result<Vec<Prompt>, Error> {
        let languages = self.language.read(request, rows)?.into_iter();
        let prompts = languages.zip(self.text_norm.read(request, rows)?);
        Ok(prompts
            .map(|(language, text_norm)| Prompt {
                language,
                text_norm,
            })
            .collect())
    }

    fn complete(&self, call: Call, prompts: &[Prompt]) -> Call {
        let shape = [dim(prompts.len()), 1];
        let ids = |id: fn(&Prompt) -> i32| prompts.iter().map(id).collect::<Vec<i32>>();
        call.input("language", &shape, ids(|prompt| prompt.language))
            .input("textnorm", &shape, ids(|prompt| prompt.text_norm))
            .output(CtcDecoder::SCORES)
            .output(CtcDecoder::COUNTS)
    }

    fn transcripts(
        &self,
        reply: &Reply,
        encoder: &str,
    ) -> Result<Vec<Result<Transcript, Error>>, Error> {
        self.decoder.transcripts_of_reply(reply, encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: bool, ids: i32) -> PromptInput {
        PromptInput {
            name: "LANGUAGE",
            names: LANGUAGES,
            text,
            ids,
            layout: Layout { batched: true },
        }
    }

    #[test]
    fn names_and_numbers_are_ids() {
        let input = input(true, 16);
        for (text, id) in [
            ("auto", 0),
            ("zh", 3),
            ("nospeech", 13),
            ("15", 15),
            ("0", 0),
        ] {
            assert_eq!(input.named(0, text).unwrap(), id);
        }
    }

    #[test]
    fn what_the_embedding_lacks_is_refused() {
        let text = |error: Error| error.to_string();
        assert_eq!(
            text(input(false, 16).checked(2, -1, "-1").unwrap_err()),
            "input 'LANGUAGE': row 2 is -1, expected 0 to 15"
        );
        let names = "auto, zh, en, yue, ja, ko, nospeech, or a number from 0 to 7";
        for given in ["de", "ZH", "", "8", "-1", "ko", "1.0", "99999999999"] {
            assert_eq!(
                text(input(true, 8).named(0, given).unwrap_err()),
                format!("input 'LANGUAGE': row 0 is '{given}', expected {names}")
            );
        }
    }
}
