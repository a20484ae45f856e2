//! Rows alone, in company, on threads, and at the edges of what a row can be.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::num::NonZeroUsize;

use support::{assert_same_bits, extract, frontend, noise, wav};
use wav_frontend::{Cmvn, Fbank, Frontend, FrontendError, FrontendOptions, Row, Workspace};

fn batch(frontend: &Frontend, rows: &[&[f32]], threads: usize) -> Vec<Vec<f32>> {
    let size = |row: &&[f32]| frontend.output_frames(row.len()) * frontend.feature_dim();
    let mut outs: Vec<_> = rows.iter().map(|row| vec![f32::NAN; size(row)]).collect();
    let pairs = rows.iter().zip(&mut outs);
    let mut batch: Vec<_> = pairs.map(|(samples, out)| Row { samples, out }).collect();
    frontend
        .extract_batch(&mut batch, NonZeroUsize::new(threads).unwrap())
        .unwrap();
    outs
}

#[test]
fn less_than_a_frame_has_no_features() {
    let frontend = frontend();
    for samples in [0, 1, 399] {
        assert_eq!(frontend.output_frames(samples), 0);
        assert!(extract(&frontend, &noise(samples, 1)).is_empty());
    }
    assert_eq!(frontend.output_frames(400), 1);
    assert_eq!(extract(&frontend, &noise(400, 1)).len(), 560);
}

#[test]
fn frames_and_stacked_frames_are_counted_like_kaldi_and_lfr_do() {
    let frontend = frontend();
    for (samples, frames, stacked) in [
        (559, 1, 1),
        (560, 2, 1),
        (400 + 5 * 160, 6, 1),
        (400 + 6 * 160, 7, 2),
        (16_000, 98, 17),
        (160_000, 998, 167),
    ] {
        assert_eq!(
            frontend.fbank().frames(samples),
            frames,
            "{samples} samples"
        );
        assert_eq!(
            frontend.output_frames(samples),
            stacked,
            "{samples} samples"
        );
    }
}

#[test]
fn silence_is_the_floor() {
    let plain = Frontend::new(FrontendOptions::default(), None).unwrap();
    for level in [0.0, -0.0, 0.25] {
        let features = extract(&plain, &[level; 1200]);
        assert_eq!(features.len(), 560);
        assert!(
            features.iter().all(|value| *value == f32::EPSILON.ln()),
            "constant {level}"
        );
    }
}

#[test]
fn rows_in_a_batch_equal_rows_alone() {
    let frontend = frontend();
    let recorded: Vec<_> = ["speech_zh", "dc_offset", "frames_03", "speech_en"]
        .map(wav)
        .into();
    let mut rows: Vec<&[f32]> = recorded.iter().map(Vec::as_slice).collect();
    let long = noise(16_000 * 130 + 77, 5);
    rows.extend([
        &long[..0],
        &long[..399],
        &long[..400],
        &long[..16_000],
        &long[..],
    ]);
    let alone: Vec<_> = rows.iter().map(|row| extract(&frontend, row)).collect();
    for threads in [1, 2, 3, 8] {
        let together = batch(&frontend, &rows, threads);
        for (row, (together, alone)) in together.iter().zip(&alone).enumerate() {
            assert_same_bits(&format!("row {row}, {threads} threads"), together, alone);
        }
    }
    rows.reverse();
    for (together, alone) in batch(&frontend, &rows, 2).iter().zip(alone.iter().rev()) {
        assert_same_bits("reversed batch", together, alone);
    }
}

#[test]
fn a_longer_row_begins_like_the_shorter_one() {
    let frontend = frontend();
    let long = wav("speech_en");
    let short = extract(&frontend, &long[..30_000]);
    let features = extract(&frontend, &long);
    // The last stacked frame repeats its tail; all others are the same.
    let common = short.len() - frontend.feature_dim();
    assert_same_bits("common part", &features[..common], &short[..common]);
}

#[test]
fn ten_minutes_end_like_their_last_seconds_alone() {
    let frontend = frontend();
    let long = noise(16_000 * 600, 12);
    let features = extract(&frontend, &long);
    assert_eq!(features.len(), 59_998usize.div_ceil(6) * 560);
    // Stacked frames begin every 960 samples; the first of a piece repeats its head.
    let tail = extract(&frontend, &long[960 * 9_000..]);
    let common = tail.len() - frontend.feature_dim();
    assert_same_bits(
        "tail",
        &features[features.len() - common..],
        &tail[frontend.feature_dim()..],
    );
}

