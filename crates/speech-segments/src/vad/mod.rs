//! Where speech begins and ends: what FSMN-VAD's model leaves to be done.
//!
//! The model says for each frame (10 ms) how probable each of its classes is; some of them are silence. A frame is speech if
//! the others together are more probable than silence by [`VadOptions::speech_noise_thres`]. Speech begins when enough of the
//! frames of a window are speech, and ends after enough silence behind it, or when a segment gets too long. This is the end-point
//! state machine of FunASR's FSMN-VAD ("Deep-FSMN for Large Vocabulary Continuous Speech Recognition", arXiv:1803.05030, and
//! FunASR's `e2e_vad`), frame by frame: how frames are cut into chunks changes nothing but when an answer comes.

mod decibels;
mod detector;
mod frames;
mod options;
mod window;

pub use decibels::{decibel, decibels};
pub use detector::{Detector, Event, Mode};
pub use frames::{Frames, VadError};
pub use options::{Utterances, VadOptions};
