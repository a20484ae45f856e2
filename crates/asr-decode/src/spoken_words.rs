//! Tokens to words, each with its time and how sure the model is of it.
//!
//! FunASR joins tokens to words in two places: `SenseVoiceSmall.post` for sentencepiece's pieces and `sentence_postprocess` for
//! tokens with `@@`. The rules here are theirs, with their faults left out:
//!
//! * A word of a script that writes spaces (Latin, Cyrillic, Hangul…) is one, of however many pieces: `▁wa` `ter` and `wa@@`
//!   `ter` are `water`. FunASR does that for Latin alone.
//! * Of Chinese, Japanese and Thai every piece is a word, which in practice is a character.
//! * So it is of digits: `7` `9` are two words, each with its own time, as FunASR has them; a piece `79` is one.
//!   What `@@` ties together stays together all the same: `m@@` `p@@` `3` is `mp3`.
//! * A sign belongs to the word before it, or to the one behind it if there is none before, or if it is one that opens or stands
//!   in front of numbers: `hello` `,` is `hello,`, and `《` `看` is `《看`. FunASR has it as a word of its own. Signs within a Latin word
//!   do not end it: `it` `'` `s` is `it's`.
//! * Single letters in a row that are tokens with no `@@` about them are an abbreviation: `n` `b` `a` is `NBA`.
//! * Tags and what is no text (`<unk>`, `<blank>`…) are no words and part of none.
//!
//! A word begins with the first and ends with the last of its tokens that are more than signs, which have no sound. Its
//! probability is the geometric mean of those of all its tokens.

use crate::confidence::geometric_mean;
use crate::tags::tag;
use crate::transcript::{Span, Token, Transcript};
use crate::words::{SILENT, SPACE, Subwords, is_blank, is_spaced_letter, is_stop, single_letter};

/// A word that was heard.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Word {
    /// The word as it is written, with the signs that belong to it and without `▁` and `@@`.
    pub text: String,
    /// When it was spoken, where its tokens have times.
    pub time: Option<Span>,
    /// How probable it is, 0 to 1, where its tokens have probabilities.
    pub probability: Option<f32>,
}

impl Transcript {
    /// The words that the tokens make. In a stream they are those of this request's tokens, so a word that goes on in the next
    /// request is in two parts.
    ///
    /// ```
    /// use asr_decode::{Best, ctc, sentencepiece::Tokenizer};
    /// let tokenizer = Tokenizer::from_file("tests/data/bytes.model")?;
    /// let best = Best::new(&[3, 5, 0, 5], &[-0.1, -0.5, -0.1, 0.0], tokenizer.len())?;
    /// let heard = ctc::transcript_of_best(&best, 0, &tokenizer)?;
    /// let words = heard.words();
    /// assert_eq!(words.iter().map(|word| &*word.text).collect::<Vec<_>>(), ["hello", "hello"]);
    /// assert_eq!(words[0].probability, Some((-0.5f32).exp()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn words(&self) -> Vec<Word> {
        words_of(&self.tokens, self.subwords)
    }
}

fn words_of(tokens: &[Token], subwords: Option<Subwords>) -> Vec<Word> {
    let mut words = Words::default();
    for token in tokens {
        match subwords {
            Some(Subwords::Continued) => words.push_continued(token),
            Some(Subwords::Started) | None => words.push_started(token),
        }
    }
    words.finish()
}

/// Tokens of the longest word that a stream waits for.
const MOST_OPEN: usize = 64;

/// The words of a stream, each whole and told once: with the request after which nothing can go on in it.
///
/// What may go on: a token that ends in `@@`, and a single letter, which may become an abbreviation.
/// A stream that spells for ever is told what there is every 64 tokens.
#[derive(Debug, Clone, Default)]
pub struct StreamWords {
    open: Vec<Token>,
}

impl StreamWords {
    /// The words that are complete with what a request added; with the `last` request, all.
    pub fn push(&mut self, added: &Transcript, last: bool) -> Vec<Word> {
        self.open.extend(added.tokens.iter().cloned());
        let settled = match last || self.open.len() > MOST_OPEN {
            true => self.open.len(),
            false => settled(&self.open),
        };
        // A request that adds no token says nothing of the vocabulary.
        let subwords = added.subwords.or(Some(Subwords::Continued));
        let settled: Vec<Token> = self.open.drain(..settled).collect();
        words_of(&settled, subwords)
    }
}

/// How many of the tokens are of words that are complete.
fn settled(tokens: &[Token]) -> usize {
    let (mut settled, mut inside) = (0, false);
    for (place, token) in tokens.iter().enumerate() {
        let continued = token.piece.ends_with("@@");
        let spelled = !inside && single_letter(&token.piece).is_some();
        if !continued && !spelled {
            settled = place + 1;
        }
        inside = continued;
    }
    settled
}

/// The words so far.
#[derive(Default)]
struct Words<'a> {
    written: Vec<Draft<'a>>,
    /// Signs that wait for the word behind them.
    signs: Draft<'a>,
    /// A space, or what stands for one, came since the last word.
    apart: bool,
    /// The last token ended in `@@`.
    open: bool,
    /// The last word is made of single letters, of which the last token was one.
    spelling: bool,
    /// Pieces that stand for single bytes, not yet a character.
    bytes: (Vec<u8>, Vec<&'a Token>),
}

/// A word that may go on.
#[derive(Default)]
struct Draft<'a> {
    text: String,
    /// The tokens that are more than signs.
    spoken: Vec<&'a Token>,
    signs: Vec<&'a Token>,
}

