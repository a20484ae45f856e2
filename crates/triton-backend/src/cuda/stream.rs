//! Streams: what is asked for on one is done in order, whatever else the GPU does.

use std::ffi::c_int;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use super::device::OnDevice;
use super::runtime::{RawStream, Runtime, STREAM_NON_BLOCKING};
use crate::Error;

/// A stream that nobody else uses: what its synchronisation says was done by its user.
pub(super) struct Stream {
    runtime: &'static Runtime,
    device: c_int,
    raw: RawStream,
}

// SAFETY: a stream is used through one owner at a time, from whatever thread.
unsafe impl Send for Stream {}

/// Streams without work, for whoever copies next: making one takes longer than a small copy.
static IDLE: Mutex<Vec<Stream>> = Mutex::new(Vec::new());

/// As many copies at a time need no new stream.
const MOST_IDLE: usize = 16;

fn idle() -> std::sync::MutexGuard<'static, Vec<Stream>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// A stream of `device`, which is the current one.
    pub(super) fn take(runtime: &'static Runtime, device: i32) -> Result<Self, Error> {
        let mut idle = idle();
        if let Some(index) = idle.iter().position(|stream| stream.device == device) {
            return Ok(idle.swap_remove(index));
        }
        drop(idle);
        let mut raw = ptr::null_mut();
        // SAFETY: a valid out pointer.
        let status = unsafe { (runtime.stream_create)(&mut raw, STREAM_NON_BLOCKING) };
        runtime.check(status, format_args!("making a stream on GPU {device}"))?;
        Ok(Self {
            runtime,
            device,
            raw,
        })
    }

    pub(super) fn raw(&self) -> RawStream {
        self.raw
    }

    /// Keeps it for the next copy. Only once it has no work, and none of it failed.
    pub(super) fn give_back(self) {
        let mut idle = idle();
        if idle.len() < MOST_IDLE {
            idle.push(self);
            return;
        }
        // Not under the lock.
        drop(idle);
        drop(self);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let destroyed = OnDevice::new(self.runtime, self.device).and_then(|_current| {
            // SAFETY: ours, and not used after this.
            let status = unsafe { (self.runtime.stream_destroy)(self.raw) };
            let what = format_args!("ending a stream on GPU {}", self.device);
            self.runtime.check(status, what)
        });
        if let Err(error) = destroyed {
            crate::error!("{error}");
        }
    }
}

/// Ends the streams without work.
pub(super) fn release_idle() {
    let streams = std::mem::take(&mut *idle());
    drop(streams);
}
