//! What the model hears.

/// Samples per second that the model is asked with.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples of a window.
pub const WINDOW: usize = 512;
/// Samples before a window that the model hears with it.
pub const CONTEXT: usize = 64;

/// Samples of a millisecond.
pub(super) const PER_MS: i64 = 16;
/// Samples of a window, to reckon with.
pub(super) const STEP: i64 = 512;
