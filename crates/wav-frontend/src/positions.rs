//! Sinusoidal position encoding without a last position.

use crate::error::OptionsError;
use crate::options::invalid;

/// Positions that share one evaluation of sine and cosine.
const BLOCK: usize = 16;
/// Largest encoder output size.
const MAX_OUTPUT_SIZE: usize = 1 << 20;

/// What the encoder wants done to its frames: times the square root of its output size, plus the encoding of their
/// positions.
///
/// The encoding of a position is, for k below half the width K, sin(position t_k) and, K further on, cos(position t_k)
/// with t_k = 10000^(-k / (K - 1)). It is computed in double precision from the position alone: in blocks, whose first
/// position is evaluated and whose others are one turn away from it, whatever part of a block is asked for. So a
/// frame's values are the same bits in whatever company it comes.
#[derive(Debug, Clone)]
pub(crate) struct Positions {
    scale: f32,
    timescales: Vec<Timescale>,
}

/// t_k, and sine and cosine of 0, t_k, 2 t_k … within a block.
#[derive(Debug, Clone)]
struct Timescale {
    phase: f64,
    turns: [(f64, f64); BLOCK],
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
        let timescale = |k: usize| {
            let phase = (-(k as f64) * 10_000f64.ln() / (half - 1) as f64).exp();
            Timescale {
                phase,
                turns: std::array::from_fn(|step| (step as f64 * phase).sin_cos()),
            }
        };
        Ok(Self {
            scale: (encoder_output_size as f64).sqrt() as f32,
            timescales: (0..half).map(timescale).collect(),
        })
    }

    /// Scales and encodes `rows`, `[_, dim]`, which stand at the positions `first`, `first + 1` …
    pub(crate) fn apply(&self, first: u64, rows: &mut [f32]) {
        let dim = 2 * self.timescales.len();
        // 0 to 15, which fits any integer.
        let mut skipped = (first % BLOCK as u64) as usize;
        let mut block_start = first - skipped as u64;
        let mut rest = rows;
        while !rest.is_empty() {
            let len = rest.len().min((BLOCK - skipped) * dim);
            let (block, later) = rest.split_at_mut(len);
            self.apply_in_block(block_start, skipped, block);
            block_start = block_start.saturating_add(BLOCK as u64);
            skipped = 0;
            rest = later;
        }
    }

    /// As [`apply`](Self::apply), for rows of the block from `start` on, without its first `skipped`.
    fn apply_in_block(&self, start: u64, skipped: usize, rows: &mut [f32]) {
        let half = self.timescales.len();
        for (k, timescale) in self.timescales.iter().enumerate() {
            let (sin, cos) = (start as f64 * timescale.phase).sin_cos();
            let turns = &timescale.turns[skipped..];
            for (row, (turn_sin, turn_cos)) in rows.chunks_exact_mut(2 * half).zip(turns) {
                let row_sin = sin * turn_cos + cos * turn_sin;
                let row_cos = cos * turn_cos - sin * turn_sin;
                row[k] = row[k] * self.scale + row_sin as f32;
                row[half + k] = row[half + k] * self.scale + row_cos as f32;
            }
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
