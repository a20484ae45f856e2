//! What the server calls while a call is under way, and what these callbacks own.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reply::Reply;
use super::{Allocator, CallInput, delete_request};
use crate::error::{Error, look};
use crate::{guard, sys, zeroed};

#[derive(Debug)]
pub(super) struct RawRequest(pub(super) NonNull<sys::TRITONSERVER_InferenceRequest>);

// SAFETY: a request is the server's object without thread affinity; the mutex keeps it alive while it is used.
unsafe impl Send for RawRequest {}

pub(super) type Done = Box<dyn FnOnce(Result<Reply, Error>) + Send>;

/// What the response callback owns.
pub(super) struct Pending {
    pub(super) model: String,
    pub(super) allocator: Arc<Allocator>,
    pub(super) reply: Option<Result<Reply, Error>>,
    pub(super) done: Option<Done>,
}

/// What the release callback owns: everything the server reads while the request lives.
pub(super) struct Parcel {
    pub(super) inputs: Vec<CallInput>,
    pub(super) _allocator: Arc<Allocator>,
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

/// Gives memory for an output: always CPU memory, whatever the callee would like.
pub(super) unsafe extern "C" fn allocate(
    _allocator: *mut sys::TRITONSERVER_ResponseAllocator,
    name: *const c_char,
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
    let count = byte_size.div_ceil(size_of::<u64>());
    // SAFETY: the output's name, NUL-terminated.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    let memory = match zeroed::<u64>(count, format_args!("output '{name}' of the called model")) {
        Ok(memory) => memory.into_boxed_slice(),
        // The callee answers with it.
        Err(error) => return error.into_raw(),
    };
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

/// Says where [`allocate`] puts outputs. Without an answer the server has an error for a callee that asks, once for each
/// output of each call, which the official ONNX Runtime backend never frees.
pub(super) unsafe extern "C" fn query(
    _allocator: *mut sys::TRITONSERVER_ResponseAllocator,
    _userp: *mut c_void,
    _name: *const c_char,
    _byte_size: *mut usize,
    memory_type: *mut c_int,
    memory_type_id: *mut i64,
) -> sys::ErrorPtr {
    // SAFETY: valid out pointers; name and size, which may be null, are not looked at.
    unsafe {
        *memory_type = sys::MEMORY_CPU;
        *memory_type_id = 0;
    }
    ptr::null_mut()
}

/// Takes an output's memory back.
pub(super) unsafe extern "C" fn release(
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is replaced as a whole, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
