//! The sums of products, in vectors of the widest kind that the CPU has.

use pulp::{Arch, Simd, WithSimd};

use super::filter::Filter;

/// Output samples that share the loads of their row.
const TOGETHER: usize = 4;

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
        // `to` samples further on, the row is the same and the input `from` samples further on.
        let group = TOGETHER * to;
        let grouped = count - count % group;
        for first in (0..grouped).step_by(group) {
            for index in first..first + to {
                let (start, ticks) = place(index);
                let windows = std::array::from_fn(|k| window(start + k * from));
                let sums: [f32; TOGETHER] = products(simd, filter.row(ticks), windows);
                for (k, sum) in sums.into_iter().enumerate() {
                    out[index + k * to] = sum;
                }
            }
        }
        for (index, out) in out.iter_mut().enumerate().skip(grouped) {
            let (start, ticks) = place(index);
            [*out] = products(simd, filter.row(ticks), [window(start)]);
        }
    }
}

/// The sums of the products of `row` with each of `windows`. Each is added up in the same order, however many there are.
#[inline(always)]
fn products<S: Simd, const N: usize>(simd: S, row: &[f32], windows: [&[f32]; N]) -> [f32; N] {
    let row = S::as_simd_f32s(row).0;
    let windows = windows.map(|window| &S::as_simd_f32s(window).0[..row.len()]);
    let zero = simd.splat_f32s(0.0);
    let mut even = [zero; N];
    let mut odd = [zero; N];
    // Rows have an even number of vectors.
    for at in (0..row.len().saturating_sub(1)).step_by(2) {
        for k in 0..N {
            even[k] = simd.mul_add_e_f32s(row[at], windows[k][at], even[k]);
            odd[k] = simd.mul_add_e_f32s(row[at + 1], windows[k][at + 1], odd[k]);
        }
    }
    std::array::from_fn(|k| simd.reduce_sum_f32s(simd.add_f32s(even[k], odd[k])))
}
