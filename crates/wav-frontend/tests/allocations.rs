//! Streams in their steady state, and whole audios, allocate nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::num::NonZeroUsize;

use allocation_counter::measure;
use support::{cmvn, frontend, noise, wav};
use wav_frontend::lfr_cmvn_pe::{LfrCmvnPe, LfrCmvnPeOptions};
use wav_frontend::online::{OnlineFrontend, OnlineState};
use wav_frontend::stream::{StreamFrontend, StreamState};
use wav_frontend::windows::{EncoderWindows, WindowSizes};
use wav_frontend::{FrontendOptions, Row, SimdPath, Workspace};

/// What `run` allocates when it runs for the fifth time and on.
fn allocations(mut run: impl FnMut()) -> u64 {
    for _ in 0..4 {
        run();
    }
    let info = measure(|| {
        for _ in 0..8 {
            run();
        }
    });
    info.count_total
}

#[test]
fn whole_audios_allocate_nothing() {
    // Speech, some of whose frames are computed in both precisions.
    let samples = wav("speech_zh");
    for path in SimdPath::ALL.into_iter().filter(|path| path.is_available()) {
        let frontend = frontend().with_simd_path(path).unwrap();
        let mut out = vec![0.0; frontend.output_frames(samples.len()) * 560];
        let mut workspace = Workspace::new();
        let count = allocations(|| {
            frontend
                .extract(&samples, &mut out, &mut workspace)
                .unwrap();
        });
        assert_eq!(count, 0, "{path}");
        let count = allocations(|| {
            let mut rows = [Row {
                samples: &samples,
                out: &mut out,
            }];
            frontend
                .extract_batch(&mut rows, NonZeroUsize::new(4).unwrap())
                .unwrap();
        });
        assert_eq!(count, 0, "{path}, as a batch");
    }
}

#[test]
fn chunks_of_a_stream_with_fixed_tensors_allocate_nothing() {
    let frontend = OnlineFrontend::new(&FrontendOptions::default(), 0.6).unwrap();
    let step = LfrCmvnPe::new(LfrCmvnPeOptions::default(), cmvn()).unwrap();
    let (mut state, mut workspace) = (OnlineState::new(), Workspace::new());
    let (samples, mut window) = (noise(9_600, 5), vec![0.0; frontend.window_len()]);
    let (mut cache, mut next_cache) = (vec![0.0; 5_600], vec![0.0; 5_600]);
    let (mut out, mut offset) = (vec![0.0; 11_200], 0);
    let count = allocations(|| {
        frontend
            .chunk(&mut state, &samples, &mut window, &mut workspace)
            .unwrap();
        offset = step
            .apply(&cache, offset, &window, &mut out, &mut next_cache)
            .unwrap();
        std::mem::swap(&mut cache, &mut next_cache);
    });
    assert_eq!(count, 0);
    let count = allocations(|| {
        frontend.push(&mut state, &samples).unwrap();
        assert!(
            frontend
                .pop(&mut state, &mut window, &mut workspace)
                .unwrap()
        );
    });
    assert_eq!(count, 0, "as push and pop");
}

#[test]
fn chunks_of_a_whole_stream_allocate_nothing() {
    let frontend = StreamFrontend::new(frontend()).with_positions(512).unwrap();
    let (mut state, mut workspace) = (StreamState::new(), Workspace::new());
    let mut windows = EncoderWindows::new(WindowSizes::default(), 560).unwrap();
    let (samples, mut frames) = (noise(9_600, 6), Vec::new());
    let mut popped = 0;
    let count = allocations(|| {
        frontend.push(&mut state, &samples).unwrap();
        while frontend.advance(&mut state, 10, &mut frames, &mut workspace) > 0 {
            windows.push(&frames).unwrap();
            frames.clear();
        }
        while windows.pop().is_some() {
            popped += 1;
        }
    });
    assert_eq!(count, 0);
    assert!(popped > 8, "{popped}");
}
