//! Audio as requests bring it: rows of samples, of which each counts up to its own length.

use std::borrow::Cow;

use triton_backend::{DataType, Error, ModelContext, Request};
use wav_frontend::Frontend;

use crate::component::{check_tensor, check_type};
use crate::options::{cmvn, frontend_error, frontend_options};
use crate::rows::Layout;

/// No audio has samples beyond this, yet floats do, and their power would overflow to infinity.
const LOUDEST: f32 = 1.0e6;

/// The parameters that [`AudioReader`] and [`frontend`] read, besides the front end's options.
pub(crate) const PARAMETERS: &[&str] = &["cmvn_path", "max_audio_seconds"];

/// The offline front end that a config describes.
pub(crate) fn frontend(context: &ModelContext) -> Result<Frontend, Error> {
    Frontend::new(frontend_options(context)?, Some(cmvn(context)?))
        .map_err(|error| frontend_error(context, &error))
}

/// Reads and checks the audio of requests.
pub(crate) struct AudioReader {
    /// The inputs' names.
    wav: &'static str,
    wav_lens: &'static str,
    layout: Layout,
    /// The fewest samples of a row.
    least: usize,
    sample_rate: f64,
    max_audio_seconds: f64,
}

/// The audio of one request.
pub(crate) struct Audio<'r> {
    samples: Cow<'r, [f32]>,
    /// Samples of a row, padding included.
    stride: usize,
    /// Samples of each row that count.
    pub(crate) lengths: Vec<usize>,
}

impl Audio<'_> {
    /// The samples of each row that count.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.samples
            // An empty row has no chunk to be cut from, and no samples to be looked at.
            .chunks_exact(self.stride.max(1))
            .zip(&self.lengths)
            .map(|(samples, &length)| &samples[..length])
    }
}

impl AudioReader {
    /// A reader of the inputs called `wav` and `wav_lens`.
    pub(crate) fn new(
        context: &ModelContext,
        sample_rate: u32,
        wav: &'static str,
        wav_lens: &'static str,
    ) -> Result<Self, Error> {
        let config = &context.config;
        check_tensor(config.input(wav)?, DataType::Fp32, &[None])?;
        check_type(config.input(wav_lens)?, DataType::Int32)?;
        let max_audio_seconds: f64 = config.parameters.get("max_audio_seconds")?.unwrap_or(600.0);
        if max_audio_seconds.is_nan() || max_audio_seconds <= 0.0 {
            let message = format!("{max_audio_seconds} is not above 0");
            return Err(Error::parameter("max_audio_seconds", message));
        }
        let layout = Layout {
            batched: config.batches(),
        };
        let sample_rate = f64::from(sample_rate);
        Ok(Self {
            wav,
            wav_lens,
            layout,
            least: 1,
            sample_rate,
            max_audio_seconds,
        })
    }

    /// A reader of streams' chunks, which may be empty.
    pub(crate) fn of_chunks(
        context: &ModelContext,
        sample_rate: u32,
        wav: &'static str,
        wav_lens: &'static str,
    ) -> Result<Self, Error> {
        let reader = Self::new(context, sample_rate, wav, wav_lens)?;
        Ok(Self { least: 0, ..reader })
    }

    /// The samples of a request that carries one chunk.
    pub(crate) fn read_chunk<'r>(&self, request: &'r Request) -> Result<Cow<'r, [f32]>, Error> {
        let Audio {
            samples, lengths, ..
        } = self.read(request)?;
        let &[length] = lengths.as_slice() else {
            let message = format!(
                "has {} rows; a request carries one chunk of one stream",
                lengths.len()
            );
            return Err(Error::input(self.wav, message));
        };
        Ok(match samples {
            Cow::Borrowed(samples) => Cow::Borrowed(&samples[..length]),
            Cow::Owned(mut samples) => {
                samples.truncate(length);
                Cow::Owned(samples)
            }
        })
    }

    /// The audio of a request; lengths are checked before samples are looked at.
    pub(crate) fn read<'r>(&self, request: &'r Request) -> Result<Audio<'r>, Error> {
        let wav = request.input(self.wav)?;
        let (rows, [stride]) = self.layout.rows(self.wav, wav.shape(), "samples")?;
        if stride < self.least {
            return Err(Error::Shape {
                name: self.wav.to_owned(),
                got: wav.shape().to_vec(),
                expected: "at least one sample".to_owned(),
            });
        }
        let what = format!("samples in the row of '{}'", self.wav);
        let lens = request.input(self.wav_lens)?;
        let values = lens.read::<i32>()?;
        let lengths = self.layout.lengths(
            self.wav_lens,
            lens.shape(),
            &values,
            rows,
            (self.least, stride),
            &what,
        )?;
        self.check_durations(&lengths)?;
        let audio = Audio {
            samples: wav.read::<f32>()?,
            stride,
            lengths,
        };
        for (row, samples) in audio.rows().enumerate() {
            check_samples(self.wav, row, samples)?;
        }
        Ok(audio)
    }

    fn check_durations(&self, lengths: &[usize]) -> Result<(), Error> {
        let most = self.max_audio_seconds * self.sample_rate;
        let too_long = lengths
            .iter()
            .enumerate()
            .find(|&(_, &length)| length as f64 > most);
        let Some((row, &length)) = too_long else {
            return Ok(());
        };
        let message = format!(
            "row {row} is {length} samples; parameter max_audio_seconds ({} s) allows {}",
            self.max_audio_seconds,
            most.floor()
        );
        Err(Error::input(self.wav_lens, message))
    }
}

/// Checks the samples of one row of the input called `name`.
pub(crate) fn check_samples(name: &str, row: usize, samples: &[f32]) -> Result<(), Error> {
    let wrong = samples
        .iter()
        .position(|sample| sample.is_nan() || sample.abs() > LOUDEST);
    let Some(at) = wrong else {
        return Ok(());
    };
    let message = format!(
        "row {row}, sample {at} is {}; samples are finite numbers, normally in [-1, 1]",
        samples[at]
    );
    Err(Error::input(name, message))
}
