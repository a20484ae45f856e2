//! `libtriton_funasr.so`: the steps around the encoders and decoders of SenseVoice and Paraformer as a backend of Triton
//! Inference Server.
//!
//! A model's config picks its step with the parameter `component`; see `src/component.rs` for the table.
#![forbid(unsafe_code)]
// Without the entry points, which the unit tests' binary cannot have, nothing uses the components.
#![cfg_attr(test, allow(dead_code))]

mod audio;
mod backend;
mod cif_search;
mod component;
mod ctc_scoring;
mod feature_extractor;
mod lfr_cmvn_pe;
mod memory;
mod online_feature_extractor;
mod options;
mod paraformer;
mod paraformer_scoring;
mod pipeline;
mod rows;
mod scoring;
mod sensevoice;
mod streaming;
mod streams;

// The server's functions exist only inside a server, so the unit tests' binary must not export entry points.
#[cfg(not(test))]
triton_backend::export_backend!(backend::Funasr);
