//! Calls to other models of the same server, answered from a callback.

mod allocator;
mod callbacks;
mod caller;
mod carried;
mod chunk;
mod reply;
mod request;

pub use caller::{CallHandle, Caller};
pub use carried::Carried;
pub use reply::{Reply, ReplyOutput};
pub use request::Call;
