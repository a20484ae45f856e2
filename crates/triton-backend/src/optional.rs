//! Functions of servers newer than the oldest one we support, looked up in the running process.

use std::sync::OnceLock;

use crate::symbols::find;
use crate::sys;

type IsCancelled =
    unsafe extern "C" fn(*mut sys::TRITONBACKEND_Request, *mut bool) -> sys::ErrorPtr;

/// `TRITONBACKEND_RequestIsCancelled` (backend API 1.15, Triton 2.39).
pub(crate) fn request_is_cancelled() -> Option<IsCancelled> {
    static FOUND: OnceLock<Option<IsCancelled>> = OnceLock::new();
    // SAFETY: the signature of tritonbackend.h.
    *FOUND.get_or_init(|| unsafe { find("TRITONBACKEND_RequestIsCancelled") })
}

type Timeout = unsafe extern "C" fn(*mut sys::TRITONBACKEND_Request, *mut u64) -> sys::ErrorPtr;

/// `TRITONBACKEND_InferenceRequestTimeoutMicroseconds`, (Triton 2.42).
pub(crate) fn request_timeout() -> Option<Timeout> {
    static FOUND: OnceLock<Option<Timeout>> = OnceLock::new();
    // SAFETY: the signature of tritonbackend.h.
    *FOUND.get_or_init(|| unsafe { find("TRITONBACKEND_InferenceRequestTimeoutMicroseconds") })
}

type FactoryIsCancelled =
    unsafe extern "C" fn(*mut sys::TRITONBACKEND_ResponseFactory, *mut bool) -> sys::ErrorPtr;

/// `TRITONBACKEND_ResponseFactoryIsCancelled` (backend API 1.15, Triton 2.39).
pub(crate) fn response_factory_is_cancelled() -> Option<FactoryIsCancelled> {
    static FOUND: OnceLock<Option<FactoryIsCancelled>> = OnceLock::new();
    // SAFETY: the signature of tritonbackend.h.
    *FOUND.get_or_init(|| unsafe { find("TRITONBACKEND_ResponseFactoryIsCancelled") })
}

type Cancel = unsafe extern "C" fn(*mut sys::TRITONSERVER_InferenceRequest) -> sys::ErrorPtr;

/// `TRITONSERVER_InferenceRequestCancel` (server API 1.25, Triton 2.39).
pub(crate) fn inference_request_cancel() -> Option<Cancel> {
    static FOUND: OnceLock<Option<Cancel>> = OnceLock::new();
    // SAFETY: the signature of tritonserver.h.
    *FOUND.get_or_init(|| unsafe { find("TRITONSERVER_InferenceRequestCancel") })
}
