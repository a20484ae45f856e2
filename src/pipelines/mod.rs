//! Whole models: components that own a request and call encoder and decoder inside the server (BLS, in Triton's words).

pub(crate) mod callee;
mod chain;
pub(crate) mod offline;
pub(crate) mod options;
pub(crate) mod punctuation;
mod rows;
pub(crate) mod scheduler;
mod segments;
pub(crate) mod streaming;
pub(crate) mod transcribe;
pub(crate) mod two_pass;
pub(crate) mod vad;
pub(crate) mod warmup;
