//! Arithmetic on several frames at once.
//!
//! A [`Lanes`] holds the same value of [`LANES`] consecutive frames, so every step of the front end is a
//! plain loop over lanes that the compiler turns into the instructions of the CPU at hand. A lane never
//! looks at another, and nothing is reordered or fused: a frame's features are the same bits in whatever
//! lane, block, thread or instruction set it is computed.

use std::f32::consts::LN_2;

/// Frames computed side by side.
pub(crate) const LANES: usize = 8;

/// One value of each of [`LANES`] frames, on a cache line of its own.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Lanes<T = f32>(pub(crate) [T; LANES]);

impl Lanes<f64> {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

impl Lanes {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);

    #[inline(always)]
    pub(crate) fn add_scaled(&mut self, other: &Self, factor: f32) {
        for (sum, value) in self.0.iter_mut().zip(&other.0) {
            *sum += value * factor;
        }
    }

    /// Natural logarithm of `max(value, floor)` in each lane; `floor` must be a positive normal number.
    #[inline(always)]
    pub(crate) fn ln_floored(&self, floor: f32) -> Self {
        let mut out = Self::ZERO;
        for (out, value) in out.0.iter_mut().zip(&self.0) {
            *out = ln(if *value > floor { *value } else { floor });
        }
        out
    }
}

/// Natural logarithm of a positive normal number to about one unit in the last place.
///
/// With `x = m * 2^e` and m between √½ and √2, `ln x = e ln 2 + 2 artanh((m-1)/(m+1))`; the argument of
/// artanh is below 0.172, so that five terms of its series are enough for f32.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    const MANTISSA: u32 = 0x007f_ffff;
    let above = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (above as i32) >> 23;
    let m = f32::from_bits((above & MANTISSA) + SQRT_HALF_BITS);
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    let series = ((((1.0 / 9.0) * s2 + 1.0 / 7.0) * s2 + 1.0 / 5.0) * s2 + 1.0 / 3.0) * s2;
    let artanh = s + s * series;
    exponent as f32 * LN_2 + 2.0 * artanh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_agrees_with_f64_over_all_magnitudes() {
        let mut worst = 0.0f64;
        for bits in (f32::MIN_POSITIVE.to_bits()..f32::MAX.to_bits()).step_by(997) {
            let x = f32::from_bits(bits);
            let truth = f64::from(x).ln();
            worst = worst.max((f64::from(ln(x)) - truth).abs() / truth.abs().max(1.0));
        }
        assert!(worst < 2.5e-7, "{worst}");
        for bits in (0.75f32.to_bits()..1.4f32.to_bits()).step_by(97) {
            let x = f32::from_bits(bits);
            let error = (f64::from(ln(x)) / f64::from(x).ln() - 1.0).abs();
            assert!(x == 1.0 || error < 2e-7, "ln {x}: relative error {error}");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn ln_floors_zero_negative_and_nan() {
        let mut values = Lanes::<f32>::ZERO;
        values.0[1] = -3.0;
        values.0[2] = f32::NAN;
        values.0[3] = 1.0;
        let logs = values.ln_floored(f32::EPSILON).0;
        assert_eq!(logs[0], f32::EPSILON.ln());
        assert_eq!((logs[1], logs[2], logs[3]), (logs[0], logs[0], 0.0));
    }
}
