//! Streams cut in every way against the offline front end over the whole audio.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use proptest::prelude::*;
use support::{assert_close, assert_same_bits, cmvn, extract, frontend, noise, speech, wav};
use wav_frontend::lfr_cmvn_pe::{LfrCmvnPe, LfrCmvnPeOptions};
use wav_frontend::online::{OnlineFrontend, OnlineState};
use wav_frontend::stream::{StreamFrontend, StreamState};
use wav_frontend::{Frontend, FrontendOptions, Workspace};

/// The frames of `samples`, pushed in pieces of the `sizes` in turn; after each push, computed in steps of `steps`.
fn streamed(
    frontend: &StreamFrontend,
    samples: &[f32],
    sizes: &[usize],
    steps: &[usize],
) -> Vec<f32> {
    let (mut state, mut workspace, mut out) = (StreamState::new(), Workspace::new(), Vec::new());
    let (mut sizes, mut steps) = (sizes.iter().cycle(), steps.iter().cycle());
    let mut rest = samples;
    while !rest.is_empty() {
        let size = *sizes.next().unwrap();
        let (head, tail) = rest.split_at(rest.len().min(size));
        frontend.push(&mut state, head).unwrap();
        rest = tail;
        let (ready, step) = (frontend.ready(&state), *steps.next().unwrap());
        let computed = frontend.advance(&mut state, step, &mut out, &mut workspace);
        assert_eq!(computed, ready.min(step));
    }
    frontend.finish(&mut state);
    frontend.finish(&mut state);
    for step in steps {
        frontend.advance(&mut state, *step, &mut out, &mut workspace);
        if frontend.ready(&state) == 0 {
            break;
        }
    }
    assert_eq!(state.samples(), samples.len() as u64);
    assert_eq!(
        state.frames(),
        frontend.frontend().output_frames(samples.len()) as u64
    );
    out
}

#[test]
fn speech_in_any_chunks_is_the_offline_speech() {
    let offline = frontend();
    let frontend = StreamFrontend::new(offline.clone());
    for name in ["speech_zh", "speech_en", "speech_digits"] {
        let samples = wav(name);
        let whole = extract(&offline, &samples);
        for (sizes, step) in [
            (&[160][..], usize::MAX),
            (&[1000], usize::MAX),
            (&[7_680], 10),
            (&[9_600], 3),
            (&[16_000], 1),
            (&[1, 0, 399, 50_000], 20),
            (&[usize::MAX], 10),
        ] {
            let frames = streamed(&frontend, &samples, sizes, &[step]);
            assert_same_bits(&format!("{name} in {sizes:?}"), &frames, &whole);
        }
        let recorded = speech(name);
        assert_close(name, &whole, recorded.as_slice().unwrap(), 5e-4);
    }
}

#[test]
fn samples_one_by_one_are_frames_as_soon_as_can_be() {
    let offline = frontend();
    let frontend = StreamFrontend::new(offline.clone());
    let samples = noise(6_000, 1);
    let whole = extract(&offline, &samples);
    let (mut state, mut workspace, mut out) = (StreamState::new(), Workspace::new(), Vec::new());
    for (count, sample) in (1..).zip(&samples) {
        frontend.push(&mut state, &[*sample]).unwrap();
        frontend.advance(&mut state, 9, &mut out, &mut workspace);
        // Frame i is there with the 10 ms frame 6i + 3.
        let log_mel = offline.fbank().frames(count);
        assert_eq!(
            state.frames() as usize,
            log_mel.saturating_sub(3).div_ceil(6)
        );
    }
    // 36 frames of 10 ms: the sixth stacked one is complete without the end.
    assert_eq!(state.frames(), 6);
    assert_same_bits("one by one", &out, &whole);
}

#[test]
fn the_end_of_every_length_is_the_offline_one() {
    let offline = frontend();
    let frontend = StreamFrontend::new(offline.clone());
    let samples = noise(4_000, 2);
    for len in (0..4_000).step_by(67).chain([399, 400, 559, 560, 561]) {
        let whole = extract(&offline, &samples[..len]);
        for sizes in [&[1_111][..], &[usize::MAX]] {
            let frames = streamed(&frontend, &samples[..len], sizes, &[2]);
            assert_same_bits(&format!("{len} samples"), &frames, &whole);
        }
    }
}

#[test]
fn streams_without_a_whole_frame_have_none() {
    let frontend = StreamFrontend::new(frontend());
    for len in [0, 1, 399] {
        assert_eq!(
            streamed(&frontend, &vec![0.1; len], &[100], &[8]),
            [0.0f32; 0]
        );
    }
}

#[test]
fn positions_are_those_of_the_streaming_step() {
    let samples = noise(9_600 * 12, 3);
    let frontend = StreamFrontend::new(frontend()).with_positions(512).unwrap();
    let frames = streamed(&frontend, &samples, &[1_234], &[7, 1]);

    let online = OnlineFrontend::new(&FrontendOptions::default(), 0.6).unwrap();
    let step = LfrCmvnPe::new(LfrCmvnPeOptions::default(), cmvn()).unwrap();
    let (mut state, mut workspace) = (OnlineState::new(), Workspace::new());
    let mut window = vec![0.0; online.window_len()];
    let (mut cache, mut next, mut offset) = (vec![0.0; 5_600], vec![0.0; 5_600], 0);
    let mut out = vec![0.0; 2 * 5_600];
    for (chunk, expected) in samples.chunks(9_600).zip(frames.chunks(5_600)) {
        online
            .chunk(&mut state, chunk, &mut window, &mut workspace)
            .unwrap();
        offset = step
            .apply(&cache, offset, &window, &mut out, &mut next)
            .unwrap();
        std::mem::swap(&mut cache, &mut next);
        assert_same_bits("a window", &out[5_600..], expected);
    }
    assert_eq!(offset, 120);
}

