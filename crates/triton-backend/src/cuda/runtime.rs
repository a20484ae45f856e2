//! The functions of the CUDA runtime, looked up when the first GPU buffer turns up.
//!
//! Linking one would keep the library from loading on machines without it, and a second copy of the runtime next to the
//! server's would not share its device contexts.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt::Display;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_NOW};

use crate::{Error, ErrorCode, symbols};

/// `cudaMemcpyDefault`: the runtime tells host from device by the address.
pub(super) const MEMCPY_DEFAULT: c_int = 4;
/// `cudaStreamNonBlocking`: the stream and the legacy default stream do not wait for each other.
pub(super) const STREAM_NON_BLOCKING: c_uint = 1;
/// `cudaHostAllocPortable`: page-locked for every device, not only for the one that is current.
pub(super) const HOST_ALLOC_PORTABLE: c_uint = 1;

/// `cudaErrorMemoryAllocation` and `cudaErrorDevicesUnavailable`: a later try may succeed.
const TRANSIENT: [c_int; 2] = [2, 46];

/// A `cudaStream_t`.
pub(super) type RawStream = *mut c_void;

macro_rules! runtime {
    ($($field:ident = $name:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// The signatures of cuda_runtime_api.h, the same in CUDA 11, 12 and 13.
        pub(super) struct Runtime {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Runtime {
            /// # Safety
            /// If `library` has functions of these names, they are the CUDA runtime's, and they stay.
            unsafe fn of(library: &Library) -> Option<Self> {
                // SAFETY: the caller's promise, and the signatures above.
                unsafe { Some(Self { $($field: *library.get($name).ok()?,)* }) }
            }

            /// # Safety
            /// If the process, or the server's library, has functions of these names, they are the CUDA runtime's.
            unsafe fn of_process() -> Option<Self> {
                // SAFETY: the caller's promise, and the signatures above.
                unsafe { Some(Self { $($field: symbols::find($name)?,)* }) }
            }
        }
    };
}

runtime! {
    get_device = "cudaGetDevice": fn(*mut c_int) -> c_int;
    set_device = "cudaSetDevice": fn(c_int) -> c_int;
    stream_create = "cudaStreamCreateWithFlags": fn(*mut RawStream, c_uint) -> c_int;
    stream_synchronize = "cudaStreamSynchronize": fn(RawStream) -> c_int;
    stream_destroy = "cudaStreamDestroy": fn(RawStream) -> c_int;
    memcpy_async = "cudaMemcpyAsync": fn(*mut c_void, *const c_void, usize, c_int, RawStream) -> c_int;
    host_alloc = "cudaHostAlloc": fn(*mut *mut c_void, usize, c_uint) -> c_int;
    free_host = "cudaFreeHost": fn(*mut c_void) -> c_int;
    malloc = "cudaMalloc": fn(*mut *mut c_void, usize) -> c_int;
    free = "cudaFree": fn(*mut c_void) -> c_int;
    get_last_error = "cudaGetLastError": fn() -> c_int;
    error_string = "cudaGetErrorString": fn(c_int) -> *const c_char;
}

impl Runtime {
    /// The process's runtime.
    pub(super) fn get() -> Result<&'static Self, Error> {
        static FOUND: OnceLock<Option<Runtime>> = OnceLock::new();
        let found = FOUND.get_or_init(|| in_process().or_else(by_name));
        found.as_ref().ok_or_else(|| {
            Error::new(
                ErrorCode::Unavailable,
                "a tensor is in GPU memory, but this process has no CUDA runtime (libcudart) to copy it with; \
                 let the step before run on the CPU, or install the CUDA runtime",
            )
        })
    }

    /// What came of `what`.
    pub(super) fn check(&self, status: c_int, what: impl Display) -> Result<(), Error> {
        if status == 0 {
            return Ok(());
        }
        // The runtime also remembers the failure for whoever in this thread asks next what went wrong, say after starting a
        // kernel of a model's: that was told here.
        // SAFETY: a function without arguments.
        unsafe { (self.get_last_error)() };
        // SAFETY: the runtime returns a static string for every status.
        let reason = unsafe { CStr::from_ptr((self.error_string)(status)) }.to_string_lossy();
        Err(match TRANSIENT.contains(&status) {
            true => Error::new(
                ErrorCode::Unavailable,
                format!(
                    "{what} failed: {reason} (CUDA error {status}); try again when the GPU is less busy, or leave it more memory: \
                     fewer or smaller models, gpu_mem_limit"
                ),
            ),
            false => Error::internal(format!("{what} failed: {reason} (CUDA error {status})")),
        })
    }
}

/// The runtime that the server itself was linked with.
fn in_process() -> Option<Runtime> {
    // SAFETY: what the process itself or its server has of these names is the CUDA runtime, and is never unloaded.
    unsafe { Runtime::of_process() }
}

/// A runtime that another backend brought, or the system's.
fn by_name() -> Option<Runtime> {
    const NAMES: [&str; 4] = [
        "libcudart.so.13",
        "libcudart.so.12",
        "libcudart.so.11.0",
        "libcudart.so",
    ];
    NAMES.into_iter().find_map(|name| {
        // SAFETY: loading the CUDA runtime runs nothing but its own initialisers, and the library is never closed.
        unsafe {
            Runtime::of(&ManuallyDrop::new(
                Library::open(Some(name), RTLD_NOW).ok()?,
            ))
        }
    })
}
