//! Sinusoidal position encoding without a last position.

use std::ops::Range;

use crate::error::OptionsError;
use crate::error::invalid;
use crate::lanes::Isa;
use crate::simd_path::{Kernel, Machine, SimdPath};

/// Positions in a block: one hexadecimal digit of them.
const BLOCK: usize = 16;
/// Digits whose turns are tabulated, which is 17 hours of 60 ms frames; what is beyond is evaluated.
const DIGITS: usize = 5;
/// Phases that are turned together.
const GROUP: usize = 64;
/// Largest encoder output size.
const MAX_OUTPUT_SIZE: usize = 1 << 20;

/// What the encoder wants done to its frames: times the square root of its output size, plus the encoding of their
/// positions.
///
/// The encoding of a position is, for k below half the width K, sin(position t_k) and, K further on, cos(position t_k)
/// with t_k = 10000^(-k / (K - 1)). It is computed in double precision from the position alone, as one turn for each
/// hexadecimal digit of it, so a frame's values are the same bits in whatever company it comes.
#[derive(Debug, Clone)]
pub(crate) struct Positions {
    machine: Machine,
    scale: f32,
    /// t_k
    phases: Vec<f64>,
    digits: Vec<Turns>,
}

/// Sines and cosines of 0, t_k, 2 t_k … 15 t_k times a power of 16: `[16, K]`.
#[derive(Debug, Clone)]
struct Turns {
    sin: Vec<f64>,
    cos: Vec<f64>,
}

impl Turns {
    fn new(phases: &[f64], unit: u64) -> Self {
        let angles = (0..BLOCK).flat_map(|step| {
            let positions = (step as u64 * unit) as f64;
            phases.iter().map(move |phase| positions * phase)
        });
        let (sin, cos) = angles.map(f64::sin_cos).unzip();
        Self { sin, cos }
    }

    /// Those of one digit, for some phases.
    #[inline(always)]
    fn of(&self, digit: usize, half: usize, phases: Range<usize>) -> (&[f64], &[f64]) {
        let range = digit * half + phases.start..digit * half + phases.end;
        (&self.sin[range.clone()], &self.cos[range])
    }
}

impl Positions {
    /// For frames of `lfr_m * num_mel_bins` values and an encoder with `encoder_output_size` of them.
    pub(crate) fn new(
        num_mel_bins: usize,
        lfr_m: usize,
        encoder_output_size: usize,
    ) -> Result<Self, OptionsError> {
        if !(1..=MAX_OUTPUT_SIZE).contains(&encoder_output_size) {
            return Err(invalid(
                "encoder_output_size",
                encoder_output_size.to_string(),
                format!("1 to {MAX_OUTPUT_SIZE}"),
            ));
        }
        // Half of the values take sines, the other half cosines of the same phases, of which there are at least two.
        let dim = num_mel_bins.saturating_mul(lfr_m);
        if dim < 4 || !dim.is_multiple_of(2) {
            let given = format!("{lfr_m} with {num_mel_bins} mel bins");
            return Err(invalid(
                "lfr_m",
                given,
                "lfr_m x n_mels even and at least 4",
            ));
        }
        let half = dim / 2;
        let phase = |k: usize| (-(k as f64) * 10_000f64.ln() / (half - 1) as f64).exp();
        let phases: Vec<f64> = (0..half).map(phase).collect();
        let digits = (0..DIGITS).map(|digit| Turns::new(&phases, 1 << (4 * digit)));
        Ok(Self {
            machine: SimdPath::fastest().machine().unwrap_or(Machine::Portable),
            scale: (encoder_output_size as f64).sqrt() as f32,
            digits: digits.collect(),
            phases,
        })
    }

    /// Scales and encodes `rows`, `[_, dim]`, which stand at the positions `first`, `first + 1` …
    pub(crate) fn apply(&self, first: u64, rows: &mut [f32]) {
        self.machine.run(Encoding {
            positions: self,
            first,
            rows,
        });
    }

    /// Sines and cosines of the `phases` at the position `start`, a multiple of 16.
    #[inline(always)]
    fn start(&self, start: u64, phases: Range<usize>, sin: &mut [f64], cos: &mut [f64]) {
        let beyond = start >> (4 * DIGITS) << (4 * DIGITS);
        sin.fill(0.0);
        cos.fill(1.0);
        if beyond > 0 {
            let phases = &self.phases[phases.clone()];
            for ((sin, cos), phase) in sin.iter_mut().zip(cos.iter_mut()).zip(phases) {
                (*sin, *cos) = (beyond as f64 * phase).sin_cos();
            }
        }
        for (place, turns) in self.digits.iter().enumerate().skip(1) {
            // 0 to 15, which fits any integer.
            let digit = (start >> (4 * place)) as usize % BLOCK;
            if digit == 0 {
                continue;
            }
            let (turn_sin, turn_cos) = turns.of(digit, self.phases.len(), phases.clone());
            let turns = turn_sin.iter().zip(turn_cos);
            for ((sin, cos), (turn_sin, turn_cos)) in sin.iter_mut().zip(cos.iter_mut()).zip(turns)
            {
                (*sin, *cos) = (
                    *sin * turn_cos + *cos * turn_sin,
                    *cos * turn_cos - *sin * turn_sin,
                );
            }
        }
    }

