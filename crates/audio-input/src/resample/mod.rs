//! Sample rates: a band-limited filter that takes audio as it comes.
//!
//! Output sample `j` is the input, seen as the band-limited signal it stands for, at the time of input sample `j * from / to`: the
//! first of both fall together, and `n` samples become `ceil(n * to / from)`. Beyond its ends the input is silence. The filter is a
//! windowed sinc (J. O. Smith, *Digital Audio Resampling*): flat up to 91.25 % of the smaller Nyquist frequency, as soxr's high
//! quality is, and 100 dB down from that frequency on, so nothing folds back.
//!
//! Each output sample is one sum of products, added up in the same order whatever came together in a call: chunks of any sizes give
//! the samples of the whole, bit for bit.

mod filter;
mod run;
mod shared;

use std::sync::Arc;

use self::filter::Filter;
use crate::error::AudioError;
use crate::rates::{HIGHEST_RATE, LOWEST_RATE};

/// Input that is filtered at a time: what it and its output take stays in the cache.
const BLOCK: usize = 8192;

/// Resamples one stream of samples.
#[derive(Clone, Debug)]
pub struct Resampler {
    filter: Arc<Filter>,
    /// Input that output still to come depends on, zeros before the first sample included.
    held: Vec<f32>,
    /// Where in `held` the next output sample's filter begins, and how many `to`-ths of a sample behind that it lies.
    next: usize,
    fraction: usize,
    /// Samples that came in, and went out.
    taken: u64,
    given: u64,
}

impl Resampler {
    /// A resampler from one rate to another, both in Hz.
    ///
    /// # Errors
    /// [`AudioError::Rate`] for a rate that is not [`LOWEST_RATE`] to [`HIGHEST_RATE`].
    pub fn new(from: u32, to: u32) -> Result<Self, AudioError> {
        for rate in [from, to] {
            if !(LOWEST_RATE..=HIGHEST_RATE).contains(&rate) {
                return Err(AudioError::Rate { rate });
            }
        }
        let filter = Filter::of(from, to);
        Ok(Self {
            held: vec![0.0; filter.before()],
            next: 0,
            fraction: 0,
            filter,
            taken: 0,
            given: 0,
        })
    }

    /// How many samples come of `samples` samples.
    #[must_use]
    pub fn output_len(&self, samples: u64) -> u64 {
        let Filter { from, to, .. } = *self.filter;
        if from == to {
            return samples;
        }
        // 2^40 samples of 192 kHz are two months; 2^18 is above any rate.
        samples.saturating_mul(to as u64).div_ceil(from as u64)
    }

    /// How many samples after one has come in the output does not depend on what follows any more; 0 if nothing is resampled.
    #[must_use]
    pub fn delay(&self) -> usize {
        self.filter.half
    }

    /// Takes `samples` and appends to `out` what can be told already.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        if self.filter.is_identity() {
            out.extend_from_slice(samples);
            return;
        }
        self.taken += samples.len() as u64;
        for block in samples.chunks(BLOCK) {
            self.held.extend_from_slice(block);
            self.run(usize::MAX, out);
        }
    }

    /// Appends the rest to `out`; the next sample begins a new stream.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        if self.filter.is_identity() {
            return;
        }
        let rest = self.output_len(self.taken).saturating_sub(self.given);
        self.held.resize(self.held.len() + self.filter.half, 0.0);
        self.run(usize::try_from(rest).unwrap_or(usize::MAX), out);
        self.held.clear();
        self.held.resize(self.filter.before(), 0.0);
        (self.next, self.fraction, self.taken, self.given) = (0, 0, 0, 0);
    }

    /// Computes what `held` allows, at most `most` samples, and lets go of what is not needed any more.
    fn run(&mut self, most: usize, out: &mut Vec<f32>) {
        let before = out.len();
        let place = (self.next, self.fraction);
        (self.next, self.fraction) = run::run(&self.filter, &self.held, place, most, out);
        self.given += (out.len() - before) as u64;
        // The place may lie behind all that is there, when the input's rate is many times the output's.
        let done = self.next.min(self.held.len());
        self.held.drain(..done);
        self.next -= done;
    }
}

/// Resamples `samples` as a whole.
///
/// ```
/// let tone = vec![0.25; 48_000];
/// assert_eq!(audio_input::resample::resample(&tone, 48_000, 16_000)?.len(), 16_000);
/// # Ok::<(), audio_input::AudioError>(())
/// ```
///
/// # Errors
/// As [`Resampler::new`], and [`AudioError::Memory`].
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    let mut resampler = Resampler::new(from, to)?;
    let length = resampler.output_len(samples.len() as u64);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    if out.try_reserve_exact(length).is_err() {
        return Err(AudioError::Memory { samples: length });
    }
    resampler.push(samples, &mut out);
    resampler.finish(&mut out);
    Ok(out)
}

#[cfg(test)]
mod tests;
