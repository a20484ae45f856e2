//! What is told of a live stream.

use transcripts::{Segment, Sentence};

/// What is told of a live stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// More was heard of a segment that goes on.
    Partial(Partial),
    /// A segment is over, and nothing of it follows.
    Final(Box<Final>),
}

/// A segment's text so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partial {
    /// Counted from 0.
    pub(crate) segment: u64,
    /// From the beginning of the stream, in milliseconds.
    pub(crate) start_ms: u64,
    /// Up to where it was heard.
    pub(crate) end_ms: u64,
    /// All of it.
    pub(crate) text: String,
    /// What is new of it: never empty.
    pub(crate) added: String,
    /// What belongs between the text of the segment before and this one's: a space, or nothing.
    pub(crate) gap: &'static str,
}

/// A segment's text for good.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Final {
    /// Counted from 0.
    pub(crate) segment: u64,
    /// From the beginning of the stream, in milliseconds.
    pub(crate) start_ms: u64,
    /// The same.
    pub(crate) end_ms: u64,
    /// With marks, where the model makes them. Empty if there was nothing to understand after all.
    pub(crate) text: String,
    /// As of [`Partial`].
    pub(crate) gap: &'static str,
    /// The same sentence by sentence, where the model says it. Times count from the stream's beginning, as all do.
    pub(crate) sentences: Vec<Sentence>,
    /// What the recogniser said of it, where it did: words with times, language, emotion, event.
    pub(crate) heard: Option<Segment>,
}
