//! What is told of a row: what was heard in it, and of a stream how far it is.

use asr_decode::{Span, StreamWords, Token, Transcript, Word};

use super::needs::Needs;
use crate::tensors::audio::Origin;

/// What stands for a time that is not known, and behind the last token of a row with fewer than the longest.
pub(super) const NO_TIME: i32 = -1;

/// What is told of a row.
pub(crate) struct Told<'a> {
    pub(super) heard: &'a Transcript,
    /// The words that are complete, if an output has them.
    pub(super) words: Vec<Word>,
    /// Of a stream's request: how far the stream is.
    pub(super) stream: Option<SoFar<'a>>,
    /// Of a recording: where it comes from, if that is known.
    pub(super) origin: Option<&'a Origin>,
}

/// How far a stream is.
#[derive(Clone, Copy)]
pub(super) struct SoFar<'a> {
    /// It ends with this request.
    pub(super) ended: bool,
    /// All text so far.
    pub(super) text: &'a str,
}

impl<'a> Told<'a> {
    /// What is told of a recording.
    pub(crate) fn of_recording(
        heard: &'a Transcript,
        origin: Option<&'a Origin>,
        needs: Needs,
    ) -> Self {
        Self {
            words: if needs.words {
                heard.words()
            } else {
                Vec::new()
            },
            heard,
            stream: None,
            origin,
        }
    }

    /// What the sender of the audio should know of it.
    pub(super) fn warning(&self) -> Option<&'a str> {
        self.origin.and_then(|origin| origin.warning.as_deref())
    }

    /// The tokens that are no tags.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &'a Token> {
        self.heard.tokens.iter().filter(|token| !token.is_tag())
    }
}

/// What a stream has to remember for its outputs from one request to the next.
#[derive(Debug, Default)]
pub(crate) struct StreamText {
    /// All text so far, if an output has it.
    text: String,
    words: StreamWords,
}

impl StreamText {
    /// What is told of the request that added `heard`.
    pub(crate) fn tell<'a>(
        &'a mut self,
        heard: &'a Transcript,
        ended: bool,
        needs: Needs,
    ) -> Told<'a> {
        if needs.stream {
            self.text.push_str(&heard.raw);
        }
        Told {
            words: if needs.words {
                self.words.push(heard, ended)
            } else {
                Vec::new()
            },
            heard,
            stream: Some(SoFar {
                ended,
                text: &self.text,
            }),
            origin: None,
        }
    }
}

/// A number that need not be there: -1 stands for none.
pub(super) fn number(number: Option<usize>) -> i32 {
    number.map_or(-1, |number| i32::try_from(number).unwrap_or(i32::MAX))
}

/// When something began, in milliseconds.
pub(super) fn start(time: Option<Span>) -> i32 {
    time.map_or(NO_TIME, |time| milliseconds(time.start_ms))
}

/// When something ended, in milliseconds.
pub(super) fn end(time: Option<Span>) -> i32 {
    time.map_or(NO_TIME, |time| milliseconds(time.end_ms))
}

/// As the outputs have it; a stream of 24 days is at the end of what they can say.
fn milliseconds(time: u64) -> i32 {
    i32::try_from(time).unwrap_or(i32::MAX)
}
