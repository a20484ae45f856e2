//! Lists of hot words as requests, configs and files have them, turned into tokens.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use asr_decode::hotwords::{Piece, Segmenter, read_list};
use asr_decode::vocabulary::Vocabulary;
use triton_backend::{Error, ModelContext, excerpt, info};

use super::cache::Word;
use crate::tensors::parameters::{Count, File, Parameter, Text, Written};

/// What is listened for, word by word; the last is [`NOTHING`], so that there is always one.
pub(crate) type List = Arc<[Word]>;

/// The token that stands for no hot word.
const NOTHING: &str = "<s>";
/// What FunASR takes where the vocabulary lacks a character.
const UNKNOWN: &str = "<unk>";

pub(super) const HOTWORDS: Parameter<Text> = Parameter::new(
    "hotwords",
    "the hot words of requests without `HOTWORDS`, with blanks between them, as FunASR writes them",
);
pub(super) const HOTWORDS_FILE: Parameter<File> = Parameter::new(
    "hotwords_file",
    "more of them, one a line, blanks within a line being part of the word. A whole number at a line's end is a weight, as in lists of FunASR's \
     server, and has no meaning here",
);
pub(super) const SEG_DICT: Parameter<File> = Parameter::new(
    "seg_dict",
    "`seg_dict` of the model's export: the tokens of Latin words. Without it a Latin word that is no token is spelt letter by letter",
);
pub(super) const MAX_HOTWORDS: Parameter<Count> = Parameter::new(
    "max_hotwords",
    "the most hot words of a row, or of the config's own list. Time and memory grow with them",
)
.default(256);
pub(super) const MAX_HOTWORD_LENGTH: Parameter<Count> = Parameter::new(
    "max_hotword_length",
    "the most tokens of a hot word, which the model called is given of each, filled up with zeros: its file says how many",
)
.default(10);
pub(super) const UNKNOWN_HOTWORDS: Parameter<Unknown> = Parameter::new(
    "unknown_hotwords",
    "what becomes of a hot word with a character that the vocabulary lacks. `refuse`: it is an error that names it; `unk`: the character is \
     `<unk>`, as in FunASR's Python tools; `skip`: it is left out, as FunASR's C++ server does",
)
.default("refuse");

/// What becomes of a hot word with a character that the vocabulary lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    Refuse,
    Unk,
    Skip,
}

impl Written for Unknown {
    const KIND: &'static str = "`refuse`, `unk` or `skip`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "refuse" => Ok(Self::Refuse),
            "unk" => Ok(Self::Unk),
            "skip" => Ok(Self::Skip),
            _ => Err("is neither 'refuse' nor 'unk' nor 'skip'"),
        }
    }
}

/// Turns hot words into tokens.
pub(super) struct Reader {
    segmenter: Segmenter,
    /// What an unknown character becomes; none if it is refused or skipped.
    unk: Option<i32>,
    skips: bool,
    nothing: Word,
    most_words: usize,
    most_tokens: usize,
}

/// A list under construction.
struct Builder<'r> {
    reader: &'r Reader,
    words: Vec<Word>,
}

impl Reader {
    /// As a config has it.
    pub(super) fn load(context: &ModelContext, vocabulary: &Vocabulary) -> Result<Self, Error> {
        let mut segmenter = Segmenter::new(vocabulary);
        if let Some(path) = SEG_DICT.find(context)? {
            segmenter = segmenter
                .with_dictionary_file(&path)
                .map_err(|error| about(SEG_DICT.name(), &path, error))?;
            info!(
                "model '{}': {} words in {}",
                context.name,
                segmenter.dictionary_len(),
                path.display()
            );
        }
        let unknown = UNKNOWN_HOTWORDS.read(context)?;
        Self::new(
            segmenter,
            unknown,
            MAX_HOTWORDS.read(context)?,
            MAX_HOTWORD_LENGTH.read(context)?,
        )
    }

