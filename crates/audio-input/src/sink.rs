//! Where decoders put their samples: counted, reduced to one channel or kept apart, resampled.

use std::ops::ControlFlow;

use crate::channels::Channel;
use crate::error::AudioError;
use crate::format::Format;
use crate::options::Options;
use crate::resample::Resampler;

/// No audio is louder, yet files of floats can say so, and what is computed of such numbers is infinite.
const LOUDEST: f32 = 1.0e6;

/// What becomes of a file's channels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Take {
    /// They become one.
    One(Channel),
    /// Each is kept, if there are no more than so many.
    Each(usize),
}

/// Takes interleaved samples as they are decoded.
pub(crate) struct Sink<'o> {
    options: &'o Options,
    take: Take,
    format: Format,
    /// The audio that comes: none before the first.
    source: Option<Source>,
    /// Seconds of audio that were taken before the rate last changed.
    seconds: f64,
    mono: Vec<f32>,
    /// What has come out and not been handed on.
    rows: Vec<Vec<f32>>,
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
    /// One for each row.
    resamplers: Vec<Resampler>,
}

/// What a sink took.
pub(crate) struct Taken {
    /// One row, or one for each channel, all of the same length, without what was handed on.
    pub(crate) rows: Vec<Vec<f32>>,
    /// Samples of a row, with those that were handed on.
    pub(crate) count: u64,
    /// Rate and channels of the first audio that came.
    pub(crate) first: Option<(u32, usize)>,
}

impl<'o> Sink<'o> {
    /// Samples of the only row are handed on in `windows` if there are, and kept if not.
    pub(crate) fn new(
        options: &'o Options,
        take: Take,
        format: Format,
        windows: Option<Windows<'o>>,
    ) -> Self {
        Self {
            options,
            take,
            format,
            source: None,
            seconds: 0.0,
            mono: Vec::new(),
            rows: Vec::new(),
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
        let rows = self.rows_of(channels)?;
        let resampler = Resampler::new(rate, self.options.sample_rate)?;
        self.end();
        self.rows.resize_with(rows, Vec::new);
        self.hand_on(false)?;
        self.first = self.first.or(Some((rate, channels)));
        self.source = Some(Source {
            rate,
            channels,
            frames: 0,
            resamplers: vec![resampler; rows],
        });
        Ok(())
    }

    /// How many rows so many channels become.
    fn rows_of(&self, channels: usize) -> Result<usize, AudioError> {
        match (self.take, self.first) {
            (Take::One(channel), _) => channel.check(channels).map(|()| 1),
            (Take::Each(most), _) if channels > most => {
                Err(AudioError::TooManyChannels { channels, most })
            }
            // Rows would end, or begin, in the middle.
            (Take::Each(_), Some((_, first))) if channels != first => {
                let message = format!(
                    "it has {first} channels at first and {channels} later; mix them, or pick one"
                );
                Err(AudioError::broken(self.format, message))
            }
            (Take::Each(_), _) => Ok(channels),
        }
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
        let lines = self.rows.iter_mut().zip(&mut source.resamplers);
        for (index, (row, resampler)) in lines.enumerate() {
            let channel = match self.take {
                Take::One(channel) => channel,
                Take::Each(_) => Channel::Only(index),
            };
            channel.reduce(interleaved, source.channels, &mut self.mono);
            // NaN is not within either.
            if !self.mono.iter().all(|sample| sample.abs() <= LOUDEST) {
                let message = format!(
                    "it has samples that are no finite numbers, or beyond {LOUDEST}; full scale is 1"
                );
                return Err(AudioError::broken(self.format, message));
            }
            let room = resampler.output_len(self.mono.len() as u64);
            let room = usize::try_from(room)
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            if row.try_reserve(room).is_err() {
                let samples = row.len().saturating_add(room);
                return Err(AudioError::Memory { samples });
            }
            resampler.push(&self.mono, row);
        }
        self.hand_on(false)
    }

    /// Hands whole windows on; the rest, too, if it is the `last`.
    fn hand_on(&mut self, last: bool) -> Result<(), AudioError> {
        let (Some(windows), Some(samples)) = (&mut self.windows, self.rows.first_mut()) else {
            return Ok(());
        };
        let length = windows.length.max(1);
        let mut taken = 0;
        while samples.len() - taken >= length || (last && taken < samples.len()) {
            let end = samples.len().min(taken + length);
            if (windows.take)(&samples[taken..end]).is_break() {
                return Err(AudioError::Stopped);
            }
            taken = end;
        }
        self.handed += taken as u64;
        samples.drain(..taken);
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
        let kept = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Taken {
            count: self.handed + kept as u64,
            rows: self.rows,
            first: self.first,
        })
    }

    fn end(&mut self) {
        if let Some(mut source) = self.source.take() {
            self.seconds += source.seconds();
            let lines = self.rows.iter_mut().zip(&mut source.resamplers);
            lines.for_each(|(row, resampler)| resampler.finish(row));
        }
    }
}

impl Source {
    fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate)
    }
}
