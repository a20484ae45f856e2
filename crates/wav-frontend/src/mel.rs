//! Kaldi's mel filter bank, kept as the few weights that are not zero.

use crate::error::OptionsError;
use crate::options::{FrontendOptions, invalid};

/// Triangular filters over the power spectrum, equally spaced on the mel scale (Kaldi's `MelBanks`),
/// with the weights in single precision as Kaldi computes them: models were trained on those.
#[derive(Debug, Clone)]
pub(crate) struct MelBank {
    filters: Vec<Filter>,
    weights: Vec<f32>,
}

/// The FFT bins under one triangle.
#[derive(Debug, Clone, Copy)]
struct Filter {
    first_bin: usize,
    first_weight: usize,
    len: usize,
}

impl MelBank {
    /// The bank for checked rates, sizes and edges; an error when a filter falls between two FFT bins.
    pub(crate) fn new(options: &FrontendOptions) -> Result<Self, OptionsError> {
        let fft_size = options.frame_length_samples().next_power_of_two();
        let bin_width = options.sample_rate as f32 / fft_size as f32;
        let (low, high) = options.band();
        let (low, high) = (mel(low as f32), mel(high as f32));
        let step = (high - low) / (options.num_mel_bins + 1) as f32;
        let bin_mels: Vec<f32> = (0..fft_size / 2)
            .map(|bin| mel(bin_width * bin as f32))
            .collect();

        let mut bank = Self {
            filters: Vec::with_capacity(options.num_mel_bins),
            weights: Vec::new(),
        };
        for filter in 0..options.num_mel_bins {
            let edge = |steps: usize| low + (filter + steps) as f32 * step;
            let (left, center, right) = (edge(0), edge(1), edge(2));
            let first_bin = bin_mels.partition_point(|&mel| mel <= left);
            let end_bin = bin_mels.partition_point(|&mel| mel < right);
            if first_bin >= end_bin {
                let wider = format!("fewer filters: number {filter} falls between two FFT bins");
                return Err(invalid("n_mels", options.num_mel_bins.to_string(), wider));
            }
            let first_weight = bank.weights.len();
            bank.weights
                .extend(bin_mels[first_bin..end_bin].iter().map(|&mel| {
                    if mel <= center {
                        (mel - left) / (center - left)
                    } else {
                        (right - mel) / (right - center)
                    }
                }));
            bank.filters.push(Filter {
                first_bin,
                first_weight,
                len: end_bin - first_bin,
            });
        }
        Ok(bank)
    }

    /// Per filter the first FFT bin under it, and the weights from there on.
    #[inline(always)]
    pub(crate) fn filters(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.filters.iter().map(|filter| {
            let weights = &self.weights[filter.first_weight..][..filter.len];
            (filter.first_bin, weights)
        })
    }
}

/// Kaldi's mel scale.
fn mel(hz: f32) -> f32 {
    1127.0 * (1.0 + hz / 700.0).ln()
}
