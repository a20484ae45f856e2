//! Calls to other models of the same server, answered from a callback.

mod callbacks;
mod reply;

use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};

pub use reply::{Reply, ReplyOutput};

use self::callbacks::{
    Parcel, Pending, RawRequest, allocate, completed, lock, query, release, released,
};
use crate::element::{Element, as_bytes};
use crate::error::{Error, c_string, check};
use crate::{DataType, ModelContext, Sequence, optional, sys};

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

/// What gives the server memory for answers, and takes it back: it outlives the model if an answer does.
#[derive(Debug)]
struct Allocator(NonNull<sys::TRITONSERVER_ResponseAllocator>);

// SAFETY: it is only handed to the server, from whatever thread.
unsafe impl Send for Allocator {}
// SAFETY: as above.
unsafe impl Sync for Allocator {}

/// A call under construction: the model, its inputs and what it is asked for.
#[derive(Debug)]
pub struct Call {
    model: String,
    inputs: Vec<CallInput>,
    outputs: Vec<String>,
    sequence: Option<Sequence>,
    timeout_us: Option<u64>,
}

#[derive(Debug)]
struct CallInput {
    name: String,
    data_type: DataType,
    shape: Vec<i64>,
    data: Box<dyn Data>,
}

/// Values of any element type, as the server takes them.
trait Data: std::fmt::Debug + Send {
    fn bytes(&self) -> &[u8];
}

impl<T: Element + std::fmt::Debug> Data for Vec<T> {
    fn bytes(&self) -> &[u8] {
        as_bytes(self)
    }
}

