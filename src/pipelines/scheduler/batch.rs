//! Which waiting rows share a call of the encoder.

/// What a call may be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most rows.
    pub(crate) rows: usize,
    /// The most frames, padding included.
    pub(crate) frames: usize,
    /// The most of these frames that may be padding, in per cent. 0: only rows of equal length share a call.
    pub(crate) padding_percent: f64,
}

impl Limits {
    /// Whether `rows` rows with `sum` frames together, the longest of `longest`, fit a call.
    fn allow(&self, rows: usize, sum: usize, longest: usize) -> bool {
        let padded = rows.saturating_mul(longest);
        let padding = padded - sum;
        // A row alone always fits: refusing it would keep it waiting for ever.
        rows <= 1
            || (rows <= self.rows
                && padded <= self.frames
                && padding as f64 * 100.0 <= self.padding_percent * padded as f64)
    }
}

/// Chooses rows, given their frames in the order they came. The first is always among them, so that none waits for ever;
/// then those nearest to it in length, as far as the limits allow. Returns their places, in order.
pub(crate) fn choose(frames: &[usize], limits: &Limits) -> Vec<usize> {
    let Some(&first) = frames.first() else {
        return Vec::new();
    };
    let mut others: Vec<usize> = (1..frames.len()).collect();
    others.sort_by_key(|&place| frames[place].abs_diff(first));
    let mut chosen = vec![0];
    let (mut sum, mut longest) = (first, first);
    for place in others {
        let (next_sum, next_longest) = (sum + frames[place], longest.max(frames[place]));
        if limits.allow(chosen.len() + 1, next_sum, next_longest) {
            chosen.push(place);
            (sum, longest) = (next_sum, next_longest);
        } else if chosen.len() >= limits.rows {
            break;
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        rows: 4,
        frames: 400,
        padding_percent: 25.0,
    };

    #[test]
    fn nothing_waits_nothing_is_chosen() {
        assert!(choose(&[], &LIMITS).is_empty());
    }

    #[test]
    fn the_oldest_goes_first_with_the_nearest_in_length() {
        assert_eq!(choose(&[50, 500, 52, 10, 49, 51], &LIMITS), [0, 2, 4, 5]);
        assert_eq!(choose(&[500, 50, 52], &LIMITS), [0]);
    }

    #[test]
    fn padding_stays_within_its_limit() {
        // 100 and 50: a quarter of 200 is padding.
        assert_eq!(choose(&[100, 50], &LIMITS), [0, 1]);
        assert_eq!(choose(&[100, 49], &LIMITS), [0]);
        let equal = Limits {
            padding_percent: 0.0,
            ..LIMITS
        };
        assert_eq!(choose(&[100, 99, 100, 101, 100], &equal), [0, 2, 4]);
    }

    #[test]
    fn frames_and_rows_stay_within_their_limits() {
        assert_eq!(choose(&[150, 150, 150], &LIMITS), [0, 1]);
        assert_eq!(choose(&[1; 9], &LIMITS), [0, 1, 2, 3]);
        // Longer than a call may be, yet it has to be computed.
        assert_eq!(choose(&[1000, 1000], &LIMITS), [0]);
    }
}
