//! The sums of products, in vectors of the widest kind that the CPU has.
//!
//! Each is added up vector by vector from the front, whichever way its neighbours are computed: chunks of any sizes give the samples of
//! the whole, bit for bit.

use pulp::{Arch, Simd, WithSimd};

use super::filter::Filter;
use super::shared::{self, Shared};

/// Output samples that share the loads of their row.
const TOGETHER: usize = 8;

/// Appends output samples to `out`, as many as `held` has all input for, at most `most`. `place` is where in `held` the next one's
/// filter begins, and how many `to`-ths of a sample behind that it lies; returned is the place of the one after the last.
pub(super) fn run(
    filter: &Filter,
    held: &[f32],
    place: (usize, usize),
    most: usize,
    out: &mut Vec<f32>,
) -> (usize, usize) {
    let (next, fraction) = place;
    // The filter of the last one begins so many samples behind the first one's at most.
    let count = match held.len().checked_sub(next + filter.width) {
        // From `next + fraction / to`, the k-th begins at the whole part of `next + (fraction + k * from) / to`.
        Some(room) => ((room + 1) * filter.to - fraction)
            .div_ceil(filter.from)
            .min(most),
        None => 0,
    };
    let first = out.len();
    out.resize(first + count, 0.0);
    Arch::new().dispatch(Run {
        filter,
        held: &held[next.min(held.len())..],
        fraction,
        out: &mut out[first..],
    });
    let end = fraction + count * filter.from;
    (next + end / filter.to, end % filter.to)
}

struct Run<'a> {
    filter: &'a Filter,
    /// From where the first one's filter begins.
    held: &'a [f32],
    fraction: usize,
    out: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            filter,
            held,
            fraction,
            out,
        } = self;
        let Filter {
            from, to, width, ..
        } = *filter;
        let count = out.len();
        let place = |index: usize| {
            let ticks = fraction + index * from;
            (ticks / to, ticks % to)
        };
        let window = |start: usize| &held[start..][..width];
        if !filter.exact {
            for (index, out) in out.iter_mut().enumerate() {
                let (start, ticks) = place(index);
                let scaled = (ticks * filter.rows) as f64 / to as f64;
                let (row, between) = (scaled as usize, scaled.fract() as f32);
                let [low] = products(simd, filter.row(row), [window(start)]);
                let [high] = products(simd, filter.row(row + 1), [window(start)]);
                *out = low + between * (high - low);
            }
            return;
        }
        let mut done = 0;
        if let Some(shared) = Shared::of(from, to, width, S::F32_LANES) {
            while count - done >= shared.outputs() {
                let group = &mut out[done..done + shared.outputs()];
                shared::run(
                    simd,
                    &shared,
                    filter,
                    |index| place(done + index),
                    held,
                    group,
                );
                done += shared.outputs();
            }
        }
        // `to` samples further on, the row is the same and the input `from` samples further on.
        let group = TOGETHER * to;
        while count - done >= group {
            for index in done..done + to {
                let (start, ticks) = place(index);
                let windows = std::array::from_fn(|k| window(start + k * from));
                let sums: [f32; TOGETHER] = products(simd, filter.row(ticks), windows);
                for (k, sum) in sums.into_iter().enumerate() {
                    out[index + k * to] = sum;
                }
            }
            done += group;
        }
        for (index, out) in out.iter_mut().enumerate().skip(done) {
            let (start, ticks) = place(index);
            [*out] = products(simd, filter.row(ticks), [window(start)]);
        }
    }
}

/// The sums of the products of `row` with each of `windows`.
#[inline(always)]
fn products<S: Simd, const N: usize>(simd: S, row: &[f32], windows: [&[f32]; N]) -> [f32; N] {
    let row = S::as_simd_f32s(row).0;
    let windows = windows.map(|window| &S::as_simd_f32s(window).0[..row.len()]);
    let mut sums = [simd.splat_f32s(0.0); N];
    for at in 0..row.len() {
        for k in 0..N {
            sums[k] = simd.mul_add_e_f32s(row[at], windows[k][at], sums[k]);
        }
    }
    std::array::from_fn(|k| simd.reduce_sum_f32s(sums[k]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kind of vectors makes of the same input.
    fn outputs<S: Simd>(simd: S, filter: &Filter, held: &[f32]) -> Vec<f32> {
        let count = (held.len() - filter.width) * filter.to / filter.from;
        let mut out = vec![9.0; count];
        simd.vectorize(Run {
            filter,
            held,
            fraction: 0,
            out: &mut out,
        });
        out
    }

    #[test]
    fn vectors_of_all_kinds_have_the_same_sums() {
        let held: Vec<f32> = (0..9000).map(|at| (at as f32 * 0.37).sin()).collect();
        for from in [8000, 24_000, 44_100, 48_000, 96_000, 192_000] {
            let filter = Filter::of(from, 16_000);
            let expected = outputs(pulp::Scalar::new(), &filter, &held);
            let check = |outputs: Vec<f32>| {
                assert_eq!(outputs.len(), expected.len());
                for (at, (output, expected)) in outputs.iter().zip(&expected).enumerate() {
                    assert!(
                        (output - expected).abs() < 1e-5,
                        "from {from} Hz, {at}: {output}, {expected}"
                    );
                }
            };
            #[cfg(target_arch = "x86_64")]
            {
                pulp::x86::V3::try_new()
                    .into_iter()
                    .for_each(|simd| check(outputs(simd, &filter, &held)));
                pulp::x86::V4::try_new()
                    .into_iter()
                    .for_each(|simd| check(outputs(simd, &filter, &held)));
            }
            #[cfg(target_arch = "aarch64")]
            pulp::aarch64::Neon::try_new()
                .into_iter()
                .for_each(|simd| check(outputs(simd, &filter, &held)));
        }
    }
}
