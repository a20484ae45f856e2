#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod argmax;
mod best;
pub mod cif;
pub mod ctc;
pub mod paraformer;
mod probability;
pub mod sentencepiece;
mod tags;
mod transcript;
pub mod vocabulary;
pub mod words;

pub use argmax::argmax;
pub use best::{Best, BestError, probability_of_log};
pub use probability::{Probabilities, probability};
pub use tags::Tags;
pub use transcript::{Frames, Token, Transcript};
