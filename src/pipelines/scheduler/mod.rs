//! What waits for a called model, what shares a call, and who works on its answer. Nothing here knows of speech.

pub(crate) mod batch;
pub(crate) mod pool;
pub(crate) mod queue;
