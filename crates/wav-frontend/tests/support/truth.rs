//! Log-mel energies in double precision, step by step as Kaldi defines them, with the default options.

#![allow(unreachable_pub, reason = "each test binary uses its part")]

use std::f64::consts::TAU;

const FRAME: usize = 400;
const SHIFT: usize = 160;
const FFT: usize = 512;
const BINS: usize = 80;

/// `[frames, 80]`
pub fn log_mel(samples: &[f32]) -> Vec<f64> {
    let bank = bank();
    let starts = (0..samples.len()).step_by(SHIFT);
    let frames = starts.map_while(|start| samples.get(start..start + FRAME));
    frames
        .flat_map(|frame| {
            let power = power(frame);
            let energy = |weights: &Vec<f64>| -> f64 {
                weights.iter().zip(&power).map(|(w, power)| w * power).sum()
            };
            bank.iter()
                .map(|weights| energy(weights).max(f64::from(f32::EPSILON)).ln())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn power(frame: &[f32]) -> Vec<f64> {
    let scaled: Vec<f64> = frame.iter().map(|x| f64::from(*x) * 32_768.0).collect();
    let mean = scaled.iter().sum::<f64>() / FRAME as f64;
    let shaped = (0..FRAME).map(|i| {
        let before = scaled[i.saturating_sub(1)] - mean;
        let window = 0.54 - 0.46 * (TAU * i as f64 / (FRAME - 1) as f64).cos();
        (scaled[i] - mean - 0.97 * before) * window
    });
    let mut padded: Vec<(f64, f64)> = shaped.map(|x| (x, 0.0)).collect();
    padded.resize(FFT, (0.0, 0.0));
    let spectrum = transform(&padded);
    spectrum[..FFT / 2]
        .iter()
        .map(|(re, im)| re * re + im * im)
        .collect()
}

/// The Fourier transform, by halves.
fn transform(x: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if x.len() == 1 {
        return x.to_vec();
    }
    let part =
        |from: usize| transform(&x.iter().skip(from).step_by(2).copied().collect::<Vec<_>>());
    let (even, odd) = (part(0), part(1));
    let turned: Vec<_> = odd
        .iter()
        .enumerate()
        .map(|(k, (re, im))| {
            let (sin, cos) = (TAU * k as f64 / x.len() as f64).sin_cos();
            (re * cos + im * sin, im * cos - re * sin)
        })
        .collect();
    let pairs = || even.iter().zip(&turned);
    let low = pairs().map(|(a, b)| (a.0 + b.0, a.1 + b.1));
    low.chain(pairs().map(|(a, b)| (a.0 - b.0, a.1 - b.1)))
        .collect()
}

/// `[80, 256]`
fn bank() -> Vec<Vec<f64>> {
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let (low, high) = (mel(20.0), mel(8_000.0));
    let step = (high - low) / (BINS + 1) as f64;
    let weight = |filter: usize, bin: usize| {
        let place = (mel(bin as f64 * 16_000.0 / FFT as f64) - low) / step - filter as f64;
        (1.0 - (place - 1.0).abs()).max(0.0)
    };
    (0..BINS)
        .map(|filter| (0..FFT / 2).map(|bin| weight(filter, bin)).collect())
        .collect()
}
