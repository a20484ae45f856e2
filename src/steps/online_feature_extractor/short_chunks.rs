//! Chunks in mid-stream that are shorter than a chunk is: filled up with silence as ever, but said, or refused.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use triton_backend::{Error, ModelContext, warn};

use crate::tensors::parameters::{Parameter, Written};

/// The parameter that says what becomes of them.
pub(super) const SHORT_CHUNKS: Parameter<Remedy> = Parameter::new(
    "short_chunks",
    "what becomes of a chunk shorter than `chunk_size_s` which is not its stream's last: `pad` fills it up with silence, as the Python \
     step does, which makes the text wrong; the log says so at most once a minute, with the number of such chunks. `refuse` refuses \
     it, and the stream stays as it was",
)
.default("pad");

/// What becomes of a short chunk.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Remedy {
    Pad,
    Refuse,
}

impl Written for Remedy {
    const KIND: &'static str = "`pad` or `refuse`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "pad" => Ok(Self::Pad),
            "refuse" => Ok(Self::Refuse),
            _ => Err("is neither pad nor refuse"),
        }
    }
}

/// How long the log says nothing more of them.
const QUIET: Duration = Duration::from_secs(60);

/// What is done with short chunks.
pub(super) struct ShortChunks {
    model: String,
    refuse: bool,
    noted: Mutex<Noted>,
}

/// Those not yet said.
#[derive(Default)]
struct Noted {
    count: u64,
    said: Option<Instant>,
}

impl ShortChunks {
    /// As the parameter `short_chunks` wants it.
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        Ok(Self {
            model: context.name.clone(),
            refuse: SHORT_CHUNKS.read(context)? == Remedy::Refuse,
            noted: Mutex::default(),
        })
    }

    /// Looks at the length of a chunk that is not its stream's last and should have `expected` samples.
    pub(super) fn check(&self, samples: usize, expected: usize) -> Result<(), Error> {
        if samples >= expected {
            return Ok(());
        }
        if self.refuse {
            let message = format!(
                "row 0 is {samples}, expected {expected}: a chunk has {expected} samples, only the last one of its stream may be shorter"
            );
            return Err(Error::input("wav_lens", message));
        }
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let count = noted.one_more(Instant::now());
        drop(noted);
        if let Some(count) = count {
            warn!(
                "model '{}': short chunks in mid-stream, {count} since this was last said, the latest of {samples} samples in place \
                 of {expected}; each is filled up with silence, and the text is wrong. Have clients send {expected} samples at a \
                 time, or serve the pipeline, which takes any; parameter short_chunks = refuse refuses them",
                self.model
            );
        }
        Ok(())
    }
}

impl Noted {
    /// Counts one; returns how many there are to say, if it is time to.
    fn one_more(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        let quiet = self
            .said
            .is_some_and(|said| now.duration_since(said) < QUIET);
        if quiet {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_others_once_a_minute() {
        let mut noted = Noted::default();
        let first = Instant::now();
        let after = |seconds| first + Duration::from_secs(seconds);
        assert_eq!(noted.one_more(first), Some(1));
        for second in 1..60 {
            assert_eq!(noted.one_more(after(second)), None);
        }
        assert_eq!(noted.one_more(after(60)), Some(60));
        assert_eq!(noted.one_more(after(61)), None);
        assert_eq!(noted.one_more(after(500)), Some(2));
    }
}
