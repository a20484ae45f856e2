//! Decoding equals Google's library: expectations in tests/data are its output (make_sentencepiece.py).
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;

use asr_decode::ctc;
use asr_decode::sentencepiece::{LoadError, Tokenizer};
use serde::Deserialize;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(data(name)).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Sequence {
    ids: Vec<u32>,
    text: String,
}

#[derive(Deserialize)]
struct Decoded {
    every: Vec<String>,
    #[serde(default)]
    sequences: Vec<Sequence>,
    #[serde(default)]
    strided: Vec<String>,
}

fn load(name: &str) -> (Tokenizer, Decoded) {
    let tokenizer = Tokenizer::from_file(data(&format!("{name}.model"))).unwrap();
    let decoded: Decoded = read(&format!("{name}.decoded.json"));
    assert_eq!(tokenizer.len(), decoded.every.len(), "{name}");
    (tokenizer, decoded)
}

fn assert_every_id(name: &str, tokenizer: &Tokenizer, decoded: &Decoded) {
    for (id, text) in decoded.every.iter().enumerate() {
        assert_eq!(
            tokenizer.decode(&[id as u32]).unwrap(),
            *text,
            "{name}: id {id}"
        );
    }
}

#[test]
fn small_vocabularies_decode_as_in_googles_library() {
    for name in [
        "bytes",
        "bytes_keep",
        "no_prefix",
        "keep_spaces",
        "verbatim",
        "suffix",
        "demo",
    ] {
        let (tokenizer, decoded) = load(name);
        assert_every_id(name, &tokenizer, &decoded);
        assert_eq!(decoded.sequences.len(), 200);
        for Sequence { ids, text } in &decoded.sequences {
            assert_eq!(tokenizer.decode(ids).unwrap(), *text, "{name}: {ids:?}");
        }
    }
}

#[test]
fn every_id_of_a_full_size_vocabulary_decodes_as_in_googles_library() {
    let (tokenizer, decoded) = load("tokenizer.bpe");
    assert_every_id("tokenizer.bpe", &tokenizer, &decoded);
    let size = tokenizer.len();
    let order: Vec<u32> = (0..size)
        .map(|index| (index * 7919 % size) as u32)
        .collect();
    let mut text = String::new();
    assert_eq!(order.chunks(25).len(), decoded.strided.len());
    for (ids, expected) in order.chunks(25).zip(&decoded.strided) {
        tokenizer.decode_into(ids, &mut text).unwrap();
        assert_eq!(text, *expected, "{ids:?}");
    }
}

#[test]
fn ctc_scores_to_text() {
    #[derive(Deserialize)]
    struct Row {
        frame_ids: Vec<u32>,
        text: String,
    }
    let tokenizer = Tokenizer::from_file(data("tokenizer.bpe.model")).unwrap();
    let vocab = tokenizer.len();
    let (mut ids, mut text) = (Vec::new(), String::new());
    for row in read::<Vec<Row>>("scoring_ctc.json") {
        let mut scores = vec![-5.0; row.frame_ids.len() * vocab];
        for (frame, &id) in row.frame_ids.iter().enumerate() {
            scores[frame * vocab + id as usize] = 3.0;
        }
        ctc::greedy(&scores, vocab, 0, &mut ids).unwrap();
        tokenizer.decode_into(&ids, &mut text).unwrap();
        assert_eq!(text, row.text);
    }
}

#[test]
fn pieces_and_tags() {
    let (tokenizer, _) = load("bytes");
    assert_eq!(tokenizer.piece(0), Some("<unk>"));
    assert_eq!(tokenizer.piece(5), Some("▁hello"));
    assert_eq!(tokenizer.piece(17), Some("<0x00>"));
    assert_eq!(tokenizer.piece(277), None);
    assert_eq!(tokenizer.piece(u32::MAX), None);
    assert!(tokenizer.has_tags());
    assert!(
        !from_pieces(&[("<unk>", 2), ("<|", 1), ("|>", 1), ("<|>", 1), ("<|a", 1)])
            .unwrap()
            .has_tags()
    );
}

#[test]
fn an_id_outside_of_the_vocabulary_is_an_error() {
    let (tokenizer, _) = load("suffix");
    let error = tokenizer.decode(&[5, 9, 1]).unwrap_err();
    assert_eq!((error.id, error.len), (9, 9));
    assert_eq!(
        error.to_string(),
        "id 9 is outside of the tokenizer's vocabulary of 9 pieces"
    );
    assert!(tokenizer.decode(&[u32::MAX]).is_err());
    assert_eq!(tokenizer.decode(&[]).unwrap(), "");
}

