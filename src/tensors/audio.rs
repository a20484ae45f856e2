//! Audio as requests bring it: rows of samples, of which each counts up to its own length.

use std::borrow::Cow;

use triton_backend::{DataType, Error, ModelContext, Request};
use wav_frontend::Frontend;

use crate::tensors::layout::Layout;
use crate::tensors::layout::{check_tensor, check_type};
use crate::tensors::options::{CMVN_PATH, THREADS, cmvn, frontend_error, frontend_options};
use crate::tensors::parameters::{Parameter, Table};

/// No audio has samples beyond this, yet floats do, and their power would overflow to infinity.
const LOUDEST: f32 = 1.0e6;

/// What components take that make an encoder's features of audio, besides the front end's options.
pub(crate) const FEATURES: Table = Table {
    name: "Features",
    lines: &[&CMVN_PATH, &MAX_AUDIO_SECONDS, &THREADS],
};

/// The parameter that limits a row of audio, or a stream's chunk.
pub(crate) const MAX_AUDIO_SECONDS: Parameter<f64> = Parameter::new(
    "max_audio_seconds",
    "a longer row, or chunk of a stream, is refused, see [How much audio](#how-much-audio)",
)
.default(600.0)
.within("above 0", |seconds| *seconds > 0.0);

/// The offline front end that a config describes.
pub(crate) fn frontend(context: &ModelContext) -> Result<Frontend, Error> {
    Frontend::new(frontend_options(context)?, Some(cmvn(context, &CMVN_PATH)?))
        .map_err(|error| frontend_error(context, &error))
}

/// Reads and checks the audio of requests.
pub(crate) struct AudioReader {
    /// The inputs' names.
    wav: &'static str,
    wav_lens: &'static str,
    layout: Layout,
    /// The fewest and the most samples of a row, whatever the config allows.
    least: usize,
    most: usize,
    limit: Limit,
}

/// The most audio of a row.
#[derive(Clone, Copy, Debug)]
struct Limit {
    seconds: f64,
    samples: f64,
}

impl Limit {
    /// The limit that a config sets; `inf` is none.
    fn load(context: &ModelContext, sample_rate: u32) -> Result<Self, Error> {
        Ok(Self::new(MAX_AUDIO_SECONDS.read(context)?, sample_rate))
    }

    /// Rounded down, but for what binary fractions are off: 2.3 s are 36800 samples, not 36799.
    fn new(seconds: f64, sample_rate: u32) -> Self {
        let samples = (seconds * f64::from(sample_rate) + 1.0e-3).floor();
        Self { seconds, samples }
    }

    /// Checks the lengths of the rows that the input called `name` tells.
    fn check(&self, name: &str, lengths: &[usize]) -> Result<(), Error> {
        let Self { seconds, samples } = self;
        let mut rows = lengths.iter().enumerate();
        let Some((row, length)) = rows.find(|&(_, &length)| length as f64 > *samples) else {
            return Ok(());
        };
        let parameter = MAX_AUDIO_SECONDS.name();
        let message = format!(
            "row {row} is {length} samples; parameter {parameter} ({seconds} s) allows {samples}"
        );
        Err(Error::input(name, message))
    }
}

