//! Memory for the answers of calls.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use crate::error::{Error, check};
use crate::{cuda, guard, sys, zeroed};

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

/// The memory of an output.
enum Memory {
    /// `u64`s, so that every element type is aligned.
    Host(Box<[u64]>),
    Gpu(cuda::Piece),
}

impl Memory {
    fn new(name: &CStr, size: usize, gpu: Option<i32>) -> Result<Self, Error> {
        if let Some(device) = gpu
            && let Some(piece) = cuda::Kind::Gpu.take(size, device)
        {
            return Ok(Self::Gpu(piece));
        }
        let name = name.to_string_lossy();
        let words = size.div_ceil(size_of::<u64>());
        let memory = zeroed(words, format_args!("output '{name}' of the called model"))?;
        Ok(Self::Host(memory.into_boxed_slice()))
    }
}

/// Gives memory for an output: CPU memory, whatever the callee would like, but for those that are only carried on.
unsafe extern "C" fn allocate(
    _allocator: *mut sys::TRITONSERVER_ResponseAllocator,
    name: *const c_char,
    byte_size: usize,
    memory_type: c_int,
    memory_type_id: i64,
    userp: *mut c_void,
    buffer: *mut *mut c_void,
    buffer_userp: *mut *mut c_void,
    actual_memory_type: *mut c_int,
    actual_memory_type_id: *mut i64,
) -> sys::ErrorPtr {
    // SAFETY: valid out pointers.
    unsafe {
        *buffer = ptr::null_mut();
        *buffer_userp = ptr::null_mut();
        *actual_memory_type = sys::MEMORY_CPU;
        *actual_memory_type_id = 0;
    }
    if byte_size == 0 {
        return ptr::null_mut();
    }
    let memory = guard(|| {
        // SAFETY: the output's name, NUL-terminated, and what `send` gave.
        let (name, gpu) = unsafe {
            let gpu = may_stay_on(userp, name, (memory_type, memory_type_id));
            (CStr::from_ptr(name), gpu)
        };
        Memory::new(name, byte_size, gpu)
    });
    let mut memory = match memory {
        Ok(memory) => Box::new(memory),
        // The callee answers with it.
        Err(error) => return error.into_raw(),
    };
    // SAFETY: valid out pointers. What is in the box stays where it is until `release` takes the box.
    unsafe {
        match &mut *memory {
            Memory::Host(words) => *buffer = words.as_mut_ptr().cast(),
            Memory::Gpu(piece) => {
                *buffer = piece.start().cast();
                *actual_memory_type = sys::MEMORY_GPU;
                *actual_memory_type_id = piece.device().into();
            }
        }
        *buffer_userp = Box::into_raw(memory).cast();
    }
    ptr::null_mut()
}

/// Says where [`allocate`] puts outputs. Without an answer the server has an error for a callee that asks, once for each
/// output of each call, which the official ONNX Runtime backend never frees.
unsafe extern "C" fn query(
    _allocator: *mut sys::TRITONSERVER_ResponseAllocator,
    userp: *mut c_void,
    name: *const c_char,
    _byte_size: *mut usize,
    memory_type: *mut c_int,
    memory_type_id: *mut i64,
) -> sys::ErrorPtr {
    // SAFETY: valid pointers, which hold what the callee would like; name and size may be null, and what `send` gave.
    unsafe {
        let wanted = (*memory_type, *memory_type_id);
        let stays = guard(|| Ok(may_stay_on(userp, name, wanted)));
        if !matches!(stays, Ok(Some(_))) {
            *memory_type = sys::MEMORY_CPU;
            *memory_type_id = 0;
        }
    }
    ptr::null_mut()
}

/// The GPU on whose memory the callee would like to leave an output, if it may.
///
/// # Safety
/// `carried` is null or the list that `send` gave the server, `name` null or NUL-terminated.
unsafe fn may_stay_on(
    carried: *const c_void,
    name: *const c_char,
    (memory_type, memory_type_id): (c_int, i64),
) -> Option<i32> {
    if memory_type != sys::MEMORY_GPU || name.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; the list lives until the call's last answer and its release.
    let (carried, name) = unsafe {
        let carried = carried.cast::<Vec<CString>>().as_ref()?;
        (carried, CStr::from_ptr(name))
    };
    let is_carried = carried.iter().any(|carried| carried.as_c_str() == name);
    if !is_carried || !cuda::Kind::Gpu.is_allowed() {
        return None;
    }
    cuda::device(memory_type_id).ok()
}

/// Takes an output's memory back.
unsafe extern "C" fn release(
    _allocator: *mut sys::TRITONSERVER_ResponseAllocator,
    _buffer: *mut c_void,
    buffer_userp: *mut c_void,
    _byte_size: usize,
    _memory_type: c_int,
    _memory_type_id: i64,
) -> sys::ErrorPtr {
    if !buffer_userp.is_null() {
        // SAFETY: the box that `allocate` gave away with this output.
        let memory = unsafe { Box::from_raw(buffer_userp.cast::<Memory>()) };
        let freed = guard(|| {
            drop(memory);
            Ok(())
        });
        if let Err(error) = freed {
            crate::error!("an output's memory could not be given back: {error}");
        }
    }
    ptr::null_mut()
}
