#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
pub mod punctuation;
pub mod sentences;
pub mod silero;
pub mod vad;

pub use config::ConfigError;
