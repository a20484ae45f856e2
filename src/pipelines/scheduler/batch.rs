//! What may share a call.

/// What an item is to the call that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Only items of one class share a call.
    pub(crate) class: usize,
    /// Rows that it adds.
    pub(crate) rows: usize,
    /// Frames of each of these rows.
    pub(crate) length: usize,
}

/// What a call may be like, and how many may be under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most calls under way.
    pub(crate) calls: usize,
    /// The most rows.
    pub(crate) rows: usize,
    /// The most frames, padding included.
    pub(crate) frames: usize,
    /// The most of rows × longest²: what attention, which compares each frame of a row with each other one, costs.
    pub(crate) attention: usize,
    /// The most of the frames that may be padding, in per cent. 0: only rows of equal length share a call.
    pub(crate) padding_percent: f64,
}

/// A call that is being put together.
pub(crate) struct Batch {
    rows: usize,
    /// Frames, without padding.
    sum: usize,
    longest: usize,
}

impl Batch {
    /// A call with one item, which always fits: refused, it would wait for ever.
    pub(crate) fn of(first: Size) -> Self {
        Self {
            rows: first.rows,
            sum: first.rows.saturating_mul(first.length),
            longest: first.length,
        }
    }

    /// Whether no item fits any more, however short.
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        self.rows >= limits.rows
    }

    /// Takes another item, if the limits allow.
    pub(crate) fn take(&mut self, item: Size, limits: &Limits) -> bool {
        let rows = self.rows.saturating_add(item.rows);
        let longest = self.longest.max(item.length);
        let sum = self
            .sum
            .saturating_add(item.rows.saturating_mul(item.length));
        let padded = rows.saturating_mul(longest);
        let padding = padded.saturating_sub(sum);
        let fits = rows <= limits.rows
            && padded <= limits.frames
            && padded.saturating_mul(longest) <= limits.attention
            && padding as f64 * 100.0 <= limits.padding_percent * padded as f64;
        if fits {
            *self = Self { rows, sum, longest };
        }
        fits
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LIMITS: Limits = Limits {
        calls: 1,
        rows: 4,
        frames: 400,
        attention: usize::MAX,
        padding_percent: 25.0,
    };

    pub(crate) fn row(length: usize) -> Size {
        Size {
            class: 0,
            rows: 1,
            length,
        }
    }

    /// How many of these a call takes.
    fn taken(lengths: &[usize], limits: &Limits) -> usize {
        let mut batch = Batch::of(row(lengths[0]));
        let others = lengths[1..].iter();
        1 + others
            .take_while(|&&length| batch.take(row(length), limits))
            .count()
    }

    #[test]
    fn padding_stays_within_its_limit() {
        // 100 and 50: a quarter of 200 is padding.
        assert_eq!(taken(&[100, 50], &LIMITS), 2);
        assert_eq!(taken(&[100, 49], &LIMITS), 1);
        assert_eq!(taken(&[50, 100], &LIMITS), 2);
        let equal = Limits {
            padding_percent: 0.0,
            ..LIMITS
        };
        assert_eq!(taken(&[100, 100, 100, 101], &equal), 3);
    }

    #[test]
    fn rows_and_frames_stay_within_their_limits() {
        assert_eq!(taken(&[1; 9], &LIMITS), 4);
        assert_eq!(taken(&[150; 3], &LIMITS), 2);
        assert_eq!(taken(&[200, 200, 200], &LIMITS), 2);
        // Padded to 201 each.
        assert_eq!(taken(&[200, 201], &LIMITS), 1);
        assert_eq!(taken(&[usize::MAX, usize::MAX], &LIMITS), 1);
    }

    #[test]
    fn attention_grows_with_the_square_of_the_longest() {
        let limits = Limits {
            attention: 30_000,
            ..LIMITS
        };
        assert_eq!(taken(&[100; 4], &limits), 3);
        assert_eq!(taken(&[99, 99, 100, 99], &limits), 3);
        assert_eq!(taken(&[101; 3], &limits), 2);
        // A long row is alone.
        assert_eq!(taken(&[123, 123], &limits), 1);
        assert_eq!(taken(&[122, 122], &limits), 2);
    }

    #[test]
    fn an_item_of_several_rows_counts_as_such() {
        let windows = |rows| Size {
            class: 0,
            rows,
            length: 20,
        };
        let mut batch = Batch::of(windows(3));
        assert!(!batch.take(windows(2), &LIMITS));
        assert!(batch.take(windows(1), &LIMITS));
        assert!(!batch.take(windows(1), &LIMITS));
    }
}
