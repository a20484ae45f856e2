//! The cost of features per second of audio: `cargo bench -p wav-frontend`.
#![allow(clippy::unwrap_used, reason = "nothing to handle in a bench")]

use std::num::NonZeroUsize;

use divan::Bencher;
use wav_frontend::lfr_cmvn_pe::{LfrCmvnPe, LfrCmvnPeOptions};
use wav_frontend::online::{OnlineFrontend, OnlineState};
use wav_frontend::stream::{StreamFrontend, StreamState};
use wav_frontend::{Cmvn, Frontend, FrontendOptions, Row, SimdPath, Workspace};

fn main() {
    divan::main();
}

fn audio(seconds: usize) -> Vec<f32> {
    (0..seconds * 16_000)
        .map(|i| ((i * i) % 2003) as f32 / 4006.0 - 0.25)
        .collect()
}

fn cmvn() -> Cmvn {
    let section = format!(
        "560 560 <LearnRateCoef> 0 [ {} ]",
        vec!["0.5"; 560].join(" ")
    );
    Cmvn::parse(&format!("<AddShift> {section} <Rescale> {section}")).unwrap()
}

/// fbank, LFR and CMVN on one thread.
fn features(bencher: Bencher<'_, '_>, seconds: usize, path: SimdPath) {
    let frontend = Frontend::new(FrontendOptions::default(), Some(cmvn())).unwrap();
    let frontend = frontend.with_simd_path(path).unwrap();
    let samples = audio(seconds);
    let mut out = vec![0.0; frontend.output_frames(samples.len()) * frontend.feature_dim()];
    let mut workspace = Workspace::new();
    bencher.bench_local(|| {
        frontend
            .extract(&samples, &mut out, &mut workspace)
            .unwrap()
    });
}

#[divan::bench(args = [1, 10, 60])]
fn one_row(bencher: Bencher<'_, '_>, seconds: usize) {
    features(bencher, seconds, SimdPath::fastest());
}

#[divan::bench(args = [3_600], sample_count = 5)]
fn one_row_of_an_hour(bencher: Bencher<'_, '_>, seconds: usize) {
    features(bencher, seconds, SimdPath::fastest());
}

#[divan::bench(args = SimdPath::ALL.into_iter().filter(|path| path.is_available()))]
fn ten_seconds_on_each_path(bencher: Bencher<'_, '_>, path: SimdPath) {
    features(bencher, 10, path);
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

#[divan::bench]
fn stream_chunk_of_600_ms(bencher: Bencher<'_, '_>) {
    let frontend = OnlineFrontend::new(&FrontendOptions::default(), 0.6).unwrap();
    let (samples, mut window) = (audio(1), vec![0.0; frontend.window_len()]);
    let (mut state, mut workspace) = (OnlineState::new(), Workspace::new());
    bencher.bench_local(|| {
        frontend
            .chunk(&mut state, &samples[..9_600], &mut window, &mut workspace)
            .unwrap()
    });
}

/// One push of so many seconds, computed ten frames at a time.
#[divan::bench(args = [1, 60, 600])]
fn whole_stream(bencher: Bencher<'_, '_>, seconds: usize) {
    let frontend = Frontend::new(FrontendOptions::default(), None).unwrap();
    let frontend = StreamFrontend::new(frontend).with_positions(512).unwrap();
    let samples = audio(seconds);
    let (mut state, mut out, mut workspace) = (StreamState::new(), Vec::new(), Workspace::new());
    bencher.bench_local(|| {
        state.reset();
        frontend.push(&mut state, &samples).unwrap();
        while frontend.advance(&mut state, 10, &mut out, &mut workspace) > 0 {
            out.clear();
        }
    });
}

#[divan::bench]
fn lfr_cmvn_pe_of_a_window(bencher: Bencher<'_, '_>) {
    let step = LfrCmvnPe::new(LfrCmvnPeOptions::default(), cmvn()).unwrap();
    let (window, cache) = (audio(1), vec![0.0; 5_600]);
    let (mut out, mut next) = (vec![0.0; 11_200], vec![0.0; 5_600]);
    bencher.bench_local(|| {
        step.apply(&cache, 12_345, &window[..4_880], &mut out, &mut next)
            .unwrap()
    });
}