    fn new(
        segmenter: Segmenter,
        unknown: Unknown,
        most_words: usize,
        most_tokens: usize,
    ) -> Result<Self, Error> {
        let id = |token: &str| i32::try_from(segmenter.id(token)?).ok();
        let unk = match unknown {
            Unknown::Unk => Some(id(UNKNOWN).ok_or_else(|| {
                let message = format!("is 'unk', but the vocabulary has no '{UNKNOWN}'");
                Error::parameter(UNKNOWN_HOTWORDS.name(), message)
            })?),
            Unknown::Refuse | Unknown::Skip => None,
        };
        Ok(Self {
            unk,
            skips: unknown == Unknown::Skip,
            // 1 is what FunASR takes without a look at the vocabulary.
            nothing: Arc::from([id(NOTHING).unwrap_or(1)]),
            segmenter,
            most_words,
            most_tokens,
        })
    }

    /// The list of a config: what requests have that bring none of their own.
    pub(super) fn default_list(&self, context: &ModelContext) -> Result<List, Error> {
        let mut list = self.start();
        if let Some(text) = HOTWORDS.find(context)? {
            list.add_all(&text)
                .map_err(|message| Error::parameter(HOTWORDS.name(), message))?;
        }
        if let Some(path) = HOTWORDS_FILE.find(context)? {
            let wrong = |error: String| about(HOTWORDS_FILE.name(), &path, error);
            let lines = read_list(&path).map_err(|error| wrong(error.to_string()))?;
            for (number, line) in lines.iter().enumerate() {
                list.add(line)
                    .map_err(|message| wrong(format!("line {}: {message}", number + 1)))?;
            }
        }
        let list = list.finish();
        if list.len() > 1 {
            let count = list.len() - 1;
            info!(
                "model '{}': {count} hot words unless a request brings its own",
                context.name
            );
        }
        Ok(list)
    }

    /// The list of a row: texts with a hot word each, or several with blanks between them.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn list<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t [u8]>,
    ) -> Result<List, String> {
        let mut list = self.start();
        for text in texts {
            let text = std::str::from_utf8(text).map_err(|_| {
                format!("'{}' is not UTF-8", excerpt(&String::from_utf8_lossy(text)))
            })?;
            list.add_all(text)?;
        }
        Ok(list.finish())
    }

    fn start(&self) -> Builder<'_> {
        Builder {
            reader: self,
            words: Vec::new(),
        }
    }

    /// A hot word's tokens; none if it is passed over.
    fn word(&self, text: &str) -> Result<Option<Word>, String> {
        let mut ids = Vec::new();
        for piece in self.segmenter.pieces(text) {
            let unknown = match piece {
                Piece::Token(id) => {
                    ids.push(i32::try_from(id).unwrap_or(i32::MAX));
                    continue;
                }
                Piece::Unknown(unknown) => unknown,
            };
            match self.unk {
                Some(unk) => ids.push(unk),
                None if self.skips => return Ok(None),
                None => {
                    return Err(format!(
                        "'{}': the model's vocabulary has no '{unknown}'; leave the word out, or set parameter {} to 'unk' or 'skip'",
                        excerpt(text),
                        UNKNOWN_HOTWORDS.name()
                    ));
                }
            }
        }
        if ids.len() > self.most_tokens {
            return Err(format!(
                "'{}' has {} tokens; parameter {} allows {}: shorten the word, or leave it out",
                excerpt(text),
                ids.len(),
                MAX_HOTWORD_LENGTH.name(),
                self.most_tokens
            ));
        }
        Ok((!ids.is_empty()).then(|| Word::from(ids)))
    }
}

impl Builder<'_> {
    /// Adds the words of a text, which have blanks between them.
    fn add_all(&mut self, text: &str) -> Result<(), String> {
        text.split_whitespace().try_for_each(|word| self.add(word))
    }

    /// Adds one word, if there is anything in it.
    fn add(&mut self, text: &str) -> Result<(), String> {
        let Some(word) = self.reader.word(text)? else {
            return Ok(());
        };
        let most = self.reader.most_words;
        if self.words.len() >= most {
            return Err(format!(
                "there are more than {most} hot words, which is what parameter {} allows",
                MAX_HOTWORDS.name()
            ));
        }
        self.words.push(word);
        Ok(())
    }

    fn finish(mut self) -> List {
        self.words.push(Arc::clone(&self.reader.nothing));
        self.words.into()
    }
}

