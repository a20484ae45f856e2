//! A stream's own sequence at a model that it calls.

use triton_backend::{Call, CallHandle, Caller, Error, Reply};

use super::numbers::Number;

/// The sequence, which has a number while it is open.
#[derive(Default)]
pub(crate) struct InnerSequence {
    open: Option<Number>,
}

/// A call of it, to be sent.
pub(crate) struct InnerCall {
    call: Call,
    /// The number of the sequence that ends with it.
    ending: Option<Number>,
}

impl InnerSequence {
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Makes a call the sequence's next one, with these flags.
    pub(crate) fn next(&mut self, call: Call, start: bool, end: bool) -> InnerCall {
        let number = self.open.take().unwrap_or_else(Number::new);
        let call = call.sequence(number.sequence(start, end));
        // With `end` it is over, whatever the answer.
        let ending = if end {
            Some(number)
        } else {
            self.open = Some(number);
            None
        };
        InnerCall { call, ending }
    }
}

impl InnerCall {
    /// Sends it; `done` gets the answer on one of the server's threads, and should not block.
    pub(crate) fn send(
        self,
        caller: &Caller,
        done: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> CallHandle {
        let Self { call, ending } = self;
        caller.call(call, move |reply| {
            if let (Some(number), true) = (ending, reply.is_ok()) {
                number.give_back();
            }
            done(reply);
        })
    }
}
