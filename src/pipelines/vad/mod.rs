//! Component `vad`: where speech begins and ends, with FSMN-VAD's model called inside the server.
//!
//! `WAV` FP32 `[rows, samples]`, `WAV_LENS` INT32 `[rows, 1]` in; `SEGMENTS_MS` INT32 `[rows, segments, 2]` out: start and end of each
//! segment in ms, rows with fewer segments than others filled with -1.
//!
//! With `sequence_batching` in its config it serves streams, a chunk of any size a request. Then `SEGMENTS_MS` has what is new:
//! `[start, -1]` when speech begins, `[-1, end]` when it ends, `[start, end]` where both came with one chunk.

mod model;
mod options;
mod pipeline;
mod stream;
mod work;

pub(crate) use self::options::{PARAMETERS, POST};
pub(crate) use self::pipeline::load;
pub(crate) use self::work::SEGMENTS_MS;
