//! Audio as requests bring it: rows of samples, of which each counts up to its own length, or files.

mod channels;
mod form;
mod limit;
mod mistakes;
mod more;
mod names;
mod origin;
mod pieces;
mod rate;
mod recording;

use std::borrow::Cow;

use audio_input::resample::resample;
use triton_backend::{DataType, Error, ErrorCode, Input, ModelContext, Request};
use wav_frontend::Frontend;

pub(crate) use self::channels::CHANNELS;
use self::channels::Channels;
use self::form::Form;
pub(crate) use self::form::PCM_FORMAT;
use self::limit::Limit;
pub(crate) use self::limit::MAX_AUDIO_SECONDS;
pub(crate) use self::more::INCOMPLETE_AUDIO;
use self::more::{Admit, More};
pub(crate) use self::names::Names;
pub(crate) use self::origin::{Origin, of_origins, rows_asked};
pub(crate) use self::rate::StreamRate;
use crate::tensors::layout::Layout;
use crate::tensors::layout::check_type;
use crate::tensors::memory::room;
use crate::tensors::options::{CMVN_PATH, THREADS, cmvn, frontend_error, frontend_options};
use crate::tensors::parameters::Table;

/// What components take that make an encoder's features of audio, besides the front end's options.
pub(crate) const FEATURES: Table = Table {
    name: "Features",
    lines: &[
        &CMVN_PATH,
        &MAX_AUDIO_SECONDS,
        &PCM_FORMAT,
        &INCOMPLETE_AUDIO,
        &THREADS,
    ],
};

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
    form: Form,
    /// What the config lists beside them.
    more: More,
    /// The rate of the samples that are handed out, in Hz.
    sample_rate: u32,
    layout: Layout,
    /// The fewest and the most samples of a row, whatever the config allows.
    least: usize,
    most: usize,
    limit: Limit,
}

/// How much audio a request has.
pub(crate) struct Sizes {
    /// Samples of each row that count, at the rate that they are handed out with.
    pub(crate) lengths: Vec<usize>,
    /// Samples of all rows as they came, padding included; of bytes and files, those that are made of them.
    pub(crate) values: usize,
    /// Where each row comes from.
    pub(crate) origins: Vec<Origin>,
    /// Where they are.
    source: Source,
}

/// Where a request's samples are.
enum Source {
    /// In its tensor.
    Tensor {
        /// Samples of a row, padding included.
        stride: usize,
        /// Samples of each row that count, as they came.
        counts: Vec<usize>,
        /// The rate of each row, and whether the request says it.
        rates: Vec<u32>,
        stated: bool,
    },
    /// Decoded: how much a file holds is known when it is.
    Decoded(Vec<Vec<f32>>),
}

/// The audio of one request.
pub(crate) struct Audio<'r> {
    rows: Rows<'r>,
    /// Samples of each row that count.
    pub(crate) lengths: Vec<usize>,
}

enum Rows<'r> {
    /// As they came, each with padding up to the same `stride`.
    Padded {
        samples: Cow<'r, [f32]>,
        stride: usize,
    },
    /// Made of what came.
    Own(Vec<Vec<f32>>),
}

impl Audio<'_> {
    /// The samples of each row that count.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        let lengths = self.lengths.iter().enumerate();
        lengths.map(|(row, &length)| match &self.rows {
            Rows::Padded { samples, stride } => &samples[row * stride..][..length],
            Rows::Own(rows) => &rows[row][..length],
        })
    }
}

/// A chunk of a stream.
pub(crate) struct Chunk<'r> {
    pub(crate) samples: Cow<'r, [f32]>,
    /// In Hz, if the request says it.
    pub(crate) sample_rate: Option<u32>,
}

impl AudioReader {
    /// A reader of the inputs of these names that hands out samples of `sample_rate`.
    pub(crate) fn new(
        context: &ModelContext,
        sample_rate: u32,
        names: &Names,
    ) -> Result<Self, Error> {
        let config = &context.config;
        let wav = config.input(names.wav)?;
        let form = Form::load(context, wav)?;
        match config.input(names.wav_lens) {
            Err(_) if form.tells_lengths() => {}
            lens => check_type(lens?, DataType::Int32)?,
        }
        let layout = Layout {
            batched: config.batches(),
        };
        Ok(Self {
            wav: names.wav,
            wav_lens: names.wav_lens,
            form,
            more: More::load(context, names)?,
            sample_rate,
            layout,
            least: 1,
            most: usize::MAX,
            limit: Limit::load(context)?,
        })
    }

