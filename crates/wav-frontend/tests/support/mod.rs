//! What the tests share: the recorded arrays and comparisons that say where they fail.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array3};
use wav_frontend::{Cmvn, Frontend, FrontendOptions, Workspace};

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

pub fn wav(name: &str) -> Vec<f32> {
    let samples: Array1<f32> = ndarray_npy::read_npy(data(&format!("{name}.wav.npy"))).unwrap();
    samples.to_vec()
}

pub fn speech(name: &str) -> Array2<f32> {
    ndarray_npy::read_npy(data(&format!("{name}.speech.npy"))).unwrap()
}

pub fn cube(name: &str) -> Array3<f32> {
    ndarray_npy::read_npy(data(name)).unwrap()
}

pub fn cmvn() -> Cmvn {
    Cmvn::read(data("am.mvn")).unwrap()
}

pub fn frontend() -> Frontend {
    Frontend::new(FrontendOptions::default(), Some(cmvn())).unwrap()
}

pub fn extract(frontend: &Frontend, samples: &[f32]) -> Vec<f32> {
    let size = frontend.output_frames(samples.len()) * frontend.feature_dim();
    let mut out = vec![f32::NAN; size];
    frontend
        .extract(samples, &mut out, &mut Workspace::new())
        .unwrap();
    out
}

/// Samples without a pattern in [-0.5, 0.5), from a linear congruential generator.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// The largest difference, which must not be over `tolerance`.
pub fn assert_close(what: &str, given: &[f32], expected: &[f32], tolerance: f32) -> f32 {
    assert_eq!(given.len(), expected.len(), "{what}: number of values");
    let mut worst = 0.0f32;
    for (at, (given, expected)) in given.iter().zip(expected).enumerate() {
        let error = (given - expected).abs();
        assert!(
            error <= tolerance,
            "{what}: value {at} is {given}, expected {expected}"
        );
        worst = worst.max(error);
    }
    worst
}

pub fn assert_same_bits(what: &str, given: &[f32], expected: &[f32]) {
    assert_eq!(given.len(), expected.len(), "{what}: number of values");
    for (at, (given, expected)) in given.iter().zip(expected).enumerate() {
        assert_eq!(
            given.to_bits(),
            expected.to_bits(),
            "{what}: value {at}: {given} and {expected}"
        );
    }
}
