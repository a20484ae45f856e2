//! `libtriton_funasr.so`: the steps around the encoders and decoders of SenseVoice and Paraformer as a backend of Triton
//! Inference Server.
//!
//! A model's config picks its step with the parameter `component`; see `src/registry.rs` for the table.
#![forbid(unsafe_code)]
// Without the entry points, which the unit tests' binary cannot have, nothing uses the components.
#![cfg_attr(test, allow(dead_code))]

mod backend;
mod component;
mod metrics;
mod pipelines;
mod pool;
mod registry;
mod steps;
mod tensors;

// The server's functions exist only inside a server, so the unit tests' binary must not export entry points.
#[cfg(not(test))]
triton_backend::export_backend!(backend::Funasr);
