//! The calls of one recording that are under way, and what they come to.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use triton_backend::{Call, CallHandle, Caller, Error, Reply};

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The segments of a window.
    Segments,
    /// The text of the segment of this number.
    Text(usize),
    /// Marks.
    Marks,
}

struct Answer {
    number: usize,
    purpose: Purpose,
    reply: Result<Reply, Error>,
}

/// Calls under way. Dropped, it takes them back.
pub(super) struct Calls<'c> {
    caller: &'c Caller,
    under_way: BTreeMap<usize, CallHandle>,
    sent: usize,
    answers: Receiver<Answer>,
    answers_in: Sender<Answer>,
}

impl<'c> Calls<'c> {
    pub(super) fn new(caller: &'c Caller) -> Self {
        let (answers_in, answers) = channel();
        Self {
            caller,
            under_way: BTreeMap::new(),
            sent: 0,
            answers,
            answers_in,
        }
    }

    pub(super) fn send(&mut self, purpose: Purpose, call: Call) {
        let number = self.sent;
        self.sent += 1;
        let answers = self.answers_in.clone();
        let handle = self.caller.call(call, move |reply| {
            // The recording may be over.
            let _ = answers.send(Answer {
                number,
                purpose,
                reply,
            });
        });
        self.under_way.insert(number, handle);
    }

    /// The next answer, if it comes soon enough.
    pub(super) fn wait(&mut self, at_most: Duration) -> Option<(Purpose, Result<Reply, Error>)> {
        let answer = self.answers.recv_timeout(at_most).ok()?;
        self.under_way.remove(&answer.number);
        Some((answer.purpose, answer.reply))
    }
}

impl Drop for Calls<'_> {
    fn drop(&mut self) {
        self.under_way.values().for_each(CallHandle::cancel);
    }
}
