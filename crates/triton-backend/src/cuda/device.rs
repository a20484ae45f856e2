//! The thread's current device.

use std::ffi::c_int;

use super::runtime::Runtime;
use crate::Error;

/// Makes a device the thread's current one, for as long as this lives: streams and page-locked memory are made for the
/// current device, and whoever called us has chosen one for work of its own.
///
/// Setting a device makes its context, if it has none. Putting the device before back can do the same for that one: the server makes
/// the contexts of all its GPUs when it starts.
pub(super) struct OnDevice {
    runtime: &'static Runtime,
    device: c_int,
    before: c_int,
}

impl OnDevice {
    pub(super) fn new(runtime: &'static Runtime, device: i32) -> Result<Self, Error> {
        let mut before = device;
        // SAFETY: a valid out pointer.
        let status = unsafe { (runtime.get_device)(&mut before) };
        runtime.check(status, "asking for the current GPU")?;
        if before != device {
            // SAFETY: a number, which the runtime looks at.
            let status = unsafe { (runtime.set_device)(device) };
            runtime.check(status, format_args!("choosing GPU {device}"))?;
        }
        Ok(Self {
            runtime,
            device,
            before,
        })
    }
}

impl Drop for OnDevice {
    fn drop(&mut self) {
        if self.before == self.device {
            return;
        }
        // SAFETY: a number, which the runtime gave.
        let status = unsafe { (self.runtime.set_device)(self.before) };
        let what = format_args!("choosing GPU {} again", self.before);
        if let Err(error) = self.runtime.check(status, what) {
            crate::error!("{error}");
        }
    }
}
