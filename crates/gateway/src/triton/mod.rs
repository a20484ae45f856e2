//! Triton servers, reached by gRPC.

mod client;
mod error;
#[doc(hidden)]
pub mod messages;
mod model;
mod pool;
mod sequence;
mod server;
mod tensors;

pub(crate) use error::CallError;
#[cfg(test)]
pub(crate) use model::tests_of_models;
pub(crate) use model::{Model, Role};
pub(crate) use pool::{Pool, Segments};
pub(crate) use sequence::Sequence;
pub(crate) use tensors::{Answer, FileBytes, Input};
