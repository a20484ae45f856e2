//! The answer to a request whose inputs are read, and which need not be held until the answer is there.

use std::ptr::{self, NonNull};

use crate::error::{Error, check};
use crate::request::unanswered;
use crate::{Request, Response, guard, optional, sys};

/// An answer that is owed, exactly once, as by the [`Request`] that it came from.
///
/// Made [from](Promise#impl-From<Request>-for-Promise) a request it holds that request until it is answered. Made by
/// [`Request::release_early`], the server has the request back already.
pub struct Promise(Owed);

enum Owed {
    Held(Request),
    Released(Factory),
}

/// What makes the response to a request that was released.
struct Factory {
    raw: NonNull<sys::TRITONBACKEND_ResponseFactory>,
    outputs: Vec<String>,
    answered: bool,
}

// SAFETY: a response factory is the server's object without thread affinity, used through one owner at a time. Shared
// access only reads its properties.
unsafe impl Send for Factory {}
// SAFETY: as above.
unsafe impl Sync for Factory {}

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
        match Factory::new(&self) {
            Ok(factory) => {
                self.hand_back(true);
                Promise(Owed::Released(factory))
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
            Owed::Released(factory) => factory.outputs.iter().any(|wanted| wanted == name),
        }
    }

    /// Whether the client has taken the request back (always false on servers before 2.39).
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Owed::Held(request) => request.is_cancelled(),
            Owed::Released(factory) => factory.is_cancelled(),
        }
    }

    /// Starts the response.
    ///
    /// # Errors
    /// If the server cannot make one.
    pub fn response(&self) -> Result<Response, Error> {
        match &self.0 {
            Owed::Held(request) => request.response(),
            Owed::Released(factory) => factory.response(),
        }
    }

    /// Sends the response or the error.
    pub fn finish(self, outcome: Result<Response, Error>) {
        match self.0 {
            Owed::Held(request) => request.finish(outcome),
            Owed::Released(mut factory) => factory.send(outcome),
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

impl Factory {
    fn new(request: &Request) -> Result<Self, Error> {
        let outputs = request.requested_outputs()?;
        let mut raw = ptr::null_mut();
        // SAFETY: a live request and a valid out pointer.
        unsafe {
            check(sys::TRITONBACKEND_ResponseFactoryNew(
                &mut raw,
                request.raw(),
            ))?
        };
        let raw = NonNull::new(raw)
            .ok_or_else(|| Error::internal("the server made no response factory"))?;
        Ok(Self {
            raw,
            outputs,
            answered: false,
        })
    }

    fn is_cancelled(&self) -> bool {
        let Some(is_cancelled) = optional::response_factory_is_cancelled() else {
            return false;
        };
        let mut cancelled = false;
        // SAFETY: a live factory and a valid out pointer.
        unsafe { check(is_cancelled(self.raw.as_ptr(), &mut cancelled)).is_ok() && cancelled }
    }

    fn response(&self) -> Result<Response, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: a live factory and a valid out pointer; the response is new and ours.
        unsafe {
            check(sys::TRITONBACKEND_ResponseNewFromFactory(
                &mut raw,
                self.raw.as_ptr(),
            ))?;
            Response::from_raw(raw)
        }
    }

    /// The one answer.
    fn send(&mut self, outcome: Result<Response, Error>) {
        self.answered = true;
        Response::send_outcome(outcome, || self.response());
    }
}

impl Drop for Factory {
    fn drop(&mut self) {
        if !self.answered {
            self.send(Err(unanswered()));
        }
        // SAFETY: ours, and not used after this.
        let deleted = unsafe { check(sys::TRITONBACKEND_ResponseFactoryDelete(self.raw.as_ptr())) };
        if let Err(error) = deleted {
            crate::error!("a response factory could not be deleted: {error}");
        }
    }
}
