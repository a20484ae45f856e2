//! Tensors in GPU memory: copies from and to it, through the CUDA runtime that the process already has.
//!
//! A copy is asked for on a stream of its own and waited for: never on the legacy default stream, which would wait for, and
//! hold up, whatever else the process does on that GPU. The host's side is page-locked memory where there is some left of
//! a [bounded pool](pool), so that the copy needs no second one. The thread's current device is what it was before.
//!
//! What is said of the runtime's functions here is what NVIDIA's "CUDA Runtime API" says, sections 6.3 (devices), 6.5
//! (streams) and 6.11 (memory).

mod copy;
mod device;
mod pool;
mod runtime;
mod staging;
mod stream;

use crate::Error;

pub(crate) use copy::{Copy, copy};
pub(crate) use pool::{Kind, Piece};
pub(crate) use staging::Staging;

/// The number of a GPU, as the server gives it with memory on one.
pub(crate) fn device(memory_type_id: i64) -> Result<i32, Error> {
    i32::try_from(memory_type_id)
        .map_err(|_| Error::internal(format!("the server names a GPU {memory_type_id}")))
}

/// Gives back what is kept for later copies: when the backend goes, while the runtime is still there.
pub(crate) fn release_idle() {
    Kind::PageLocked.release_idle();
    Kind::Gpu.release_idle();
    stream::release_idle();
}
