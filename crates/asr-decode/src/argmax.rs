//! The index of a row's largest score.

/// Scores looked at between two comparisons with the best so far: enough to amortise the comparison, few enough
/// that the winning block is still in the first-level cache when its index is looked up.
const BLOCK: usize = 256;
/// Independent running maxima, so that the compiler keeps them in vector registers.
const LANES: usize = 16;

/// Index of the largest value of `scores`, or `None` if there are no scores.
///
/// Of equal values the first wins, as in NumPy. A NaN never wins, unless there is nothing but NaN: then the index is 0.
///
/// ```
/// use asr_decode::argmax;
/// assert_eq!(argmax(&[0.5, 2.0, 2.0]), Some(1));
/// assert_eq!(argmax(&[f32::NAN, -3.0]), Some(1));
/// assert_eq!(argmax(&[]), None);
/// ```
#[must_use]
pub fn argmax(scores: &[f32]) -> Option<usize> {
    let mut best = f32::NEG_INFINITY;
    let mut best_block = None;
    for (index, block) in scores.chunks(BLOCK).enumerate() {
        let largest = block_max(block);
        if largest > best {
            best = largest;
            best_block = Some(index * BLOCK);
        }
    }
    match best_block {
        Some(start) => {
            let end = scores.len().min(start + BLOCK);
            let offset = scores[start..end].iter().position(|&score| score == best)?;
            Some(start + offset)
        }
        // Only -inf and NaN: the first -inf, if any, is the largest value.
        None => {
            let first = scores.iter().position(|score| !score.is_nan());
            first.or((!scores.is_empty()).then_some(0))
        }
    }
}

/// Largest value of a block; -inf if it holds none but NaN.
fn block_max(block: &[f32]) -> f32 {
    // `if score > lane` is one packed-max instruction and leaves the lane alone for NaN; f32::max takes three.
    let larger = |lane: f32, score: f32| if score > lane { score } else { lane };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = block.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, score);
        }
    }
    let tail = chunks.remainder().iter().copied();
    lanes
        .into_iter()
        .chain(tail)
        .fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule, written as plainly as possible.
    fn plain(scores: &[f32]) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (index, score) in scores.iter().enumerate() {
            if !score.is_nan() && best.is_none_or(|b| *score > scores[b]) {
                best = Some(index);
            }
        }
        best.or((!scores.is_empty()).then_some(0))
    }

    #[test]
    fn first_of_equals_wins_across_lanes_and_blocks() {
        let mut scores = vec![-1.0; 3 * BLOCK + 7];
        for index in [3 * BLOCK + 3, 2 * BLOCK, BLOCK + 17, BLOCK + 2, 5] {
            scores[index] = 4.0;
            assert_eq!(argmax(&scores), Some(index));
        }
        assert_eq!(argmax(&[-0.0, 0.0]), Some(0));
    }

    #[test]
    fn infinities_and_nan() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        assert_eq!(argmax(&[nan, nan, nan]), Some(0));
        assert_eq!(argmax(&[nan, -inf, nan, -inf]), Some(1));
        assert_eq!(argmax(&[-inf, nan, inf, nan, inf]), Some(2));
        let mut scores = vec![nan; 1000];
        scores[999] = -inf;
        assert_eq!(argmax(&scores), Some(999));
        scores[700] = f32::MIN;
        assert_eq!(argmax(&scores), Some(700));
    }

    proptest! {
        #[test]
        fn equals_the_plain_rule(scores in proptest::collection::vec(
            prop_oneof![
                4 => -4.0f32..4.0,
                2 => (-2i8..3).prop_map(f32::from),
                1 => Just(f32::NAN),
                1 => Just(f32::NEG_INFINITY),
                1 => Just(f32::INFINITY),
            ], 0..700))
        {
            prop_assert_eq!(argmax(&scores), plain(&scores));
        }
    }
}
