//! Hot words to the tokens that a Paraformer would write them with: what joining does, backwards.
//!
//! The rules are those of FunASR, whose tools differ; where they do, this module says which it follows.
//!
//! * A word that the dictionary has (`seg_dict` of an export, looked up in small letters) is the dictionary's tokens:
//!   `modelscope` is `mode@@ ls@@ cope`.
//! * Otherwise it is cut where scripts change. Each Chinese character, digit or sign stands alone; letters of scripts that
//!   write spaces go together, apostrophes included. Each piece is looked up in the dictionary, then in the vocabulary, as it is
//!   written and in small letters.
//! * Letters that are no word there are taken one by one, as `funasr_onnx` takes them. So `NBA` is `n b a`, which is how these
//!   vocabularies spell abbreviations. (FunASR's `AutoModel` puts `<unk>` for the whole word, its C++ runtime drops it.)

use std::collections::HashMap;
use std::path::Path;

use crate::vocabulary::Vocabulary;
use crate::words::is_spaced_letter;

/// The largest published dictionary has 8 MB.
const MAX_BYTES: u64 = 64 << 20;
/// Far more than a model can listen for.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// Cuts hot words into tokens of a vocabulary.
///
/// ```
/// use asr_decode::hotwords::{Piece, Segmenter};
/// use asr_decode::vocabulary::Vocabulary;
/// let json = r#"["<blank>", "<s>", "</s>", "达", "摩", "院", "a", "i", "lab", "hel@@", "lo", "<unk>"]"#;
/// let vocabulary = Vocabulary::from_bytes(json.as_bytes())?;
/// let plain = Segmenter::new(&vocabulary);
/// let ids = |pieces: Vec<Piece<'_>>| pieces.iter().map(Piece::id).collect::<Vec<_>>();
/// assert_eq!(ids(plain.pieces("达摩院")), [Some(3), Some(4), Some(5)]);
/// assert_eq!(ids(plain.pieces("AI达Lab")), [Some(6), Some(7), Some(3), Some(8)]);
/// assert_eq!(plain.pieces("达墨")[1], Piece::Unknown("墨"));
/// let with = Segmenter::new(&vocabulary).with_dictionary("hello\thel@@ lo\n".as_bytes())?;
/// assert_eq!(ids(with.pieces("Hello")), [Some(9), Some(10)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Segmenter {
    /// Ids by token.
    tokens: HashMap<Box<str>, u32>,
    /// Ids by word, in small letters.
    dictionary: HashMap<Box<str>, Box<[u32]>>,
}

/// A part of a hot word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'w> {
    /// A token, by its id.
    Token(u32),
    /// What the vocabulary has no token for.
    Unknown(&'w str),
}

impl Piece<'_> {
    /// The token's id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        match self {
            Self::Token(id) => Some(*id),
            Self::Unknown(_) => None,
        }
    }
}

/// A file that is no dictionary, or no list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] std::io::Error),
    /// The text is not UTF-8.
    #[error("the byte at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// Bytes before the first bad one.
        offset: usize,
    },
    /// None of its words has tokens of the vocabulary.
    #[error(
        "it has no word with tokens of the vocabulary; a line is a word, and its tokens behind it with blanks between them, as in \
         `seg_dict` of the model's export"
    )]
    NoWords,
}

impl Segmenter {
    /// One without a dictionary.
    #[must_use]
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let ids = 0..u32::try_from(vocabulary.len()).unwrap_or(u32::MAX);
        let tokens = ids.filter_map(|id| Some((Box::from(vocabulary.token(id)?), id)));
        Self {
            tokens: tokens.collect(),
            dictionary: HashMap::new(),
        }
    }

    /// The same with the dictionary of a file of up to 64 MB.
    ///
    /// # Errors
    /// When the file cannot be read, or what [`with_dictionary`](Self::with_dictionary) says.
    pub fn with_dictionary_file(self, path: &Path) -> Result<Self, FileError> {
        let bytes = model_files::read(path, MAX_BYTES)?;
        self.with_dictionary(&bytes)
    }

    /// The same with a dictionary: lines of a word and its tokens. A word with a token that the vocabulary lacks is left out.
    ///
    /// # Errors
    /// When it is not UTF-8, or no word is left.
    pub fn with_dictionary(mut self, bytes: &[u8]) -> Result<Self, FileError> {
        for line in text_of(bytes)?.lines() {
            let mut parts = line.split_whitespace();
            let Some(word) = parts.next() else { continue };
            let ids: Option<Box<[u32]>> =
                parts.map(|token| self.tokens.get(token).copied()).collect();
            if let Some(ids) = ids.filter(|ids| !ids.is_empty()) {
                self.dictionary.insert(word.to_lowercase().into(), ids);
            }
        }
        match self.dictionary.is_empty() {
            true => Err(FileError::NoWords),
            false => Ok(self),
        }
    }

    /// How many words the dictionary has.
    #[must_use]
    pub fn dictionary_len(&self) -> usize {
        self.dictionary.len()
    }

    /// The id of a token as the vocabulary spells it.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokens.get(token).copied()
    }

    /// The tokens of a hot word, one after the other; none of an empty text. Whitespace in it is passed over.
    #[must_use]
    pub fn pieces<'w>(&self, hotword: &'w str) -> Vec<Piece<'w>> {
        let mut pieces = Vec::new();
        for word in hotword.split_whitespace() {
            if !self.look_up(word, &mut pieces) {
                runs(word).for_each(|run| self.run(run, &mut pieces));
            }
        }
        pieces
    }

    /// The tokens of letters that go together, or of one character of another kind.
    fn run<'w>(&self, run: &'w str, pieces: &mut Vec<Piece<'w>>) {
        if self.look_up(run, pieces) {
            return;
        }
        if let Some(id) = self.token(run) {
            pieces.push(Piece::Token(id));
            return;
        }
        let characters = run.char_indices().map(|(start, character)| {
            let character = &run[start..start + character.len_utf8()];
            match self.token(character) {
                Some(id) => Piece::Token(id),
                None => Piece::Unknown(character),
            }
        });
        pieces.extend(characters);
    }

    /// Adds the dictionary's tokens of a word, if it has it.
    fn look_up(&self, word: &str, pieces: &mut Vec<Piece<'_>>) -> bool {
        if self.dictionary.is_empty() {
            return false;
        }
        let Some(ids) = self.dictionary.get(word.to_lowercase().as_str()) else {
            return false;
        };
        pieces.extend(ids.iter().map(|&id| Piece::Token(id)));
        true
    }

    fn token(&self, text: &str) -> Option<u32> {
        self.id(text)
            .or_else(|| self.id(text.to_lowercase().as_str()))
    }
}

