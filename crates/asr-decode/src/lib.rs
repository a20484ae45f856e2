#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod argmax;
pub mod ctc;
pub mod sentencepiece;

pub use argmax::argmax;
