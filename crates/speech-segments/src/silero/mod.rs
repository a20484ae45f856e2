//! Where speech begins and ends: what Silero's model leaves to be done.
//!
//! The model says for each window (512 samples, 32 ms) how probable it is that somebody speaks. What becomes of that is, for whole
//! recordings, what `get_speech_timestamps` of the Python package `silero-vad` makes of it (6.2.3, <https://github.com/snakers4/silero-vad>),
//! and, for streams, what its `VADIterator` does, window by window.

mod detector;
mod options;
mod recording;
mod stream;

pub use detector::{NotAProbability, SileroDetector};
pub use options::{SileroError, SileroOptions};

/// Samples per second that the model is asked with.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples of a window.
pub const WINDOW: usize = 512;
/// Samples before a window that the model hears with it.
pub const CONTEXT: usize = 64;

/// Samples of a millisecond.
const PER_MS: i64 = 16;
/// Samples of a window, to reckon with.
const STEP: i64 = 512;
