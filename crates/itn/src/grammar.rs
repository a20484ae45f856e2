//! The grammar of a language.

use std::io;
use std::path::{Path, PathBuf};

use crate::best::written;
use crate::tags::in_order;
use crate::transducer::{FstError, Transducer};

/// The published ones have 2 MB.
const LARGEST: u64 = 64 << 20;
/// The most bytes that are read in one go: what is held for a walk grows with it.
const MOST_BYTES: usize = 3000;

/// Grammars cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItnError {
    /// A directory has none.
    #[error(
        "{directory} has no grammar: neither zh/itn/tagger.fst nor en/itn/tagger.fst nor zh_itn_tagger.fst"
    )]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file is no transducer of bytes.
    #[error("{path}: {source}")]
    Fst {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FstError,
    },
}

/// A tagger and its verbalizer.
#[derive(Debug, Clone)]
pub(crate) struct Grammar {
    tagger: Transducer,
    verbalizer: Transducer,
}

impl Grammar {
    /// The grammar of a language in a directory, if it has one.
    pub(crate) fn read(directory: &Path, language: &str) -> Result<Option<Self>, ItnError> {
        let layouts = [
            [
                format!("{language}/itn/tagger.fst"),
                format!("{language}/itn/verbalizer.fst"),
            ],
            [
                format!("{language}_itn_tagger.fst"),
                format!("{language}_itn_verbalizer.fst"),
            ],
        ];
        let files = layouts.map(|names| names.map(|name| directory.join(name)));
        let Some([tagger, verbalizer]) = files.iter().find(|[tagger, _]| tagger.exists()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            tagger: transducer(tagger)?,
            verbalizer: transducer(verbalizer)?,
        }))
    }

    /// The text with its numbers as they are written; `None` where the grammar has no way for it.
    pub(crate) fn written(&self, text: &str) -> Option<String> {
        let parts = parts(text);
        if parts.len() > 1 {
            let part = |part: &&str| self.written(part).unwrap_or_else(|| (*part).to_owned());
            return Some(parts.iter().map(part).collect());
        }
        // The tagger marks these in what it quotes, and nothing takes the marks away.
        if text.contains(['"', '\\']) {
            return None;
        }
        let inner = text.trim_matches(' ');
        if inner.is_empty() {
            return None;
        }
        let tags = String::from_utf8(written(&self.tagger, inner.as_bytes())?).ok()?;
        let made = written(&self.verbalizer, in_order(&tags)?.as_bytes())?;
        let made = String::from_utf8(made).ok()?;
        let (before, behind) = text.split_once(inner)?;
        Some(format!("{before}{}{behind}", made.trim_matches(' ')))
    }
}

/// The text in parts that are not too long, cut behind marks or spaces where there are some.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > MOST_BYTES {
        let head = rest.floor_char_boundary(MOST_BYTES);
        let at = rest.get(..head).and_then(|head| {
            let mark = |letter: char| !letter.is_alphanumeric();
            let (at, letter) = head
                .char_indices()
                .rev()
                .find(|(_, letter)| mark(*letter))?;
            Some(at + letter.len_utf8())
        });
        let (part, behind) = rest.split_at(at.unwrap_or(head));
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

fn transducer(path: &Path) -> Result<Transducer, ItnError> {
    let path = path.to_owned();
    match model_files::read(&path, LARGEST) {
        Ok(bytes) => Transducer::parse(&bytes).map_err(|source| ItnError::Fst { path, source }),
        Err(source) => Err(ItnError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_behind_marks() {
        let sentence = "一二三四五六七八九十，";
        let text = sentence.repeat(200);
        let parts = parts(&text);
        assert_eq!(parts.concat(), text);
        assert!(parts.len() == 3 && parts.iter().all(|part| part.ends_with('，')));
        let endless = "一".repeat(2500);
        let parts = super::parts(&endless);
        assert_eq!(parts.concat(), endless);
        assert!(parts.len() == 3 && parts.iter().all(|part| part.len() <= MOST_BYTES));
        assert_eq!(super::parts(""), [""]);
    }
}
