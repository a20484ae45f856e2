//! The streaming front end: parity with recorded windows, and streams cut in every way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{assert_close, assert_same_bits, cube, noise, wav};
use wav_frontend::online::{ChunkReport, OnlineFrontend, OnlineState};
use wav_frontend::{Fbank, FrontendOptions, Workspace};

const CHUNK: usize = 9_600;
const WINDOW: usize = 61 * 80;
const FITTING: ChunkReport = ChunkReport {
    padding: 0,
    backlog: 0,
};

fn online() -> OnlineFrontend {
    OnlineFrontend::new(&FrontendOptions::default(), 0.6).unwrap()
}

/// One window per chunk.
fn by_chunks<'a>(state: &mut OnlineState, chunks: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let (mut workspace, mut windows) = (Workspace::new(), Vec::new());
    for chunk in chunks {
        let mut window = vec![f32::NAN; WINDOW];
        online()
            .chunk(state, chunk, &mut window, &mut workspace)
            .unwrap();
        windows.extend(window);
    }
    windows
}

/// Every window that is ready after each push.
fn by_pushes(frontend: &OnlineFrontend, samples: &[f32], sizes: &[usize]) -> Vec<f32> {
    let (mut state, mut workspace) = (OnlineState::new(), Workspace::new());
    let (mut rest, mut windows) = (samples, Vec::new());
    let mut window = vec![f32::NAN; frontend.window_len()];
    for size in sizes.iter().cycle() {
        let (head, tail) = rest.split_at(rest.len().min(*size));
        frontend.push(&mut state, head).unwrap();
        while frontend
            .pop(&mut state, &mut window, &mut workspace)
            .unwrap()
        {
            windows.extend_from_slice(&window);
        }
        rest = tail;
        if rest.is_empty() {
            return windows;
        }
    }
    unreachable!("sizes is not empty")
}

#[test]
fn recorded_windows_agree() {
    for name in ["speech_zh", "speech_en", "speech_digits"] {
        let expected = cube(&format!("{name}.windows.npy"));
        let samples = wav(name);
        let windows = by_chunks(&mut OnlineState::new(), samples.chunks(CHUNK));
        assert_eq!(windows.len() / WINDOW, samples.len().div_ceil(CHUNK));
        let worst = assert_close(name, &windows, expected.as_slice().unwrap(), 1e-3);
        println!(
            "{name}: {} windows, largest difference {worst:e}",
            expected.shape()[0]
        );
    }
}

#[test]
fn windows_are_the_frames_of_the_whole_stream() {
    let samples = noise(CHUNK * 5, 1);
    let fbank = Fbank::new(&FrontendOptions::default()).unwrap();
    let mut frames = vec![0.0; fbank.frames(samples.len()) * 80];
    fbank
        .extract(&samples, &mut frames, &mut Workspace::new())
        .unwrap();
    let padded = [&frames[..80], &frames[..80], &frames[..80], &frames[..]].concat();

    let windows = by_chunks(&mut OnlineState::new(), samples.chunks(CHUNK));
    assert_eq!(windows.len(), 5 * WINDOW);
    for (k, window) in windows.chunks(WINDOW).enumerate() {
        assert_same_bits(
            &format!("window {k}"),
            window,
            &padded[k * 60 * 80..][..WINDOW],
        );
    }
}

#[test]
fn any_cut_of_the_stream_gives_the_same_windows() {
    let samples = noise(CHUNK * 4, 2);
    let expected = by_chunks(&mut OnlineState::new(), samples.chunks(CHUNK));
    for sizes in [
        &[7_680][..],
        &[10_240],
        &[1, 399, 160, 5_000],
        &[38_400],
        &[12_800, 0, 640],
        &[97],
    ] {
        let windows = by_pushes(&online(), &samples, sizes);
        assert_same_bits(&format!("pushes of {sizes:?}"), &windows, &expected);
    }
}

#[test]
fn dither_does_not_depend_on_the_cut_either() {
    let options = FrontendOptions {
        dither: 1.0,
        dither_seed: 3,
        ..FrontendOptions::default()
    };
    let frontend = OnlineFrontend::new(&options, 0.6).unwrap();
    let silence = [0.0; CHUNK * 3];
    let windows = by_pushes(&frontend, &silence, &[CHUNK]);
    assert_same_bits(
        "pushes of 500",
        &by_pushes(&frontend, &silence, &[500]),
        &windows,
    );
    let (first, second) = windows.split_at(WINDOW);
    assert_same_bits(
        "the frame that two windows share",
        &first[60 * 80..],
        &second[..80],
    );
}

