//! Why a file is no vocabulary.

use std::io;
use std::path::PathBuf;

/// A file that does not hold a vocabulary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The file cannot be read.
    #[error("cannot read the vocabulary {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is read, but holds no vocabulary.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<VocabularyError>,
    },
    /// More bytes than any vocabulary has.
    #[error("not a vocabulary: larger than {} MB", limit >> 20)]
    TooLarge {
        /// The most bytes that are parsed.
        limit: u64,
    },
    /// The text is not UTF-8.
    #[error("not a vocabulary: the byte at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// Bytes before the first bad one.
        offset: usize,
    },
    /// A JSON file that is not an array of strings.
    #[error("not a vocabulary: expected a JSON array of strings: {0}")]
    Json(#[from] serde_json::Error),
    /// The file is not YAML.
    #[error("not a vocabulary: neither a JSON array nor YAML: {0}")]
    Yaml(#[from] saphyr_parser::ScanError),
    /// The YAML has no list of tokens.
    #[error(
        "no vocabulary: {found}, expected a top-level `token_list:` with a list of tokens; \
         if a tokens.json lies beside this file, name that one"
    )]
    NoTokenList {
        /// What there is instead.
        found: &'static str,
    },
    /// An entry of the YAML's list is not text.
    #[error(
        "unusable vocabulary: token {id} on line {line} {reason}; put it in quotes if it is meant as text"
    )]
    Token {
        /// Its position in the list, from 0.
        id: usize,
        /// The line of the file, from 1.
        line: usize,
        /// What it is instead.
        reason: &'static str,
    },
    /// The list has no entries.
    #[error("unusable vocabulary: the list of tokens is empty")]
    Empty,
}
