//! Streams whose samples have another rate than the model's.
//!
//! A chunk of any rate lasts as long as a window's new part, and each request is to give one window. The filter looks some milliseconds
//! ahead, though, so of a first chunk the last samples cannot be told yet: so many samples of silence stand before the stream.

use std::borrow::Cow;

use audio_input::resample::Resampler;
use triton_backend::Error;
use wav_frontend::online::OnlineState;

use crate::tensors::audio::Names;

/// The state of a stream between its requests.
pub(super) struct Stream {
    pub(super) windows: OnlineState,
    /// The rate of its samples, in Hz.
    rate: u32,
    /// What brings them to the model's, and what came of it and was not taken yet.
    resampled: Option<(Resampler, Vec<f32>)>,
}

impl Stream {
    /// A stream of this rate that has not begun, for windows of samples at `model_rate`.
    pub(super) fn new(rate: u32, model_rate: u32) -> Result<Self, Error> {
        let resampled = match rate == model_rate {
            true => None,
            false => {
                let resampler = Resampler::new(rate, model_rate);
                let resampler = resampler.map_err(|error| Error::invalid(error.to_string()))?;
                let ahead = resampler.delay() as u64 * u64::from(model_rate) / u64::from(rate);
                let ahead = usize::try_from(ahead).unwrap_or_default();
                Some((resampler, vec![0.0; ahead]))
            }
        };
        Ok(Self {
            windows: OnlineState::new(),
            rate,
            resampled,
        })
    }

    /// The samples of a chunk at the model's rate, `most` at most: a whole chunk gives so many. At the end of the stream, what is still
    /// to come of it, as far as that has room.
    pub(super) fn take<'c>(
        &mut self,
        chunk: Cow<'c, [f32]>,
        most: usize,
        end: bool,
    ) -> Cow<'c, [f32]> {
        let Some((resampler, ready)) = &mut self.resampled else {
            return chunk;
        };
        resampler.push(&chunk, ready);
        if end {
            resampler.finish(ready);
        }
        let count = ready.len().min(most);
        Cow::Owned(ready.drain(..count).collect())
    }
}

/// What rates chunks may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// The model's, in Hz.
    pub(super) model_rate: u32,
    /// Samples of a chunk at the model's rate.
    pub(super) chunk_samples: usize,
}

impl Rates {
    /// The rate of a chunk that goes on with `stream`, or begins one, and says this of it.
    pub(super) fn of(self, stream: Option<&Stream>, stated: Option<u32>) -> Result<u32, Error> {
        let begun = stream.map(|stream| stream.rate);
        match (begun, stated) {
            (Some(begun), Some(stated)) if begun != stated => Err(Error::input(
                Names::STEP.sample_rate,
                format!("row 0 is {stated}, but the stream began with {begun} Hz"),
            )),
            _ => Ok(begun.or(stated).unwrap_or(self.model_rate)),
        }
    }

    /// Samples of a chunk of this rate.
    pub(super) fn samples(self, rate: u32) -> Result<usize, Error> {
        let samples = self.chunk_samples as u64 * u64::from(rate);
        if !samples.is_multiple_of(u64::from(self.model_rate)) {
            let milliseconds = self.chunk_samples as f64 * 1000.0 / f64::from(self.model_rate);
            let message = format!(
                "row 0 is {rate}: a chunk of {milliseconds} ms is no whole number of samples there; the pipeline takes any rate"
            );
            return Err(Error::input(Names::STEP.sample_rate, message));
        }
        let samples = samples / u64::from(self.model_rate);
        Ok(usize::try_from(samples).unwrap_or(usize::MAX))
    }

    /// Refuses a chunk that is longer than one of its rate is.
    pub(super) fn check(self, samples: usize, most: usize, rate: u32) -> Result<(), Error> {
        if samples <= most {
            return Ok(());
        }
        let message = format!(
            "row 0 is {samples}, expected 0 to {most} (samples of '{}'; a chunk of {rate} Hz has up to {most} of them)",
            Names::STEP.wav
        );
        Err(Error::input(Names::STEP.wav_lens, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        model_rate: 16_000,
        chunk_samples: 9600,
    };

    #[test]
    fn each_whole_chunk_gives_a_window_and_the_end_what_is_left() {
        for rate in [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000] {
            let samples = RATES.samples(rate).unwrap();
            let chunk: Vec<f32> = (0..samples).map(|at| (at as f32 * 0.01).sin()).collect();
            let mut stream = Stream::new(rate, 16_000).unwrap();
            let mut came = Vec::new();
            for number in 0..5 {
                // One in the middle is short.
                let part = if number == 2 { samples / 3 } else { samples };
                let taken = stream.take(Cow::Borrowed(&chunk[..part]), 9600, false);
                let expected = (part * 16_000) as f64 / f64::from(rate);
                assert!((taken.len() as f64 - expected).abs() <= 1.0, "{rate} Hz");
                assert!(number == 2 || taken.len() == 9600, "{rate} Hz: {number}");
                came.extend_from_slice(&taken);
            }
            let rest = stream.take(Cow::Borrowed(&[]), 9600, true);
            assert!((10..200).contains(&rest.len()), "{rate} Hz: {}", rest.len());
        }
    }

    #[test]
    fn the_models_own_rate_is_left_as_it_is() {
        let mut stream = Stream::new(16_000, 16_000).unwrap();
        let chunk = [0.5, 0.25];
        assert_eq!(*stream.take(Cow::Borrowed(&chunk), 9600, false), chunk);
    }

    #[test]
    fn rates_that_do_not_fit_are_named() {
        let words = RATES.samples(44_056).unwrap_err().to_string();
        assert!(
            words.contains("row 0 is 44056: a chunk of 600 ms is no whole number"),
            "{words}"
        );
        let stream = Stream::new(48_000, 16_000).unwrap();
        assert_eq!(RATES.of(Some(&stream), None).unwrap(), 48_000);
        assert_eq!(RATES.of(None, None).unwrap(), 16_000);
        let words = RATES
            .of(Some(&stream), Some(16_000))
            .unwrap_err()
            .to_string();
        assert!(
            words.contains("row 0 is 16000, but the stream began with 48000 Hz"),
            "{words}"
        );
        let words = RATES.check(28_801, 28_800, 48_000).unwrap_err().to_string();
        assert!(
            words.contains("row 0 is 28801, expected 0 to 28800"),
            "{words}"
        );
        assert!(RATES.check(28_800, 28_800, 48_000).is_ok());
    }
}