#[test]
fn a_short_chunk_is_padded_with_zeros_and_a_long_one_waits() {
    let samples = noise(CHUNK * 3, 4);
    let frontend = online();
    let (mut workspace, mut window) = (Workspace::new(), vec![0.0; WINDOW]);
    let mut state = OnlineState::new();
    let mut report = |size: usize, from: usize| {
        let chunk = &samples[from..from + size];
        let report = frontend
            .chunk(&mut state, chunk, &mut window, &mut workspace)
            .unwrap();
        (report, window.clone())
    };
    let (short, first) = report(7_680, 0);
    assert_eq!(
        short,
        ChunkReport {
            padding: 1_920,
            backlog: 0
        }
    );
    let (long, second) = report(10_000, 7_680);
    assert_eq!(
        long,
        ChunkReport {
            padding: 0,
            backlog: 400
        }
    );
    let (rest, third) = report(9_200, 17_680);
    assert_eq!(rest, FITTING);

    let mut padded = samples[..7_680].to_vec();
    padded.resize(CHUNK, 0.0);
    padded.extend(&samples[7_680..26_880]);
    let expected = by_chunks(&mut OnlineState::new(), padded.chunks(CHUNK));
    assert_same_bits("padded stream", &[first, second, third].concat(), &expected);
}

#[test]
fn chunks_of_0_and_1_samples_are_windows_of_near_silence() {
    for samples in [&[][..], &[0.5]] {
        let windows = by_chunks(&mut OnlineState::new(), [samples, samples].into_iter());
        assert_eq!(windows.len(), 2 * WINDOW);
        assert_eq!(windows[WINDOW - 1], f32::EPSILON.ln());
    }
}

#[test]
fn reset_and_interleaved_streams_leave_no_trace() {
    let (a, b) = (noise(CHUNK * 3, 5), noise(CHUNK * 3, 6));
    let alone = by_chunks(&mut OnlineState::new(), a.chunks(CHUNK));
    let mut state = OnlineState::new();
    by_chunks(&mut state, b[..CHUNK * 2 + 77].chunks(CHUNK));
    assert_ne!(state, OnlineState::new());
    state.reset();
    assert_eq!(state, OnlineState::new());
    assert_same_bits(
        "after reset",
        &by_chunks(&mut state, a.chunks(CHUNK)),
        &alone,
    );

    let (mut state_a, mut state_b) = (OnlineState::new(), OnlineState::new());
    let mut together = Vec::new();
    for (chunk_a, chunk_b) in a.chunks(CHUNK).zip(b.chunks(CHUNK)) {
        together.extend(by_chunks(&mut state_a, [chunk_a].into_iter()));
        by_chunks(&mut state_b, [chunk_b].into_iter());
    }
    assert_same_bits("interleaved", &together, &alone);
}

#[test]
fn what_waits_is_bounded() {
    let frontend = online();
    let mut state = OnlineState::new();
    frontend.push(&mut state, &vec![0.1; CHUNK * 64]).unwrap();
    let before = state.clone();
    let error = frontend.push(&mut state, &[0.1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the stream holds 614400 samples and 1 more were given, expected no more than 614400 that wait"
    );
    let error = frontend
        .chunk(
            &mut state,
            &[0.0; 5],
            &mut [0.0; WINDOW],
            &mut Workspace::new(),
        )
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the stream holds 614400 samples and 5 more")
    );
    let error = frontend
        .chunk(&mut state, &[], &mut [0.0; 80], &mut Workspace::new())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the window buffer has 80 values, expected 4880 (61 frames x 80)"
    );
    assert_eq!(state, before, "a failed call changed the stream");
}

#[test]
fn other_sizes_work_and_misfits_are_refused() {
    let default = FrontendOptions::default();
    let frontend = OnlineFrontend::new(&default, 0.3).unwrap();
    assert_eq!(
        (frontend.chunk_samples(), frontend.window_frames()),
        (4_800, 31)
    );
    assert_eq!(
        by_pushes(&frontend, &noise(16_000, 1), &[1_000]).len(),
        3 * 31 * 80
    );

    let plain = FrontendOptions {
        lfr_m: 1,
        lfr_n: 1,
        frame_length_ms: 10.0,
        num_mel_bins: 20,
        ..default.clone()
    };
    let frontend = OnlineFrontend::new(&plain, 0.1).unwrap();
    assert_eq!(
        (frontend.chunk_samples(), frontend.window_frames()),
        (1_600, 10)
    );
    assert_eq!(
        by_pushes(&frontend, &noise(16_000, 1), &[1_600]).len(),
        100 * 20
    );

    for size in [0.0, -0.6, 0.601, 0.05, 1e9, f64::NAN, f64::INFINITY] {
        let error = OnlineFrontend::new(&default, size).unwrap_err().to_string();
        let expected = "expected a multiple of 0.06 (lfr_n 6 x 160 samples) up to 960000 samples";
        assert_eq!(error, format!("chunk_size_s is {size}, {expected}"));
    }
    let long_frames = FrontendOptions {
        frame_length_ms: 100.0,
        ..default
    };
    let error = OnlineFrontend::new(&long_frames, 0.06)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "chunk_size_s is 0.06, expected at least the 0.13 s that the first window takes"
    );
}
