//! The cost of features per second of audio: `cargo bench -p wav-frontend`.
#![allow(clippy::unwrap_used, reason = "nothing to handle in a bench")]

use std::num::NonZeroUsize;

use divan::Bencher;
use wav_frontend::{Frontend, FrontendOptions, Row, Workspace};

fn main() {
    divan::main();
}

fn audio(seconds: usize) -> Vec<f32> {
    (0..seconds * 16_000)
        .map(|i| ((i * i) % 2003) as f32 / 4006.0 - 0.25)
        .collect()
}

#[divan::bench(args = [1, 10, 60])]
fn one_row(bencher: Bencher<'_, '_>, seconds: usize) {
    let frontend = Frontend::new(FrontendOptions::default(), None).unwrap();
    let samples = audio(seconds);
    let mut out = vec![0.0; frontend.output_frames(samples.len()) * frontend.feature_dim()];
    let mut workspace = Workspace::new();
    bencher.bench_local(|| {
        frontend
            .extract(&samples, &mut out, &mut workspace)
            .unwrap()
    });
}

#[divan::bench(args = [1, 2])]
fn sixteen_rows_of_20_s(bencher: Bencher<'_, '_>, threads: usize) {
    let frontend = Frontend::new(FrontendOptions::default(), None).unwrap();
    let samples = audio(20);
    let size = frontend.output_frames(samples.len()) * frontend.feature_dim();
    let mut out = vec![0.0; 16 * size];
    let threads = NonZeroUsize::new(threads).unwrap();
    bencher.bench_local(|| {
        let rows = out.chunks_mut(size).map(|out| Row {
            samples: &samples,
            out,
        });
        frontend
            .extract_batch(&mut rows.collect::<Vec<_>>(), threads)
            .unwrap();
    });
}
