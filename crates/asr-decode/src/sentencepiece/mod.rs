//! Ids to text with a SentencePiece model file, exactly as Google's library does it (`DecodeIds`, release 0.2.3).

mod decode;
mod load;
mod proto;
mod tokenizer;

pub use load::LoadError;
pub use tokenizer::{Tokenizer, UnknownId};
