//! Medians, percentiles and ranges.

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The value that `share` of all values do not exceed.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or(f64::NAN)
}

/// In ascending order.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The area under the ROC curve: the probability that one of `above` is larger than one of `below`, equal ones counted half. NaN if one
/// of them is empty.
pub(super) fn area_under_curve(above: &[f64], below: &[f64]) -> f64 {
    let below = sorted(below);
    let won = above.iter().map(|value| {
        let less = below.partition_point(|other| other < value);
        let not_more = below.partition_point(|other| other <= value);
        (less + not_more) as f64 / 2.0
    });
    won.sum::<f64>() / (above.len() * below.len()) as f64
}

/// The median with the least and the largest value, as in `1.5 (1.4–1.7)`.
pub(super) fn with_range(values: &[f64]) -> String {
    use super::report::short;
    let sorted = sorted(values);
    match (sorted.first(), sorted.last()) {
        (Some(&least), Some(&most)) if sorted.len() > 1 => {
            format!(
                "{} ({}–{})",
                short(median(values)),
                short(least),
                short(most)
            )
        }
        (Some(&only), _) => short(only),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_under_a_curve_counts_pairs() {
        assert_eq!(area_under_curve(&[0.9, 0.8], &[0.1, 0.2]), 1.0);
        assert_eq!(area_under_curve(&[0.1], &[0.9, 0.8]), 0.0);
        assert_eq!(area_under_curve(&[0.5], &[0.5, 0.1, 0.9, 0.9]), 0.375);
        assert!(area_under_curve(&[], &[0.5]).is_nan());
    }

    #[test]
    fn the_middle_and_the_ends() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.5), 50.0);
        assert_eq!(percentile(&hundred, 0.99), 99.0);
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        assert!(percentile(&[], 0.5).is_nan());
        assert_eq!(with_range(&[2.0, 1.0, 4.0]), "2.00 (1.00–4.00)");
    }
}
