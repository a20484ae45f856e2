//! `cargo run -p asr-decode --example decode_ids -- MODEL < IDS`
//!
//! Decodes each line of ids with a SentencePiece model and prints its text, as a JSON string. tests/test_sentencepiece.py compares
//! that with what Google's library says.

use std::error::Error;
use std::io::{BufRead as _, Write as _, stdin, stdout};

use asr_decode::sentencepiece::Tokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let model = std::env::args().nth(1).ok_or("usage: decode_ids MODEL")?;
    let tokenizer = Tokenizer::from_file(model)?;
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let line = line?;
        let ids: Vec<u32> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        serde_json::to_writer(&mut out, &tokenizer.decode(&ids)?)?;
        writeln!(out)?;
    }
    Ok(())
}
