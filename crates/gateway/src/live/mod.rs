//! A live stream: samples in, text out as it is heard, whatever becomes of the servers.
//!
//! [`Stream`] is a client's audio. It hides which model hears it, the sequence at one server that it is at a time, and that another server takes
//! over when that one goes:
//!
//! ```text
//! let model = live::two_pass(&shared.pool.models()).ok_or("no such model")?;
//! let mut stream = Stream::open(&shared, Setup { model, rate: 16_000, language: Language::AUTO, itn: None, hotwords: None })?;
//! let mut events = Vec::new();
//! stream.hear(&samples, &mut events).await?;  // as often as samples come, however many
//! stream.end(&mut events).await?;             // or stream.abandon().await if nobody waits for it any more
//! ```
//!
//! What was put into `events` stays true when a call fails, and the stream is over then. A call returns when the server has answered, so who reads
//! no further until then passes the server's pace on to the client.
//!
//! # Segments
//!
//! Events are of segments, counted from 0: any number of [`Event::Partial`] of one, whose text only grows, then its [`Event::Final`], then the next
//! one's. A model that hears its segments twice (`two_pass`) ends one wherever somebody stops speaking. To a plain one (`streaming_paraformer`)
//! the whole stream is one segment.
//!
//! # When a server goes
//!
//! A server's state of a stream cannot be asked for, so it is made anew by sending the same audio. Kept is what its sequence was sent, up to
//! `--replay-seconds`: another server hears that as a sequence of its own, chunk by chunk. Models answer the same to the same chunks, so of these
//! answers only those are told which the first server did not give any more: nothing is lost, nothing comes twice.
//!
//! How far back that goes depends on what is **settled**:
//!
//! - `two_pass`: what is final is. So that little has to be heard again, a sequence that is older than a quarter of `--replay-seconds` ends where no
//!   segment is open, and a new one begins behind the last final text. Nothing but the voice detector spans segments, so texts stay the same.
//! - A plain model never says that it has done with a word: a part of it may wait for the next one, through any pause, and to end the sequence there
//!   would change its text. So it has one sequence from beginning to end. The first 30 s are heard again as a whole. Of a longer one, from a
//!   pause at least 15 s back: a place without a new word for three chunks. What this says may differ in its beginning; where what was told
//!   ends in it is found by the text itself ([`seam`]).
//!
//! Where nobody pauses for as long as `--replay-seconds`, the oldest audio is given up. If the server goes then, a plain model begins in the middle
//! of what is said. With `two_pass` the text so far becomes the segment's last, and what follows is a new segment.
//!
//! A server that is not ready any more, but still answers, is left at the next pause; one that refuses is left at once. A stream waits 30 s for a
//! server that can take it.

mod events;
mod kept;
mod reader;
mod seam;
mod stream;
mod trouble;

use std::collections::BTreeMap;

pub(crate) use events::{Event, Final};
pub(crate) use stream::{Setup, Stream};
pub(crate) use trouble::LiveError;

use crate::triton::{Model, Role};

/// The model that hears its segments twice, if there is one.
pub(crate) fn two_pass(models: &BTreeMap<String, Model>) -> Option<Model> {
    let streams = models.values().filter(|model| model.role == Role::Stream);
    streams
        .into_iter()
        .find(|model| reader::is_two_pass(model))
        .cloned()
}

/// The model whose text comes as it is heard, and stays, if there is one.
pub(crate) fn plain(models: &BTreeMap<String, Model>) -> Option<Model> {
    let streams = models.values().filter(|model| model.role == Role::Stream);
    streams
        .into_iter()
        .find(|model| !model.says(reader::SEGMENT_ID))
        .cloned()
}
