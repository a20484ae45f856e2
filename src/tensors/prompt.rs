//! SenseVoice's inputs that pick rows of its embedding: in which language is spoken, and how the text is written.

use triton_backend::{DataType, Error, ModelContext, Request, excerpt};

use crate::tensors::layout::Layout;
use crate::tensors::parameters::{Count, Parameter};

pub(crate) const PROMPT_IDS: Parameter<Count> = Parameter::new(
    "prompt_ids",
    "ids that language and text normalisation pick from: rows of the encoder's embedding. `triton-funasr repo` reads it from the file",
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

/// An input that picks a row of the encoder's embedding.
pub(crate) struct PromptInput {
    name: &'static str,
    names: Names,
    /// It is a text: a name or a number.
    text: bool,
    /// Ids are below this.
    ids: i32,
    layout: Layout,
}

impl PromptInput {
    /// The input called `name`, which says the language.
    pub(crate) fn language(context: &ModelContext, name: &'static str) -> Result<Self, Error> {
        Self::load(context, name, LANGUAGES)
    }

    /// The input called `name`, which says whether numbers are written as figures.
    pub(crate) fn text_norm(context: &ModelContext, name: &'static str) -> Result<Self, Error> {
        Self::load(context, name, TEXT_NORMS)
    }

    /// Those of an encoder's inputs `language` and `textnorm` that the config lists.
    pub(crate) fn listed(context: &ModelContext) -> Result<Vec<Self>, Error> {
        [("language", LANGUAGES), ("textnorm", TEXT_NORMS)]
            .into_iter()
            .filter(|(name, _)| context.config.input(name).is_ok())
            .map(|(name, names)| Self::load(context, name, names))
            .collect()
    }

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
    pub(crate) fn read(&self, request: &Request, rows: usize) -> Result<Vec<i32>, Error> {
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

    /// Checks the ids of a request that has them.
    pub(crate) fn check(&self, request: &Request, rows: usize) -> Result<(), Error> {
        match self.read(request, rows) {
            Ok(_) | Err(Error::MissingInput { .. }) => Ok(()),
            Err(error) => Err(error),
        }
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
