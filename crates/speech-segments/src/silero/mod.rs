//! Where speech begins and ends: what Silero's model leaves to be done.
//!
//! The model says for each window (512 samples, 32 ms) how probable it is that somebody speaks. What becomes of that is, for whole
//! recordings, what `get_speech_timestamps` of the Python package `silero-vad` makes of it (6.2.3, <https://github.com/snakers4/silero-vad>),
//! and, for streams, what its `VADIterator` does, window by window.

mod detector;
mod options;
mod recording;
mod sizes;
mod stream;

pub use detector::{NotAProbability, SileroDetector};
pub use options::{SileroError, SileroOptions};
pub use sizes::{CONTEXT, SAMPLE_RATE, WINDOW};
