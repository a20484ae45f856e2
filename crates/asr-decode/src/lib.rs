#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod argmax;
mod best;
pub mod cif;
mod confidence;
pub mod ctc;
pub mod ctc_times;
pub mod hotwords;
pub mod paraformer;
pub mod paraformer_times;
mod probability;
pub mod sentencepiece;
mod spoken_words;
mod tags;
mod transcript;
pub mod vocabulary;
pub mod words;

pub use argmax::argmax;
pub use best::{Best, BestError, probability_of_log};
pub use probability::{Probabilities, probability};
pub use spoken_words::{StreamWords, Word};
pub use tags::Tags;
pub use transcript::{Frames, Span, Token, Transcript};
