//! A request, which answers exactly once and is released exactly once.

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, check};
use crate::execution::{End, Execution};
use crate::phases::{Marks, now};
use crate::{Input, Response, Watch, cuda, guard, optional, sys};

/// An inference request, owned.
///
/// It ends in [`Request::finish`] (or a shorthand for it). Dropped without, be it by an early return or a panic, it
/// answers with an error: no client waits for ever, and none is answered twice.
pub struct Request {
    raw: NonNull<sys::TRITONBACKEND_Request>,
    execution: Arc<Execution>,
    marks: Marks,
    /// Copies of inputs that are in GPU memory.
    staging: cuda::Staging,
    ended: bool,
}

// SAFETY: a request is the server's object without thread affinity, used through one owner at a time. Shared access only
// reads its properties.
unsafe impl Send for Request {}
// SAFETY: as above.
unsafe impl Sync for Request {}

impl Request {
    /// # Safety
    /// `raw` is a request that the server has just handed over, and nothing else releases it.
    pub(crate) unsafe fn new(
        raw: NonNull<sys::TRITONBACKEND_Request>,
        execution: Arc<Execution>,
    ) -> Self {
        Self {
            raw,
            execution,
            marks: Marks::default(),
            staging: cuda::Staging::default(),
            ended: false,
        }
    }

    pub(crate) fn raw(&self) -> *mut sys::TRITONBACKEND_Request {
        self.raw.as_ptr()
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Marks for the statistics that this request's inputs are read and the work, or the wait for other models, begins.
    /// The first such mark counts.
    pub fn compute_starts(&self) {
        self.marks.compute_starts(now());
    }

    /// Marks that the results are there and the output begins. The last such mark counts.
    pub fn compute_ends(&self) {
        self.marks.compute_ends(now());
    }

    /// The id the client gave, or an empty string.
    pub fn id(&self) -> String {
        let mut id = ptr::null();
        // SAFETY: a live request and a valid out pointer; the string lives as long as the request.
        unsafe {
            match check(sys::TRITONBACKEND_RequestId(self.raw.as_ptr(), &mut id)) {
                Ok(()) if !id.is_null() => CStr::from_ptr(id).to_string_lossy().into_owned(),
                _ => String::new(),
            }
        }
    }

    /// All inputs of the request.
    ///
    /// # Errors
    /// If the server cannot name them.
    pub fn inputs(&self) -> Result<Vec<Input<'_>>, Error> {
        let mut count = 0_u32;
        // SAFETY: a live request and valid out pointers; the inputs live as long as the request.
        unsafe {
            check(sys::TRITONBACKEND_RequestInputCount(
                self.raw.as_ptr(),
                &mut count,
            ))?;
            (0..count)
                .map(|index| {
                    let mut input = ptr::null_mut();
                    check(sys::TRITONBACKEND_RequestInputByIndex(
                        self.raw.as_ptr(),
                        index,
                        &mut input,
                    ))?;
                    Input::new(input, &self.staging)
                })
                .collect()
        }
    }

