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
    best
}

/// What each of this machine's instruction sets says.
fn on_every_cpu(scores: &[f32], width: usize) -> Vec<Vec<Option<usize>>> {
    fn on<S: Simd>(simd: S, scores: &[f32], width: usize) -> Vec<Option<usize>> {
        let mut indices = Vec::new();
        let each = |index| indices.push(index);
        simd.vectorize(EachArgmax {
            scores,
            width,
            each,
        });
        indices
    }
    let mut answers = vec![on(pulp::Scalar, scores, width)];
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V3, V4};
        answers.extend(V3::try_new().map(|simd| on(simd, scores, width)));
        answers.extend(V4::try_new().map(|simd| on(simd, scores, width)));
    }
    #[cfg(target_arch = "aarch64")]
    answers.extend(pulp::aarch64::Neon::try_new().map(|simd| on(simd, scores, width)));
    answers
}

/// Checks the rows of `scores` `[rows, width]` on every instruction set, and row by row.
#[track_caller]
fn check(scores: &[f32], width: usize) {
    let expected: Vec<Option<usize>> = scores.chunks_exact(width).map(plain).collect();
    for (cpu, answer) in on_every_cpu(scores, width).into_iter().enumerate() {
        assert_eq!(answer, expected, "width {width}, instruction set {cpu}");
    }
    for (row, expected) in scores.chunks_exact(width).zip(expected) {
        assert_eq!(argmax(row), expected);
    }
}

/// Widths around the sizes of vectors, groups of them and blocks.
fn widths() -> impl Iterator<Item = usize> {
    let around = |size: usize| size - 1..=size + 1;
    (1..=70).chain(
        [128, 256, 512, BLOCK, 2 * BLOCK]
            .into_iter()
            .flat_map(around),
    )
}

#[test]
fn the_largest_is_found_at_every_place_of_every_width() {
    for width in widths() {
        let mut scores = vec![-1.0; width];
        // Of wide rows, the places of all lanes: 11 and the lanes of a vector have no common divisor.
        for place in (0..width).rev().step_by(if width > 300 { 11 } else { 1 }) {
            scores[place] = 4.0;
            check(&scores, width);
            scores[place] = -1.0;
        }
    }
}

#[test]
fn first_of_equals_wins_across_lanes_groups_and_blocks() {
    let mut scores = vec![-1.0; 3 * BLOCK + 7];
    let width = scores.len();
    for index in (0..width).rev().step_by(23).chain([0]) {
        scores[index] = 4.0;
        check(&scores, width);
        assert_eq!(argmax(&scores), Some(index));
    }
    assert_eq!(argmax(&[-0.0, 0.0]), Some(0));
}

#[test]
fn a_nan_never_wins_nor_hides_what_came_before_it() {
    for width in [1, 2, 15, 16, 17, 64, 70, 193] {
        let mut scores: Vec<f32> = (0..width).map(|place| -(place as f32) / 8.0).collect();
        for place in 0..width {
            let score = std::mem::replace(&mut scores[place], f32::NAN);
            check(&scores, width);
            // With a sign, too, which some instructions look at.
            scores[place] = -f32::NAN;
            check(&scores, width);
            scores[place] = score;
        }
    }
}

#[test]
fn infinities_are_values_like_others_at_every_place() {
    for width in [1, 2, 15, 16, 17, 64, 70, 193] {
        for place in 0..width {
            for rest in [f32::NAN, f32::NEG_INFINITY, f32::MIN, 1.0] {
                let mut scores = vec![rest; width];
                for value in [f32::INFINITY, f32::NEG_INFINITY] {
                    scores[place] = value;
                    check(&scores, width);
                }
            }
        }
    }
}

#[test]
fn rows_of_nothing_but_nan_and_rows_of_nothing_are_none() {
    assert_eq!(argmax(&[]), None);
    for width in widths() {
        check(&vec![f32::NAN; 2 * width], width);
        assert_eq!(argmax(&vec![f32::NAN; width]), None);
    }
}

fn score() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -4.0f32..4.0,
        2 => (-2i8..3).prop_map(f32::from),
        1 => Just(f32::NAN),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::INFINITY),
        1 => any::<u32>().prop_map(f32::from_bits),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn equals_the_plain_rule(
        scores in proptest::collection::vec(score(), 1..3000),
        width in prop_oneof![1usize..70, 70usize..3000],
        skipped in 0usize..16,
    ) {
        // Rows begin at any multiple of four bytes.
        let scores = &scores[skipped.min(scores.len() - 1)..];
        check(scores, width.min(scores.len()));
    }
}