    /// The same, for which files' channels become this where none is picked.
    pub(crate) fn with_channels(mut self, channels: Channels) -> Self {
        self.more.channels = channels;
        self
    }

    /// A reader of streams' chunks, which may be empty and have up to `most` samples.
    pub(crate) fn of_chunks(
        context: &ModelContext,
        sample_rate: u32,
        most: usize,
        names: &Names,
    ) -> Result<Self, Error> {
        let reader = Self::new(context, sample_rate, names)?;
        reader.more.refuse(
            &[names.audio, names.channel],
            "a stream brings samples, not files",
        )?;
        Ok(Self {
            least: 0,
            most,
            ..reader
        })
    }

    /// Fails if the config lists what a component does not take that has no threads to decode and resample on.
    pub(crate) fn refuse_more(&self) -> Result<(), Error> {
        let Names {
            audio,
            sample_rate,
            channel,
            ..
        } = Names::PIPELINE;
        let why = "this component takes samples at the model's rate";
        self.more.refuse(&[audio, sample_rate, channel], why)
    }

    /// Whether reading a request takes so long that no thread of the server should do it: it has files, or is to be resampled.
    pub(crate) fn takes_long(&self, request: &Request) -> bool {
        if !self.more.any() {
            return false;
        }
        // What is wrong with a request is found, and told, by whoever reads it.
        let files = self.more.files(request);
        let rates = self.more.rates(request, self.rows_of(request));
        let others = |rates: Vec<u32>| rates.iter().any(|&rate| rate != self.sample_rate);
        matches!(files, Ok(Some(_))) || rates.is_ok_and(|rates| rates.is_some_and(others))
    }

    /// Whether there can be such requests.
    pub(crate) fn may_take_long(&self) -> bool {
        self.more.any()
    }

    /// Rows and bytes that wait with a request, before anything more is known of it.
    pub(crate) fn waiting(&self, request: &Request) -> (usize, usize) {
        let inputs = request.inputs().unwrap_or_default();
        let bytes = inputs.iter().map(|input| input.byte_size());
        (self.rows_of(request), bytes.fold(0, usize::saturating_add))
    }

    fn rows_of(&self, request: &Request) -> usize {
        let inputs = request.inputs().unwrap_or_default();
        inputs
            .first()
            .map_or(1, |input| self.layout.rows_of(input.shape()))
    }

    /// How much audio a request has that carries one chunk of a stream with this sample rate, if that is known, without a look at its
    /// samples.
    pub(crate) fn chunk_sizes(&self, request: &Request, rate: Option<u32>) -> Result<Sizes, Error> {
        let sizes = self.sizes_of_tensor(request, rate)?;
        let rows = sizes.lengths.len();
        if rows != 1 {
            let message = format!("has {rows} rows; a request carries one chunk of one stream");
            return Err(Error::input(self.wav, message));
        }
        Ok(sizes)
    }

