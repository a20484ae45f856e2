//! Component `feature_extractor`: audio to the encoder's features.
//!
//! `wav` FP32 `[rows, samples]` and `wav_lens` INT32 `[rows, 1]` become `speech` FP32 `[rows, frames, 560]` and
//! `speech_lengths` INT32 `[rows, 1]`. Only the first `wav_lens` samples of a row count; what a client padded behind
//! them changes nothing.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;

use triton_backend::{Batch, DataType, Error, ModelContext, Request, Response, guard};
use wav_frontend::{Cmvn, Frontend, Row};

use crate::audio::check_samples;
use crate::component::{Component, Worker, check_tensor};
use crate::options::frontend_options;
use crate::rows::Layout;

/// The loaded component.
pub(crate) struct FeatureExtractor {
    frontend: Frontend,
    layout: Layout,
    /// `speech` has a multiple of this many frames.
    pad_to_multiple: usize,
    max_audio_seconds: f64,
    threads: NonZeroUsize,
}

/// A checked request with its response under way.
struct Job<'r> {
    audio: Cow<'r, [f32]>,
    /// Samples of a row in `audio`, padding included.
    stride: usize,
    lengths: Vec<usize>,
    wants_speech: bool,
    response: Response,
}

impl FeatureExtractor {
    pub(crate) const PARAMETERS: &'static [&'static str] = &[
        "cmvn_path",
        "config_path",
        "sample_rate",
        "num_mel_bins",
        "frame_length_in_ms",
        "frame_shift_in_ms",
        "dither",
        "dither_seed",
        "pad_to_multiple",
        "max_audio_seconds",
        "threads",
    ];

    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let parameters = &context.config.parameters;
        let cmvn = Cmvn::read(context.file("cmvn_path")?)
            .map_err(|error| Error::parameter("cmvn_path", error.to_string()))?;
        let frontend = Frontend::new(frontend_options(context)?, Some(cmvn))
            .map_err(|error| Error::Config(error.to_string()))?;

        let config = &context.config;
        check_tensor(config.input("wav")?, DataType::Fp32, &[None])?;
        check_tensor(
            config.output("speech")?,
            DataType::Fp32,
            &[None, Some(frontend.feature_dim())],
        )?;

        let max_audio_seconds: f64 = parameters.get("max_audio_seconds")?.unwrap_or(600.0);
        if max_audio_seconds.is_nan() || max_audio_seconds <= 0.0 {
            return Err(Error::parameter(
                "max_audio_seconds",
                format!("{max_audio_seconds} is not above 0"),
            ));
        }
        Ok(Arc::new(Self {
            frontend,
            layout: Layout {
                batched: config.batches(),
            },
            pad_to_multiple: parameters
                .get::<NonZeroUsize>("pad_to_multiple")?
                .map_or(1, NonZeroUsize::get),
            max_audio_seconds,
            threads: match parameters.get("threads")? {
                Some(threads) => threads,
                None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            },
        }))
    }

    /// Checks a request and starts its response.
    fn prepare<'r>(&self, request: &'r Request) -> Result<Job<'r>, Error> {
        let wav = request.input("wav")?;
        let (rows, [stride]) = self.layout.rows(&wav, "samples")?;
        if stride == 0 {
            return Err(Error::Shape {
                name: "wav".to_owned(),
                got: wav.shape().to_vec(),
                expected: "at least one sample".to_owned(),
            });
        }
        let lengths = self.layout.lengths(
            &request.input("wav_lens")?,
            rows,
            1,
            stride,
            "samples in the row of 'wav'",
        )?;
        self.check_durations(&lengths)?;
        let audio = wav.read::<f32>()?;
        for (row, (samples, &length)) in audio.chunks_exact(stride).zip(&lengths).enumerate() {
            check_samples(row, &samples[..length])?;
        }
        let mut response = request.response()?;
        if request.wants("speech_lengths") {
            let shape = self.layout.shape(rows, &[1]);
            let frames = response.output::<i32>("speech_lengths", &shape)?;
            for (frames, &length) in frames.iter_mut().zip(&lengths) {
                *frames = i32::try_from(self.frontend.output_frames(length)).unwrap_or(i32::MAX);
            }
        }
        Ok(Job {
            audio,
            stride,
            lengths,
            wants_speech: request.wants("speech"),
            response,
        })
    }

    fn check_durations(&self, lengths: &[usize]) -> Result<(), Error> {
        let rate = f64::from(self.frontend.options().sample_rate);
        let too_long = lengths
            .iter()
            .enumerate()
            .find(|&(_, &length)| length as f64 > self.max_audio_seconds * rate);
        let Some((row, &length)) = too_long else {
            return Ok(());
        };
        let message = format!(
            "row {row} is {length} samples, {:.1} s; parameter max_audio_seconds allows {} s",
            length as f64 / rate,
            self.max_audio_seconds
        );
        Err(Error::input("wav_lens", message))
    }

    /// Opens the job's `speech` and returns the rows to compute into it.
    ///
    /// Rows shorter than the longest, and the frames that `pad_to_multiple` adds, end in zeros. Audio shorter than a
    /// frame has none of its own, but an encoder takes no empty tensor.
    fn rows<'j>(&self, job: &'j mut Job<'_>) -> Result<Vec<Row<'j>>, Error> {
        let Job {
            audio,
            stride,
            lengths,
            response,
            ..
        } = job;
        let longest = lengths
            .iter()
            .map(|&length| self.frontend.output_frames(length))
            .max();
        let frames = longest
            .unwrap_or(0)
            .max(1)
            .next_multiple_of(self.pad_to_multiple);
        let dim = self.frontend.feature_dim();
        let shape = self.layout.shape(lengths.len(), &[frames, dim]);
        let speech = response.output::<f32>("speech", &shape)?;
        let rows = audio
            .chunks_exact(*stride)
            .zip(lengths)
            .zip(speech.chunks_exact_mut(frames * dim));
        Ok(rows
            .map(|((samples, length), out)| {
                let (out, padding) = out.split_at_mut(self.frontend.output_frames(*length) * dim);
                padding.fill(0.0);
                Row {
                    samples: &samples[..*length],
                    out,
                }
            })
            .collect())
    }
}

impl Component for FeatureExtractor {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl Worker for Arc<FeatureExtractor> {
    fn execute(&mut self, batch: Batch) {
        let mut jobs: Vec<Result<Job<'_>, Error>> = batch
            .requests()
            .iter()
            .map(|request| guard(|| self.prepare(request)))
            .collect();
        batch.compute_starts();
        let mut rows = Vec::new();
        let mut failures: Vec<Option<Error>> = Vec::new();
        for job in &mut jobs {
            failures.push(match job.as_mut() {
                Ok(job) if job.wants_speech => self.rows(job).map(|own| rows.extend(own)).err(),
                _ => None,
            });
        }
        let computed = self.frontend.extract_batch(&mut rows, self.threads);
        let computed = computed.map_err(|error| error.to_string());
        drop(rows);
        batch.compute_ends();
        let outcomes: Vec<Result<Response, Error>> = jobs
            .into_iter()
            .zip(failures)
            .map(|(job, failure)| {
                let job = job?;
                match (failure, &computed) {
                    (Some(error), _) => Err(error),
                    (None, Err(message)) => Err(Error::internal(message.clone())),
                    (None, Ok(())) => Ok(job.response),
                }
            })
            .collect();
        batch.finish(outcomes);
    }
}
