//! The state of a stream between its requests.

use triton_backend::{Error, Reply};

use super::defaults::Said;
use super::model::Model;
use super::segmenter::{Event, Piece, Segmenter};
use super::session::{Message, Session};
use crate::pipelines::vad::SEGMENTS_MS;
use crate::tensors::audio::{Chunk, StreamRate};
use crate::tensors::memory::missing;

/// `vad` counts in 32 bits of ms, enough for 24 days. After a day it begins anew when nobody speaks, and in any case after so long.
const RENEW_MS: u64 = 86_400_000;
const RENEW_AT_LAST_MS: u64 = 20 * RENEW_MS;

/// The state of a stream.
pub(super) struct Stream {
    rate: StreamRate,
    pub(super) segmenter: Segmenter,
    vad: Session,
    /// The sample that the stream at `vad` began with.
    vad_from: u64,
    /// It ends with the request under way.
    vad_ends: bool,
    /// The open segment's, from when it has something of it.
    pub(super) first_pass: Option<FirstPass>,
    pub(super) said: Said,
    /// The last letter of the text so far.
    pub(super) last_letter: Option<char>,
}

/// A segment at the first pass.
pub(super) struct FirstPass {
    pub(super) session: Session,
    /// What it said so far.
    pub(super) text: String,
}

impl Stream {
    /// A stream that has not begun.
    pub(super) fn new(model: &Model) -> Self {
        Self {
            rate: StreamRate::default(),
            segmenter: Segmenter::new(model.sizes()),
            vad: Session::new(&model.vad),
            vad_from: 0,
            vad_ends: false,
            first_pass: None,
            said: Said::default(),
            last_letter: None,
        }
    }

    /// The rate that its chunks come with, in Hz, once it has begun.
    pub(super) fn sample_rate(&self) -> Option<u32> {
        self.rate.known()
    }

    /// Checks the rate of a chunk that goes on with the stream.
    pub(super) fn check_rate(&self, sample_rate: Option<u32>) -> Result<(), Error> {
        self.rate.check(sample_rate)
    }

    /// Makes room for a request's samples.
    pub(super) fn reserve(&mut self, samples: usize) -> Result<(), Error> {
        match self.segmenter.reserve(samples) {
            true => Ok(()),
            false => Err(missing::<f32>(samples, "a stream's samples")),
        }
    }

    /// Takes a request's samples; what `vad` is to be asked of them.
    pub(super) fn push(
        &mut self,
        model: &Model,
        chunk: &Chunk<'_>,
        end: bool,
    ) -> Result<Message, Error> {
        let samples = self
            .rate
            .take(&chunk.samples, chunk.sample_rate, model.options.rate, end)?;
        let age = self.segmenter.samples() - self.vad_from;
        self.vad_ends = end || renews(age, model.options.rate, self.segmenter.is_open());
        self.segmenter.push(&samples);
        self.vad.message(&samples, SEGMENTS_MS, self.vad_ends)
    }

    /// Takes what `vad` answered; what there is new of segments.
    pub(super) fn cut(
        &mut self,
        model: &Model,
        reply: &Reply,
        end: bool,
    ) -> Result<Vec<Piece>, Error> {
        let events = events(reply)?;
        let pieces = self.segmenter.cut(&events, self.vad_from, end)?;
        if self.vad_ends && !end {
            self.vad = Session::new(&model.vad);
            self.vad_from = self.segmenter.samples();
        }
        Ok(pieces)
    }
}

impl FirstPass {
    pub(super) fn new(model: &Model) -> Self {
        Self {
            session: Session::new(&model.first_pass),
            text: String::new(),
        }
    }
}

/// Whether the stream at `vad`, of so many samples, is to begin anew.
fn renews(age: u64, rate: u32, is_open: bool) -> bool {
    let age = age.saturating_mul(1000) / u64::from(rate.max(1));
    age >= if is_open { RENEW_AT_LAST_MS } else { RENEW_MS }
}

/// What `vad` answered.
fn events(reply: &Reply) -> Result<Vec<Event>, Error> {
    let output = reply.output(SEGMENTS_MS)?;
    let times = output.read::<i32>()?;
    let time = |ms: i32| u64::try_from(ms).ok();
    let pairs = times.chunks_exact(2).filter_map(|pair| match *pair {
        [start, stop] => Some((time(start), time(stop))),
        _ => None,
    });
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vad_begins_anew_long_before_its_times_overflow() {
        let day = 86_400 * 16_000;
        assert!(!renews(day - 1, 16_000, false));
        assert!(renews(day, 16_000, false));
        assert!(!renews(19 * day, 16_000, true));
        assert!(renews(20 * day, 16_000, true));
        assert!(RENEW_AT_LAST_MS + 3_600_000 < i32::MAX as u64);
    }
}
