//! What all fuzz targets ask of a reader: memory in proportion to the file, and messages that a person can read.
#![forbid(unsafe_code)]

pub mod audio;

use std::fmt::Display;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a reader may take besides its share per byte: tables, buffers, a message.
const ANYWAY: usize = 1 << 20;

/// Bytes of a message beside what it may quote of the file.
const LONGEST_MESSAGE: usize = 600;

/// Runs `read` on a file of `size` bytes.
///
/// # Panics
/// When more than `factor` bytes per byte of the file were allocated at once.
pub fn within<T>(size: usize, factor: usize, read: impl FnOnce() -> T) -> T {
    within_all(factor * size + ANYWAY, read)
}

/// Runs `read` on a file.
///
/// # Panics
/// When more than `most` bytes were allocated at once.
pub fn within_all<T>(most: usize, read: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let value = read();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= most, "{taken} bytes of memory where {most} are allowed");
    value
}

/// The value, if there is one.
///
/// # Panics
/// When the error says nothing, or more than a person reads.
pub fn value<T, E: Display>(result: Result<T, E>) -> Option<T> {
    result
        .inspect_err(|error| {
            let message = error.to_string();
            assert!(!message.is_empty());
            assert!(
                message.len() <= LONGEST_MESSAGE,
                "a message of {} bytes: {message}",
                message.len()
            );
        })
        .ok()
}
