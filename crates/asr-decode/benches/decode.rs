//! What decoding costs beside reading what is decoded: `cargo bench -p asr-decode`.
//!
//! Scores are those of SenseVoice's vocabulary, 100 kB a frame. 3,000 frames are the 300 MB of three minutes of audio.
#![allow(clippy::unwrap_used, reason = "nothing to handle in a bench")]

use asr_decode::cif::{Cif, CifOptions};
use asr_decode::ctc::{self, Run};
use asr_decode::sentencepiece::Tokenizer;
use asr_decode::{Transcript, probability};
use divan::{Bencher, black_box, counter::BytesCount};

mod support {
    pub(crate) mod streaming_read;
}
use support::streaming_read::streaming_read;

const WIDTH: usize = 25_055;
const FRAMES: [usize; 4] = [10, 100, 1000, 3000];

fn main() {
    divan::main();
}

/// Numbers in [0, 1), in no order.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn bytes(values: &[f32]) -> BytesCount {
    BytesCount::of_slice(values)
}

/// What all others have to be measured against: the same bytes, read and nothing else.
#[divan::bench(args = FRAMES)]
fn argmax_floor_streaming_read(bencher: Bencher<'_, '_>, frames: usize) {
    let scores = numbers(frames * WIDTH);
    bencher
        .counter(bytes(&scores))
        .bench_local(|| streaming_read(black_box(&scores)));
}

/// Argmax, collapse and drop.
#[divan::bench(args = FRAMES)]
fn argmax_greedy_ctc(bencher: Bencher<'_, '_>, frames: usize) {
    let (scores, mut ids) = (numbers(frames * WIDTH), Vec::new());
    bencher
        .counter(bytes(&scores))
        .bench_local(|| ctc::greedy(black_box(&scores), WIDTH, 0, &mut ids));
}

/// One score after the other.
#[divan::bench(args = FRAMES)]
fn argmax_naive(bencher: Bencher<'_, '_>, frames: usize) {
    let scores = numbers(frames * WIDTH);
    let naive = |row: &[f32]| {
        let scores = row.iter().enumerate();
        scores.fold((0, f32::NEG_INFINITY), |best, (index, &score)| {
            if score > best.1 { (index, score) } else { best }
        })
    };
    bencher.counter(bytes(&scores)).bench_local(|| {
        let rows = black_box(&scores).chunks_exact(WIDTH);
        rows.map(naive).fold(0, |sum, (index, _)| sum + index)
    });
}

/// What follows the argmax of so many frames: collapse, drop, and the text, with a new token in every other frame.
#[divan::bench(args = FRAMES)]
fn text_of_the_argmax(bencher: Bencher<'_, '_>, frames: usize) {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/demo.model");
    let tokenizer = Tokenizer::from_file(model).unwrap();
    let pieces = tokenizer.len() - 1;
    let best: Vec<u32> = (0..frames)
        .map(|frame| (frame / 2 * 31 % pieces) as u32 + 1)
        .collect();
    let mut ids = Vec::new();
    bencher.bench_local(|| {
        ids.clear();
        ctc::collapse(black_box(&best).iter().copied(), 0, &mut ids);
        tokenizer.decode(&ids).unwrap().len()
    });
}

/// The same as a transcript: tokens with their pieces and frames beside the text.
#[divan::bench(args = FRAMES)]
fn text_of_the_argmax_and_tokens(bencher: Bencher<'_, '_>, frames: usize) {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/demo.model");
    let tokenizer = Tokenizer::from_file(model).unwrap();
    let pieces = tokenizer.len() - 1;
    let runs: Vec<Run> = (0..frames.div_ceil(2))
        .map(|run| Run {
            id: (run * 31 % pieces) as u32 + 1,
            first: 2 * run,
            last: 2 * run + 1,
        })
        .collect();
    bencher.bench_local(|| {
        let heard = Transcript::of_runs(black_box(&runs), &tokenizer).unwrap();
        heard.raw.len()
    });
}

/// The softmax of a frame that is in the caches.
#[divan::bench]
fn probability_of_a_frame(bencher: Bencher<'_, '_>) {
    let scores = numbers(WIDTH);
    bencher
        .counter(bytes(&scores))
        .bench_local(|| probability(black_box(&scores), 1));
}

const HIDDEN: usize = 512;
/// A window of `cif_search`: five frames that look back, ten of its own, five that look ahead.
const WINDOW: usize = 20;
/// Windows in the first-level cache, in the second-level cache, and in neither.
const WINDOWS: [usize; 3] = [1, 32, 4096];

/// The frames of each window that CIF reads, copied.
#[divan::bench(args = WINDOWS)]
fn cif_floor_copy(bencher: Bencher<'_, '_>, windows: usize) {
    let hidden = numbers(windows * WINDOW * HIDDEN);
    let mut copy = vec![0.0; 10 * HIDDEN];
    bencher
        .counter(BytesCount::of_many::<f32>(windows * copy.len()))
        .bench_local(|| {
            for window in black_box(&hidden).chunks_exact(WINDOW * HIDDEN) {
                copy.copy_from_slice(&window[5 * HIDDEN..15 * HIDDEN]);
                black_box(&mut copy);
            }
        });
}

/// Integrates them; two tokens fire in each.
#[divan::bench(args = WINDOWS)]
fn cif_push(bencher: Bencher<'_, '_>, windows: usize) {
    let hidden = numbers(windows * WINDOW * HIDDEN);
    let alphas = [0.2; WINDOW];
    let mut stream = Cif::new(CifOptions::default()).unwrap();
    let mut embeddings = Vec::new();
    bencher
        .counter(BytesCount::of_many::<f32>(windows * 10 * HIDDEN))
        .bench_local(|| {
            for window in black_box(&hidden).chunks_exact(WINDOW * HIDDEN) {
                let call = stream.push(window, &alphas, false, &mut embeddings);
                black_box((call.unwrap(), &mut embeddings));
            }
        });
}
