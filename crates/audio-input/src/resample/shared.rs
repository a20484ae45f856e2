//! Output samples whose inputs overlap by whole vectors: each vector of input is loaded once for several of them.
//!
//! From 48 to 16 kHz an output sample's input begins 3 samples behind the one before, so that of 16 further on begins 48 samples behind:
//! three vectors of 16. Input begins at any address, and such loads are what takes the time; coefficients begin where a cache line does.

use std::ops::Range;

use pulp::Simd;

use super::filter::Filter;

/// Outputs that share loads of input, each by whole vectors behind the one before.
const SHIFTED: usize = 4;
/// Outputs with the same row beside them, of inputs of their own.
const BESIDE: usize = 2;
const TOGETHER: usize = SHIFTED * BESIDE;

/// How outputs of a pair of rates share their input.
pub(super) struct Shared {
    from: usize,
    to: usize,
    /// Outputs of the same row between two whose inputs are whole vectors apart.
    period: usize,
    /// How many vectors.
    shift: usize,
}

impl Shared {
    /// How they do with vectors of so many lanes; none where it does not pay.
    #[inline(always)]
    pub(super) fn of(from: usize, to: usize, width: usize, lanes: usize) -> Option<Self> {
        // Lanes are a power of two.
        let period = lanes >> from.trailing_zeros().min(lanes.trailing_zeros());
        let shift = period * from / lanes;
        let vectors = width / lanes;
        let fits = period.is_multiple_of(BESIDE) && (SHIFTED - 1) * shift * 2 <= vectors;
        fits.then_some(Self {
            from,
            to,
            period,
            shift,
        })
    }

    /// Outputs that are computed together.
    #[inline(always)]
    pub(super) fn outputs(&self) -> usize {
        SHIFTED * self.period * self.to
    }
}

/// Computes `outputs` samples; `place` tells where the input of one begins, and its row.
#[inline(always)]
pub(super) fn run<S: Simd>(
    simd: S,
    shared: &Shared,
    filter: &Filter,
    place: impl Fn(usize) -> (usize, usize),
    held: &[f32],
    out: &mut [f32],
) {
    let Shared {
        from,
        to,
        period,
        shift,
    } = *shared;
    for phase in 0..to {
        for first in (0..period).step_by(BESIDE) {
            let index = first * to + phase;
            let (start, ticks) = place(index);
            let row = S::as_simd_f32s(filter.row(ticks)).0;
            let needed = (row.len() + (SHIFTED - 1) * shift) * S::F32_LANES;
            let windows: [&[S::f32s]; BESIDE] = std::array::from_fn(|beside| {
                S::as_simd_f32s(&held[start + beside * from..][..needed]).0
            });
            let sums = products(simd, row, windows, shift);
            for (k, sum) in sums.into_iter().enumerate() {
                let (shifted, beside) = (k / BESIDE, k % BESIDE);
                out[index + (beside + shifted * period) * to] = sum;
            }
        }
    }
}

/// The sums of the products of `row` with each window, and with what lies `shift`, 2 `shift`, … vectors behind its beginning.
#[inline(always)]
fn products<S: Simd>(
    simd: S,
    row: &[S::f32s],
    windows: [&[S::f32s]; BESIDE],
    shift: usize,
) -> [f32; TOGETHER] {
    let part = Part {
        row,
        windows,
        shift,
    };
    let mut sums = [simd.splat_f32s(0.0); TOGETHER];
    let end = row.len();
    // Those further behind begin later, and end later.
    part.add::<S, 0, 1>(simd, 0..shift, &mut sums);
    part.add::<S, 0, 2>(simd, shift..2 * shift, &mut sums);
    part.add::<S, 0, 3>(simd, 2 * shift..3 * shift, &mut sums);
    part.add::<S, 0, 4>(simd, 3 * shift..end, &mut sums);
    part.add::<S, 1, 4>(simd, end..end + shift, &mut sums);
    part.add::<S, 2, 4>(simd, end + shift..end + 2 * shift, &mut sums);
    part.add::<S, 3, 4>(simd, end + 2 * shift..end + 3 * shift, &mut sums);
    std::array::from_fn(|k| simd.reduce_sum_f32s(sums[k]))
}

struct Part<'a, V> {
    row: &'a [V],
    windows: [&'a [V]; BESIDE],
    shift: usize,
}

impl<V> Part<'_, V> {
    /// Adds the products of the vectors `range` of the windows for the outputs from `FIRST` to before `END`. Known when this is compiled,
    /// they are sums in registers.
    #[expect(
        clippy::needless_range_loop,
        reason = "what iterators of two are made of is not inlined into code for vectors: twice as slow"
    )]
    #[inline(always)]
    fn add<S: Simd<f32s = V>, const FIRST: usize, const END: usize>(
        &self,
        simd: S,
        range: Range<usize>,
        sums: &mut [V; TOGETHER],
    ) where
        V: Copy,
    {
        let count = range.len();
        let mut rows = [&self.row[..0]; SHIFTED];
        for shifted in FIRST..END {
            rows[shifted] = &self.row[range.start - shifted * self.shift..][..count];
        }
        let mut windows = [&self.row[..0]; BESIDE];
        for beside in 0..BESIDE {
            windows[beside] = &self.windows[beside][range.start..][..count];
        }
        for at in 0..count {
            for shifted in FIRST..END {
                for beside in 0..BESIDE {
                    let sum = &mut sums[shifted * BESIDE + beside];
                    *sum = simd.mul_add_e_f32s(rows[shifted][at], windows[beside][at], *sum);
                }
            }
        }
    }
}