/// How much audio a request has.
pub(crate) struct Sizes {
    /// Samples of each row that count.
    pub(crate) lengths: Vec<usize>,
    /// Samples of all rows, padding included.
    pub(crate) values: usize,
    /// Samples of a row, padding included.
    stride: usize,
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
        let layout = Layout {
            batched: config.batches(),
        };
        Ok(Self {
            wav,
            wav_lens,
            layout,
            least: 1,
            most: usize::MAX,
            limit: Limit::load(context, sample_rate)?,
        })
    }

    /// A reader of streams' chunks, which may be empty and have up to `most` samples.
    pub(crate) fn of_chunks(
        context: &ModelContext,
        sample_rate: u32,
        most: usize,
        wav: &'static str,
        wav_lens: &'static str,
    ) -> Result<Self, Error> {
        let reader = Self::new(context, sample_rate, wav, wav_lens)?;
        Ok(Self {
            least: 0,
            most,
            ..reader
        })
    }

    /// The samples of a request that carries one chunk.
    pub(crate) fn read_chunk<'r>(&self, request: &'r Request) -> Result<Cow<'r, [f32]>, Error> {
        let sizes = self.chunk_sizes(request)?;
        self.chunk(request, sizes)
    }

    /// How much audio a request has that carries one chunk, without a look at its samples.
    pub(crate) fn chunk_sizes(&self, request: &Request) -> Result<Sizes, Error> {
        let sizes = self.sizes(request)?;
        let rows = sizes.lengths.len();
        if rows != 1 {
            let message = format!("has {rows} rows; a request carries one chunk of one stream");
            return Err(Error::input(self.wav, message));
        }
        Ok(sizes)
    }

    /// The samples of a request that carries one chunk of this size.
    pub(crate) fn chunk<'r>(
        &self,
        request: &'r Request,
        sizes: Sizes,
    ) -> Result<Cow<'r, [f32]>, Error> {
        let Audio {
            samples, lengths, ..
        } = self.samples(request, sizes)?;
        let length = lengths.first().copied().unwrap_or(0);
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
        let sizes = self.sizes(request)?;
        self.samples(request, sizes)
    }

    /// How much audio a request has, without a look at its samples.
    pub(crate) fn sizes(&self, request: &Request) -> Result<Sizes, Error> {
        let wav = request.input(self.wav)?;
        let (rows, [stride]) = self.layout.rows(self.wav, wav.shape(), "samples")?;
        if stride < self.least {
            return Err(Error::Shape {
                name: self.wav.to_owned(),
                got: wav.shape().to_vec(),
                expected: "at least one sample".to_owned(),
            });
        }
        let what = match self.most {
            usize::MAX => format!("samples in the row of '{}'", self.wav),
            most => format!(
                "samples of '{}'; a chunk has up to {most} of them",
                self.wav
            ),
        };
        let lens = request.input(self.wav_lens)?;
        let values = lens.read::<i32>()?;
        let lengths = self.layout.lengths(
            self.wav_lens,
            lens.shape(),
            &values,
            rows,
            (self.least, stride.min(self.most)),
            &what,
        )?;
        self.limit.check(self.wav_lens, &lengths)?;
        Ok(Sizes {
            values: rows.saturating_mul(stride),
            stride,
            lengths,
        })
    }

    /// The audio of a request that has so much.
    pub(crate) fn samples<'r>(
        &self,
        request: &'r Request,
        Sizes {
            stride, lengths, ..
        }: Sizes,
    ) -> Result<Audio<'r>, Error> {
        let audio = Audio {
            samples: request.input(self.wav)?.read::<f32>()?,
            stride,
            lengths,
        };
        for (row, samples) in audio.rows().enumerate() {
            check_samples(self.wav, row, samples)?;
        }
        Ok(audio)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_number_of_samples_a_person_would_say() {
        for (seconds, samples) in [
            (600.0, 9_600_000.0),
            (2.3, 36_800.0),
            (0.1, 1600.0),
            (1e-5, 0.0),
        ] {
            assert_eq!(Limit::new(seconds, 16_000).samples, samples);
        }
        assert_eq!(Limit::new(f64::INFINITY, 16_000).samples, f64::INFINITY);
    }

    #[test]
    fn the_first_row_beyond_it_is_named() {
        let limit = Limit::new(2.3, 16_000);
        assert!(limit.check("wav_lens", &[0, 36_800]).is_ok());
        assert_eq!(
            limit
                .check("wav_lens", &[1, 36_801, 99_999])
                .unwrap_err()
                .to_string(),
            "input 'wav_lens': row 1 is 36801 samples; parameter max_audio_seconds (2.3 s) allows 36800"
        );
    }
}
