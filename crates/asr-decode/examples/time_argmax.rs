//! `cargo run --release -p asr-decode --example time_argmax -- FRAMES WIDTH ROUNDS`
//!
//! Times greedy CTC over scores `[FRAMES, WIDTH]` against a plain streaming read of the same buffer, on one thread. Prints
//! `argmax_ns read_ns` for each of the ROUNDS; within a round the two take turns at going first.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use asr_decode::ctc;

#[path = "../benches/support/streaming_read.rs"]
mod streaming_read;
use streaming_read::streaming_read;

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
    let mut argmax = || ctc::greedy(black_box(&scores), width, 0, black_box(&mut ids));
    let read = || black_box(streaming_read(black_box(&scores)));
    // The first round finds out that the arguments are right, and warms up.
    argmax()?;
    read();
    for round in 0..rounds {
        let (argmax, read) = if round % 2 == 0 {
            let argmax = time(&mut argmax);
            (argmax, time(read))
        } else {
            let read = time(read);
            (time(&mut argmax), read)
        };
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
