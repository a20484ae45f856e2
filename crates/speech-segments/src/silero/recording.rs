//! Whole recordings: segments are complete, and know of each other.

use std::ops::Range;

use super::options::{SileroOptions, samples};
use super::sizes::{PER_MS, STEP};

/// Silence within a segment is a place to cut it if it is longer than this.
const CUTS_MS: i64 = 98;

/// Segments of a recording, in samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording {
    /// Windows so far.
    windows: i64,
    /// Complete segments, as they are without padding.
    complete: Vec<Range<i64>>,
    /// Where the segment under way starts.
    open: Option<i64>,
    /// Speech was heard, and not silence long enough.
    speaking: bool,
    /// Where silence began that may end the segment.
    silent: Option<i64>,
    /// Silences of the segment under way: where they began, and how long they were.
    pauses: Vec<(i64, i64)>,
}

impl Recording {
    /// Takes the next window.
    pub(super) fn window(&mut self, options: &SileroOptions, probability: f64) {
        let now = self.windows * STEP;
        self.windows += 1;
        let speech = probability >= options.threshold;
        if speech && let Some(since) = self.silent.take() {
            let length = now - since;
            if length > CUTS_MS * PER_MS {
                self.pauses.push((since, length));
            }
        }
        if speech && !self.speaking {
            self.speaking = true;
            self.open = Some(now);
            return;
        }
        if self.speaking
            && let Some(start) = self.open
            && (now - start) as f64 > options.longest()
            && self.cut(start, now)
        {
            return;
        }
        if self.speaking && probability < options.silence_in_recordings() {
            let since = *self.silent.get_or_insert(now);
            if now - since >= samples(options.min_silence_duration_ms) {
                self.end(options, since);
            }
        }
    }

    /// The segment got too long. It ends where its longest silence began, and the next one goes on behind that; or here, if it has none,
    /// which is true then.
    fn cut(&mut self, start: i64, now: i64) -> bool {
        // The first of those that are the longest.
        let longest =
            self.pauses.iter().copied().reduce(
                |longest, pause| {
                    if pause.1 > longest.1 { pause } else { longest }
                },
            );
        self.pauses.clear();
        self.silent = None;
        match longest {
            Some((since, length)) => {
                self.complete.push(start..since);
                self.open = Some(since + length);
                false
            }
            None => {
                self.complete.push(start..now);
                self.open = None;
                self.speaking = false;
                true
            }
        }
    }

    /// The segment ends where silence began.
    fn end(&mut self, options: &SileroOptions, since: i64) {
        if let Some(start) = self.open.take()
            && since - start > samples(options.min_speech_duration_ms)
        {
            self.complete.push(start..since);
        }
        self.speaking = false;
        self.silent = None;
        self.pauses.clear();
    }

    /// The segments of a recording of so many samples.
    pub(super) fn finish(mut self, options: &SileroOptions, length: i64) -> Vec<Range<i64>> {
        if let Some(start) = self.open
            && length - start > samples(options.min_speech_duration_ms)
        {
            self.complete.push(start..length);
        }
        padded(self.complete, samples(options.speech_pad_ms), length)
    }
}

/// The segments with `pad` samples at either end, or half of what is between two of them.
fn padded(mut segments: Vec<Range<i64>>, pad: i64, length: i64) -> Vec<Range<i64>> {
    if let Some(first) = segments.first_mut() {
        first.start = (first.start - pad).max(0);
    }
    for index in 0..segments.len() {
        let Some([segment, next]) = segments.get_mut(index..index + 2) else {
            continue;
        };
        let between = next.start - segment.end;
        if between < 2 * pad {
            segment.end += between / 2;
            next.start = (next.start - between / 2).max(0);
        } else {
            segment.end = (segment.end + pad).min(length);
            next.start = (next.start - pad).max(0);
        }
    }
    if let Some(last) = segments.last_mut() {
        last.end = (last.end + pad).min(length);
    }
    segments
}
