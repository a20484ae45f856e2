//! Vectors for any CPU, and NEON's.

use pulp::{Scalar128b, Simd};

use super::vector::{Isa, Lanes, MAX_LANES};

/// Plain arithmetic, four numbers at a time, which is what the compiler finds instructions for everywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Vectors of f32 of `S`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Singles<S>(pub(super) S);

/// Vectors of f64 of `S`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doubles<S>(pub(super) S);

/// Implements [`Lanes`] by the methods of [`pulp::Simd`], with (`true`) or without fused operations.
macro_rules! lanes {
    ($lanes:ident, $simd:ty, $number:ty, $suffix:ident, $fused:literal) => {
        pulp_lanes!(@ $lanes, $simd, $number, $fused, $suffix);
    };
}

macro_rules! pulp_lanes {
    (@ $lanes:ident, $simd:ty, $number:ty, $fused:literal, f32s) => {
        pulp_lanes!(
            # $lanes, $simd, $number, $fused, f32s, splat_f32s, add_f32s, sub_f32s, mul_f32s,
            min_f32s, neg_f32s, mul_add_f32s, negate_mul_add_f32s
        );
    };
    (@ $lanes:ident, $simd:ty, $number:ty, $fused:literal, f64s) => {
        pulp_lanes!(
            # $lanes, $simd, $number, $fused, f64s, splat_f64s, add_f64s, sub_f64s, mul_f64s,
            min_f64s, neg_f64s, mul_add_f64s, negate_mul_add_f64s
        );
    };
    (
        # $lanes:ident, $simd:ty, $number:ty, $fused:literal, $vector:ident, $splat:ident, $add:ident,
        $sub:ident, $mul:ident, $min:ident, $neg:ident, $mul_add:ident, $negate_mul_add:ident
    ) => {
        impl Lanes for $lanes<$simd> {
            type Number = $number;
            type Vector = <$simd as Simd>::$vector;

            const FUSED: bool = $fused;

            #[inline(always)]
            fn splat(self, value: $number) -> Self::Vector {
                self.0.$splat(value)
            }

            #[inline(always)]
            fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$add(a, b)
            }

            #[inline(always)]
            fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$sub(a, b)
            }

            #[inline(always)]
            fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$mul(a, b)
            }

            #[inline(always)]
            fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$min(a, b)
            }

            #[inline(always)]
            fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                if Self::FUSED {
                    self.0.$mul_add(a, b, c)
                } else {
                    self.add(self.mul(a, b), c)
                }
            }

            #[inline(always)]
            fn mul_sub(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                if Self::FUSED {
                    self.0.$mul_add(a, b, self.0.$neg(c))
                } else {
                    self.sub(self.mul(a, b), c)
                }
            }

            #[inline(always)]
            fn sub_mul(self, c: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                if Self::FUSED {
                    self.0.$negate_mul_add(a, b, c)
                } else {
                    self.sub(c, self.mul(a, b))
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use lanes;
#[cfg(target_arch = "x86_64")]
pub(super) use pulp_lanes;

lanes!(Singles, Scalar128b, f32, f32s, false);
lanes!(Doubles, Scalar128b, f64, f64s, false);

/// Implements [`Isa`] for a `simd` with four single lanes, by way of arrays.
macro_rules! isa_of_four {
    (@ Scalar128b $self:ident) => { Scalar128b };
    (@ Neon $self:ident) => { $self };
    ($isa:ty, $simd:ty, $token:ident) => {
        impl Isa for $isa {
            type Singles = Singles<$simd>;
            type Doubles = Doubles<$simd>;

            #[inline(always)]
            fn singles(self) -> Self::Singles {
                Singles(isa_of_four!(@ $token self))
            }

            #[inline(always)]
            fn doubles(self) -> Self::Doubles {
                Doubles(isa_of_four!(@ $token self))
            }

            #[inline(always)]
            fn load_tile(
                self,
                samples: &[f32],
                starts: &[usize; MAX_LANES],
                rows: &mut [<$simd as Simd>::f32s],
            ) {
                let [a, b, c, d] = [
                    four(samples, starts[0]),
                    four(samples, starts[1]),
                    four(samples, starts[2]),
                    four(samples, starts[3]),
                ];
                for sample in 0..4 {
                    rows[sample] = pulp::cast([a[sample], b[sample], c[sample], d[sample]]);
                }
            }

            #[inline(always)]
            fn store_tile(self, rows: &[<$simd as Simd>::f32s], out: &mut [f32], stride: usize) {
                let [a, b, c, d]: [[f32; 4]; 4] = [
                    pulp::cast(rows[0]),
                    pulp::cast(rows[1]),
                    pulp::cast(rows[2]),
                    pulp::cast(rows[3]),
                ];
                for lane in 0..4 {
                    let values = [a[lane], b[lane], c[lane], d[lane]];
                    out[lane * stride..][..4].copy_from_slice(&values);
                }
            }
        }
    };
}

#[inline(always)]
pub(super) fn four(values: &[f32], at: usize) -> [f32; 4] {
    let values = &values[at..at + 4];
    [values[0], values[1], values[2], values[3]]
}

isa_of_four!(Portable, Scalar128b, Scalar128b);

#[cfg(target_arch = "aarch64")]
mod neon {
    use pulp::aarch64::Neon;

    use super::*;

    lanes!(Singles, Neon, f32, f32s, true);
    lanes!(Doubles, Neon, f64, f64s, true);
    isa_of_four!(Neon, Neon, Neon);
}
