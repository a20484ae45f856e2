#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
// What only the entry points reach is dead without them.
#![cfg_attr(test, allow(dead_code))]

mod accelerators;
mod arenas;
mod backend;
mod check;
mod complete;
mod describe;
mod execute;
mod group;
mod job;
mod lengths;
mod leniency;
mod library;
mod mismatch;
mod model;
mod options;
mod sequence;
mod session;
mod signature;
mod tensor;
mod types;

// The server's functions exist only inside a server: the test binary has none to link.
#[cfg(not(test))]
triton_backend::export_backend!(backend::OnnxBackend);
