//! The audio of a stream, cut to segments: what is held of it, and what each model is to have of it next.
//!
//! Times are counted in samples from the stream's beginning, and no more is held than the open segment, or a little before what may become
//! one: a stream may go on for ever.

use triton_backend::Error;

use crate::tensors::memory::room;

/// A larger buffer than what is in it needs, by this factor, is given back.
const SLACK: usize = 4;

/// What `vad` says: when a segment starts and ends, in ms from where its own stream began; none of what it said before, or does not know.
pub(super) type Event = (Option<u64>, Option<u64>);

/// The sizes of what is held, in ms.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) rate: u32,
    /// A longer segment is cut.
    pub(super) max_segment_ms: u64,
    /// What is held when nobody speaks.
    pub(super) lookback_ms: u64,
}

/// The state of a stream's audio.
pub(super) struct Segmenter {
    sizes: Sizes,
    held: Vec<f32>,
    /// The number of the first sample held.
    first: u64,
    open: Option<Open>,
    /// Where the last segment ended: none begins before.
    ended: u64,
    next_id: i64,
}

/// A segment that goes on.
struct Open {
    id: i64,
    /// The sample that it begins with.
    start: u64,
    start_ms: u64,
    /// Up to where the first pass has it; none if it has nothing of it.
    sent: Option<u64>,
}

/// What there is new of a segment.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) id: i64,
    /// From the beginning of the stream.
    pub(super) start_ms: u64,
    /// What the first pass has not had.
    pub(super) fresh: Vec<f32>,
    /// It has had nothing.
    pub(super) begins: bool,
    pub(super) ended: Option<Ended>,
}

/// How a segment ended.
#[derive(Debug, PartialEq)]
pub(super) struct Ended {
    /// From the beginning of the stream.
    pub(super) end_ms: u64,
    /// All of the segment.
    pub(super) samples: Vec<f32>,
}

impl Segmenter {
    /// A stream that has not begun.
    pub(super) fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            held: Vec::new(),
            first: 0,
            open: None,
            ended: 0,
            next_id: 0,
        }
    }

    /// Makes room for so many samples; false if there is none.
    pub(super) fn reserve(&mut self, samples: usize) -> bool {
        self.held.try_reserve(samples).is_ok()
    }

    /// Takes samples.
    pub(super) fn push(&mut self, samples: &[f32]) {
        self.held.extend_from_slice(samples);
    }

    /// The number of samples so far.
    pub(super) fn samples(&self) -> u64 {
        self.first + self.held.len() as u64
    }

    /// How much audio there was.
    pub(super) fn audio_ms(&self) -> u64 {
        self.ms(self.samples())
    }

    /// Whether a segment goes on.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What there is new of segments, after `vad`, whose stream began with sample `from`, said this of all samples so far; of each segment
    /// once. `end` if no more samples come.
    pub(super) fn cut(
        &mut self,
        events: &[Event],
        from: u64,
        end: bool,
    ) -> Result<Vec<Piece>, Error> {
        let mut pieces = Vec::new();
        for &(start, stop) in events {
            if let (Some(start), None) = (start, &self.open) {
                self.begin(from + self.samples_of(start), self.ms(from) + start);
            }
            if let Some(stop) = stop {
                let sample = from + self.samples_of(stop);
                self.finish(sample, Some(self.ms(from) + stop), &mut pieces)?;
            }
        }
        let now = self.samples();
        if end {
            self.finish(now, None, &mut pieces)?;
        } else {
            self.shorten(now, &mut pieces)?;
            self.go_on(now, &mut pieces)?;
        }
        self.forget(now);
        Ok(pieces)
    }

    /// A segment begins at a sample, of which it is known when that was.
    fn begin(&mut self, sample: u64, ms: u64) {
        // What is not held any more cannot be heard; and what the last segment had, where pads meet in a short pause, was heard.
        let start = sample.max(self.first).max(self.ended).min(self.samples());
        self.open = Some(Open {
            id: self.next_id,
            start,
            start_ms: if start == sample { ms } else { self.ms(start) },
            sent: None,
        });
        self.next_id += 1;
    }

    /// The open segment ends before a sample, of which it may be known when that was.
    fn finish(
        &mut self,
        sample: u64,
        ms: Option<u64>,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), Error> {
        self.shorten(sample, pieces)?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let stop = sample.clamp(open.start, self.samples().max(open.start));
        let ms = ms.filter(|_| stop == sample);
        self.ended = stop;
        pieces.push(Piece {
            id: open.id,
            start_ms: open.start_ms,
            fresh: self.range(open.sent.unwrap_or(open.start), stop)?,
            begins: open.sent.is_none(),
            ended: Some(Ended {
                end_ms: ms.unwrap_or_else(|| self.ms(stop)).max(open.start_ms),
                samples: self.range(open.start, stop)?,
            }),
        });
        Ok(())
    }

    /// Cuts the open segment, which reaches up to a sample, until it is no longer than it may be.
    fn shorten(&mut self, sample: u64, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        let most = self.samples_of(self.sizes.max_segment_ms).max(1);
        while let Some(open) = &self.open {
            let border = open.start.saturating_add(most);
            if border >= sample.min(self.samples()) {
                break;
            }
            self.finish(border, None, pieces)?;
            self.begin(border, self.ms(border));
        }
        Ok(())
    }

    /// The first pass has the open segment up to a sample.
    fn go_on(&mut self, sample: u64, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let fresh = self.range(open.sent.unwrap_or(open.start), sample)?;
        if fresh.is_empty() {
            return Ok(());
        }
        pieces.push(Piece {
            id: open.id,
            start_ms: open.start_ms,
            fresh,
            begins: open.sent.is_none(),
            ended: None,
        });
        if let Some(open) = &mut self.open {
            open.sent = Some(sample);
        }
        Ok(())
    }

    /// Lets go of what no segment needs.
    fn forget(&mut self, now: u64) {
        let lookback = self.samples_of(self.sizes.lookback_ms);
        let wanted = match &self.open {
            Some(open) => open.start,
            None => now.saturating_sub(lookback),
        };
        let gone = wanted.saturating_sub(self.first);
        let gone = usize::try_from(gone).map_or(self.held.len(), |gone| gone.min(self.held.len()));
        self.held.drain(..gone);
        self.first += gone as u64;
        if self.held.capacity() > SLACK * self.held.len().max(1024) {
            self.held.shrink_to(2 * self.held.len());
        }
    }

    /// A copy of the samples from one to another, as far as they are held.
    fn range(&self, start: u64, stop: u64) -> Result<Vec<f32>, Error> {
        let place = |sample: u64| {
            let place = usize::try_from(sample.saturating_sub(self.first));
            place.map_or(self.held.len(), |place| place.min(self.held.len()))
        };
        let samples = self.held.get(place(start)..place(stop)).unwrap_or_default();
        let mut copy = room(samples.len(), "a segment's samples")?;
        copy.extend_from_slice(samples);
        Ok(copy)
    }

    fn ms(&self, samples: u64) -> u64 {
        samples.saturating_mul(1000) / u64::from(self.sizes.rate.max(1))
    }

    fn samples_of(&self, ms: u64) -> u64 {
        ms.saturating_mul(u64::from(self.sizes.rate)) / 1000
    }
}

#[cfg(test)]
mod tests;
