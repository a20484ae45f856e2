//! The index of a row's largest score.
//!
//! Scores are read once, in vectors of the widest kind that the CPU has, and nothing but maxima is kept; where the largest
//! stands is looked up afterwards in the one block that had it, which is still in the first-level cache. So a row costs what
//! reading it costs.

use pulp::{Arch, Simd, WithSimd};

/// Independent running maxima, so that no maximum waits for the one before; AVX2 has 16 registers for them and what they
/// are compared with.
const MAXIMA: usize = 12;
/// Scores between two comparisons with the best so far: enough that the comparison costs nothing beside them, few enough
/// that looking up the index does not either. A multiple of [`MAXIMA`] vectors of up to 16 scores.
const BLOCK: usize = 5 * MAXIMA * 16;
/// Vectors looked at together when an index is looked up.
const GROUP: usize = 4;

/// Index of the largest value of `scores`, or `None` if there are none, or nothing but NaN.
///
/// Of equal values the first wins, as in NumPy. A NaN never wins.
///
/// ```
/// use asr_decode::argmax;
/// assert_eq!(argmax(&[0.5, 2.0, 2.0]), Some(1));
/// assert_eq!(argmax(&[f32::NAN, -3.0]), Some(1));
/// assert_eq!(argmax(&[f32::NAN; 2]), None);
/// assert_eq!(argmax(&[]), None);
/// ```
#[must_use]
pub fn argmax(scores: &[f32]) -> Option<usize> {
    let mut best = None;
    each_argmax(scores, scores.len().max(1), |index| best = index);
    best
}

/// Gives `each` the [`argmax`] of every row of `scores` `[rows, width]`, one after the other; `width` is at least 1.
pub(crate) fn each_argmax(scores: &[f32], width: usize, each: impl FnMut(Option<usize>)) {
    Arch::new().dispatch(EachArgmax {
        scores,
        width,
        each,
    });
}

struct EachArgmax<'a, F> {
    scores: &'a [f32],
    width: usize,
    each: F,
}

impl<F: FnMut(Option<usize>)> WithSimd for EachArgmax<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for row in self.scores.chunks_exact(self.width) {
            (self.each)(row_argmax(simd, row));
        }
    }
}

#[inline(always)]
fn row_argmax<S: Simd>(simd: S, row: &[f32]) -> Option<usize> {
    let mut best = f32::NEG_INFINITY;
    let mut best_block = None;
    for (index, block) in row.chunks(BLOCK).enumerate() {
        let largest = largest(simd, block);
        if largest > best {
            best = largest;
            best_block = Some(index * BLOCK);
        }
    }
    match best_block {
        Some(start) => {
            let block = &row[start..row.len().min(start + BLOCK)];
            Some(start + first_equal(simd, block, best))
        }
        // Only -inf and NaN: the first -inf, if any, is the largest value.
        None => row.iter().position(|score| !score.is_nan()),
    }
}

/// Leaves `best` alone for NaN.
#[inline(always)]
fn larger(best: f32, score: f32) -> f32 {
    if score > best { score } else { best }
}

/// The larger of each two; `best` where the score is NaN.
#[inline(always)]
fn larger_of_each<S: Simd>(simd: S, best: S::f32s, scores: S::f32s) -> S::f32s {
    if cfg!(target_arch = "x86_64") {
        // The order counts: where either of the two is NaN, x86 answers the second.
        simd.max_f32s(scores, best)
    } else {
        // ARM's maximum keeps a NaN, and its maximum of a vector's lanes then passes that lane over with all that was in it.
        simd.select_f32s(simd.greater_than_f32s(scores, best), scores, best)
    }
}

/// Largest value of a block; -inf if it holds none but NaN.
#[inline(always)]
fn largest<S: Simd>(simd: S, block: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(block);
    let (groups, tail) = pulp::as_arrays::<MAXIMA, _>(vectors);
    let mut maxima = [simd.splat_f32s(f32::NEG_INFINITY); MAXIMA];
    for group in groups {
        for (best, &scores) in maxima.iter_mut().zip(group) {
            *best = larger_of_each(simd, *best, scores);
        }
    }
    for (best, &scores) in maxima.iter_mut().zip(tail) {
        *best = larger_of_each(simd, *best, scores);
    }
    let mut best = maxima[0];
    for &other in &maxima[1..] {
        best = simd.max_f32s(best, other);
    }
    let best = simd.reduce_max_f32s(best);
    rest.iter().copied().fold(best, larger)
}

/// Where `value` stands first in a block that holds it.
#[inline(always)]
fn first_equal<S: Simd>(simd: S, block: &[f32], value: f32) -> usize {
    let values = simd.splat_f32s(value);
    let equal = |scores: &S::f32s| simd.equal_f32s(*scores, values);
    // Whether there is one, never which: the order of a mask's bits is the CPU's own.
    let any = |mask: S::m32s| simd.first_true_m32s(mask) < S::F32_LANES;
    let (vectors, _) = S::as_simd_f32s(block);
    let (groups, _) = pulp::as_arrays::<GROUP, _>(vectors);
    let group = groups.iter().position(|group| {
        let mut found = equal(&group[0]);
        for scores in &group[1..] {
            found = simd.or_m32s(found, equal(scores));
        }
        any(found)
    });
    let passed = GROUP * group.unwrap_or(groups.len());
    let vector = vectors[passed..]
        .iter()
        .position(|scores| any(equal(scores)));
    let start = S::F32_LANES * vector.map_or(vectors.len(), |vector| passed + vector);
    let offset = block[start..].iter().position(|&score| score == value);
    start + offset.unwrap_or(0)
}

#[cfg(test)]
#[path = "argmax_tests.rs"]
mod tests;