/// A model with these pieces and types, as bytes.
fn model(pieces: &[(&str, u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (text, kind) in pieces {
        let length = u8::try_from(text.len()).unwrap();
        bytes.extend([0x0a, length + 4, 0x0a, length]);
        bytes.extend(text.as_bytes());
        bytes.extend([0x18, *kind]);
    }
    bytes
}

fn from_pieces(pieces: &[(&str, u8)]) -> Result<Tokenizer, LoadError> {
    Tokenizer::from_bytes(&model(pieces))
}

#[test]
fn unusable_models_are_refused_with_a_reason() {
    let message = |pieces: &[(&str, u8)]| from_pieces(pieces).unwrap_err().to_string();
    let unusable = "unusable SentencePiece model: ";
    assert_eq!(
        message(&[]),
        "not a SentencePiece model: it holds no pieces"
    );
    assert_eq!(
        message(&[("a", 1)]),
        format!("{unusable}none of its 1 pieces is of the type UNKNOWN")
    );
    assert_eq!(
        message(&[("u", 2), ("", 1)]),
        format!("{unusable}piece 1 \"\" is empty")
    );
    assert_eq!(
        message(&[("u", 2), ("a", 1), ("a", 4)]),
        format!("{unusable}piece 2 \"a\" is defined twice")
    );
    assert_eq!(
        message(&[("u", 2), ("v", 2)]),
        format!("{unusable}piece 1 \"v\" is a second piece of the type UNKNOWN")
    );
    assert_eq!(
        message(&[("u", 2), ("<0x41>", 6)]),
        format!("{unusable}piece 1 \"<0x41>\" is of the type BYTE, but byte_fallback is not set")
    );
}

#[test]
fn byte_pieces_must_be_complete() {
    // trainer_spec { byte_fallback: true }
    let fallback = [0x12, 3, 0x98, 0x02, 1];
    let message = |pieces: &[(&str, u8)]| {
        let bytes = [&model(pieces), &fallback[..]].concat();
        Tokenizer::from_bytes(&bytes).unwrap_err().to_string()
    };
    for text in ["<0xe4>", "<0x+1>", "<0x041>", "<0x4>", "0x41", "é"] {
        let reason = "is of the type BYTE, but not of the form <0xE4>";
        assert_eq!(
            message(&[("u", 2), (text, 6)]),
            format!("unusable SentencePiece model: piece 1 {text:?} {reason}")
        );
    }
    assert_eq!(
        message(&[("u", 2), ("<0x00>", 6), ("<0x02>", 6)]),
        "unusable SentencePiece model: byte_fallback is set, but the piece <0x01> is missing"
    );
}

#[test]
fn files_of_another_kind_are_refused() {
    let message = |bytes: &[u8]| Tokenizer::from_bytes(bytes).unwrap_err().to_string();
    assert!(
        message(b"<!DOCTYPE html><html></html>")
            .starts_with("not a SentencePiece model, or a damaged one: ")
    );
    assert!(
        message(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
            .contains("Git LFS pointer")
    );
    assert_eq!(
        message(&vec![0; (16 << 20) + 1]),
        "not a SentencePiece model: larger than 16 MB"
    );

    let mut damaged = model(&[("u", 2), ("ab", 1)]);
    let position = damaged.iter().position(|&byte| byte == b'a').unwrap();
    damaged[position] = 0xff;
    assert_eq!(
        message(&damaged),
        "damaged SentencePiece model: piece 1 is not UTF-8"
    );

    let error = Tokenizer::from_file(data("missing.model"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read the tokenizer ")
            && error.contains("missing.model: No such file"),
        "{error}"
    );
    let error = Tokenizer::from_file(data("scoring_ctc.json"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("scoring_ctc.json: not a SentencePiece model"),
        "{error}"
    );
}

#[test]
fn a_denormalizer_is_refused_unless_it_does_nothing() {
    let plain = model(&[("u", 2), ("a", 1)]);
    // denormalizer_spec { name: "x" }, then with a precompiled_charsmap of one byte.
    let named = [&plain[..], &[0x2a, 3, 0x0a, 1, b'x']].concat();
    assert!(Tokenizer::from_bytes(&named).is_ok());
    let mapped = [&plain[..], &[0x2a, 3, 0x12, 1, 0]].concat();
    assert!(matches!(
        Tokenizer::from_bytes(&mapped),
        Err(LoadError::Denormalizer)
    ));
}
