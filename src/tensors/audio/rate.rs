//! The rate of a stream's samples, said with its first chunk.

use std::borrow::Cow;

use audio_input::resample::Resampler;
use triton_backend::Error;

use super::names::Names;

/// The rate that a stream's audio comes with, in Hz, and what brings it to the model's; none before its first chunk.
#[derive(Default)]
pub(crate) struct StreamRate(Option<(u32, Resampler)>);

impl StreamRate {
    /// The rate that the stream began with.
    pub(crate) fn known(&self) -> Option<u32> {
        self.0.as_ref().map(|(rate, _)| *rate)
    }

    /// Checks what a chunk that goes on with the stream says of its rate.
    pub(crate) fn check(&self, stated: Option<u32>) -> Result<(), Error> {
        match (&self.0, stated) {
            (Some((begun, _)), Some(rate)) if *begun != rate => Err(Error::input(
                Names::PIPELINE.sample_rate,
                format!("row 0 is {rate}, but the stream began with {begun} Hz"),
            )),
            _ => Ok(()),
        }
    }

    /// The samples of a chunk, which says this of their rate, at the model's `rate`, as far as they are known; at the stream's end all that
    /// there are.
    pub(crate) fn take<'c>(
        &mut self,
        samples: &'c [f32],
        stated: Option<u32>,
        rate: u32,
        end: bool,
    ) -> Result<Cow<'c, [f32]>, Error> {
        let (from, resampler) = match &mut self.0 {
            Some(begun) => begun,
            empty => {
                let from = stated.unwrap_or(rate);
                let new = Resampler::new(from, rate);
                let new = new.map_err(|error| Error::invalid(error.to_string()))?;
                empty.insert((from, new))
            }
        };
        if *from == rate {
            return Ok(Cow::Borrowed(samples));
        }
        let mut resampled = Vec::new();
        resampler.push(samples, &mut resampled);
        if end {
            resampler.finish(&mut resampled);
        }
        Ok(Cow::Owned(resampled))
    }
}
