//! In steady state nothing is allocated: not for a chunk of a stream, nor for a frame of scores.

#![allow(clippy::unwrap_used, reason = "a test")]

use allocation_counter::measure;
use asr_decode::cif::{Cif, CifOptions};
use asr_decode::sentencepiece::Tokenizer;
use asr_decode::{Probabilities, ctc, paraformer};

#[test]
fn cif_allocates_nothing_for_a_chunk() {
    let hidden: Vec<f32> = (0..20 * 512).map(|i| (i % 31) as f32).collect();
    let mut stream = Cif::new(CifOptions::default()).unwrap();
    let mut embeddings = Vec::new();
    // The most tokens that any chunk below fires, and the zeros that end a stream.
    let busy = stream.push(&hidden, &[0.75; 20], false, &mut embeddings);
    assert_eq!(busy.unwrap().unwrap().tokens, 7);
    let mut tokens = 0;
    let allocated = measure(|| {
        for chunk in 0..100 {
            let alphas = [chunk as f32 % 4.0 * 0.25; 20];
            let call = stream.push(&hidden, &alphas, chunk % 25 == 24, &mut embeddings);
            tokens += call.unwrap().map_or(0, |call| call.tokens);
            embeddings.clear();
            tokens += stream
                .integrate(&hidden, &alphas, 3..12, &mut embeddings)
                .unwrap();
        }
    });
    assert!(tokens > 500, "{tokens}");
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn scoring_allocates_nothing_for_a_frame() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/demo.model");
    let tokenizer = Tokenizer::from_file(model).unwrap();
    let vocab = tokenizer.len();
    let frames = 50;
    let scores: Vec<f32> = (0..frames * vocab)
        .map(|i| ((i * i) % 1009) as f32)
        .collect();
    let (mut ids, mut text) = (Vec::with_capacity(frames), String::with_capacity(4096));
    let allocated = measure(|| {
        ctc::greedy(&scores, vocab, 0, &mut ids).unwrap();
        tokenizer.decode_into(&ids, &mut text).unwrap();
        paraformer::greedy(&scores, vocab, frames, &mut ids).unwrap();
    });
    assert!(ids.len() > 10 && text.len() > 10, "{ids:?} {text}");
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn a_transcript_allocates_for_tokens_and_not_for_frames() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/demo.model");
    let tokenizer = Tokenizer::from_file(model).unwrap();
    let vocab = tokenizer.len();
    let allocated = |frames: usize| {
        let mut scores = vec![0.0; frames * vocab];
        for frame in 0..frames {
            // Three tokens, each a third of the frames long.
            scores[frame * vocab + 20 + 3 * frame / frames] = 1.0;
        }
        let mut tokens = 0;
        let allocated = measure(|| {
            let heard = ctc::transcript(&scores, 0, &tokenizer, Probabilities::Computed).unwrap();
            tokens = heard.tokens.len();
        });
        assert_eq!(tokens, 3);
        allocated.count_total
    };
    assert_eq!(allocated(3), allocated(300));
    assert!(allocated(3) < 12, "{}", allocated(3));
}
