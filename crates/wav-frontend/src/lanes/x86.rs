//! AVX-512's and AVX2's vectors.

use std::arch::x86_64::{__m128, __m256, __m512};

use pulp::x86::{V3, V4};
use pulp::{Simd, cast};

use super::plain::{Doubles, Singles, four, lanes, pulp_lanes};
use super::vector::{Isa, Lanes, MAX_LANES};

lanes!(Singles, V3, f32, f32s, true);
lanes!(Doubles, V3, f64, f64s, true);
lanes!(Singles, V4, f32, f32s, true);
lanes!(Doubles, V4, f64, f64s, true);

#[inline(always)]
fn quarter(samples: &[f32], at: usize) -> __m128 {
    cast(four(samples, at))
}

impl Isa for V3 {
    type Singles = Singles<V3>;
    type Doubles = Doubles<V3>;

    #[inline(always)]
    fn singles(self) -> Self::Singles {
        Singles(self)
    }

    #[inline(always)]
    fn doubles(self) -> Self::Doubles {
        Doubles(self)
    }

    #[inline(always)]
    fn load_tile(
        self,
        samples: &[f32],
        starts: &[usize; MAX_LANES],
        rows: &mut [<V3 as Simd>::f32s],
    ) {
        for part in 0..2 {
            let at = 4 * part;
            let a = pair(self, samples, at, [starts[0], starts[4]]);
            let b = pair(self, samples, at, [starts[1], starts[5]]);
            let c = pair(self, samples, at, [starts[2], starts[6]]);
            let d = pair(self, samples, at, [starts[3], starts[7]]);
            let out = transpose_halves(self, [a, b, c, d]);
            for (row, out) in rows[at..at + 4].iter_mut().zip(out) {
                *row = cast(out);
            }
        }
    }

    #[inline(always)]
    fn store_tile(self, rows: &[<V3 as Simd>::f32s], out: &mut [f32], stride: usize) {
        for part in 0..2 {
            let rows = &rows[4 * part..4 * part + 4];
            let rows = [cast(rows[0]), cast(rows[1]), cast(rows[2]), cast(rows[3])];
            let halves = transpose_halves(self, rows);
            for (lane, halves) in halves.into_iter().enumerate() {
                let [low, high]: [[f32; 4]; 2] = cast(halves);
                out[lane * stride + 4 * part..][..4].copy_from_slice(&low);
                out[(lane + 4) * stride + 4 * part..][..4].copy_from_slice(&high);
            }
        }
    }
}

/// Four samples from each of two starts on.
#[inline(always)]
fn pair(simd: V3, samples: &[f32], at: usize, starts: [usize; 2]) -> __m256 {
    let low = simd
        .avx
        ._mm256_castps128_ps256(quarter(samples, starts[0] + at));
    simd.avx
        ._mm256_insertf128_ps::<1>(low, quarter(samples, starts[1] + at))
}

/// Transposes the 4 x 4 numbers in each half of four vectors.
#[inline(always)]
fn transpose_halves(simd: V3, [a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    let avx = simd.avx;
    let (ab_low, ab_high) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b));
    let (cd_low, cd_high) = (avx._mm256_unpacklo_ps(c, d), avx._mm256_unpackhi_ps(c, d));
    [
        avx._mm256_shuffle_ps::<0x44>(ab_low, cd_low),
        avx._mm256_shuffle_ps::<0xee>(ab_low, cd_low),
        avx._mm256_shuffle_ps::<0x44>(ab_high, cd_high),
        avx._mm256_shuffle_ps::<0xee>(ab_high, cd_high),
    ]
}

impl Isa for V4 {
    type Singles = Singles<V4>;
    type Doubles = Doubles<V4>;

    #[inline(always)]
    fn singles(self) -> Self::Singles {
        Singles(self)
    }

    #[inline(always)]
    fn doubles(self) -> Self::Doubles {
        Doubles(self)
    }

