//! Sending calls.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};

use super::allocator::Allocator;
use super::callbacks::{Parcel, Pending, RawRequest, completed, lock, released};
use super::reply::Reply;
use super::request::{Call, NewRequest, set_sequence};
use crate::error::{Error, c_string, check};
use crate::{ModelContext, Sequence, optional, sys};

/// Makes calls on behalf of a model. One per model suffices; it is shared between threads.
#[derive(Debug)]
pub struct Caller {
    server: NonNull<sys::TRITONSERVER_Server>,
    allocator: Arc<Allocator>,
}

// SAFETY: the server's API may be called from any thread.
unsafe impl Send for Caller {}
// SAFETY: as above.
unsafe impl Sync for Caller {}

/// A call on its way.
#[derive(Clone, Debug)]
pub struct CallHandle {
    shared: Arc<Mutex<Option<RawRequest>>>,
}

impl Caller {
    /// A caller for the model being loaded.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn new(context: &ModelContext) -> Result<Self, Error> {
        Ok(Self {
            server: context.server,
            allocator: Arc::new(Allocator::new()?),
        })
    }

    /// Sends the call. `done` runs exactly once, on a thread of the server's or, if the call cannot even be sent, on
    /// this one; it should not block. A panic in it is logged.
    pub fn call(
        &self,
        mut call: Call,
        done: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> CallHandle {
        let shared = Arc::new(Mutex::new(None));
        let handle = CallHandle {
            shared: Arc::clone(&shared),
        };
        let model = call.model.clone();
        let carried = Arc::new(std::mem::take(&mut call.carried));
        let id = call.sequence.as_ref().and_then(Sequence::text);
        let done = move |reply: Result<Reply, Error>| {
            done(match id {
                Some(id) => reply.map_err(|error| error.with_excerpt_of(&id)),
                None => reply,
            });
        };
        let pending = Box::new(Pending {
            model: model.clone(),
            allocator: Arc::clone(&self.allocator),
            _carried: Arc::clone(&carried),
            reply: None,
            done: Some(Box::new(done)),
        });
        let pending = Box::into_raw(pending);
        // SAFETY: `pending` is a fresh box; on an error nobody else has it.
        if let Err(error) = unsafe { self.send(call, carried, pending, shared) } {
            // SAFETY: as above.
            let mut pending = *unsafe { Box::from_raw(pending) };
            pending.reply = Some(Err(error.context(format_args!("calling model '{model}'"))));
            pending.finish();
        }
        handle
    }

    /// # Safety
    /// `pending` came from a box. On `Ok` the response callback owns it, on `Err` the caller does.
    unsafe fn send(
        &self,
        call: Call,
        carried: Arc<Vec<CString>>,
        pending: *mut Pending,
        shared: Arc<Mutex<Option<RawRequest>>>,
    ) -> Result<(), Error> {
        let Call {
            model,
            inputs,
            outputs,
            sequence,
            timeout_us,
            ..
        } = call;
        let request = NewRequest::new(self.server, &model)?;
        let raw = request.0.as_ptr();
        // It stays where it is until both callbacks have run: a callee may ask after its answer, and answer after the release.
        let list = Arc::as_ptr(&carried);
        let parcel = Box::new(Parcel {
            inputs,
            _allocator: Arc::clone(&self.allocator),
            _carried: carried,
            shared: Arc::clone(&shared),
        });
        // SAFETY: a live request; names and shapes are copied by the server; the inputs' bytes live in the parcel until
        // the release callback. The callbacks have the right signatures and get what they expect.
        unsafe {
            for input in &parcel.inputs {
                input.add_to(raw)?;
            }
            for output in &outputs {
                check(sys::TRITONSERVER_InferenceRequestAddRequestedOutput(
                    raw,
                    c_string(output).as_ptr(),
                ))?;
            }
            if let Some(sequence) = &sequence {
                set_sequence(raw, sequence)?;
            }
            if let Some(timeout) = timeout_us {
                check(sys::TRITONSERVER_InferenceRequestSetTimeoutMicroseconds(
                    raw, timeout,
                ))?;
            }
            let parcel = Box::into_raw(parcel);
            let sent = check(sys::TRITONSERVER_InferenceRequestSetReleaseCallback(
                raw,
                released,
                parcel.cast(),
            ))
            .and_then(|()| {
                check(sys::TRITONSERVER_InferenceRequestSetResponseCallback(
                    raw,
                    self.allocator.raw(),
                    list.cast_mut().cast(),
                    completed,
                    pending.cast(),
                ))
            })
            .and_then(|()| {
                // Before sending: the release callback may run before the call below returns.
                *lock(&shared) = Some(RawRequest(request.0));
                check(sys::TRITONSERVER_ServerInferAsync(
                    self.server.as_ptr(),
                    raw,
                    ptr::null_mut(),
                ))
            });
            match sent {
                Ok(()) => std::mem::forget(request),
                Err(error) => {
                    *lock(&shared) = None;
                    drop(Box::from_raw(parcel));
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl CallHandle {
    /// Takes the call back, if it is still under way and the server knows how (2.39 and newer). Its callback still
    /// runs, with an error if the callee heeded the wish.
    pub fn cancel(&self) {
        let Some(cancel) = optional::inference_request_cancel() else {
            return;
        };
        if let Some(request) = &*lock(&self.shared) {
            // SAFETY: the release callback takes the request out under this lock before it deletes it.
            if let Err(error) = unsafe { check(cancel(request.0.as_ptr())) } {
                crate::verbose!("a call could not be cancelled: {error}");
            }
        }
    }
}
