//! The grammars of a directory, one after the other.

use std::path::Path;

use crate::grammar::{Grammar, ItnError};

/// Writes numbers as they are written.
#[derive(Debug, Clone)]
pub struct Rewriter {
    chinese: Option<Grammar>,
    english: Option<Grammar>,
}

impl Rewriter {
    /// Reads the grammars of a directory.
    ///
    /// # Errors
    /// If it has none, or one that cannot be used.
    pub fn read(directory: &Path) -> Result<Self, ItnError> {
        let own = Self {
            chinese: Grammar::read(directory, "zh")?,
            english: Grammar::read(directory, "en")?,
        };
        if own.chinese.is_none() && own.english.is_none() {
            let directory = directory.to_owned();
            return Err(ItnError::Missing { directory });
        }
        Ok(own)
    }

    /// The text with its numbers as they are written. What the grammars have no way for stays as it is.
    #[must_use]
    pub fn written(&self, spoken: &str) -> String {
        let latin = |letter: char| letter.is_ascii_alphabetic();
        let english = self.english.as_ref().filter(|_| spoken.contains(latin));
        let mut text = spoken.to_owned();
        for grammar in [self.chinese.as_ref(), english].into_iter().flatten() {
            text = grammar.written(&text).unwrap_or(text);
        }
        text
    }
}
