//! Calls to other models of the same server, answered from a callback.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use crate::element::{Element, as_bytes, element_count};
use crate::error::{Error, c_string, check, look};
use crate::{DataType, ModelContext, Sequence, cuda, guard, optional, sys};

/// Makes calls on behalf of a model. One per model suffices; it is shared between threads.
#[derive(Debug)]
pub struct Caller {
    server: NonNull<sys::TRITONSERVER_Server>,
    allocator: NonNull<sys::TRITONSERVER_ResponseAllocator>,
}

// SAFETY: the server's API may be called from any thread; the allocator is only handed to it.
unsafe impl Send for Caller {}
// SAFETY: as above.
unsafe impl Sync for Caller {}

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
    bytes: Vec<u8>,
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

    /// Adds an input of `shape`, batch dimension included. The values are copied once, into the call.
    #[must_use]
    pub fn input<T: Element>(
        mut self,
        name: impl Into<String>,
        shape: &[i64],
        values: &[T],
    ) -> Self {
        self.inputs.push(CallInput {
            name: name.into(),
            data_type: T::DATA_TYPE,
            shape: shape.to_vec(),
            bytes: as_bytes(values).to_vec(),
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

/// What a model answered.
#[derive(Debug)]
pub struct Reply {
    response: NonNull<sys::TRITONSERVER_InferenceResponse>,
}

// SAFETY: a response is the server's object without thread affinity, used through one owner at a time.
unsafe impl Send for Reply {}

/// A call on its way.
#[derive(Clone, Debug)]
pub struct CallHandle {
    shared: Arc<Mutex<Option<RawRequest>>>,
}

#[derive(Debug)]
struct RawRequest(NonNull<sys::TRITONSERVER_InferenceRequest>);

// SAFETY: a request is the server's object without thread affinity; the mutex keeps it alive while it is used.
unsafe impl Send for RawRequest {}

type Done = Box<dyn FnOnce(Result<Reply, Error>) + Send>;

/// What the response callback owns.
struct Pending {
    model: String,
    reply: Option<Result<Reply, Error>>,
    done: Option<Done>,
}

/// What the release callback owns: everything the server reads while the request lives.
struct Parcel {
    _inputs: Vec<CallInput>,
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
        let pending = Box::new(Pending {
            model: model.clone(),
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
            _inputs: inputs,
            shared: Arc::clone(&shared),
        });
        // SAFETY: a live request; names and shapes are copied by the server; the inputs' bytes live in the parcel until
        // the release callback. The callbacks have the right signatures and get what they expect.
        unsafe {
            for input in &parcel._inputs {
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
                    self.allocator.as_ptr(),
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

impl Drop for Caller {
    fn drop(&mut self) {
        // SAFETY: ours. Calls under way belong to requests of the model, which outlives them, and so does this.
        let deleted = unsafe {
            check(sys::TRITONSERVER_ResponseAllocatorDelete(
                self.allocator.as_ptr(),
            ))
        };
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
                self.bytes.as_ptr().cast(),
                self.bytes.len(),
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
                    c_string(id).as_ptr(),
                ))?;
            }
        }
        check(sys::TRITONSERVER_InferenceRequestSetFlags(
            request,
            sequence.flags(),
        ))
    }
}

impl Pending {
    fn finish(mut self) {
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
unsafe extern "C" fn completed(
    response: *mut sys::TRITONSERVER_InferenceResponse,
    flags: u32,
    userp: *mut c_void,
) {
    let pending = userp.cast::<Pending>();
    if let Some(response) = NonNull::new(response) {
        let reply = Reply { response };
        // SAFETY: the server calls this with what `send` gave it, one call at a time, until the final flag.
        let pending = unsafe { &mut *pending };
        // SAFETY: a live response, whose error stays its own.
        let failed = unsafe { look(sys::TRITONSERVER_InferenceResponseError(response.as_ptr())) };
        if pending.reply.is_none() {
            pending.reply = Some(match failed {
                Ok(()) => Ok(reply),
                Err(error) => Err(error.context(format_args!("model '{}'", pending.model))),
            });
        }
    }
    if flags & sys::RESPONSE_COMPLETE_FINAL != 0 {
        // SAFETY: the last call for this pending, which `send` made from a box.
        (*unsafe { Box::from_raw(pending) }).finish();
    }
}

/// The server has no more use for a call's request.
unsafe extern "C" fn released(
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

/// Gives memory for an output: always CPU memory, whatever the callee would like.
unsafe extern "C" fn allocate(
    _allocator: *mut sys::TRITONSERVER_ResponseAllocator,
    _name: *const c_char,
    byte_size: usize,
    _memory_type: c_int,
    _memory_type_id: i64,
    _userp: *mut c_void,
    buffer: *mut *mut c_void,
    buffer_userp: *mut *mut c_void,
    actual_memory_type: *mut c_int,
    actual_memory_type_id: *mut i64,
) -> sys::ErrorPtr {
    // `u64`s, so that every element type is aligned.
    let memory = vec![0_u64; byte_size.div_ceil(size_of::<u64>())].into_boxed_slice();
    let length = memory.len();
    // SAFETY: valid out pointers. `release` makes the box again from address and length.
    unsafe {
        *buffer = if byte_size == 0 {
            ptr::null_mut()
        } else {
            Box::into_raw(memory).cast()
        };
        *buffer_userp = ptr::without_provenance_mut(length);
        *actual_memory_type = sys::MEMORY_CPU;
        *actual_memory_type_id = 0;
    }
    ptr::null_mut()
}

unsafe extern "C" fn release(
    _allocator: *mut sys::TRITONSERVER_ResponseAllocator,
    buffer: *mut c_void,
    buffer_userp: *mut c_void,
    _byte_size: usize,
    _memory_type: c_int,
    _memory_type_id: i64,
) -> sys::ErrorPtr {
    if !buffer.is_null() {
        let memory = ptr::slice_from_raw_parts_mut(buffer.cast::<u64>(), buffer_userp.addr());
        // SAFETY: the address and length of the box that `allocate` gave away.
        drop(unsafe { Box::from_raw(memory) });
    }
    ptr::null_mut()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is inside is replaced as a whole, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An output of a [`Reply`].
#[derive(Debug)]
pub struct ReplyOutput<'r> {
    /// Its name.
    pub name: &'r str,
    /// The type of its elements.
    pub data_type: DataType,
    /// Its shape, batch dimension included.
    pub shape: &'r [i64],
    base: *const c_void,
    byte_size: usize,
    on_gpu: bool,
}

impl Reply {
    /// The output called `name`.
    ///
    /// # Errors
    /// If the model did not answer it.
    pub fn output(&self, name: &str) -> Result<ReplyOutput<'_>, Error> {
        let mut count = 0_u32;
        // SAFETY: a live response and a valid out pointer.
        unsafe {
            check(sys::TRITONSERVER_InferenceResponseOutputCount(
                self.response.as_ptr(),
                &mut count,
            ))?
        };
        for index in 0..count {
            let output = self.output_at(index)?;
            if output.name == name {
                return Ok(output);
            }
        }
        Err(Error::internal(format!(
            "the called model answered no output '{name}'"
        )))
    }

    fn output_at(&self, index: u32) -> Result<ReplyOutput<'_>, Error> {
        let mut name = ptr::null();
        let mut data_type: c_int = 0;
        let mut shape = ptr::null();
        let mut rank = 0_u64;
        let mut base = ptr::null();
        let mut byte_size = 0_usize;
        let mut memory_type: c_int = 0;
        let mut memory_type_id = 0_i64;
        let mut userp = ptr::null_mut();
        // SAFETY: a live response and valid out pointers; what they receive lives as long as the response.
        unsafe {
            check(sys::TRITONSERVER_InferenceResponseOutput(
                self.response.as_ptr(),
                index,
                &mut name,
                &mut data_type,
                &mut shape,
                &mut rank,
                &mut base,
                &mut byte_size,
                &mut memory_type,
                &mut memory_type_id,
                &mut userp,
            ))?;
            let name = CStr::from_ptr(name).to_str().unwrap_or("");
            let data_type = DataType::from_raw(data_type).ok_or_else(|| {
                Error::internal(format!("output '{name}' has unknown data type {data_type}"))
            })?;
            let rank = usize::try_from(rank).unwrap_or(0);
            let shape = if rank == 0 {
                &[][..]
            } else {
                std::slice::from_raw_parts(shape, rank)
            };
            let on_gpu = memory_type == sys::MEMORY_GPU;
            Ok(ReplyOutput {
                name,
                data_type,
                shape,
                base,
                byte_size,
                on_gpu,
            })
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // SAFETY: ours since the callback.
        if let Err(error) = unsafe {
            check(sys::TRITONSERVER_InferenceResponseDelete(
                self.response.as_ptr(),
            ))
        } {
            crate::error!("an answer could not be deleted: {error}");
        }
    }
}

impl<'r> ReplyOutput<'r> {
    /// The elements.
    ///
    /// # Errors
    /// If the output is not of type `T`, its bytes are not what its shape says, or GPU memory cannot be copied.
    pub fn read<T: Element>(&self) -> Result<std::borrow::Cow<'r, [T]>, Error> {
        let Self {
            name,
            data_type,
            shape,
            byte_size,
            ..
        } = self;
        if *data_type != T::DATA_TYPE {
            let message = format!(
                "output '{name}' of the called model is {data_type}, expected {}",
                T::DATA_TYPE
            );
            return Err(Error::internal(message));
        }
        let count = element_count(shape)
            .filter(|count| count.checked_mul(size_of::<T>()) == Some(*byte_size))
            .ok_or_else(|| {
                Error::internal(format!(
                    "output '{name}' of the called model has {byte_size} bytes, but shape {shape:?}"
                ))
            })?;
        if count == 0 {
            return Ok(std::borrow::Cow::Borrowed(&[]));
        }
        if !self.on_gpu && self.base.cast::<T>().is_aligned() {
            // SAFETY: aligned, of `count` elements, alive as long as the reply; every bit pattern is a `T`.
            let values = unsafe { std::slice::from_raw_parts(self.base.cast::<T>(), count) };
            return Ok(std::borrow::Cow::Borrowed(values));
        }
        let mut values = Vec::<T>::with_capacity(count);
        // SAFETY: room for `count` elements, all of which are copied before the length is set.
        unsafe {
            if self.on_gpu {
                cuda::copy(values.as_mut_ptr().cast(), self.base, *byte_size)?;
            } else {
                ptr::copy_nonoverlapping(
                    self.base.cast::<u8>(),
                    values.as_mut_ptr().cast(),
                    *byte_size,
                );
            }
            values.set_len(count);
        }
        Ok(std::borrow::Cow::Owned(values))
    }
}
