//! Frames of a stream as times.

use asr_decode::{Frames, Span};

/// A frame of the encoder: six of 10 ms, in all of FunASR's models.
const FRAME_MS: u64 = 60;

/// The most frames of a token, 600 ms: as long as FunASR lets those of recordings be. Behind a silence, frames are counted to the next token
/// that hold nothing of it.
const LONGEST: u64 = 10;

/// When the frames of a stream are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamClock {
    /// Frames that are counted before the stream begins: those that a window looks ahead, since the first window consumes as many less.
    pub(crate) frames_ahead: u64,
}

impl StreamClock {
    /// The clock of a stream whose windows have so many frames that look back, that are their own, and that look ahead.
    pub(crate) fn of([_, _, ahead]: [usize; 3]) -> Self {
        Self {
            frames_ahead: ahead as u64,
        }
    }

    /// When a token was said that fired in these frames.
    pub(crate) fn time(self, frames: Frames) -> Span {
        let first = frames.first.max((frames.last + 1).saturating_sub(LONGEST));
        let at = |frame: u64| frame.saturating_sub(self.frames_ahead) * FRAME_MS;
        Span {
            start_ms: at(first),
            end_ms: at(frames.last + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_the_beginning_of_the_stream() {
        let clock = StreamClock::of([5, 10, 5]);
        let time = |first, last| {
            let Span { start_ms, end_ms } = clock.time(Frames { first, last });
            (start_ms, end_ms)
        };
        // The first window consumes five frames before the stream and five of it.
        assert_eq!(time(0, 7), (0, 180));
        assert_eq!(time(8, 9), (180, 300));
        // What comes before a token that is as long as one can be is silence.
        assert_eq!(time(10, 105), (5460, 6060));
        // Four hours.
        assert_eq!(time(240_005, 240_005), (14_400_000, 14_400_060));
    }
}
