//! Marks between words, as FunASR's CT-Transformer sets them.
//!
//! The model says for each word of a text which mark follows it, if any ("Controllable Time-delay Transformer for Real-time
//! Punctuation Prediction and Disfluency Detection", arXiv:2003.01309). A text is cut into words ([`words`]), which go to the model
//! twenty at a time. What it says of an unfinished sentence does not count: its words go to the model again, with the next twenty
//! behind them. So a text needs a call after the other, which a [`Text`] asks for, until it is complete:
//!
//! - [`Punctuator::text`]: a whole text, as `funasr_onnx`'s `CT_Transformer` does it;
//! - [`Punctuator::piece`]: a piece of a speech that goes on, as `CT_Transformer_VadRealtime` does it. A [`Cache`] holds the words
//!   whose sentence is not finished; the mark behind a piece is only set when the next one shows what follows.

mod mask;
mod options;
mod piece;
mod punctuator;
mod text;
mod vocabulary;
mod words;

pub use mask::vad_mask;
pub use options::{MarkStyle, PunctuationOptions};
pub use piece::{Cache, Piece};
pub use punctuator::Punctuator;
pub use text::{PunctuationError, Text};
pub use vocabulary::{PunctuationVocabulary, VocabularyError};
pub use words::words;
