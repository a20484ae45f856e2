//! How probable a unit is, by the scores of its frame.

use std::f32::consts::{LN_2, LOG2_E};

use pulp::{Arch, Simd, WithSimd};

use crate::argmax::argmax;

/// Whether a decoder says how probable each token is. That takes the exponential of every score of the frames it was heard
/// in, which is more work than finding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Probabilities {
    /// Tokens have none, and nothing is spent on them.
    #[default]
    Absent,
    /// Tokens have theirs.
    Computed,
}

impl Probabilities {
    pub(crate) fn of(self, scores: &[f32], unit: usize) -> Option<f32> {
        match self {
            Self::Absent => None,
            Self::Computed => probability(scores, unit),
        }
    }
}

/// The probability of `unit`, 0 to 1, in a frame with these `scores`, one for each unit: their softmax.
///
/// Scores are logits or logarithms of probabilities, which give the same. NaN counts as a unit that cannot be.
/// `None` if there is no such unit, or if its score or the largest of all is not a finite number.
///
/// ```
/// use asr_decode::probability;
/// let logits = [1.0, 1.0 + 3f32.ln(), f32::NEG_INFINITY];
/// assert!((probability(&logits, 1).unwrap_or(0.0) - 0.75).abs() < 1e-6);
/// assert_eq!(probability(&logits, 3), None);
/// ```
#[must_use]
pub fn probability(scores: &[f32], unit: usize) -> Option<f32> {
    Softmax::of(scores)?.probability(*scores.get(unit)?)
}

/// What the softmax of a frame's scores takes of all of them, so that each unit's share is cheap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Softmax {
    largest: f32,
    sum: f32,
}

impl Softmax {
    /// `None` if the largest score is not a finite number.
    pub(crate) fn of(scores: &[f32]) -> Option<Self> {
        let largest = *scores.get(argmax(scores)?)?;
        let finite = largest.is_finite();
        let sum = || Arch::new().dispatch(SumOfExp { scores, largest });
        finite.then(|| Self {
            largest,
            sum: sum(),
        })
    }

    /// The probability of a unit with one of the scores; `None` if that is not a finite number.
    pub(crate) fn probability(self, score: f32) -> Option<f32> {
        let finite = score.is_finite();
        finite.then(|| (score - self.largest).exp() / self.sum)
    }
}

/// Scores that are summed up side by side, so that no sum waits for the one before.
const LANES: usize = 32;

/// The sum of e to the power of how far each score is below the largest.
struct SumOfExp<'a> {
    scores: &'a [f32],
    largest: f32,
}

impl WithSimd for SumOfExp<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f32 {
        let mut sums = [0.0; LANES];
        let chunks = self.scores.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (sum, &score) in sums.iter_mut().zip(chunk) {
                *sum += exp(score - self.largest);
            }
        }
        for (sum, &score) in sums.iter_mut().zip(rest) {
            *sum += exp(score - self.largest);
        }
        sums.iter().sum()
    }
}

/// e to the power of `x`, which is not above 0, with an error of less than a hundred-thousandth of it; nearly 0 for NaN. Only what
/// vectors can do: the power of 2 next to it, which is an exponent's bits, times a polynomial for the rest.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// e to this power is too small to count, and still no subnormal number.
    const LEAST: f32 = -80.0;
    /// Added to a small number, it leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // `max` answers the other for NaN.
    let twos = x.max(LEAST) * LOG2_E;
    let rounded = twos + ROUND;
    let rest = (twos - (rounded - ROUND)) * LN_2;
    let power = rounded
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    let polynomial = [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ]
    .into_iter()
    .fold(0.0, |sum, factor| sum * rest + factor);
    polynomial * f32::from_bits(power << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_right_to_a_hundred_thousandth() {
        for step in 0..=79_000 {
            let x = -(step as f32) / 1000.0;
            let (power, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (power / expected - 1.0).abs() < 8e-6,
                "e^{x}: {power}, expected {expected}"
            );
        }
        for x in [-81.0, f32::MIN, f32::NEG_INFINITY, f32::NAN] {
            assert!((0.0..1e-30).contains(&exp(x)), "{x}");
        }
    }

    #[test]
    fn probabilities_of_a_frame_add_up_to_one() {
        for width in [1, 2, 31, 32, 33, 99, 25_055] {
            let scores: Vec<f32> = (0..width)
                .map(|unit| (unit * unit % 101) as f32 / 7.0 - 5.0)
                .collect();
            let exact: f64 = scores.iter().map(|&score| f64::from(score).exp()).sum();
            let mut sum = 0.0;
            for unit in (0..width).step_by(width / 100 + 1) {
                let probability = f64::from(probability(&scores, unit).unwrap());
                let expected = f64::from(scores[unit]).exp() / exact;
                assert!((probability / expected - 1.0).abs() < 1e-5, "{width}");
                sum += probability;
            }
            assert!(width > 99 || (sum - 1.0).abs() < 1e-5, "{sum}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_probability_and_spoils_none() {
        let (nan, infinite) = (f32::NAN, f32::INFINITY);
        assert_eq!(probability(&[], 0), None);
        assert_eq!(probability(&[nan, nan], 0), None);
        assert_eq!(probability(&[1.0, infinite], 0), None);
        assert_eq!(probability(&[1.0, infinite], 1), None);
        assert_eq!(probability(&[-infinite; 2], 1), None);
        assert_eq!(probability(&[-infinite, 3.0, nan], 1), Some(1.0));
        assert_eq!(probability(&[7.0, 7.0], 1), Some(0.5));
        // As far apart as finite numbers can be.
        assert_eq!(probability(&[f32::MIN, f32::MAX], 1), Some(1.0));
        assert_eq!(probability(&[f32::MIN, f32::MAX], 0), Some(0.0));
    }
}
