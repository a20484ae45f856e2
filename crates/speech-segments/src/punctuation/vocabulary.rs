//! The words that the model knows.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Largest tokens.json that is read: the published ones have up to half a million words.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A tokens.json cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is no list of texts.
    #[error("{path} is not a JSON list of texts: {message}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The reader's own words.
        message: String,
    },
    /// There are no words, or more than ids.
    #[error("a vocabulary has 1 to 2147483647 words, here are {0}")]
    Size(usize),
}

/// Words and their ids: places in tokens.json.
#[derive(Clone, Debug)]
pub struct PunctuationVocabulary {
    ids: HashMap<String, i32>,
    unknown: i32,
    size: usize,
}

impl PunctuationVocabulary {
    /// Reads a tokens.json: a list of words, of which the last one stands for all others.
    ///
    /// # Errors
    /// When it cannot be read, is no JSON list of texts, or empty.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, VocabularyError> {
        let path = path.as_ref();
        let io = |source| VocabularyError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = model_files::read(path, MAX_FILE_BYTES).map_err(io)?;
        let words: Vec<String> =
            serde_json::from_slice(&bytes).map_err(|error| VocabularyError::Json {
                path: path.to_owned(),
                message: error.to_string(),
            })?;
        Self::new(words)
    }

    /// Of these words. One that is there twice has the later id.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(words: Vec<String>) -> Result<Self, VocabularyError> {
        let size = words.len();
        if size == 0 || i32::try_from(size).is_err() {
            return Err(VocabularyError::Size(size));
        }
        let mut ids = HashMap::with_capacity(size);
        let mut unknown = 0;
        for (id, word) in (0..).zip(words) {
            ids.insert(word, id);
            unknown = id;
        }
        Ok(Self { ids, unknown, size })
    }

    /// The id of a word; that of the last one, if it is not known.
    #[must_use]
    pub fn id(&self, word: &str) -> i32 {
        self.ids.get(word).copied().unwrap_or(self.unknown)
    }

    /// The number of words.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_the_last_word() {
        let words = ["a", "b", "a", "<unk>"].map(str::to_owned).to_vec();
        let vocabulary = PunctuationVocabulary::new(words).unwrap();
        let ids = ["a", "b", "c", "<unk>"].map(|word| vocabulary.id(word));
        assert_eq!(ids, [2, 1, 3, 3]);
        let none = PunctuationVocabulary::new(Vec::new()).unwrap_err();
        assert_eq!(
            none.to_string(),
            "a vocabulary has 1 to 2147483647 words, here are 0"
        );
    }
}
