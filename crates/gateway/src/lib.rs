#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod connections;
mod funasr;
mod gate;
mod keys;
mod language;
mod limits;
mod live;
mod log;
mod metrics;
mod openai;
mod options;
mod page;
mod probes;
mod recordings;
mod run;
mod shared;
mod socket;
mod tls;
mod traces;
mod trail;
mod triton;
mod wav;
mod whole;

pub use keys::KeysError;
pub use options::Options;
pub use run::{Gateway, StartError, Stopper};
pub use tls::TlsError;
pub use traces::TracesError;
/// Triton's messages, for programs that measure the gateway or stand in for a server.
#[doc(hidden)]
pub use triton::messages;
