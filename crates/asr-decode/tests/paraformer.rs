//! Scores to text as the reference joins it, with a vocabulary of full size.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use asr_decode::paraformer;
use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::{Join, Subwords};
use serde::Deserialize;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

#[derive(Deserialize)]
struct Row {
    argmax_ids: Vec<u32>,
    token_num: usize,
    text: String,
}

#[test]
fn scores_to_text() {
    let vocabulary = Vocabulary::from_file(data("tokens.json")).unwrap();
    assert_eq!(
        (vocabulary.len(), vocabulary.subwords()),
        (8404, Some(Subwords::Continued))
    );
    let rows: Vec<Row> =
        serde_json::from_slice(&std::fs::read(data("scoring_paraformer.json")).unwrap()).unwrap();
    let vocab = vocabulary.len();
    let mut ids = Vec::new();
    let mut words = Vec::new();
    for row in rows {
        let mut scores = vec![-20.0; row.argmax_ids.len() * vocab];
        for (token, &id) in row.argmax_ids.iter().enumerate() {
            scores[token * vocab + id as usize] = -0.5;
        }
        paraformer::greedy(&scores, vocab, row.token_num, &mut ids).unwrap();
        assert_eq!(ids, row.argmax_ids[..row.token_num]);
        assert_eq!(
            paraformer::text(&ids, &vocabulary, Join::Raw).unwrap(),
            row.text
        );
        let text = paraformer::text(&ids, &vocabulary, Join::Words).unwrap();
        assert_eq!(text, row.text.replace("@@", ""));
        words.push(text);
    }
    assert_eq!(words[2], "幵悄擺按星廍e626挓w172啊");
}
