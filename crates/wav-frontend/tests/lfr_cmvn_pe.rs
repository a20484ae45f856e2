//! The streaming step before the encoder: parity with recorded outputs, and positions far beyond them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ndarray::{Array2, Array3};
use ndarray_npy::NpzReader;
use support::{assert_close, assert_same_bits, cmvn, cube, data, noise};
use wav_frontend::Cmvn;
use wav_frontend::lfr_cmvn_pe::{LfrCmvnPe, LfrCmvnPeOptions};

const ROWS: usize = 10 * 560;

fn step() -> LfrCmvnPe {
    LfrCmvnPe::new(LfrCmvnPeOptions::default(), cmvn()).unwrap()
}

/// A stream as the server keeps it: the cache and the offset go in and come out.
struct Stream {
    cache: Vec<f32>,
    offset: i32,
}

impl Stream {
    fn new() -> Self {
        Self {
            cache: vec![0.0; ROWS],
            offset: 0,
        }
    }

    fn next(&mut self, step: &LfrCmvnPe, window: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; 2 * ROWS];
        let mut next_cache = vec![f32::NAN; ROWS];
        self.offset = step
            .apply(&self.cache, self.offset, window, &mut out, &mut next_cache)
            .unwrap();
        self.cache = next_cache;
        out
    }
}

#[test]
fn recorded_outputs_agree() {
    for name in ["speech_zh", "speech_en", "speech_digits"] {
        let file = std::fs::File::open(data(&format!("{name}.lfr_cmvn_pe.npz"))).unwrap();
        let mut recorded = NpzReader::new(file).unwrap();
        let expected: Array3<f32> = recorded.by_name("chunk_xs_out").unwrap();
        let offset: Array2<i32> = recorded.by_name("offset").unwrap();

        let windows = cube(&format!("{name}.windows.npy"));
        let (step, mut stream) = (step(), Stream::new());
        let mut worst = 0.0f32;
        for (window, expected) in windows.outer_iter().zip(expected.outer_iter()) {
            let out = stream.next(&step, window.as_slice().unwrap());
            worst = worst.max(assert_close(name, &out, expected.as_slice().unwrap(), 1e-3));
        }
        assert_eq!(windows.shape()[0], expected.shape()[0]);
        assert_eq!(stream.offset, offset[[0, 0]]);
        println!("{name}: largest difference {worst:e}");
    }
}

#[test]
fn the_cache_is_the_second_half_and_comes_back_as_the_first() {
    let (step, mut stream) = (step(), Stream::new());
    let first = stream.next(&step, &noise(61 * 80, 1));
    assert!(first[..ROWS].iter().all(|value| *value == 0.0));
    assert_same_bits("cache", &stream.cache, &first[ROWS..]);
    let second = stream.next(&step, &noise(61 * 80, 2));
    assert_same_bits("carried", &second[..ROWS], &first[ROWS..]);
    assert_eq!(
        (step.frames(), step.output_frames(), step.feature_dim()),
        (10, 20, 560)
    );
}

/// Values that are the position encoding alone: `(1 - 1) * 1`.
fn bare(options: LfrCmvnPeOptions) -> LfrCmvnPe {
    let dim = options.num_mel_bins * options.lfr_m;
    let section = |value: &str| {
        format!(
            "{dim} {dim} <LearnRateCoef> 0 [ {} ]",
            vec![value; dim].join(" ")
        )
    };
    let text = format!("<AddShift> {} <Rescale> {}", section("-1"), section("1"));
    LfrCmvnPe::new(options, Cmvn::parse(&text).unwrap()).unwrap()
}

fn encoding(position: f64, k: usize, half: usize) -> f64 {
    let phase = |k: usize| position * 10_000f64.powf(-(k as f64) / (half - 1) as f64);
    if k < half {
        phase(k).sin()
    } else {
        phase(k - half).cos()
    }
}

#[test]
fn positions_of_thirty_minutes_are_right() {
    let (step, mut stream) = (bare(LfrCmvnPeOptions::default()), Stream::new());
    let window = vec![1.0; 61 * 80];
    for chunk in 0..3_000 {
        let out = stream.next(&step, &window);
        for (row, values) in out[ROWS..].chunks(560).enumerate() {
            let position = f64::from(chunk * 10 + row as i32 + 1);
            for (k, value) in values.iter().enumerate() {
                let error = (f64::from(*value) - encoding(position, k, 280)).abs();
                assert!(
                    error < 1e-6,
                    "position {position} value {k}: {value}, error {error}"
                );
            }
        }
    }
    assert_eq!(stream.offset, 30_000);
}

