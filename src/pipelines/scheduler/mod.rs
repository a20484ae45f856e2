//! What waits for a called model, how much of it there may be, and what shares a call. Nothing here knows of speech.

pub(crate) mod admission;
pub(crate) mod batch;
pub(crate) mod queue;
mod timed;
pub(crate) mod waiting;
