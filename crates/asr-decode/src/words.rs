//! Tokens to readable text, at once or as a stream of deltas.
//!
//! The rules are those that users of FunASR know from its text post-processing, with its faults left out:
//!
//! * `hel@@ lo` is `hello`: a token that ends in `@@` goes on in the next one.
//! * Words of scripts that write spaces (Latin, Cyrillic, Hangul…) get one between them; Chinese, Japanese and Thai
//!   characters, digits and symbols get none on either side: `看 hello world 3 遍` is `看hello world3遍`.
//! * After `, ; : ! ?` a word gets a space.
//! * Two or more single letters in a row are an abbreviation: `n b a` is `NBA`, but a lone `i` stays `i`. A letter that
//!   is part of a subword (`n@@`, or what follows one) is no single letter.
//! * `<space>` is a space, several are one, and the text neither starts nor ends with one.
//! * `<blank>`, `<s>`, `</s>`, `<unk>` and `<OOV>` are not text.
//!
//! # Deltas
//! A [`Joiner`] gives text as far as no later token can change it, so that deltas put together are always the text that
//! [`join`] makes of all tokens. What waits for the next token: an explicit space, and a single letter that no
//! other precedes, since the next one decides between `i` and `I`. [`Joiner::finish`] gives the letter at the end.

use std::str::FromStr;

/// How tokens become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Join {
    /// Readable text by the rules of this module.
    #[default]
    Words,
    /// Every token as it is, one after the other; only `<space>` becomes a space.
    Raw,
}

/// A name which is not one of a [`Join`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot join tokens by {0:?}: expected \"words\" or \"raw\"")]
pub struct UnknownJoin(String);

impl FromStr for Join {
    type Err = UnknownJoin;

    fn from_str(name: &str) -> Result<Self, UnknownJoin> {
        match name {
            "words" => Ok(Self::Words),
            "raw" => Ok(Self::Raw),
            other => Err(UnknownJoin(other.to_owned())),
        }
    }
}

/// How a vocabulary marks the parts of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subwords {
    /// `@@` at the end of a token that the next one continues. Also for vocabularies of whole words.
    Continued,
    /// `▁` (U+2581) in front of a token that starts a word, as SentencePiece does: it is the only space there is, and
    /// letters are joined like any other tokens.
    Started,
}

/// The text of all `tokens` of a vocabulary whose subwords are marked with `@@`, if they are.
///
/// ```
/// use asr_decode::words::{join, Join};
/// let tokens = ["hel@@", "lo", "world", "看", "n", "b", "a", "比", "赛"];
/// assert_eq!(join(Join::Words, tokens), "hello world看NBA比赛");
/// assert_eq!(join(Join::Raw, tokens), "hel@@loworld看nba比赛");
/// ```
pub fn join<'a>(join: Join, tokens: impl IntoIterator<Item = &'a str>) -> String {
    let mut joiner = Joiner::new(join, Subwords::Continued);
    let mut text = String::new();
    for token in tokens {
        joiner.push(token, &mut text);
    }
    joiner.finish(&mut text);
    text
}

/// Joins the tokens of one stream as they come.
///
/// ```
/// use asr_decode::words::{Join, Joiner, Subwords};
/// let mut joiner = Joiner::new(Join::Words, Subwords::Continued);
/// let mut deltas = Vec::new();
/// for chunk in [&["hel@@"][..], &["lo", "n"], &["b", "a", "i"]] {
///     let mut delta = String::new();
///     for token in chunk {
///         joiner.push(token, &mut delta);
///     }
///     deltas.push(delta);
/// }
/// let mut rest = String::new();
/// joiner.finish(&mut rest);
/// assert_eq!(deltas, ["hel", "lo", " NBAI"]);
/// assert_eq!(rest, "");
/// ```
#[derive(Debug, Clone)]
pub struct Joiner {
    join: Join,
    subwords: Subwords,
    /// What the text so far ends with, the held letter included.
    tail: Tail,
    /// The last token ended in `@@`.
    open: bool,
    /// A single letter that is not written yet, and whether a space goes before it.
    held: Option<(char, bool)>,
    /// The last token was a letter of an abbreviation that is being written.
    spelling: bool,
}

/// What a text ends with, as far as the next token's space depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// There is no text yet.
    Start,
    /// An explicit space, not written yet.
    Space,
    /// A letter of a script with spaces.
    Word,
    /// A sign that a word stands apart from.
    Stop,
    /// Anything that is written without spaces.
    Close,
}

impl Joiner {
    /// A joiner at the start of a text.
    #[must_use]
    pub fn new(join: Join, subwords: Subwords) -> Self {
        Self {
            join,
            subwords,
            tail: Tail::Start,
            open: false,
            held: None,
            spelling: false,
        }
    }