    /// Encodes `rows` of the block from `start` on, without its first `skipped`.
    #[inline(always)]
    fn apply_in_block(&self, start: u64, skipped: usize, rows: &mut [f32]) {
        let half = self.phases.len();
        let (mut sin, mut cos) = ([0.0; GROUP], [0.0; GROUP]);
        for from in (0..half).step_by(GROUP) {
            let phases = from..half.min(from + GROUP);
            let (sin, cos) = (&mut sin[..phases.len()], &mut cos[..phases.len()]);
            self.start(start, phases.clone(), sin, cos);
            for (row, digit) in rows.chunks_exact_mut(2 * half).zip(skipped..) {
                let (turn_sin, turn_cos) = self.digits[0].of(digit, half, phases.clone());
                let (low, high) = row.split_at_mut(half);
                let (low, high) = (&mut low[phases.clone()], &mut high[phases.clone()]);
                for i in 0..phases.len() {
                    let row_sin = sin[i] * turn_cos[i] + cos[i] * turn_sin[i];
                    let row_cos = cos[i] * turn_cos[i] - sin[i] * turn_sin[i];
                    low[i] = low[i] * self.scale + row_sin as f32;
                    high[i] = high[i] * self.scale + row_cos as f32;
                }
            }
        }
    }
}

/// The work of [`Positions::apply`].
struct Encoding<'a> {
    positions: &'a Positions,
    first: u64,
    rows: &'a mut [f32],
}

impl Kernel for Encoding<'_> {
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let dim = 2 * self.positions.phases.len();
        // 0 to 15, which fits any integer.
        let mut skipped = (self.first % BLOCK as u64) as usize;
        let mut block_start = self.first - skipped as u64;
        let mut rest = self.rows;
        while !rest.is_empty() {
            let len = rest.len().min((BLOCK - skipped) * dim);
            let (block, later) = rest.split_at_mut(len);
            self.positions.apply_in_block(block_start, skipped, block);
            block_start = block_start.saturating_add(BLOCK as u64);
            skipped = 0;
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(positions: &Positions, first: u64, rows: usize, dim: usize) -> Vec<f32> {
        let mut out = vec![0.0; rows * dim];
        positions.apply(first, &mut out);
        out
    }

    #[test]
    fn positions_far_beyond_any_stream_are_right() -> Result<(), OptionsError> {
        let (dim, half) = (560, 280);
        let positions = Positions::new(80, 7, 512)?;
        // An hour of 60 ms frames, a day, a year.
        for first in [0, 1, 14, 59_990, 1_440_001, 525_600_007] {
            let rows = encoded(&positions, first, 40, dim);
            for (position, row) in (first..).zip(rows.chunks(dim)) {
                for (k, value) in row.iter().enumerate() {
                    let phase =
                        position as f64 * 10_000f64.powf(-((k % half) as f64) / (half - 1) as f64);
                    let truth = if k < half { phase.sin() } else { phase.cos() };
                    let error = (f64::from(*value) - truth).abs();
                    assert!(error < 1e-6, "position {position} value {k}: {value}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_position_has_the_same_bits_in_any_company() -> Result<(), OptionsError> {
        let (dim, positions) = (20, Positions::new(10, 2, 4)?);
        let together = encoded(&positions, 3, 100, dim);
        for (position, row) in (3..).zip(together.chunks(dim)) {
            assert_eq!(encoded(&positions, position, 1, dim), row, "{position}");
        }
        for start in 0..60 {
            let part = encoded(&positions, 3 + start as u64, 23, dim);
            assert_eq!(part, together[start * dim..][..23 * dim], "{start}");
        }
        // Nearly a multiple of π, so that rounding in double precision shows in single.
        let position = 245_850_922;
        let alone = encoded(&positions, position, 1, dim);
        assert!(alone[0] != 0.0 && alone[0].abs() < 1e-8);
        for before in 0..40 {
            let rows = encoded(&positions, position - before as u64, before + 1, dim);
            assert_eq!(rows[before * dim..], alone, "{before} positions before");
        }
        Ok(())
    }

    #[test]
    fn the_last_position_there_is_does_not_overflow() -> Result<(), OptionsError> {
        let rows = encoded(&Positions::new(10, 2, 4)?, u64::MAX, 40, 20);
        assert!(rows.iter().all(|value| value.abs() <= 1.0 + 1e-6));
        Ok(())
    }
}