#[test]
fn half_an_hour_and_more_has_right_positions() {
    // Silence, so that what differs between frames is their position.
    let frontend = StreamFrontend::new(Frontend::new(FrontendOptions::default(), None).unwrap());
    let frontend = frontend.with_positions(4).unwrap();
    let silence = 2.0 * f64::from(f32::EPSILON.ln());
    let (mut state, mut workspace, mut out) = (StreamState::new(), Workspace::new(), Vec::new());
    let mut position = 0u64;
    for second in 0..32 * 60 {
        frontend.push(&mut state, &[0.0; 16_000]).unwrap();
        out.clear();
        frontend.advance(&mut state, usize::MAX, &mut out, &mut workspace);
        for frame in out.chunks(560) {
            position += 1;
            if second % 100 != 19 {
                continue;
            }
            for (k, value) in frame.iter().enumerate() {
                let phase = position as f64 * 10_000f64.powf(-((k % 280) as f64) / 279.0);
                let encoding = if k < 280 { phase.sin() } else { phase.cos() };
                let error = (f64::from(*value) - (silence + encoding)).abs();
                assert!(error < 1e-5, "position {position} value {k}: {value}");
            }
        }
        assert!(state.waiting_samples() < 1_600);
    }
    assert_eq!((position, state.frames()), (32_000, 32_000));
}

#[test]
fn dither_does_not_depend_on_the_cut() {
    let options = FrontendOptions {
        dither: 1.0,
        dither_seed: 5,
        ..FrontendOptions::default()
    };
    let offline = Frontend::new(options, Some(cmvn())).unwrap();
    let whole = extract(&offline, &[0.0; 20_000]);
    let frames = streamed(&StreamFrontend::new(offline), &[0.0; 20_000], &[777], &[1]);
    assert_same_bits("dithered silence", &frames, &whole);
}

#[test]
fn a_finished_stream_takes_no_more_until_it_is_reset() {
    let frontend = StreamFrontend::new(frontend());
    let (mut state, mut workspace, mut out) = (StreamState::new(), Workspace::new(), Vec::new());
    frontend.push(&mut state, &[0.1; 1_000]).unwrap();
    frontend.finish(&mut state);
    let before = state.clone();
    assert_eq!(
        frontend
            .push(&mut state, &[0.1; 7])
            .unwrap_err()
            .to_string(),
        "7 samples were given to a stream that is finished, expected none before it is reset"
    );
    assert_eq!(state, before);
    assert!(state.is_finished());
    state.reset();
    frontend.push(&mut state, &[0.1; 1_000]).unwrap();
    assert_eq!(
        frontend.advance(&mut state, 9, &mut out, &mut workspace),
        1,
        "as a new stream"
    );
}

#[test]
fn positions_need_a_size_and_an_even_frame() {
    let with = |frontend: Frontend, size| {
        let error = StreamFrontend::new(frontend).with_positions(size);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        with(frontend(), 0),
        "encoder_output_size is 0, expected 1 to 1048576"
    );
    let odd = FrontendOptions {
        num_mel_bins: 5,
        ..FrontendOptions::default()
    };
    assert_eq!(
        with(Frontend::new(odd, None).unwrap(), 512),
        "lfr_m is 7 with 5 mel bins, expected lfr_m x n_mels even and at least 4"
    );
}

#[test]
fn one_front_end_serves_all_threads() {
    fn shared<T: Send + Sync>() {}
    fn owned<T: Send>() {}
    shared::<StreamFrontend>();
    owned::<StreamState>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn random_cuts_give_the_offline_frames(
        len in 0usize..30_000,
        sizes in prop::collection::vec(prop_oneof![0usize..700, 0usize..20_000], 1..12),
        steps in prop::collection::vec(0usize..30, 1..5),
        (m, n) in prop_oneof![Just((7, 6)), (1usize..10, 1usize..10)],
    ) {
        // Something must be pushed, and computed, at times.
        let sizes: Vec<usize> = sizes.into_iter().chain([501]).collect();
        let steps: Vec<usize> = steps.into_iter().chain([2]).collect();
        let options = FrontendOptions {
            lfr_m: m,
            lfr_n: n,
            num_mel_bins: 20,
            ..FrontendOptions::default()
        };
        let offline = Frontend::new(options, None).unwrap();
        let samples = noise(len, len as u64);
        let whole = extract(&offline, &samples);
        let plain = StreamFrontend::new(offline);
        assert_same_bits("frames", &streamed(&plain, &samples, &sizes, &steps), &whole);

        let encoded = plain.clone().with_positions(256).unwrap();
        let at_once = streamed(&encoded, &samples, &[usize::MAX], &[usize::MAX]);
        assert_same_bits("encoded", &streamed(&encoded, &samples, &sizes, &steps), &at_once);
    }
}