    /// Takes the next token and appends the text that is certain by now to `delta`.
    pub fn push(&mut self, token: &str, delta: &mut String) {
        match (self.join, self.subwords) {
            (Join::Raw, _) if token == SPACE => delta.push(' '),
            (Join::Raw, _) => delta.push_str(token),
            (Join::Words, _) if SILENT.contains(&token) => {}
            (Join::Words, _) if token == SPACE || is_blank(token) => self.push_space(delta),
            (Join::Words, Subwords::Started) => self.push_started(token, delta),
            (Join::Words, Subwords::Continued) => self.push_word(token, delta),
        }
    }

    /// Ends the text: appends what was held back to `delta`, and is ready for another text.
    pub fn finish(&mut self, delta: &mut String) {
        self.release(delta);
        *self = Self::new(self.join, self.subwords);
    }

    fn push_space(&mut self, delta: &mut String) {
        self.release(delta);
        self.open = false;
        if self.tail != Tail::Start {
            self.tail = Tail::Space;
        }
    }

    fn push_started(&mut self, token: &str, delta: &mut String) {
        for (index, part) in token.split('\u{2581}').enumerate() {
            if index > 0 {
                self.push_space(delta);
            }
            if !part.is_empty() {
                self.write(part, self.tail == Tail::Space, delta);
                self.tail = Tail::Close;
            }
        }
    }

    fn push_word(&mut self, token: &str, delta: &mut String) {
        let (text, continued) = match token.strip_suffix("@@") {
            Some(text) => (text, true),
            None => (token, false),
        };
        let whole = !self.open && !continued;
        match single_letter(text) {
            Some(letter) if whole => self.push_letter(letter, delta),
            _ => self.push_part(text, delta),
        }
        self.open = continued || (self.open && text.is_empty());
    }

    fn push_letter(&mut self, letter: char, delta: &mut String) {
        if let Some((first, space)) = self.held.take() {
            self.spelling = true;
            let first = first.to_ascii_uppercase();
            self.write(first.encode_utf8(&mut [0; 4]), space, delta);
        }
        if self.spelling {
            delta.push(letter.to_ascii_uppercase());
        } else {
            self.held = Some((letter, self.tail.parts(Some(Tail::Word))));
        }
        self.tail = Tail::Word;
    }

    fn push_part(&mut self, text: &str, delta: &mut String) {
        let Some(last) = text.chars().next_back() else {
            return;
        };
        self.release(delta);
        let mut letters = text.chars().filter_map(script);
        let first = letters.next();
        let space = !self.open && self.tail.parts(first);
        self.write(text, space, delta);
        self.tail = match letters.next_back().or(first) {
            _ if is_stop(last) => Tail::Stop,
            Some(script) => script,
            // `m@@ p@@ 3` is a word like `mp3`.
            None if self.open => self.tail,
            None => Tail::Close,
        };
    }

    /// Writes a held letter that turned out to stand alone; ends an abbreviation.
    fn release(&mut self, delta: &mut String) {
        self.spelling = false;
        if let Some((letter, space)) = self.held.take() {
            self.write(letter.encode_utf8(&mut [0; 4]), space, delta);
        }
    }

    fn write(&self, text: &str, space: bool, delta: &mut String) {
        if space {
            delta.push(' ');
        }
        delta.push_str(text);
    }
}

impl Tail {
    /// Whether a space goes between this and a token whose first letter is of the script `next`.
    fn parts(self, next: Option<Tail>) -> bool {
        match self {
            Tail::Space => true,
            Tail::Word | Tail::Stop => next == Some(Tail::Word),
            Tail::Start | Tail::Close => false,
        }
    }
}

pub(crate) const SPACE: &str = "<space>";
/// Tokens that are no text.
pub(crate) const SILENT: [&str; 6] = ["", "<blank>", "<s>", "</s>", "<unk>", "<OOV>"];

pub(crate) fn is_blank(token: &str) -> bool {
    token.chars().all(char::is_whitespace)
}

/// A sign that a space follows between words.
pub(crate) fn is_stop(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '!' | '?')
}

pub(crate) fn single_letter(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    chars.next().is_none().then_some(letter)
}

/// Whether this is a letter of a script that writes spaces between words: of Latin, Cyrillic, Hangul…, not of Chinese, Japanese, Thai.
///
/// ```
/// use asr_decode::words::is_spaced_letter;
/// assert_eq!(['é', '한', '好', '3'].map(is_spaced_letter), [true, true, false, false]);
/// ```
#[must_use]
pub fn is_spaced_letter(c: char) -> bool {
    script(c) == Some(Tail::Word)
}

/// `Word` or `Close` for a letter, by whether its script writes spaces; nothing for digits and symbols.
fn script(c: char) -> Option<Tail> {
    let unspaced = matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F | 0x1780..=0x17FF // Myanmar, Khmer
        | 0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3021..=0x303B // radicals, iteration and number signs
        | 0x3040..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x31FF | 0xFF66..=0xFF9F // kana, bopomofo
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF // Han
    );
    match c {
        _ if unspaced => Some(Tail::Close),
        _ if c.is_alphabetic() => Some(Tail::Word),
        _ => None,
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
