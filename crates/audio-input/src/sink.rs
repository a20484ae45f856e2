//! Where decoders put their samples: counted, reduced to one channel, resampled.

use std::ops::ControlFlow;

use crate::error::AudioError;
use crate::format::Format;
use crate::options::Options;
use crate::resample::Resampler;

/// Takes interleaved samples as they are decoded.
pub(crate) struct Sink<'o> {
    options: &'o Options,
    format: Format,
    /// The audio that comes: none before the first.
    source: Option<Source>,
    /// Seconds of audio that were taken before the rate last changed.
    seconds: f64,
    mono: Vec<f32>,
    /// What has come out and not been handed on.
    samples: Vec<f32>,
    windows: Option<Windows<'o>>,
    /// Samples that were handed on.
    handed: u64,
    first: Option<(u32, usize)>,
}

/// Where samples go that are not to be kept.
pub(crate) struct Windows<'o> {
    /// Samples of each but the last.
    pub(crate) length: usize,
    pub(crate) take: &'o mut dyn FnMut(&[f32]) -> ControlFlow<()>,
}

struct Source {
    rate: u32,
    channels: usize,
    frames: u64,
    resampler: Resampler,
}

/// What a sink took.
pub(crate) struct Taken {
    /// Those that were not handed on.
    pub(crate) samples: Vec<f32>,
    /// All, with those that were.
    pub(crate) count: u64,
    /// Rate and channels of the first audio that came.
    pub(crate) first: Option<(u32, usize)>,
}

impl<'o> Sink<'o> {
    /// Samples are handed on in `windows` if there are, and kept if not.
    pub(crate) fn new(options: &'o Options, format: Format, windows: Option<Windows<'o>>) -> Self {
        Self {
            options,
            format,
            source: None,
            seconds: 0.0,
            mono: Vec::new(),
            samples: Vec::new(),
            windows,
            handed: 0,
            first: None,
        }
    }

    /// Says what the samples that follow are. A file may change its mind, as when streams are put one behind the other.
    pub(crate) fn expect(&mut self, rate: u32, channels: usize) -> Result<(), AudioError> {
        let same = |source: &Source| (source.rate, source.channels) == (rate, channels);
        if self.source.as_ref().is_some_and(same) {
            return Ok(());
        }
        if channels == 0 {
            return Err(AudioError::broken(self.format, "its audio has no channels"));
        }
        self.options.channel.check(channels)?;
        let resampler = Resampler::new(rate, self.options.sample_rate)?;
        self.end();
        self.hand_on(false)?;
        self.first = self.first.or(Some((rate, channels)));
        self.source = Some(Source {
            rate,
            channels,
            frames: 0,
            resampler,
        });
        Ok(())
    }

    /// Takes samples, channels interleaved.
    pub(crate) fn push(&mut self, interleaved: &[f32]) -> Result<(), AudioError> {
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        source.frames += (interleaved.len() / source.channels) as u64;
        let most = self.options.max_seconds;
        let seconds = self.seconds + source.seconds();
        // What binary fractions are off is no reason to refuse: a thousandth of a sample.
        if seconds > most + 1.0e-3 / f64::from(source.rate) {
            return Err(AudioError::TooLong { seconds: most });
        }
        let channel = self.options.channel;
        channel.reduce(interleaved, source.channels, &mut self.mono);
        if !self.mono.iter().all(|sample| sample.is_finite()) {
            let message = "it has samples that are no finite numbers";
            return Err(AudioError::broken(self.format, message));
        }
        let room = source.resampler.output_len(self.mono.len() as u64);
        let room = usize::try_from(room)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        if self.samples.try_reserve(room).is_err() {
            let samples = self.samples.len().saturating_add(room);
            return Err(AudioError::Memory { samples });
        }
        source.resampler.push(&self.mono, &mut self.samples);
        self.hand_on(false)
    }

    /// Hands whole windows on; the rest, too, if it is the `last`.
    fn hand_on(&mut self, last: bool) -> Result<(), AudioError> {
        let Some(windows) = &mut self.windows else {
            return Ok(());
        };
        let length = windows.length.max(1);
        let mut taken = 0;
        while self.samples.len() - taken >= length || (last && taken < self.samples.len()) {
            let end = self.samples.len().min(taken + length);
            if (windows.take)(&self.samples[taken..end]).is_break() {
                return Err(AudioError::Stopped);
            }
            taken = end;
        }
        self.handed += taken as u64;
        self.samples.drain(..taken);
        Ok(())
    }

    /// Frames that were taken since the last change.
    pub(crate) fn frames(&self) -> u64 {
        self.source.as_ref().map_or(0, |source| source.frames)
    }

    /// Ends the audio.
    pub(crate) fn finish(mut self) -> Result<Taken, AudioError> {
        self.end();
        self.hand_on(true)?;
        Ok(Taken {
            count: self.handed + self.samples.len() as u64,
            samples: self.samples,
            first: self.first,
        })
    }

    fn end(&mut self) {
        if let Some(mut source) = self.source.take() {
            self.seconds += source.seconds();
            source.resampler.finish(&mut self.samples);
        }
    }
}

impl Source {
    fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate)
    }
}
