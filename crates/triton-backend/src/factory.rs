//! Response factories: what makes the response to a request, and keeps the model, when the request is released.

use std::ptr::{self, NonNull};

use crate::error::{Error, check};
use crate::{Request, Response, optional, sys};

/// A response factory of the server.
pub(crate) struct ResponseFactory(NonNull<sys::TRITONBACKEND_ResponseFactory>);

// SAFETY: a response factory is the server's object without thread affinity, used through one owner at a time. Shared
// access only reads its properties.
unsafe impl Send for ResponseFactory {}
// SAFETY: as above.
unsafe impl Sync for ResponseFactory {}

impl ResponseFactory {
    /// The factory of `request`'s response.
    pub(crate) fn new(request: &Request) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: a live request and a valid out pointer.
        unsafe {
            check(sys::TRITONBACKEND_ResponseFactoryNew(
                &mut raw,
                request.raw(),
            ))?
        };
        NonNull::new(raw)
            .map(Self)
            .ok_or_else(|| Error::internal("the server made no response factory"))
    }

    /// Whether the client has taken the request back (always false on servers before 2.39).
    pub(crate) fn is_cancelled(&self) -> bool {
        let Some(is_cancelled) = optional::response_factory_is_cancelled() else {
            return false;
        };
        let mut cancelled = false;
        // SAFETY: a live factory and a valid out pointer.
        unsafe { check(is_cancelled(self.0.as_ptr(), &mut cancelled)).is_ok() && cancelled }
    }

    /// Starts the response.
    pub(crate) fn response(&self) -> Result<Response, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: a live factory and a valid out pointer; the response is new and ours.
        unsafe {
            let factory = self.0.as_ptr();
            check(sys::TRITONBACKEND_ResponseNewFromFactory(&mut raw, factory))?;
            Response::from_raw(raw)
        }
    }
}

impl Drop for ResponseFactory {
    fn drop(&mut self) {
        // SAFETY: ours, and not used after this.
        let deleted = unsafe { check(sys::TRITONBACKEND_ResponseFactoryDelete(self.0.as_ptr())) };
        if let Err(error) = deleted {
            crate::error!("a response factory could not be deleted: {error}");
        }
    }
}
