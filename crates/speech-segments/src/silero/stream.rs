//! Streams: what is known is told at once.

use super::options::{SileroOptions, samples};
use super::sizes::{PER_MS, STEP};
use crate::vad::Event;

/// What is known of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Samples so far, those of whole windows.
    samples: i64,
    speaking: bool,
    /// Where the window ended with which silence began.
    silent: Option<i64>,
}

impl Stream {
    /// Takes the next window, and says what it makes known.
    pub(super) fn window(&mut self, options: &SileroOptions, probability: f64) -> Option<Event> {
        self.samples += STEP;
        let pad = samples(options.speech_pad_ms);
        if probability >= options.threshold {
            self.silent = None;
            if self.speaking {
                return None;
            }
            self.speaking = true;
            let start = (self.samples - pad - STEP).max(0);
            return Some(Event {
                start_ms: Some(start / PER_MS),
                end_ms: None,
            });
        }
        if self.speaking && probability < options.silence_in_streams() {
            let since = *self.silent.get_or_insert(self.samples);
            if self.samples - since >= samples(options.min_silence_duration_ms) {
                self.silent = None;
                self.speaking = false;
                return Some(end(since + pad - STEP));
            }
        }
        None
    }

    /// Ends the segment under way, if there is one, with a stream of so many samples.
    pub(super) fn finish(self, length: i64) -> Option<Event> {
        self.speaking.then(|| end(length))
    }
}

fn end(sample: i64) -> Event {
    Event {
        start_ms: None,
        end_ms: Some(sample / PER_MS),
    }
}
