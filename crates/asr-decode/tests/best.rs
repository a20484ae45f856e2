//! Best units and their probabilities make the transcripts that the scores make.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use asr_decode::sentencepiece::Tokenizer;
use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use asr_decode::{Best, Probabilities, Transcript, argmax, ctc, paraformer, probability};
use proptest::prelude::*;

/// What a model with these `scores` hands out in their place.
fn best(scores: &[f32], vocab: usize) -> (Vec<i32>, Vec<f32>) {
    let of_frame = |frame: &[f32]| {
        let id = argmax(frame).unwrap();
        (id as i32, probability(frame, id).unwrap().ln())
    };
    scores.chunks_exact(vocab).map(of_frame).unzip()
}

/// Equal but for the rounding of probabilities.
fn assert_same(of_best: &Transcript, of_scores: &Transcript) {
    assert_eq!(of_best.raw, of_scores.raw);
    assert_eq!(of_best.tags, of_scores.tags);
    assert_eq!(of_best.tokens.len(), of_scores.tokens.len());
    for (one, other) in of_best.tokens.iter().zip(&of_scores.tokens) {
        assert_eq!(
            (one.id, &one.piece, one.frames),
            (other.id, &other.piece, other.frames)
        );
        let apart = one.probability.unwrap() - other.probability.unwrap();
        assert!(apart.abs() < 1e-5, "{one:?} {other:?}");
    }
}

proptest! {
    // Few numbers, so that equal scores and repeats are frequent.
    #[test]
    fn transcripts_are_those_of_the_scores(frames in 0..12_usize, numbers in prop::collection::vec(0..6_u8, 12 * 178)) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bytes.model");
        let tokenizer = Tokenizer::from_file(file).unwrap();
        let vocab = tokenizer.len();
        let scores: Vec<f32> = numbers.iter().map(|&number| f32::from(number)).cycle().take(frames * vocab).collect();
        let (ids, logs) = best(&scores, vocab);
        let best_units = Best::new(&ids, &logs, vocab).unwrap();
        for blank in [0, 3] {
            assert_same(
                &ctc::transcript_of_best(&best_units, blank, &tokenizer).unwrap(),
                &ctc::transcript(&scores, blank, &tokenizer, Probabilities::Computed).unwrap(),
            );
        }
        let vocabulary = Vocabulary::from_bytes(br#"["<blank>", "<s>", "</s>", "hel@@", "lo", "n", "b"]"#).unwrap();
        let vocab = vocabulary.len();
        let scores = &scores[..scores.len().min(frames * vocab)];
        let frames = scores.len() / vocab;
        let (ids, logs) = best(scores, vocab);
        let best_units = Best::new(&ids, &logs, vocab).unwrap();
        for join in [Join::Words, Join::Raw] {
            assert_same(
                &paraformer::transcript_of_best(&best_units, &vocabulary, join).unwrap(),
                &paraformer::transcript(scores, frames, &vocabulary, join, Probabilities::Computed).unwrap(),
            );
        }
    }
}
