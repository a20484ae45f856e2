#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod argmax;
pub mod cif;
pub mod ctc;
pub mod paraformer;
pub mod sentencepiece;
mod transcript;
pub mod vocabulary;
pub mod words;

pub use argmax::argmax;
pub use transcript::{Frames, Tags, Token, Transcript};