/// The hot words of a file of up to 16 MB, one a line. A whole number behind a word is a weight, as in lists of FunASR's server, and is left
/// out: SeACo-Paraformer has none.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub fn read_list(path: &Path) -> Result<Vec<String>, FileError> {
    let bytes = model_files::read(path, MAX_LIST_BYTES)?;
    let lines = text_of(&bytes)?.lines();
    Ok(lines.map(|line| without_weight(line).to_owned()).collect())
}

fn without_weight(line: &str) -> &str {
    match line.trim().rsplit_once(char::is_whitespace) {
        Some((word, weight)) if weight.parse::<i64>().is_ok() => word.trim_end(),
        _ => line.trim(),
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, FileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| FileError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// A word in pieces: letters that go together, and each other character.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = match in_word(first) {
            true => rest
                .find(|character: char| !in_word(character))
                .unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (run, behind) = rest.split_at(length);
        rest = behind;
        Some(run)
    })
}

fn in_word(character: char) -> bool {
    matches!(character, '\'' | '\u{2019}') || is_spaced_letter(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: [&str; 14] = [
        "<blank>", "<s>", "</s>", "达", "摩", "一", "n", "b", "a", "it's", "mode@@", "ls@@",
        "cope", "<unk>",
    ];

    fn segmenter() -> Segmenter {
        let json = serde_json::to_vec(&TOKENS).unwrap();
        Segmenter::new(&Vocabulary::from_bytes(&json).unwrap())
    }

    /// Tokens as the vocabulary spells them, what it lacks in brackets.
    fn spelt(segmenter: &Segmenter, word: &str) -> String {
        let pieces = segmenter.pieces(word);
        let pieces = pieces.into_iter().map(|piece| match piece {
            Piece::Token(id) => TOKENS[id as usize].to_owned(),
            Piece::Unknown(text) => format!("[{text}]"),
        });
        pieces.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_a_dictionary_letters_are_a_token_or_stand_alone() {
        let plain = segmenter();
        for (word, tokens) in [
            ("达摩", "达 摩"),
            ("NBA", "n b a"),
            ("It's", "it's"),
            ("nbax", "n b a [x]"),
            ("达NB摩", "达 n b 摩"),
            ("1达", "[1] 达"),
            ("达摩 NBA", "达 摩 n b a"),
            ("", ""),
            // No way to a token that is none of the language.
            ("<s>", "[<] [s] [>]"),
            ("ModelScope", "[M] [o] [d] [e] [l] [S] [c] [o] [p] [e]"),
        ] {
            assert_eq!(spelt(&plain, word), tokens, "{word}");
        }
    }

    #[test]
    fn a_dictionary_goes_before_the_vocabulary() {
        let lines = "\u{feff}modelscope mode@@ ls@@ cope\n\n1\t一\nN  b\nlost nothing\nempty\n";
        let with = segmenter().with_dictionary(lines.as_bytes()).unwrap();
        assert_eq!(with.dictionary_len(), 3);
        for (word, tokens) in [
            ("ModelScope", "mode@@ ls@@ cope"),
            ("达modelscope摩1", "达 mode@@ ls@@ cope 摩 一"),
            ("n", "b"),
            // As parts of a word that it has not, letters are what they are.
            ("nb", "n b"),
            ("lost", "[l] [o] [s] [t]"),
        ] {
            assert_eq!(spelt(&with, word), tokens, "{word}");
        }
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        let error = |bytes: &[u8]| {
            let refused = segmenter().with_dictionary(bytes).unwrap_err();
            refused.to_string()
        };
        assert!(error(b"").starts_with("it has no word"));
        assert!(error(b"word none of these\n").starts_with("it has no word"));
        assert_eq!(error(b"ab\xff"), "the byte at offset 2 is not UTF-8");
        let gone = segmenter().with_dictionary_file(Path::new("/nowhere/seg_dict"));
        assert!(gone.unwrap_err().to_string().starts_with("cannot read it"));
    }

    #[test]
    fn a_list_has_a_word_a_line_and_its_weights_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.txt");
        std::fs::write(
            &path,
            "\u{feff}阿里巴巴 20\n\nnew york\t -3 \nnew york\r\n20",
        )
        .unwrap();
        assert_eq!(
            read_list(&path).unwrap(),
            ["阿里巴巴", "", "new york", "new york", "20"]
        );
        std::fs::write(&path, b"ab\xff").unwrap();
        let error = read_list(&path).unwrap_err().to_string();
        assert_eq!(error, "the byte at offset 2 is not UTF-8");
        // A directory, not a file.
        assert!(read_list(directory.path()).is_err());
    }
}
