//! Component `transcribe`: recordings of any length to sentences with times.
//!
//! Other models do the work, called inside the server by their names: `vad` finds the segments in which somebody speaks, a recogniser
//! makes text of each, `punctuation` puts marks into the text. Segments of all recordings meet in the recogniser's own queue, which puts
//! those of nearly equal length into one call of its encoder.
//!
//! `WAV` and `WAV_LENS`, or `AUDIO`, as the recogniser has them, of one recording; any other input that the config lists is handed on to the
//! recogniser with every segment. `TEXT`, `RESULT_JSON` and `IS_FINAL` out: at once at the end, or, where the config says `decoupled`, what
//! is new as soon as it is there.
//!
//! Each recording has a thread, which waits for the answers of the models. Its samples are decoded as they are needed: no more than a
//! window is held, and the segments that the recogniser has.

mod calls;
mod model;
mod options;
mod recording;
mod result;
mod waiting;
mod window;

pub(crate) use self::options::PARAMETERS;
pub(crate) use self::waiting::load;