    #[inline(always)]
    fn load_tile(
        self,
        samples: &[f32],
        starts: &[usize; MAX_LANES],
        rows: &mut [<V4 as Simd>::f32s],
    ) {
        for part in 0..4 {
            let at = 4 * part;
            let a = every_fourth(self, samples, at, starts, 0);
            let b = every_fourth(self, samples, at, starts, 1);
            let c = every_fourth(self, samples, at, starts, 2);
            let d = every_fourth(self, samples, at, starts, 3);
            let out = transpose_quarters(self, [a, b, c, d]);
            for (row, out) in rows[at..at + 4].iter_mut().zip(out) {
                *row = cast(out);
            }
        }
    }

    #[inline(always)]
    fn store_tile(self, rows: &[<V4 as Simd>::f32s], out: &mut [f32], stride: usize) {
        let mut quarters = [[self.avx512f._mm512_setzero_ps(); 4]; 4];
        for (part, quarters) in quarters.iter_mut().enumerate() {
            let rows = &rows[4 * part..4 * part + 4];
            let rows = [cast(rows[0]), cast(rows[1]), cast(rows[2]), cast(rows[3])];
            *quarters = transpose_quarters(self, rows);
        }
        // quarters[part][i] holds four values of the frames i, i + 4, i + 8 and i + 12.
        for i in 0..4 {
            let [a, b, c, d] = [
                quarters[0][i],
                quarters[1][i],
                quarters[2][i],
                quarters[3][i],
            ];
            let avx512 = self.avx512f;
            let ab_low = avx512._mm512_shuffle_f32x4::<0x44>(a, b);
            let ab_high = avx512._mm512_shuffle_f32x4::<0xee>(a, b);
            let cd_low = avx512._mm512_shuffle_f32x4::<0x44>(c, d);
            let cd_high = avx512._mm512_shuffle_f32x4::<0xee>(c, d);
            let frames = [
                avx512._mm512_shuffle_f32x4::<0x88>(ab_low, cd_low),
                avx512._mm512_shuffle_f32x4::<0xdd>(ab_low, cd_low),
                avx512._mm512_shuffle_f32x4::<0x88>(ab_high, cd_high),
                avx512._mm512_shuffle_f32x4::<0xdd>(ab_high, cd_high),
            ];
            for (lane, frame) in frames.into_iter().enumerate() {
                let frame: [f32; 16] = cast(frame);
                out[(i + 4 * lane) * stride..][..16].copy_from_slice(&frame);
            }
        }
    }
}

/// Four samples from every fourth start on.
#[inline(always)]
fn every_fourth(
    simd: V4,
    samples: &[f32],
    at: usize,
    starts: &[usize; MAX_LANES],
    first: usize,
) -> __m512 {
    let avx512 = simd.avx512f;
    let all = avx512._mm512_castps128_ps512(quarter(samples, starts[first] + at));
    let all = avx512._mm512_insertf32x4::<1>(all, quarter(samples, starts[first + 4] + at));
    let all = avx512._mm512_insertf32x4::<2>(all, quarter(samples, starts[first + 8] + at));
    avx512._mm512_insertf32x4::<3>(all, quarter(samples, starts[first + 12] + at))
}

/// Transposes the 4 x 4 numbers in each quarter of four vectors.
#[inline(always)]
fn transpose_quarters(simd: V4, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    let avx512 = simd.avx512f;
    let (ab_low, ab_high) = (
        avx512._mm512_unpacklo_ps(a, b),
        avx512._mm512_unpackhi_ps(a, b),
    );
    let (cd_low, cd_high) = (
        avx512._mm512_unpacklo_ps(c, d),
        avx512._mm512_unpackhi_ps(c, d),
    );
    [
        avx512._mm512_shuffle_ps::<0x44>(ab_low, cd_low),
        avx512._mm512_shuffle_ps::<0xee>(ab_low, cd_low),
        avx512._mm512_shuffle_ps::<0x44>(ab_high, cd_high),
        avx512._mm512_shuffle_ps::<0xee>(ab_high, cd_high),
    ]
}
