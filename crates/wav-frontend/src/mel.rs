//! Kaldi's mel filter bank, kept as the few weights that are not zero.

use crate::error::{OptionsError, invalid};
use crate::fft;
use crate::lanes::{Lanes, Number};

/// Triangular filters over the power spectrum, equally spaced on the mel scale (Kaldi's `MelBanks`), of weights computed
/// in f64.
#[derive(Debug, Clone)]
pub(crate) struct MelBank<T> {
    filters: Vec<Filter<T>>,
    weights: Vec<T>,
}

/// The FFT bins under one triangle.
#[derive(Debug, Clone, Copy)]
struct Filter<T> {
    first_bin: usize,
    first_weight: usize,
    len: usize,
    /// Of the largest weight.
    reciprocal: T,
}

impl<T: Number> MelBank<T> {
    /// The bank of `count` filters from `low` to `high` Hz for frames of `frame_length` samples, all of them checked; an error
    /// when a filter falls between two FFT bins.
    pub(crate) fn new(
        count: usize,
        (low, high): (f64, f64),
        sample_rate: u32,
        frame_length: usize,
    ) -> Result<Self, OptionsError> {
        let fft_size = frame_length.next_power_of_two();
        let bin_width = f64::from(sample_rate) / fft_size as f64;
        // Of a frame that is padded further, every so manieth bin.
        let spread = fft::MIN_SIZE.div_ceil(fft_size);
        let (low, high) = (mel(low), mel(high));
        let step = (high - low) / (count + 1) as f64;
        let bin_mels: Vec<f64> = (0..fft_size / 2)
            .map(|bin| mel(bin_width * bin as f64))
            .collect();

        let mut bank = Self {
            filters: Vec::with_capacity(count),
            weights: Vec::new(),
        };
        for filter in 0..count {
            let edge = |steps: usize| low + (filter + steps) as f64 * step;
            let (left, center, right) = (edge(0), edge(1), edge(2));
            let first_bin = bin_mels.partition_point(|&mel| mel <= left);
            let end_bin = bin_mels.partition_point(|&mel| mel < right);
            if first_bin >= end_bin {
                let wider = format!("fewer filters: number {filter} falls between two FFT bins");
                return Err(invalid("n_mels", count.to_string(), wider));
            }
            let first_weight = bank.weights.len();
            let mut largest = 0.0f64;
            for &mel in &bin_mels[first_bin..end_bin] {
                let weight = if mel <= center {
                    (mel - left) / (center - left)
                } else {
                    (right - mel) / (right - center)
                };
                largest = largest.max(weight);
                bank.weights.push(T::from_f64(weight));
                bank.weights.extend((1..spread).map(|_| T::ZERO));
            }
            bank.filters.push(Filter {
                first_bin: first_bin * spread,
                first_weight,
                len: (end_bin - first_bin - 1) * spread + 1,
                reciprocal: T::from_f64(1.0 / largest),
            });
        }
        Ok(bank)
    }

    /// Writes the energies of the filters over `power` to `out`, and returns the least of them, each over its filter's
    /// largest weight.
    #[inline(always)]
    pub(crate) fn apply<L: Lanes<Number = T>>(
        &self,
        lanes: L,
        power: &[L::Vector],
        out: &mut [L::Vector],
    ) -> L::Vector {
        let mut least = lanes.splat(T::from_f64(f64::from(f32::MAX)));
        for (out, filter) in out.iter_mut().zip(&self.filters) {
            let weights = &self.weights[filter.first_weight..][..filter.len];
            let mut energy = lanes.splat(T::ZERO);
            for (power, weight) in power[filter.first_bin..].iter().zip(weights) {
                energy = lanes.mul_add(*power, lanes.splat(*weight), energy);
            }
            least = lanes.min(least, lanes.mul(energy, lanes.splat(filter.reciprocal)));
            *out = energy;
        }
        least
    }
}

/// Kaldi's mel scale.
fn mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}
