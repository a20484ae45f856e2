//! No bytes make the model reader panic, and what it accepts can be decoded with.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::sync::LazyLock;

use asr_decode::sentencepiece::Tokenizer;
use proptest::prelude::*;

static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bytes.model")).unwrap()
});

fn try_all(bytes: &[u8]) {
    if let Ok(tokenizer) = Tokenizer::from_bytes(bytes) {
        let ids: Vec<u32> = (0..tokenizer.len() as u32).rev().collect();
        tokenizer.decode(&ids).unwrap();
        for &id in &ids {
            assert!(!tokenizer.piece(id).unwrap().is_empty());
            tokenizer.decode(&[id]).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        try_all(&bytes);
    }

    /// Protobuf-like: fields of the numbers that the reader knows.
    #[test]
    fn random_fields(fields in proptest::collection::vec(
        (prop_oneof![Just(0x0au8), Just(0x12), Just(0x1a), Just(0x2a)], proptest::collection::vec(any::<u8>(), 0..12)),
        0..40))
    {
        let bytes: Vec<u8> = fields.iter().flat_map(|(key, body)| [&[*key, body.len() as u8], &body[..]].concat()).collect();
        try_all(&bytes);
    }

    #[test]
    fn truncated_and_mutated_models(
        end in 0..=MODEL.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6))
    {
        let mut bytes = MODEL[..end].to_vec();
        for (index, byte) in changes {
            if !bytes.is_empty() {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
        }
        try_all(&bytes);
    }
}
