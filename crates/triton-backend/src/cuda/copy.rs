//! Copies between host and GPU memory.

use std::ffi::c_void;

use super::device::OnDevice;
use super::runtime::{MEMCPY_DEFAULT, Runtime};
use super::stream::Stream;
use crate::Error;

/// Bytes to be copied between host and device, or device and device.
pub(crate) struct Copy {
    pub(crate) to: *mut c_void,
    pub(crate) from: *const c_void,
    pub(crate) size: usize,
    /// The GPU whose memory is on either side.
    pub(crate) device: i32,
}

/// Makes copies. All of them are done when this returns `Ok`, and none of them goes on when it returns an error.
///
/// # Safety
/// Both ranges of each are valid for its size, in host or GPU memory, and no range that is written to overlaps another.
pub(crate) unsafe fn copy(copies: &[Copy]) -> Result<(), Error> {
    let mut rest = copies;
    while let Some(first) = rest.first() {
        let count = rest
            .iter()
            .take_while(|copy| copy.device == first.device)
            .count();
        let (same_device, others) = rest.split_at(count);
        // SAFETY: the caller's promise.
        unsafe { copy_on(first.device, same_device)? };
        rest = others;
    }
    Ok(())
}

/// # Safety
/// As [`copy`].
unsafe fn copy_on(device: i32, copies: &[Copy]) -> Result<(), Error> {
    let runtime = Runtime::get()?;
    let _current = OnDevice::new(runtime, device)?;
    let stream = Stream::take(runtime, device)?;
    let check = |status, size| {
        let what = format_args!("copying {size} bytes from or to GPU {device}");
        runtime.check(status, what)
    };
    let asked = copies.iter().try_for_each(|copy| {
        let Copy { to, from, size, .. } = *copy;
        // SAFETY: the caller vouches for the ranges, and is not told that they are free before the stream has no work left.
        let status =
            unsafe { (runtime.memcpy_async)(to, from, size, MEMCPY_DEFAULT, stream.raw()) };
        check(status, size)
    });
    // Also if not all could be asked for: those that were are under way. When it fails there is nothing under way either: it
    // tells what became of the stream's work, and after the errors that leave this open the device does no more work at all.
    // SAFETY: a live stream.
    let status = unsafe { (runtime.stream_synchronize)(stream.raw()) };
    let done = check(status, copies.iter().map(|copy| copy.size).sum());
    asked.and(done)?;
    stream.give_back();
    Ok(())
}
