//! `libtriton_funasr.so`: the steps around the encoders and decoders of SenseVoice and Paraformer as a backend of Triton
//! Inference Server.
//!
//! A model's config picks its step with the parameter `component`; see `src/registry.rs` for the table.
#![forbid(unsafe_code)]
// Without the entry points, which the unit tests' binary does not have, nothing uses the components.
#![cfg_attr(test, allow(dead_code))]

mod backend;
mod component;
mod metrics;
mod pipelines;
mod pool;
mod registry;
mod steps;
mod tensors;

// A program's own tests are no library that a server loads.
#[cfg(not(test))]
triton_backend::export_backend!(backend::Funasr);