impl Call {
    /// A call of the newest version of the model called `model`.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            sequence: None,
            timeout_us: None,
        }
    }

    /// Adds an input of `shape`, batch dimension included. Values given as a `Vec` are not copied.
    #[must_use]
    pub fn input<T: Element + std::fmt::Debug>(
        mut self,
        name: impl Into<String>,
        shape: &[i64],
        values: impl Into<Vec<T>>,
    ) -> Self {
        self.inputs.push(CallInput {
            name: name.into(),
            data_type: T::DATA_TYPE,
            shape: shape.to_vec(),
            data: Box::new(values.into()),
        });
        self
    }

    /// Asks for the output called `name`. Without any, all are answered.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs.push(name.into());
        self
    }

    /// Makes the call a request of a sequence.
    #[must_use]
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The longest the call may wait in the callee's queue, where its queue policy lets requests time out.
    #[must_use]
    pub fn timeout_microseconds(mut self, timeout: u64) -> Self {
        self.timeout_us = Some(timeout);
        self
    }
}
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
        let mut allocator = ptr::null_mut();
        // SAFETY: callbacks of the right signatures, a valid out pointer, no start function.
        unsafe {
            check(sys::TRITONSERVER_ResponseAllocatorNew(
                &mut allocator,
                allocate,
                release,
                ptr::null(),
            ))?;
        }
        let allocator = NonNull::new(allocator)
            .ok_or_else(|| Error::internal("the server made no response allocator"))?;
        let allocator = Arc::new(Allocator(allocator));
        // SAFETY: a live allocator and a callback of the right signature.
        unsafe {
            check(sys::TRITONSERVER_ResponseAllocatorSetQueryFunction(
                allocator.0.as_ptr(),
                query,
            ))?;
        }
        Ok(Self {
            server: context.server,
            allocator,
        })
    }

    /// Sends the call. `done` runs exactly once, on a thread of the server's or, if the call cannot even be sent, on
    /// this one; it should not block. A panic in it is logged.
    pub fn call(
        &self,
        call: Call,
        done: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> CallHandle {
        let shared = Arc::new(Mutex::new(None));
        let handle = CallHandle {
            shared: Arc::clone(&shared),
        };
        let model = call.model.clone();
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
            reply: None,
            done: Some(Box::new(done)),
        });
        let pending = Box::into_raw(pending);
        // SAFETY: `pending` is a fresh box; on an error nobody else has it.
        if let Err(error) = unsafe { self.send(call, pending, shared) } {
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
        pending: *mut Pending,
        shared: Arc<Mutex<Option<RawRequest>>>,
    ) -> Result<(), Error> {
        let Call {
            model,
            inputs,
            outputs,
            sequence,
            timeout_us,
        } = call;
        let request = NewRequest::new(self.server, &model)?;
        let raw = request.0.as_ptr();
        let parcel = Box::new(Parcel {
            inputs,
            _allocator: Arc::clone(&self.allocator),
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
                    self.allocator.0.as_ptr(),
                    ptr::null_mut(),
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

impl Drop for Allocator {
    fn drop(&mut self) {
        // SAFETY: ours. Every call under way and every answer holds on to it.
        let deleted = unsafe { check(sys::TRITONSERVER_ResponseAllocatorDelete(self.0.as_ptr())) };
        if let Err(error) = deleted {
            crate::error!("a response allocator could not be deleted: {error}");
        }
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

/// A request that is not sent yet, deleted when dropped.
struct NewRequest(NonNull<sys::TRITONSERVER_InferenceRequest>);

impl NewRequest {
    fn new(server: NonNull<sys::TRITONSERVER_Server>, model: &str) -> Result<Self, Error> {
        let mut request = ptr::null_mut();
        let name = c_string(model);
        // SAFETY: a live server, a NUL-terminated name, a valid out pointer; -1 is the newest version.
        unsafe {
            check(sys::TRITONSERVER_InferenceRequestNew(
                &mut request,
                server.as_ptr(),
                name.as_ptr(),
                -1,
            ))?;
        }
        NonNull::new(request)
            .map(Self)
            .ok_or_else(|| Error::internal("the server made no request"))
    }
}

impl Drop for NewRequest {
    fn drop(&mut self) {
        // SAFETY: never sent, so ours.
        unsafe { delete_request(self.0) };
    }
}

/// # Safety
/// `request` is ours and not used after this.
unsafe fn delete_request(request: NonNull<sys::TRITONSERVER_InferenceRequest>) {
    // SAFETY: the caller's promise.
    if let Err(error) = unsafe { check(sys::TRITONSERVER_InferenceRequestDelete(request.as_ptr())) }
    {
        crate::error!("a call's request could not be deleted: {error}");
    }
}

impl CallInput {
    /// # Safety
    /// `request` is live, and `self` outlives it.
    unsafe fn add_to(&self, request: *mut sys::TRITONSERVER_InferenceRequest) -> Result<(), Error> {
        let name = c_string(&self.name);
        let bytes = self.data.bytes();
        // SAFETY: the caller's promise; name and shape are copied by the server.
        unsafe {
            check(sys::TRITONSERVER_InferenceRequestAddInput(
                request,
                name.as_ptr(),
                self.data_type.to_raw(),
                self.shape.as_ptr(),
                self.shape.len() as u64,
            ))?;
            check(sys::TRITONSERVER_InferenceRequestAppendInputData(
                request,
                name.as_ptr(),
                bytes.as_ptr().cast(),
                bytes.len(),
                sys::MEMORY_CPU,
                0,
            ))
        }
    }
}

/// # Safety
/// `request` is live.
unsafe fn set_sequence(
    request: *mut sys::TRITONSERVER_InferenceRequest,
    sequence: &Sequence,
) -> Result<(), Error> {
    use crate::CorrelationId::{Number, Text};
    // SAFETY: the caller's promise; the text is copied by the server.
    unsafe {
        match &sequence.id {
            Number(id) => check(sys::TRITONSERVER_InferenceRequestSetCorrelationId(
                request, *id,
            ))?,
            Text(id) => {
                check(sys::TRITONSERVER_InferenceRequestSetCorrelationIdString(
                    request,
                    id.as_ptr(),
                ))?;
            }
        }
        check(sys::TRITONSERVER_InferenceRequestSetFlags(
            request,
            sequence.flags(),
        ))
    }
}
