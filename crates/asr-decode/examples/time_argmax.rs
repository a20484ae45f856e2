//! `cargo run --release -p asr-decode --example time_argmax -- FRAMES WIDTH ROUNDS`
//!
//! Times greedy CTC over scores `[FRAMES, WIDTH]` against a plain streaming read of the same buffer, on one thread. Prints
//! `argmax_ns read_ns`, nanoseconds for all frames, for each of the ROUNDS.
//!
//! A busy machine must not slow down the one and not the other. So in a round the two take turns, a few frames at a time, in
//! different places of the buffer: what the one has just read is in a cache, and shall not help the other.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use asr_decode::ctc;

#[path = "../benches/support/streaming_read.rs"]
mod streaming_read;
use streaming_read::streaming_read;

/// Bytes of a turn: a fraction of a millisecond of memory's time.
const TURN: usize = 4 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let &[frames, width, rounds] = numbers.as_slice() else {
        return Err("usage: time_argmax FRAMES WIDTH ROUNDS".into());
    };
    let scores: Vec<f32> = scores().take(frames * width).collect();
    let mut ids = Vec::with_capacity(frames);
    // Finds out that the arguments are right, before they are used.
    ctc::greedy(&scores, width, 0, &mut ids)?;
    let turn_frames = (TURN / size_of::<f32>() / width).max(1);
    let turns: Vec<&[f32]> = scores.chunks(turn_frames * width).collect();
    for _ in 0..rounds {
        let (mut argmax, mut read) = (Duration::ZERO, Duration::ZERO);
        for (turn, scores) in turns.iter().enumerate() {
            let elsewhere = turns[(turn + turns.len() / 2) % turns.len()];
            argmax += time(|| ctc::greedy(black_box(scores), width, 0, black_box(&mut ids)));
            read += time(|| streaming_read(black_box(elsewhere)));
        }
        println!("{} {}", argmax.as_nanos(), read.as_nanos());
    }
    Ok(())
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

/// Scores in [-20, 0), in no order (xorshift).
fn scores() -> impl Iterator<Item = f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 * 20.0 - 20.0
    })
}