fn about(parameter: &str, path: &Path, error: impl Display) -> Error {
    Error::parameter(parameter, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: &str = r#"["<blank>", "<s>", "</s>", "一", "二", "三", "hello", "a", "<unk>"]"#;

    fn reader(unknown: Unknown) -> Reader {
        let vocabulary = Vocabulary::from_bytes(TOKENS.as_bytes()).unwrap();
        Reader::new(Segmenter::new(&vocabulary), unknown, 3, 4).unwrap()
    }

    fn list(reader: &Reader, texts: &[&str]) -> Result<Vec<Vec<i32>>, String> {
        let texts = texts.iter().map(|text| text.as_bytes());
        let list = reader.list(texts)?;
        Ok(list.iter().map(|word| word.to_vec()).collect())
    }

    #[test]
    fn words_keep_their_order_and_nothing_comes_last() {
        let reader = reader(Unknown::Refuse);
        let both = vec![vec![3, 4], vec![6], vec![1]];
        assert_eq!(list(&reader, &["一二", "Hello"]).unwrap(), both);
        assert_eq!(list(&reader, &["", "  一二\thello ", ""]).unwrap(), both);
        // As often as it is there.
        let twice = vec![vec![3], vec![3], vec![1]];
        assert_eq!(list(&reader, &["一 一"]).unwrap(), twice);
        for nothing in [&[][..], &[""], &[" ", ""]] {
            assert_eq!(list(&reader, nothing).unwrap(), [vec![1]]);
        }
    }

    #[test]
    fn limits_are_told_with_the_word() {
        let reader = reader(Unknown::Refuse);
        assert!(list(&reader, &["一二三一 一 二"]).is_ok());
        assert_eq!(
            list(&reader, &["一", "一二三一二"]).unwrap_err(),
            "'一二三一二' has 5 tokens; parameter max_hotword_length allows 4: shorten the word, or leave it out"
        );
        assert_eq!(
            list(&reader, &["一 二 三", "hello"]).unwrap_err(),
            "there are more than 3 hot words, which is what parameter max_hotwords allows"
        );
        let long = "一".repeat(1000);
        assert!(list(&reader, &[&long]).unwrap_err().len() < 300);
        let error = reader.list([&b"\xff\xfe"[..]]).unwrap_err();
        assert!(error.ends_with("is not UTF-8"), "{error}");
    }

    #[test]
    fn a_word_that_the_vocabulary_lacks_is_refused_or_marked_or_left_out() {
        let words = ["一", "二四", "三"];
        assert_eq!(
            list(&reader(Unknown::Refuse), &words).unwrap_err(),
            "'二四': the model's vocabulary has no '四'; leave the word out, or set parameter unknown_hotwords to 'unk' or 'skip'"
        );
        let marked = vec![vec![3], vec![4, 8], vec![5], vec![1]];
        assert_eq!(list(&reader(Unknown::Unk), &words).unwrap(), marked);
        let left = vec![vec![3], vec![5], vec![1]];
        assert_eq!(list(&reader(Unknown::Skip), &words).unwrap(), left);
        let bare = Vocabulary::from_bytes(r#"["<blank>", "一"]"#.as_bytes()).unwrap();
        let error = Reader::new(Segmenter::new(&bare), Unknown::Unk, 3, 4)
            .err()
            .unwrap();
        assert!(error.to_string().contains("no '<unk>'"), "{error}");
        let without = Reader::new(Segmenter::new(&bare), Unknown::Skip, 3, 4).unwrap();
        assert_eq!(list(&without, &["一"]).unwrap(), [[1], [1]]);
    }
}
