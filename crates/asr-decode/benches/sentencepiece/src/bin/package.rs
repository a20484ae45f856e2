//! `cargo run --release --bin package -- MODEL`

use std::error::Error;

use sentencepiece::SentencePieceProcessor;
use sentencepiece_beside_ours::measure;

fn main() -> Result<(), Box<dyn Error>> {
    measure(
        |path| Ok(SentencePieceProcessor::open(path)?),
        SentencePieceProcessor::len,
        |processor, ids| Ok(processor.decode_piece_ids(ids)?),
    )
}
