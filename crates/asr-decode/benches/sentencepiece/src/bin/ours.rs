//! `cargo run --release --bin ours -- MODEL`

use std::error::Error;

use asr_decode::sentencepiece::Tokenizer;
use sentencepiece_beside_ours::measure;

fn main() -> Result<(), Box<dyn Error>> {
    measure(
        |path| Ok(Tokenizer::from_file(path)?),
        Tokenizer::len,
        |tokenizer, ids| Ok(tokenizer.decode(ids)?),
    )
}
