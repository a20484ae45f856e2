//! Copies from and to GPU memory through the CUDA runtime that the process already has.
//!
//! Linking one would keep the library from loading on machines without it, and a second copy of the runtime next to the
//! server's would not share its device context. So `cudaMemcpy` is looked up when the first GPU buffer turns up.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_NOW, Symbol};

use crate::{Error, ErrorCode, optional};

type Memcpy = unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
type ErrorString = unsafe extern "C" fn(c_int) -> *const c_char;

/// `cudaMemcpyDefault`: the runtime tells host from device by the address.
const MEMCPY_DEFAULT: c_int = 4;

struct Runtime {
    memcpy: Memcpy,
    error_string: ErrorString,
}

fn runtime() -> Option<&'static Runtime> {
    static FOUND: OnceLock<Option<Runtime>> = OnceLock::new();
    FOUND.get_or_init(|| in_process().or_else(by_name)).as_ref()
}

/// The runtime that the server itself was linked with.
fn in_process() -> Option<Runtime> {
    // SAFETY: the signatures of cuda_runtime_api.h.
    unsafe {
        Some(Runtime {
            memcpy: optional::find("cudaMemcpy")?,
            error_string: optional::find("cudaGetErrorString")?,
        })
    }
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
        // SAFETY: loading the CUDA runtime runs nothing but its own initialisers; the signatures are those of
        // cuda_runtime_api.h, and the library is never closed, so the pointers stay good.
        unsafe {
            let library = std::mem::ManuallyDrop::new(Library::open(Some(name), RTLD_NOW).ok()?);
            let memcpy: Symbol<Memcpy> = library.get("cudaMemcpy").ok()?;
            let error_string: Symbol<ErrorString> = library.get("cudaGetErrorString").ok()?;
            Some(Runtime {
                memcpy: *memcpy,
                error_string: *error_string,
            })
        }
    })
}

/// Copies `size` bytes between host and device, or device and device.
///
/// # Safety
/// Both ranges are valid for `size` bytes, in host or GPU memory, and do not overlap.
pub(crate) unsafe fn copy(to: *mut c_void, from: *const c_void, size: usize) -> Result<(), Error> {
    let Some(runtime) = runtime() else {
        return Err(Error::new(
            ErrorCode::Unavailable,
            "a tensor is in GPU memory, but this process has no CUDA runtime (libcudart) to copy it with; \
             let the step before run on the CPU, or install the CUDA runtime",
        ));
    };
    // SAFETY: the caller vouches for the ranges.
    let status = unsafe { (runtime.memcpy)(to, from, size, MEMCPY_DEFAULT) };
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the runtime returns a static string for every status.
    let reason = unsafe { CStr::from_ptr((runtime.error_string)(status)) }.to_string_lossy();
    Err(Error::internal(format!(
        "copying {size} bytes from or to GPU memory failed: {reason}"
    )))
}