    /// The samples of a request that carries one chunk of this size, as they came.
    pub(crate) fn chunk<'r>(&self, request: &'r Request, sizes: Sizes) -> Result<Chunk<'r>, Error> {
        let Source::Tensor {
            stride,
            counts,
            rates,
            stated,
        } = sizes.source
        else {
            return Err(Error::internal("a chunk is no file"));
        };
        let length = counts.first().copied().unwrap_or(0);
        let samples = match self.tensor(request, stride, &counts)? {
            Rows::Padded {
                samples: Cow::Borrowed(samples),
                ..
            } => Cow::Borrowed(&samples[..length]),
            Rows::Padded {
                samples: Cow::Owned(mut samples),
                ..
            } => {
                samples.truncate(length);
                Cow::Owned(samples)
            }
            Rows::Own(rows) => Cow::Owned(rows.into_iter().next().unwrap_or_default()),
        };
        Ok(Chunk {
            samples,
            sample_rate: rates.first().copied().filter(|_| stated),
        })
    }

    /// The audio of a request, and where it comes from; lengths are checked before samples are looked at.
    pub(crate) fn read<'r>(&self, request: &'r Request) -> Result<(Audio<'r>, Vec<Origin>), Error> {
        let mut sizes = self.sizes(request, &mut |_| Ok(()))?;
        let origins = std::mem::take(&mut sizes.origins);
        Ok((self.samples(request, sizes)?, origins))
    }

    /// How much audio a request has, without a look at its samples. Files are decoded to know it, as long as `admit` lets in what they hold.
    pub(crate) fn sizes(&self, request: &Request, admit: &mut Admit<'_>) -> Result<Sizes, Error> {
        match self.files_of(request)? {
            Some(files) => self.decoded(request, &files, admit),
            None => self.sizes_of_tensor(request, None),
        }
    }

    /// How much audio is in a request's tensor, of this sample rate unless the request says another one.
    fn sizes_of_tensor(&self, request: &Request, rate: Option<u32>) -> Result<Sizes, Error> {
        let wav = request
            .input(self.wav)
            .map_err(|error| self.more.or_files(error))?;
        let (stride, counts) = match self.form {
            Form::Bytes(encoding) => {
                let counts = form::counts(&wav, self.layout, encoding)?;
                (0, self.counts_of_bytes(request, counts)?)
            }
            Form::Floats | Form::Integers => {
                let (rows, [stride]) = self.layout.rows(self.wav, wav.shape(), "samples")?;
                (stride, self.counts(request, rows, stride)?)
            }
        };
        let rows = counts.len();
        self.more.check_one_channel(request, rows, self.wav)?;
        let rates = self.more.rates(request, rows)?;
        let stated = rates.is_some();
        let rates = rates.unwrap_or_else(|| vec![rate.unwrap_or(self.sample_rate); rows]);
        self.limit.check(self.wav_lens, &counts, &rates)?;
        let lengths = counts.iter().zip(&rates);
        Ok(Sizes {
            values: match self.form {
                // As they came they are counted with a request's other texts and bytes.
                Form::Bytes(_) => counts
                    .iter()
                    .fold(0, |sum, &count| sum.saturating_add(count)),
                Form::Floats | Form::Integers => rows.saturating_mul(stride),
            },
            origins: Origin::of_rows(rows),
            lengths: lengths
                .map(|(&count, &rate)| resampled_len(count, rate, self.sample_rate))
                .collect(),
            source: Source::Tensor {
                stride,
                counts,
                rates,
                stated,
            },
        })
    }

    /// The samples that count of each row of so many.
    fn counts(&self, request: &Request, rows: usize, stride: usize) -> Result<Vec<usize>, Error> {
        if stride < self.least {
            return Err(Error::Shape {
                name: self.wav.to_owned(),
                got: request.input(self.wav)?.shape().to_vec(),
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
        let limits = (self.least, stride.min(self.most));
        self.layout
            .lengths(self.wav_lens, lens.shape(), &values, rows, limits, &what)
    }

    /// The samples that count of rows that have so many: all of them, unless the request says otherwise.
    fn counts_of_bytes(&self, request: &Request, counts: Vec<usize>) -> Result<Vec<usize>, Error> {
        let wrong = |count: &usize| *count < self.least || *count > self.most;
        if let Some(row) = counts.iter().position(wrong) {
            let most = match self.most {
                usize::MAX => "at least 1".to_owned(),
                most => format!("up to {most}"),
            };
            let message = format!("row {row} has {} samples, expected {most}", counts[row]);
            return Err(Error::input(self.wav, message));
        }
        let lens = match request.input(self.wav_lens) {
            Ok(lens) => lens,
            Err(Error::MissingInput { .. }) => return Ok(counts),
            Err(error) => return Err(error),
        };
        let values = lens.read::<i32>()?;
        let (name, shape) = (self.wav_lens, lens.shape());
        let longest = counts.iter().copied().max().unwrap_or(0);
        let what = format!("samples in '{}'; with bytes it can be left out", self.wav);
        let limits = (self.least, longest);
        let stated = self
            .layout
            .lengths(name, shape, &values, counts.len(), limits, &what)?;
        let mut pairs = stated.iter().zip(&counts);
        if let Some(row) = pairs.position(|(stated, there)| stated > there) {
            let message = format!(
                "row {row} is {}, but there are {} {what}",
                stated[row], counts[row]
            );
            return Err(Error::input(name, message));
        }
        Ok(stated)
    }

    /// The files of a request, if it has files; then it has no samples.
    fn files_of<'r>(&self, request: &'r Request) -> Result<Option<Input<'r>>, Error> {
        let files = self.more.files(request)?;
        if let Some(files) = &files
            && request.input(self.wav).is_ok()
        {
            let message = format!("a request has either '{}' or '{}'", self.wav, files.name());
            return Err(Error::input(files.name(), message));
        }
        Ok(files)
    }

    fn decoded(
        &self,
        request: &Request,
        files: &Input<'_>,
        admit: &mut Admit<'_>,
    ) -> Result<Sizes, Error> {
        let form = (self.sample_rate, self.limit);
        let (origins, rows) = self.more.decode(request, files, form, admit)?;
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        Ok(Sizes {
            values: lengths.iter().sum(),
            lengths,
            origins,
            source: Source::Decoded(rows),
        })
    }

    /// The audio of a request that has so much.
    pub(crate) fn samples<'r>(
        &self,
        request: &'r Request,
        Sizes {
            lengths, source, ..
        }: Sizes,
    ) -> Result<Audio<'r>, Error> {
        let rows = match source {
            Source::Decoded(rows) => Rows::Own(rows),
            Source::Tensor {
                stride,
                counts,
                rates,
                ..
            } => {
                let rows = self.tensor(request, stride, &counts)?;
                if rates.iter().all(|&rate| rate == self.sample_rate) {
                    rows
                } else {
                    let lengths = counts;
                    self.resampled(&Audio { rows, lengths }, &rates)?
                }
            }
        };
        Ok(Audio { rows, lengths })
    }

    /// The samples of a request's tensor as floats, checked, of each row those that count.
    fn tensor<'r>(
        &self,
        request: &'r Request,
        stride: usize,
        counts: &[usize],
    ) -> Result<Rows<'r>, Error> {
        let wav = request.input(self.wav)?;
        match self.form {
            Form::Integers => {
                let samples = wav.read::<i16>()?;
                let rows = counts.iter().enumerate().map(|(row, &count)| {
                    let samples = &samples[row * stride..][..count];
                    mistakes::check_header_of_i16(self.wav, row, samples)?;
                    let mut floats = room(count, "samples")?;
                    floats.extend(samples.iter().map(|&sample| audio_input::from_i16(sample)));
                    Ok(floats)
                });
                Ok(Rows::Own(rows.collect::<Result<_, Error>>()?))
            }
            Form::Bytes(encoding) => {
                let rows = form::samples(&wav, encoding, counts)?;
                for (row, samples) in rows.iter().enumerate() {
                    self.check(row, samples)?;
                }
                Ok(Rows::Own(rows))
            }
            Form::Floats => {
                let samples = wav.read::<f32>()?;
                for (row, &count) in counts.iter().enumerate() {
                    self.check(row, &samples[row * stride..][..count])?;
                }
                Ok(Rows::Padded { samples, stride })
            }
        }
    }

    /// Checks that samples are samples.
    fn check(&self, row: usize, samples: &[f32]) -> Result<(), Error> {
        mistakes::check_samples(self.wav, row, samples)?;
        // Where nothing is asked for but samples as ever, they may be as loud as ever.
        if self.more.any() {
            mistakes::check_scale(self.wav, row, samples)?;
        }
        Ok(())
    }

    /// Rows of these rates at the model's.
    fn resampled(&self, audio: &Audio<'_>, rates: &[u32]) -> Result<Rows<'static>, Error> {
        let rows = audio.rows().zip(rates).enumerate();
        let resampled = rows.map(|(row, (samples, &rate))| {
            resample(samples, rate, self.sample_rate)
                .map_err(|error| Error::new(ErrorCode::Unavailable, format!("row {row}: {error}")))
        });
        Ok(Rows::Own(resampled.collect::<Result<_, Error>>()?))
    }
}

/// How many samples come of `count` samples when they are resampled.
fn resampled_len(count: usize, from: u32, to: u32) -> usize {
    let samples = (count as u128 * u128::from(to)).div_ceil(u128::from(from.max(1)));
    usize::try_from(samples).unwrap_or(usize::MAX)
}
