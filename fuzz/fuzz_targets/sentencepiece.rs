//! A sentencepiece model: an error, or a tokenizer that decodes every id, in any company.
#![no_main]

use asr_decode::sentencepiece::Tokenizer;
use libfuzzer_sys::fuzz_target;
use triton_funasr_fuzz::{value, within};

fuzz_target!(|bytes: &[u8]| {
    let read = || value(Tokenizer::from_bytes(bytes));
    let Some(tokenizer) = within(bytes.len(), 64, read) else {
        return;
    };
    let ids: Vec<u32> = (0..tokenizer.len() as u32).collect();
    let backwards: Vec<u32> = ids.iter().rev().copied().collect();
    for ids in [&ids, &backwards] {
        assert!(tokenizer.decode(ids).is_ok());
    }
    for &id in &ids {
        assert!(tokenizer.piece(id).is_some_and(|piece| !piece.is_empty()));
        assert!(tokenizer.decode(&[id, id]).is_ok());
    }
    assert!(tokenizer.decode(&[tokenizer.len() as u32]).is_err());
});