impl<'a> Words<'a> {
    /// Takes the next piece of a vocabulary that marks beginnings with `▁`.
    fn push_started(&mut self, token: &'a Token) {
        if let Some(byte) = byte(&token.piece) {
            return self.push_byte(byte, token);
        }
        self.end_bytes();
        if tag(&token.piece).is_some() {
            self.apart = true;
        } else if !SILENT.contains(&&*token.piece) {
            for (index, part) in token.piece.split('\u{2581}').enumerate() {
                self.apart |= index > 0;
                self.push_part(part, &[token]);
            }
        }
    }

    /// Takes the next token of a vocabulary that marks continuations with `@@`.
    fn push_continued(&mut self, token: &'a Token) {
        let piece = &*token.piece;
        if SILENT.contains(&piece) || tag(piece).is_some() {
            return;
        }
        let (text, continued) = match piece.strip_suffix("@@") {
            Some(text) => (text, true),
            None => (piece, false),
        };
        let spelling = std::mem::take(&mut self.spelling);
        if piece == SPACE || is_blank(piece) {
            self.open = false;
            return;
        }
        let inside = self.open && self.signs.text.is_empty();
        let letter = single_letter(text).filter(|_| !self.open && !continued);
        match (self.written.last_mut(), letter) {
            (Some(last), Some(letter)) if spelling => {
                last.text.push(letter);
                last.text.make_ascii_uppercase();
                last.spoken.push(token);
            }
            (Some(last), None) if inside => last.add(text, &[token]),
            _ => {
                self.apart = true;
                self.push_part(text, &[token]);
            }
        }
        self.spelling = letter.is_some();
        self.open = continued || (self.open && text.is_empty());
    }

    /// Takes a part of the text that has no mark in it.
    fn push_part(&mut self, text: &str, tokens: &[&'a Token]) {
        if text.is_empty() {
            return;
        }
        if is_blank(text) {
            self.apart = true;
            return;
        }
        let waits = !self.signs.text.is_empty();
        let last = self.written.last_mut();
        if is_sign(text) {
            match last {
                Some(last) if !waits && !stands_in_front(text, self.apart) => {
                    last.add(text, tokens);
                }
                _ => self.signs.add(text, tokens),
            }
            return;
        }
        match last {
            Some(last) if !waits && !self.apart && last.goes_on_with(text) => {
                last.add(text, tokens);
            }
            _ => {
                let mut word = std::mem::take(&mut self.signs);
                word.add(text, tokens);
                self.written.push(word);
            }
        }
        self.apart = false;
    }

    fn push_byte(&mut self, byte: u8, token: &'a Token) {
        self.bytes.0.push(byte);
        self.bytes.1.push(token);
        let unfinished = std::str::from_utf8(&self.bytes.0)
            .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none());
        if !unfinished {
            self.end_bytes();
        }
    }

    fn end_bytes(&mut self) {
        let (bytes, tokens) = std::mem::take(&mut self.bytes);
        self.push_part(&String::from_utf8_lossy(&bytes), &tokens);
    }

    fn finish(mut self) -> Vec<Word> {
        self.end_bytes();
        if !self.signs.text.is_empty() {
            match self.written.last_mut() {
                Some(last) => {
                    last.text.push_str(&self.signs.text);
                    last.signs.append(&mut self.signs.signs);
                }
                // Nothing but signs was heard.
                None => self.written.push(self.signs),
            }
        }
        self.written.into_iter().map(Draft::word).collect()
    }
}

impl<'a> Draft<'a> {
    fn add(&mut self, text: &str, tokens: &[&'a Token]) {
        self.text.push_str(text);
        match is_sign(text) {
            true => self.signs.extend(tokens),
            false => self.spoken.extend(tokens),
        }
    }

    /// Whether a part with no space in front is of this word.
    fn goes_on_with(&self, part: &str) -> bool {
        let spaced = |letter: Option<char>| letter.is_some_and(is_spaced_letter);
        let inside = |c: Option<char>| c.is_some_and(|c| is_spaced_letter(c) || is_within_words(c));
        spaced(self.text.chars().rfind(|c| c.is_alphanumeric()))
            && inside(self.text.chars().next_back())
            && spaced(part.chars().find(|c| c.is_alphanumeric()))
            && inside(part.chars().next())
    }

    fn word(self) -> Word {
        let timed = match self.spoken.is_empty() {
            true => &self.signs,
            false => &self.spoken,
        };
        let start = timed.first().and_then(|token| token.time);
        let end = timed.last().and_then(|token| token.time);
        let all = self.spoken.iter().chain(&self.signs);
        Word {
            time: start.zip(end).map(|(first, last)| Span {
                start_ms: first.start_ms,
                end_ms: last.end_ms,
            }),
            probability: geometric_mean(all.map(|token| token.probability)),
            text: self.text,
        }
    }
}

/// The byte that a piece like `<0xE4>` stands for.
fn byte(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| two)
}

fn is_sign(text: &str) -> bool {
    !text.contains(char::is_alphanumeric)
}

/// Whether a sign, with a space in front of it or not, belongs to the word behind it.
fn stands_in_front(sign: &str, apart: bool) -> bool {
    sign.chars().next_back().is_some_and(|last| match last {
        '(' | '[' | '{' | '«' | '“' | '‘' | '¿' | '¡' => true,
        '《' | '〈' | '「' | '『' | '【' | '（' | '［' | '｛' => true,
        '$' | '€' | '£' | '¥' | '￥' => true,
        '"' | '\'' => apart,
        _ => false,
    })
}

/// A sign that may stand between letters of one word, as an apostrophe, a hyphen, a dot or an accent does.
fn is_within_words(c: char) -> bool {
    let punctuation = c.is_ascii_punctuation() && !is_stop(c);
    punctuation || c == '’' || ('\u{300}'..='\u{36f}').contains(&c)
}

#[cfg(test)]
#[path = "spoken_words_tests.rs"]
mod tests;
