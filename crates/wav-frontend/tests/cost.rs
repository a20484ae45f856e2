//! Cost goes with the length of the audio, coarsely: `cargo bench -p wav-frontend` shows it up to an hour.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use support::{frontend, noise};
use wav_frontend::{Frontend, Workspace};

/// The time of `rounds` extractions of `samples`.
fn time(frontend: &Frontend, samples: &[f32], rounds: usize) -> Duration {
    let mut out = vec![0.0; frontend.output_frames(samples.len()) * frontend.feature_dim()];
    let mut workspace = Workspace::new();
    let start = Instant::now();
    for _ in 0..rounds {
        frontend.extract(samples, &mut out, &mut workspace).unwrap();
    }
    start.elapsed()
}

#[test]
fn a_minute_costs_sixty_seconds_at_once_or_one_by_one() {
    let (frontend, minute) = (frontend(), noise(16_000 * 60, 9));
    // The least of several turns, as others use the machine too.
    let mut least = [Duration::MAX; 2];
    for _ in 0..5 {
        least[0] = least[0].min(time(&frontend, &minute[..16_000], 60));
        least[1] = least[1].min(time(&frontend, &minute, 1));
    }
    let ratio = least[1].as_secs_f64() / least[0].as_secs_f64();
    assert!((0.3..3.0).contains(&ratio), "{least:?}");
}
