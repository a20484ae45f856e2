//! The answer to a request whose inputs are read, and which need not be held until the answer is there.

use std::sync::Arc;

use crate::error::Error;
use crate::execution::End;
use crate::factory::ResponseFactory;
use crate::request::{told, unanswered};
use crate::{Request, Response, Watch, guard};

/// An answer that is owed, exactly once, as by the [`Request`] that it came from.
///
/// Made [from](Promise#impl-From<Request>-for-Promise) a request it holds that request until it is answered. Made by
/// [`Request::release_early`], the server has the request back already.
pub struct Promise(Owed);

enum Owed {
    Held(Request),
    Released(Released),
}

/// What is left of a request that was released.
struct Released {
    factory: ResponseFactory,
    outputs: Vec<String>,
    watch: Option<Arc<dyn Watch>>,
    answered: bool,
}

impl From<Request> for Promise {
    fn from(request: Request) -> Self {
        Self(Owed::Held(request))
    }
}

impl Request {
    /// Hands the request back to the server before it is answered.
    ///
    /// The server gives a sequence's slot to another sequence when it has handed out the last request, and holds the other's
    /// requests back until that one is released. What is released early holds nobody up, but is reported in the
    /// statistics as a success, and with the time until now.
    pub fn release_early(mut self) -> Promise {
        match Released::new(&self) {
            Ok(released) => {
                // Reading was all that was done while the server had it with us.
                self.compute_starts();
                self.hand_back(End::Success);
                Promise(Owed::Released(released))
            }
            Err(error) => {
                crate::warn!("a request could not be released before its answer: {error}");
                self.into()
            }
        }
    }
}

impl Promise {
    /// Whether the client asked for the output called `name`.
    pub fn wants(&self, name: &str) -> bool {
        match &self.0 {
            Owed::Held(request) => request.wants(name),
            Owed::Released(released) => released.outputs.iter().any(|wanted| wanted == name),
        }
    }

    /// Whether the client has taken the request back (always false on servers before 2.39).
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Owed::Held(request) => request.is_cancelled(),
            Owed::Released(released) => released.factory.is_cancelled(),
        }
    }

    /// As [`Request::compute_starts`]; a request that was released is reported already.
    pub fn compute_starts(&self) {
        if let Owed::Held(request) = &self.0 {
            request.compute_starts();
        }
    }

    /// As [`Request::compute_ends`].
    pub fn compute_ends(&self) {
        if let Owed::Held(request) = &self.0 {
            request.compute_ends();
        }
    }

    /// Starts the response.
    ///
    /// # Errors
    /// If the server cannot make one.
    pub fn response(&self) -> Result<Response, Error> {
        match &self.0 {
            Owed::Held(request) => request.response(),
            Owed::Released(released) => released.factory.response(),
        }
    }

    /// Sends the response or the error.
    pub fn finish(self, outcome: Result<Response, Error>) {
        match self.0 {
            Owed::Held(request) => request.finish(outcome),
            Owed::Released(mut released) => released.send(outcome),
        }
    }

    /// Answers with an error.
    pub fn fail(self, error: Error) {
        self.finish(Err(error));
    }

    /// Sends what `answer` makes of it; an error or panic in there becomes the answer.
    pub fn answer(self, answer: impl FnOnce(&Self) -> Result<Response, Error>) {
        let outcome = guard(|| answer(&self));
        self.finish(outcome);
    }
}

impl Released {
    fn new(request: &Request) -> Result<Self, Error> {
        Ok(Self {
            outputs: request.requested_outputs()?,
            factory: ResponseFactory::new(request)?,
            watch: request.watch().cloned(),
            answered: false,
        })
    }

    /// The one answer.
    fn send(&mut self, outcome: Result<Response, Error>) {
        self.answered = true;
        let outcome = match self.factory.is_cancelled() {
            // The response is dropped before the answer: deleting one calls the allocator of whoever asked, who may delete that
            // with the answer.
            true => {
                drop(outcome);
                Err(Error::cancelled())
            }
            false => outcome,
        };
        let outcome = told(self.watch.as_ref(), outcome);
        Response::send_outcome(outcome, || self.factory.response());
    }
}

impl Drop for Released {
    fn drop(&mut self) {
        if !self.answered {
            self.send(Err(unanswered()));
        }
    }
}
