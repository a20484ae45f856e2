//! `cargo run --release -p asr-decode --example time_threads -- WIDTH SECONDS FRAMES…`
//!
//! From how many frames on is a second thread worth its start? Times greedy CTC over `[FRAMES, WIDTH]` on one thread, and
//! halved on two that are started for it. Prints the best of both for each FRAMES after trying them in turn for SECONDS: what
//! an idle machine can do. Scores are taken from a buffer of 400 MB, so that most are in no cache.

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use asr_decode::ctc;

/// Scores in the buffer.
const BUFFER: usize = 100_000_000;
/// Between two tries, so that whatever else runs on the machine gets its turn then and not during one.
const PAUSE: Duration = Duration::from_millis(4);

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let &[width, seconds, ref sizes @ ..] = numbers.as_slice() else {
        return Err("usage: time_threads WIDTH SECONDS FRAMES…".into());
    };
    let scores: Vec<f32> = (0..BUFFER as u32)
        .map(|i| i.wrapping_mul(2_654_435_761) as f32)
        .collect();
    let mut best = vec![[Duration::MAX; 2]; sizes.len()];
    let mut ids = [Vec::new(), Vec::new()];
    let mut place = 0;
    let until = Instant::now() + Duration::from_secs(seconds as u64);
    while Instant::now() < until {
        for (&frames, best) in sizes.iter().zip(&mut best) {
            for (threads, best) in (1..).zip(best) {
                let size = frames * width;
                if place + size > BUFFER {
                    place = 0;
                }
                let scores = scores.get(place..place + size).ok_or("too many FRAMES")?;
                place += size;
                thread::sleep(PAUSE);
                let (first, second) = scores.split_at(frames / threads * width);
                let [ids, others] = &mut ids;
                let start = Instant::now();
                thread::scope(|scope| {
                    if threads > 1 {
                        scope.spawn(|| black_box(ctc::greedy(second, width, 0, others)));
                    }
                    black_box(ctc::greedy(first, width, 0, ids))
                })?;
                *best = start.elapsed().min(*best);
            }
        }
    }
    for (frames, [one, two]) in sizes.iter().zip(best) {
        println!("{frames} frames: {one:.1?} on one thread, {two:.1?} on two");
    }
    Ok(())
}
