//! What waits for a called model, how much of it there may be, what shares a call, and who works on its answer. Nothing here knows
//! of speech.

pub(crate) mod admission;
pub(crate) mod batch;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod waiting;
