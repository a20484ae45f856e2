//! Memory of sizes that come from outside: a request that is too large for it fails, and the process goes on.

use std::alloc::{Layout, alloc_zeroed};
use std::fmt::Display;

use crate::element::Element;
use crate::{Error, ErrorCode};

/// `count` zeros.
///
/// What `vec![0; count]` makes, which ends the process where there is no memory. For sizes that a client, a file or a called
/// model has a say in; `what` names them in the error.
///
/// # Errors
/// If there is no memory.
pub fn zeroed<T: Element>(count: usize, what: impl Display) -> Result<Vec<T>, Error> {
    let layout = Layout::array::<T>(count).map_err(|_| none(count, size_of::<T>(), &what))?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: a layout of some bytes.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        return Err(none(count, size_of::<T>(), &what));
    }
    // SAFETY: allocated by the global allocator with the layout of `count` `T`s, for which zeros are a value.
    Ok(unsafe { Vec::from_raw_parts(memory.cast(), count, count) })
}

/// An empty vector with room for `count` values: what `Vec::with_capacity` makes, see [`zeroed`].
///
/// # Errors
/// If there is no memory.
pub fn with_room<T>(count: usize, what: impl Display) -> Result<Vec<T>, Error> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| none(count, size_of::<T>(), &what))?;
    Ok(values)
}

fn none(count: usize, size: usize, what: &impl Display) -> Error {
    let message = match count.checked_mul(size) {
        Some(bytes) => format!("no memory for {what} ({bytes} bytes)"),
        None => format!("no memory for {what} ({count} values)"),
    };
    Error::new(ErrorCode::Unavailable, message)
}
