//! Recordings with white noise.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// `samples` with white noise that is `snr` decibels below their mean power, always the same one for a seed.
pub(super) fn with_noise(samples: &[f32], snr: f64, seed: u64) -> Vec<f32> {
    let power = mean_power(samples);
    let scale = (power / 10_f64.powf(snr / 10.0)).sqrt();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let add = |&sample: &f32| {
        let noise: f64 = StandardNormal.sample(&mut random);
        // What a file of 16-bit samples could hold.
        (f64::from(sample) + scale * noise).clamp(-1.0, 1.0) as f32
    };
    samples.iter().map(add).collect()
}

fn mean_power(samples: &[f32]) -> f64 {
    let sum: f64 = samples
        .iter()
        .map(|&sample| f64::from(sample).powi(2))
        .sum();
    sum / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_power_and_its_seed() {
        let tone: Vec<f32> = (0..16_000)
            .map(|at| 0.1 * (at as f32 * 0.3).sin())
            .collect();
        let noisy = with_noise(&tone, 10.0, 1);
        let noise: Vec<f32> = noisy.iter().zip(&tone).map(|(a, b)| a - b).collect();
        let snr = 10.0 * (mean_power(&tone) / mean_power(&noise)).log10();
        assert!((snr - 10.0).abs() < 0.3, "{snr}");
        assert_eq!(with_noise(&tone, 10.0, 1), noisy);
        assert_ne!(with_noise(&tone, 10.0, 2), noisy);
        assert!(with_noise(&[], 10.0, 1).is_empty());
    }
}
