//! The server around a model: what it says of itself and of its other models.

use std::ptr::{self, NonNull};

use crate::context::take_json;
use crate::error::{Error, ErrorCode, c_string, check};
use crate::{ModelContext, sys};

/// The server that a model is loaded in. It outlives all of its models.
#[derive(Clone, Copy, Debug)]
pub struct Server(NonNull<sys::TRITONSERVER_Server>);

// SAFETY: the server's API may be called from any thread.
unsafe impl Send for Server {}
// SAFETY: as above.
unsafe impl Sync for Server {}

impl Server {
    /// The server of the model being loaded.
    pub fn of(context: &ModelContext) -> Self {
        Self(context.server)
    }

    /// Whether the server was told to stop: it begins no streams any more, and waits for those under way.
    pub fn is_stopping(self) -> bool {
        let mut live = false;
        // SAFETY: a live server and a valid out pointer.
        let asked = unsafe { check(sys::TRITONSERVER_ServerIsLive(self.0.as_ptr(), &mut live)) };
        // A server that starts is not live yet, but has no error to tell.
        asked.is_err_and(|error| error.code() == ErrorCode::Unavailable)
    }

    /// Whether the newest version of the model called `name` is ready. False for models that do not exist (yet), and while the
    /// server itself starts.
    pub fn model_is_ready(self, name: &str) -> bool {
        let mut ready = false;
        let name = c_string(name);
        // SAFETY: a live server, a NUL-terminated name, a valid out pointer; -1 is the newest version.
        let asked = unsafe {
            check(sys::TRITONSERVER_ServerModelIsReady(
                self.0.as_ptr(),
                name.as_ptr(),
                -1,
                &mut ready,
            ))
        };
        asked.is_ok() && ready
    }

    /// The config of the newest version of the model called `name`, as the server completed it.
    ///
    /// # Errors
    /// If there is no such model, or the server is not ready.
    pub fn model_config(self, name: &str) -> Result<serde_json::Value, Error> {
        let mut message = ptr::null_mut();
        let name = c_string(name);
        // SAFETY: a live server, a NUL-terminated name, a valid out pointer; the message is ours.
        unsafe {
            check(sys::TRITONSERVER_ServerModelConfig(
                self.0.as_ptr(),
                name.as_ptr(),
                -1,
                1,
                &mut message,
            ))?;
            take_json(message)
        }
    }

    /// The names of the models that are ready.
    ///
    /// # Errors
    /// If the server cannot tell.
    pub fn ready_models(self) -> Result<Vec<String>, Error> {
        let mut message = ptr::null_mut();
        // SAFETY: a live server and a valid out pointer; the message is ours.
        let index = unsafe {
            check(sys::TRITONSERVER_ServerModelIndex(
                self.0.as_ptr(),
                sys::MODEL_INDEX_READY,
                &mut message,
            ))?;
            take_json(message)?
        };
        let entries = index.as_array().map_or(&[][..], Vec::as_slice);
        let name = |entry: &serde_json::Value| entry.get("name")?.as_str().map(str::to_owned);
        Ok(entries.iter().filter_map(name).collect())
    }
}
