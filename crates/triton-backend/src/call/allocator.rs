//! Memory for the answers of calls.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use crate::error::{Error, check};
use crate::{sys, zeroed};

/// What gives the server memory for answers, and takes it back: it outlives the model if an answer does.
#[derive(Debug)]
pub(super) struct Allocator(NonNull<sys::TRITONSERVER_ResponseAllocator>);

// SAFETY: it is only handed to the server, from whatever thread.
unsafe impl Send for Allocator {}
// SAFETY: as above.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// A new one.
    pub(super) fn new() -> Result<Self, Error> {
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
            .map(Self)
            .ok_or_else(|| Error::internal("the server made no response allocator"))?;
        // SAFETY: a live allocator and a callback of the right signature.
        unsafe {
            check(sys::TRITONSERVER_ResponseAllocatorSetQueryFunction(
                allocator.0.as_ptr(),
                query,
            ))?;
        }
        Ok(allocator)
    }

    pub(super) fn raw(&self) -> *mut sys::TRITONSERVER_ResponseAllocator {
        self.0.as_ptr()
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

/// Gives memory for an output: always CPU memory, whatever the callee would like.
unsafe extern "C" fn allocate(
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
unsafe extern "C" fn query(
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