#[test]
fn the_last_offset_there_is_does_not_overflow() {
    let step = bare(LfrCmvnPeOptions::default());
    let mut stream = Stream {
        cache: vec![0.0; ROWS],
        offset: i32::MAX - 3,
    };
    let out = stream.next(&step, &[1.0; 61 * 80]);
    assert_eq!(stream.offset, i32::MAX);
    assert!(out.iter().all(|value| value.abs() <= 1.0 + 1e-6));
}

#[test]
fn other_sizes_scale_and_stack_as_told() {
    let options = LfrCmvnPeOptions {
        num_mel_bins: 2,
        window_frames: 6,
        lfr_m: 3,
        lfr_n: 2,
        encoder_output_size: 16,
    };
    let step = bare(options);
    assert_eq!((step.frames(), step.feature_dim()), (2, 6));
    let window: Vec<f32> = (1..=12).map(|value| value as f32).collect();
    let (mut out, mut next_cache) = (vec![0.0; 24], vec![0.0; 12]);
    let cache: Vec<f32> = (0..12).map(|value| value as f32).collect();
    assert_eq!(
        step.apply(&cache, 4, &window, &mut out, &mut next_cache)
            .unwrap(),
        6
    );
    assert_eq!(out[..12], cache);
    // Frames 0 to 2, then 2 to 4; the sixth is not used.
    for (row, first) in [(0, 0), (1, 4)] {
        for k in 0..6 {
            let expected = 4.0 * (first + k) as f64 + encoding(5.0 + row as f64, k, 3);
            let given = f64::from(out[12 + row * 6 + k]);
            assert!(
                (given - expected).abs() < 1e-5,
                "row {row} value {k}: {given}, expected {expected}"
            );
        }
    }
}

#[test]
fn misfits_are_refused() {
    let default = LfrCmvnPeOptions::default;
    for (options, message) in [
        (
            LfrCmvnPeOptions {
                num_mel_bins: 40,
                ..default()
            },
            "CMVN has 560 values per frame, expected 280 (n_mels 40 x lfr_m 7)",
        ),
        (
            LfrCmvnPeOptions {
                lfr_n: 0,
                ..default()
            },
            "lfr_n is 0, expected 1 to 1024",
        ),
        (
            LfrCmvnPeOptions {
                lfr_m: 0,
                ..default()
            },
            "lfr_m is 0, expected 1 to 1024",
        ),
        (
            LfrCmvnPeOptions {
                window_frames: 6,
                ..default()
            },
            "window_frames is 6, expected 7 to 65536",
        ),
        (
            LfrCmvnPeOptions {
                encoder_output_size: 0,
                ..default()
            },
            "encoder_output_size is 0, expected 1 to 1048576",
        ),
        (
            LfrCmvnPeOptions {
                num_mel_bins: 1,
                lfr_m: 7,
                ..default()
            },
            "lfr_m is 7 with 1 mel bins, expected lfr_m x n_mels even and at least 4",
        ),
    ] {
        assert_eq!(
            LfrCmvnPe::new(options, cmvn()).unwrap_err().to_string(),
            message
        );
    }
    let step = step();
    let (cache, window) = (vec![0.0; ROWS], vec![0.0; 61 * 80]);
    let (mut out, mut next) = (vec![0.0; 2 * ROWS], vec![0.0; ROWS]);
    for (cache, window, out, next, what) in [
        (
            &cache[1..],
            &window[..],
            &mut out[..],
            &mut next[..],
            "the cache has 5599 values",
        ),
        (
            &cache,
            &window[80..],
            &mut vec![0.0; 2 * ROWS],
            &mut vec![0.0; ROWS],
            "the window has 4800 values",
        ),
        (
            &cache,
            &window,
            &mut vec![0.0; ROWS],
            &mut vec![0.0; ROWS],
            "the output buffer has 5600 values",
        ),
        (
            &cache,
            &window,
            &mut vec![0.0; 2 * ROWS],
            &mut [0.0; 3],
            "the next cache has 3 values",
        ),
    ] {
        let error = step
            .apply(cache, 0, window, out, next)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(what), "{error}");
    }
}