#[test]
fn a_used_workspace_leaves_no_trace() {
    let options = FrontendOptions {
        sample_rate: 48_000,
        ..FrontendOptions::default()
    };
    let (other, frontend) = (Frontend::new(options, None).unwrap(), frontend());
    let mut workspace = Workspace::new();
    let long = noise(48_000, 3);
    let mut out = vec![0.0; other.output_frames(long.len()) * other.feature_dim()];
    other.extract(&long, &mut out, &mut workspace).unwrap();

    let samples = wav("frames_09");
    let mut features = vec![0.0; frontend.output_frames(samples.len()) * frontend.feature_dim()];
    frontend
        .extract(&samples, &mut features, &mut workspace)
        .unwrap();
    assert_same_bits(
        "after another front end",
        &features,
        &extract(&frontend, &samples),
    );
}

#[test]
fn a_nan_stays_in_the_frames_that_hold_it() {
    let frontend = frontend();
    let mut samples = wav("noise_1s");
    let clean = extract(&frontend, &samples);
    samples[8_000] = f32::NAN;
    let features = extract(&frontend, &samples);
    // Sample 8000 lies in frames 48 to 50, so in stacked frames 7 (39 to 45) … 8 (45 to 51) … 9 (51 to 57).
    assert_same_bits("before", &features[..8 * 560], &clean[..8 * 560]);
    assert_same_bits("after", &features[9 * 560..], &clean[9 * 560..]);
}

#[test]
fn dither_is_noise_of_the_given_size_that_repeats_with_its_seed() {
    let with = |dither, dither_seed| {
        let options = FrontendOptions {
            dither,
            dither_seed,
            ..FrontendOptions::default()
        };
        Frontend::new(options, None).unwrap()
    };
    let samples = wav("speech_digits");
    let first = extract(&with(1.0, 9), &samples);
    assert_same_bits("same seed", &extract(&with(1.0, 9), &samples), &first);
    let company = noise(70_000, 8);
    let together = batch(&with(1.0, 9), &[&company, &samples, &[]], 2);
    assert_same_bits("in a batch", &together[1], &first);
    assert!(
        extract(&with(1.0, 10), &samples) != first,
        "another seed, the same noise"
    );
    assert!(extract(&with(0.0, 9), &samples) != first, "no noise");

    // White noise of deviation d has the power d² sum(w²) per bin: 10 times more noise is ln 100 more.
    let silence = [0.0; 16_000];
    let (weak, strong) = (
        extract(&with(1.0, 1), &silence),
        extract(&with(10.0, 1), &silence),
    );
    for (weak, strong) in weak.iter().zip(&strong) {
        assert!(
            (strong - weak - 100f32.ln()).abs() < 1e-3,
            "{weak} {strong}"
        );
    }
    let noise_frames = extract(&with(1.0, 1), &[0.0; 400 + 160 * 999]);
    assert!(
        noise_frames[560..620] != noise_frames[640..700],
        "each frame has noise of its own"
    );
    let fbank = Fbank::new(&FrontendOptions::default()).unwrap();
    // The same deviation from a uniform distribution, through the audio: sqrt(12) wide.
    let uniform: Vec<_> = noise(400 + 160 * 999, 4)
        .iter()
        .map(|x| x * 12f32.sqrt() / 32_768.0)
        .collect();
    let mut expected = vec![0.0; 1000 * 80];
    fbank
        .extract(&uniform, &mut expected, &mut Workspace::new())
        .unwrap();
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    assert!((mean(&noise_frames) - mean(&expected)).abs() < 0.05);
}

#[test]
fn buffers_of_the_wrong_size_are_refused() {
    let frontend = frontend();
    let samples = noise(16_000, 2);
    let mut out = vec![0.0; 17 * 560 + 1];
    let error = frontend
        .extract(&samples, &mut out, &mut Workspace::new())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the feature buffer has 9521 values, expected 9520 (17 frames x 560)"
    );
    let mut rows = [Row {
        samples: &samples,
        out: &mut out[..560],
    }];
    let error = frontend
        .extract_batch(&mut rows, NonZeroUsize::MIN)
        .unwrap_err();
    assert!(matches!(
        error,
        FrontendError::BufferSize {
            given: 560,
            expected: 9520,
            ..
        }
    ));
}

#[test]
fn cmvn_of_another_width_is_refused() {
    let text =
        "<AddShift> 3 3 <LearnRateCoef> 0 [ 1 2 3 ] <Rescale> 3 3 <LearnRateCoef> 0 [ 1 2 3 ]";
    let cmvn = Cmvn::parse(text).unwrap();
    let error = Frontend::new(FrontendOptions::default(), Some(cmvn)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CMVN has 3 values per frame, expected 560 (n_mels 80 x lfr_m 7)"
    );
}

#[test]
fn a_front_end_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Frontend>();
    shared::<Fbank>();
}
