#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod best;
mod grammar;
mod rewriter;
mod tags;
mod transducer;

pub use grammar::ItnError;
pub use rewriter::Rewriter;
pub use transducer::FstError;
