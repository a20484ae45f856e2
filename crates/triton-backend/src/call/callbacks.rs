//! What the server calls while a call is under way, and what these callbacks own.

use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::allocator::Allocator;
use super::reply::Reply;
use super::request::{CallInput, delete_request};
use crate::error::{Error, check};
use crate::{guard, sys};

#[derive(Debug)]
pub(super) struct RawRequest(pub(super) NonNull<sys::TRITONSERVER_InferenceRequest>);

// SAFETY: a request is the server's object without thread affinity; the mutex keeps it alive while it is used.
unsafe impl Send for RawRequest {}

pub(super) type Done = Box<dyn FnOnce(Result<Reply, Error>) + Send>;

/// What the response callback owns.
pub(super) struct Pending {
    pub(super) model: String,
    pub(super) allocator: Arc<Allocator>,
    /// The outputs that may stay in GPU memory. The allocator's functions read the list as long as there is this or the parcel.
    pub(super) _carried: Arc<Vec<CString>>,
    pub(super) reply: Option<Result<Reply, Error>>,
    pub(super) done: Option<Done>,
}

/// What the release callback owns: everything the server reads while the request lives.
pub(super) struct Parcel {
    pub(super) inputs: Vec<CallInput>,
    pub(super) _allocator: Arc<Allocator>,
    pub(super) _carried: Arc<Vec<CString>>,
    pub(super) shared: Arc<Mutex<Option<RawRequest>>>,
}
impl Pending {
    pub(super) fn finish(mut self) {
        let reply = self.reply.take().unwrap_or_else(|| {
            Err(Error::internal(format!(
                "model '{}' ended without an answer",
                self.model
            )))
        });
        let Some(done) = self.done.take() else {
            return;
        };
        let outcome = guard(|| {
            done(reply);
            Ok(())
        });
        if let Err(error) = outcome {
            crate::error!(
                "what handles the answer of model '{}' failed: {error}",
                self.model
            );
        }
    }
}

/// The server has a response, or the end of the responses, for a call.
pub(super) unsafe extern "C" fn completed(
    response: *mut sys::TRITONSERVER_InferenceResponse,
    flags: u32,
    userp: *mut c_void,
) {
    let pending = userp.cast::<Pending>();
    if let Some(response) = NonNull::new(response) {
        // SAFETY: the server calls this with what `send` gave it, one call at a time, until the final flag.
        let pending = unsafe { &mut *pending };
        let reply = Reply {
            response,
            _allocator: Arc::clone(&pending.allocator),
        };
        // SAFETY: a live response. Whatever the header says of who owns the error, the server makes it when it is asked.
        let failed = unsafe { check(sys::TRITONSERVER_InferenceResponseError(response.as_ptr())) };
        let outcome = match failed {
            Ok(()) => Ok(reply),
            Err(error) => Err(error.context(format_args!("model '{}'", pending.model))),
        };
        // Of several answers the first counts, unless one of them is an error.
        let counts = match &pending.reply {
            None => true,
            Some(former) => former.is_ok() && outcome.is_err(),
        };
        if counts {
            pending.reply = Some(outcome);
        }
    }
    if flags & sys::RESPONSE_COMPLETE_FINAL != 0 {
        // SAFETY: the last call for this pending, which `send` made from a box.
        (*unsafe { Box::from_raw(pending) }).finish();
    }
}

/// The server has no more use for a call's request.
pub(super) unsafe extern "C" fn released(
    request: *mut sys::TRITONSERVER_InferenceRequest,
    _flags: u32,
    userp: *mut c_void,
) {
    // SAFETY: called once for each request sent, with the parcel that `send` made from a box.
    let parcel = unsafe { Box::from_raw(userp.cast::<Parcel>()) };
    *lock(&parcel.shared) = None;
    if let Some(request) = NonNull::new(request) {
        // SAFETY: released, so ours again.
        unsafe { delete_request(request) };
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is replaced as a whole, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
