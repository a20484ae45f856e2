//! tokens.json and the token_list of a config.yaml: an error, or tokens that are the same when written and read again.
#![no_main]

use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use libfuzzer_sys::fuzz_target;
use triton_funasr_fuzz::{value, within};

fuzz_target!(|bytes: &[u8]| {
    // A YAML of nothing but anchors takes a hundred times its size.
    let read = || value(Vocabulary::from_bytes(bytes));
    let Some(vocabulary) = within(bytes.len(), 160, read) else {
        return;
    };
    assert!(!vocabulary.is_empty());
    let ids = 0..vocabulary.len() as u32;
    let tokens: Vec<&str> = ids.filter_map(|id| vocabulary.token(id)).collect();
    assert_eq!(tokens.len(), vocabulary.len());
    assert_eq!(vocabulary.token(tokens.len() as u32), None);
    let written = serde_json::to_vec(&tokens).unwrap_or_default();
    assert_eq!(
        value(Vocabulary::from_bytes(&written)).as_ref(),
        Some(&vocabulary)
    );
    for join in [Join::Words, Join::Raw] {
        let mut joiner = vocabulary.joiner(join);
        let mut delta = String::new();
        for token in &tokens {
            joiner.push(token, &mut delta);
        }
        joiner.finish(&mut delta);
    }
});