    /// The input called `name`.
    ///
    /// # Errors
    /// If the request has none of that name.
    pub fn input(&self, name: &str) -> Result<Input<'_>, Error> {
        self.inputs()?
            .into_iter()
            .find(|input| input.name() == name)
            .ok_or_else(|| Error::MissingInput {
                name: name.to_owned(),
            })
    }

    /// The names of the outputs the client asked for.
    ///
    /// # Errors
    /// If the server cannot name them.
    pub fn requested_outputs(&self) -> Result<Vec<String>, Error> {
        let mut count = 0_u32;
        // SAFETY: a live request and valid out pointers; names live as long as the request.
        unsafe {
            check(sys::TRITONBACKEND_RequestOutputCount(
                self.raw.as_ptr(),
                &mut count,
            ))?;
            (0..count)
                .map(|index| {
                    let mut name = ptr::null();
                    check(sys::TRITONBACKEND_RequestOutputName(
                        self.raw.as_ptr(),
                        index,
                        &mut name,
                    ))?;
                    Ok(CStr::from_ptr(name).to_string_lossy().into_owned())
                })
                .collect()
        }
    }

    /// Whether the client asked for the output called `name`.
    pub fn wants(&self, name: &str) -> bool {
        self.requested_outputs()
            .is_ok_and(|names| names.iter().any(|wanted| wanted == name))
    }

    /// Whether the client has taken the request back (always false on servers before 2.39).
    pub fn is_cancelled(&self) -> bool {
        let Some(is_cancelled) = optional::request_is_cancelled() else {
            return false;
        };
        let mut cancelled = false;
        // SAFETY: a live request and a valid out pointer.
        unsafe { check(is_cancelled(self.raw.as_ptr(), &mut cancelled)).is_ok() && cancelled }
    }

    /// When the client stops waiting for the request, if it said so (never on servers that do not tell a backend). The time
    /// counts from now: ask when the request comes.
    pub fn deadline(&self) -> Option<Instant> {
        let timeout = optional::request_timeout()?;
        let mut microseconds = 0;
        // SAFETY: a live request and a valid out pointer.
        let told = unsafe { check(timeout(self.raw.as_ptr(), &mut microseconds)) };
        // 0 is what the server has for none.
        let given = told.is_ok() && microseconds > 0;
        Instant::now().checked_add(given.then(|| Duration::from_micros(microseconds))?)
    }

    /// How long ago the server handed it over.
    pub fn age(&self) -> Duration {
        self.execution.age()
    }

    /// Who is to be told how it ends.
    pub(crate) fn watch(&self) -> Option<&Arc<dyn Watch>> {
        self.execution.watch()
    }

    /// Starts the response.
    ///
    /// # Errors
    /// If the server cannot make one.
    pub fn response(&self) -> Result<Response, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: a live request and a valid out pointer; the response is new and ours.
        unsafe {
            check(sys::TRITONBACKEND_ResponseNew(&mut raw, self.raw.as_ptr()))?;
            Response::from_raw(raw)
        }
    }

    /// Sends a response that others follow: of a model whose config has `model_transaction_policy { decoupled: true }`, since the server
    /// takes one response from any other. The last one goes with [`Request::finish`].
    ///
    /// # Errors
    /// If the client has taken the request back, or the response cannot be sent.
    pub fn send(&self, response: Response) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::cancelled());
        }
        response.send_part()
    }

    /// Ends the request: sends the response or the error, reports statistics and hands the request back.
    ///
    /// It is a success if the response was sent as it was meant to be. A request that its client has taken back is
    /// answered with [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled), whatever the outcome, and is neither a success
    /// nor a failure: the server would count it among the failures of the backend.
    pub fn finish(mut self, outcome: Result<Response, Error>) {
        self.end(outcome);
    }

    /// Ends the request with an error.
    pub fn fail(self, error: Error) {
        self.finish(Err(error));
    }

    /// Ends the request with what `answer` makes of it; an error or panic in there becomes the request's answer.
    pub fn answer(self, answer: impl FnOnce(&Self) -> Result<Response, Error>) {
        let outcome = guard(|| answer(&self));
        self.finish(outcome);
    }

    fn end(&mut self, outcome: Result<Response, Error>) {
        if self.is_cancelled() {
            // Before the answer: deleting a response calls the allocator of whoever asked, who may delete that with the answer.
            drop(outcome);
            let outcome = told(self.watch(), Err(Error::cancelled()));
            Response::send_outcome(outcome, || self.response());
            self.hand_back(End::Cancelled);
            return;
        }
        let outcome = told(self.watch(), outcome);
        let delivered = Response::send_outcome(outcome, || self.response());
        self.hand_back(match delivered {
            true => End::Success,
            false => End::Failure,
        });
    }

    /// The one end of every request; nothing touches the server's request after it.
    pub(crate) fn hand_back(&mut self, end: End) {
        self.ended = true;
        self.execution.report(self.raw.as_ptr(), &self.marks, end);
        // SAFETY: the request is ours, answered, and not used after this.
        let released = unsafe {
            check(sys::TRITONBACKEND_RequestRelease(
                self.raw.as_ptr(),
                sys::REQUEST_RELEASE_ALL,
            ))
        };
        if let Err(error) = released {
            crate::error!("a request could not be released: {error}");
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Err(unanswered()));
        }
    }
}

/// The outcome of a request, of which is told who watches.
pub(crate) fn told(
    watch: Option<&Arc<dyn Watch>>,
    outcome: Result<Response, Error>,
) -> Result<Response, Error> {
    if let (Some(watch), Err(error)) = (watch, &outcome) {
        watch.failed(error);
    }
    outcome
}

/// What a request is told that nobody answered.
pub(crate) fn unanswered() -> Error {
    Error::internal(if std::thread::panicking() {
        "the backend panicked while it had this request; the server's log has the panic's message"
    } else {
        "the backend ended without answering this request"
    })
}
