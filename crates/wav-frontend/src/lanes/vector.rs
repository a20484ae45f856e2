//! What the front end needs of numbers and of vectors of them.

use std::fmt::Debug;

use pulp::bytemuck::Pod;

/// Most lanes that there are.
pub(crate) const MAX_LANES: usize = 16;

/// A real number that lanes hold.
pub(crate) trait Number: Pod + PartialOrd + Debug + Into<f64> {
    const ZERO: Self;

    fn from_f32(value: f32) -> Self;

    fn from_f64(value: f64) -> Self;
}

impl Number for f32 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Number for f64 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
}

/// What the front end needs of an instruction set.
pub(crate) trait Isa: Copy {
    type Singles: Lanes<Number = f32>;
    type Doubles: Lanes<Number = f64>;

    fn singles(self) -> Self::Singles;

    fn doubles(self) -> Self::Doubles;

    /// Puts as many of `samples` as there are lanes, from each of `starts` on, into one lane of the vectors that begin
    /// `rows`.
    fn load_tile(
        self,
        samples: &[f32],
        starts: &[usize; MAX_LANES],
        rows: &mut [<Self::Singles as Lanes>::Vector],
    );

    /// Writes as many of `rows` as there are lanes to slices of `out` that begin every `stride` values, lane by lane.
    fn store_tile(self, rows: &[<Self::Singles as Lanes>::Vector], out: &mut [f32], stride: usize);
}

/// Vectors of one instruction set and one precision.
pub(crate) trait Lanes: Copy {
    type Number: Number;
    type Vector: Pod;

    /// Numbers in a vector.
    const COUNT: usize = size_of::<Self::Vector>() / size_of::<Self::Number>();
    /// Whether a multiplication and an addition are one operation, rounded once.
    const FUSED: bool;

    fn splat(self, value: Self::Number) -> Self::Vector;

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a b + c`
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// `a b - c`
    fn mul_sub(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// `c - a b`
    fn sub_mul(self, c: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
}

/// `a b + c`, rounded once if it is `fused`.
#[inline(always)]
fn mul_add(fused: bool, a: f32, b: f32, c: f32) -> f32 {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

/// Natural logarithm of `max(value, floor)` of every value, in place; `floor` must be a positive normal number.
#[inline(always)]
pub(crate) fn ln_floored<L: Lanes>(values: &mut [f32], floor: f32) {
    for value in values {
        *value = ln(L::FUSED, if *value > floor { *value } else { floor });
    }
}

/// Natural logarithm of a positive normal number to about one unit in the last place.
///
/// With `x = m 2^e` and m between √½ and √2, `ln x = e ln 2 + f + f² P(f)` with `f = m - 1`; P, of degree 6, is a
/// minimax fit whose error is 4e-8.
#[inline(always)]
pub(crate) fn ln(fused: bool, x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    const MANTISSA: u32 = 0x007f_ffff;
    const P: [f32; 7] = [
        -0.500_005_84,
        0.333_352_63,
        -0.249_614_66,
        0.198_882_77,
        -0.173_259_96,
        0.163_356_4,
        -0.100_346_066,
    ];
    let above = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (above as i32) >> 23;
    let f = f32::from_bits((above & MANTISSA) + SQRT_HALF_BITS) - 1.0;
    let mut series = P[6];
    for coefficient in P[..6].iter().rev() {
        series = mul_add(fused, series, f, *coefficient);
    }
    let ln_m = mul_add(fused, f * f, series, f);
    mul_add(fused, exponent as f32, std::f32::consts::LN_2, ln_m)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_agrees_with_f64_over_all_magnitudes() {
        for fused in [false, true] {
            let mut worst = 0.0f64;
            for bits in (f32::MIN_POSITIVE.to_bits()..f32::MAX.to_bits()).step_by(9_973) {
                let x = f32::from_bits(bits);
                let truth = f64::from(x).ln();
                let error = f64::from(ln(fused, x)) - truth;
                worst = worst.max(error.abs() / truth.abs().max(1.0));
            }
            assert!(worst < 2.5e-7, "{worst}");
            assert_eq!(ln(fused, 1.0), 0.0);
            assert_eq!(ln(fused, f32::EPSILON), f32::EPSILON.ln());
        }
    }
}
