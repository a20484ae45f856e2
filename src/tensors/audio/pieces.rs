//! Samples on their way to pieces of one length, at another rate.

use audio_input::resample::Resampler;
use triton_backend::Error;

/// Whom pieces are handed to.
pub(crate) type Take<'t> = dyn FnMut(&[f32]) -> Result<(), Error> + 't;

/// Samples of any rate on their way to pieces of another.
pub(super) struct Pieces<'p, 't> {
    /// None where the rates are the same: then what comes is handed on as it is.
    resampler: Option<Resampler>,
    length: usize,
    samples: Vec<f32>,
    take: &'p mut Take<'t>,
}

impl<'p, 't> Pieces<'p, 't> {
    pub(super) fn new(
        from: u32,
        to: u32,
        length: usize,
        take: &'p mut Take<'t>,
    ) -> Result<Self, Error> {
        let resampler = (from != to).then(|| Resampler::new(from, to)).transpose();
        Ok(Self {
            resampler: resampler.map_err(|error| Error::invalid(error.to_string()))?,
            length,
            samples: Vec::new(),
            take,
        })
    }

    /// Takes at most as many samples as a piece has.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<(), Error> {
        let Some(resampler) = &mut self.resampler else {
            return (self.take)(samples);
        };
        resampler.push(samples, &mut self.samples);
        while self.samples.len() >= self.length {
            (self.take)(&self.samples[..self.length])?;
            self.samples.drain(..self.length);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        if let Some(resampler) = &mut self.resampler {
            resampler.finish(&mut self.samples);
        }
        for piece in self.samples.chunks(self.length.max(1)) {
            (self.take)(piece)?;
        }
        Ok(())
    }
}
