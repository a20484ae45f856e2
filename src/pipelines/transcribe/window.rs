//! Which segments of a window stand, and where the next window begins.

use speech_segments::sentences::Span;

/// How near to a window's end a segment reaches that goes on behind it: frames are 25 ms long, and ends a few of them early.
const REACHES_END_MS: u64 = 200;
/// How much of what is known to be silence the next window begins with, since speech is only noticed a while after it began.
const LEAD_MS: u64 = 1000;
/// Windows begin where frames of the others do, so that these come to the same.
const FRAME_MS: u64 = 10;

/// What becomes of a window.
#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    /// How many of its segments stand, counted from the first.
    pub(super) stand: usize,
    /// Where the next one begins, in ms from its own beginning.
    pub(super) next_ms: u64,
}

/// Cuts a window of `length_ms` with these segments; `last` if nothing comes behind it.
///
/// The segment that reaches its end is looked at again with what follows, as long as it leaves room for that: at most half a window is
/// kept.
pub(super) fn cut(segments: &[Span], length_ms: u64, last: bool) -> Cut {
    let open = segments.last();
    let open = open.filter(|own| own.end_ms.saturating_add(REACHES_END_MS) >= length_ms);
    let begins = open.map_or(length_ms, |own| own.start_ms);
    if last || begins < length_ms / 2 {
        // What goes on is cut where its last frame ends, and goes on from there.
        let end = open
            .filter(|_| !last)
            .map(|own| own.end_ms / FRAME_MS * FRAME_MS);
        return Cut {
            stand: segments.len(),
            next_ms: end.map_or(length_ms, |end| end.min(length_ms)),
        };
    }
    let stand = segments.len() - usize::from(open.is_some());
    let before = segments[..stand].last().map_or(0, |own| own.end_ms);
    let next_ms = begins.saturating_sub(LEAD_MS) / FRAME_MS * FRAME_MS;
    let next_ms = next_ms.max(before).min(begins);
    Cut { stand, next_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_of(segments: &[(u64, u64)], last: bool) -> (usize, u64) {
        let span = |&(start_ms, end_ms): &(u64, u64)| Span { start_ms, end_ms };
        let segments: Vec<Span> = segments.iter().map(span).collect();
        let Cut { stand, next_ms } = cut(&segments, 60_000, last);
        (stand, next_ms)
    }

    #[test]
    fn what_reaches_the_end_is_looked_at_again_from_the_silence_before_it() {
        assert_eq!(
            cut_of(&[(1000, 20_000), (50_000, 59_990)], false),
            (1, 49_000)
        );
        assert_eq!(
            cut_of(&[(1000, 49_500), (50_000, 59_990)], false),
            (1, 49_500)
        );
        assert_eq!(
            cut_of(&[(1000, 50_000), (50_000, 60_000)], false),
            (1, 50_000)
        );
    }

    #[test]
    fn silence_at_the_end_leads_into_the_next_one() {
        assert_eq!(cut_of(&[], false), (0, 59_000));
        assert_eq!(
            cut(&[], 60_007, false).next_ms,
            59_000,
            "where a frame begins"
        );
        assert_eq!(cut_of(&[(1000, 20_000)], false), (1, 59_000));
        assert_eq!(cut_of(&[(1000, 59_500)], false), (1, 59_500));
    }

    #[test]
    fn the_last_window_and_a_segment_as_long_as_half_a_window_are_taken_whole() {
        assert_eq!(
            cut_of(&[(1000, 20_000), (50_000, 60_000)], true),
            (2, 60_000)
        );
        assert_eq!(
            cut_of(&[(1000, 20_000), (25_000, 60_000)], false),
            (2, 60_000)
        );
        assert_eq!(
            cut_of(&[(1000, 20_000), (25_000, 59_985)], false),
            (2, 59_980)
        );
        assert_eq!(cut_of(&[(25_000, 59_985)], true), (1, 60_000));
        assert_eq!(cut_of(&[], true), (0, 60_000));
    }
}
