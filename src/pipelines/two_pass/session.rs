//! A stream's own sequence at a model that it calls.

use std::sync::Arc;

use triton_backend::{Call, CallHandle, Caller, Error, ModelContext, Reply, verbose};

use crate::pipelines::segments::of_samples;
use crate::tensors::sequences::{InnerCall, InnerSequence};

/// A model that has sequences.
pub(super) struct Called {
    pub(super) name: String,
    caller: Caller,
}

/// A sequence. One that is open is ended when this is dropped, or its place at the model would stay taken until it was idle for too long.
pub(super) struct Session {
    called: Arc<Called>,
    sequence: InnerSequence,
}

/// A call to be sent.
pub(super) struct Message {
    called: Arc<Called>,
    call: InnerCall,
}

impl Called {
    pub(super) fn new(context: &ModelContext, name: String) -> Result<Arc<Self>, Error> {
        let caller = Caller::new(context)?;
        Ok(Arc::new(Self { name, caller }))
    }
}

impl Session {
    /// None yet.
    pub(super) fn new(called: &Arc<Called>) -> Self {
        Self {
            called: Arc::clone(called),
            sequence: InnerSequence::default(),
        }
    }

    /// The sequence's next samples, of which an output is wanted; `end` if they are the last.
    pub(super) fn message(
        &mut self,
        samples: &[f32],
        output: &str,
        end: bool,
    ) -> Result<Message, Error> {
        let call = of_samples(&self.called.name, samples)?.output(output);
        Ok(self.next(call, end))
    }

    fn next(&mut self, call: Call, end: bool) -> Message {
        let start = !self.sequence.is_open();
        Message {
            called: Arc::clone(&self.called),
            call: self.sequence.next(call, start, end),
        }
    }
}

impl Message {
    /// Sends it; `done` gets the answer on one of the server's threads, and should not block.
    pub(super) fn send(
        self,
        done: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> CallHandle {
        self.call.send(&self.called.caller, done)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.sequence.is_open() {
            return;
        }
        let name = self.called.name.clone();
        // Nothing waits for the answer.
        match of_samples(&name, &[]) {
            Ok(call) => {
                self.next(call, true).send(move |reply| {
                    if let Err(error) = reply {
                        verbose!("model '{name}' could not be told that a stream is over: {error}");
                    }
                });
            }
            Err(error) => verbose!("no call to model '{name}' could be made: {error}"),
        }
    }
}
