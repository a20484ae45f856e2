//! Component `feature_extractor`: audio to the encoder's features.
//!
//! `wav` FP32 `[rows, samples]` and `wav_lens` INT32 `[rows, 1]` become `speech` FP32 `[rows, frames, 560]` and
//! `speech_lengths` INT32 `[rows, 1]`. Only the first `wav_lens` samples of a row count; what a client padded behind
//! them changes nothing.
//!
//! Where the config lists them, `audio` STRING `[rows, 1]` brings whole files in place of the two, `sample_rate` INT32 `[rows, 1]` says
//! that `wav` has another rate, and `channel` INT32 `[rows, 1]` picks a channel of the files. Requests that are to be decoded or
//! resampled go to threads of this component's own; the others do not wait for them.
//!
//! `warning` STRING `[rows, 1]`, where the config lists it, says of a file that is cut off or damaged that it is, and is empty else.
//!
//! `language` and `textnorm` INT32 `[rows, 1]`, where the config lists them, are only checked: an ensemble hands them on to the
//! encoder, which could not say whose fault an id is that its embedding lacks, and on a GPU would not even notice.

use std::num::NonZeroUsize;
use std::sync::Arc;

use triton_backend::{Batch, DataType, Error, ModelContext, Request, Response, guard};
use wav_frontend::{Frontend, Row};

use self::decoders::Decoders;
use crate::component::{Component, Worker};
use crate::metrics::{AudioMeter, FrameMeter};
use crate::tensors::audio::{self, Audio, AudioReader, Names, Origin};
use crate::tensors::layout::Layout;
use crate::tensors::layout::{check_tensor, check_type};
use crate::tensors::options::threads;
use crate::tensors::parameters::{Count, Parameter, Table};
use crate::tensors::prompt::{PROMPT_IDS, PromptInput};

mod decoders;

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "feature_extractor",
    lines: &[&PAD_TO_MULTIPLE, &PROMPT_IDS],
};

const PAD_TO_MULTIPLE: Parameter<Count> = Parameter::new(
    "pad_to_multiple",
    "round `speech` up with zeros to a multiple of this many frames (60 ms each), so that the encoder can batch requests of nearly \
     equal length. Only for encoders that mask by length: SenseVoice yes, Paraformer no",
)
.default(1);

/// The output that tells what the sender of a file should know of it.
const WARNING: &str = "warning";

/// The loaded component.
pub(crate) struct FeatureExtractor {
    frontend: Frontend,
    reader: AudioReader,
    /// What is only checked.
    prompts: Vec<PromptInput>,
    layout: Layout,
    /// `speech` has a multiple of this many frames.
    pad_to_multiple: usize,
    threads: NonZeroUsize,
    /// The config lists the output that tells of incomplete files.
    warns: bool,
    /// For requests that take long to read, if there can be such.
    decoders: Option<Decoders>,
    meter: AudioMeter,
    frames: FrameMeter,
}

/// A checked request with its response under way.
struct Job<'r> {
    /// Where the server put it, unless that is several buffers, GPU memory or an address that no `f32` has: then a copy,
    /// since frames overlap and may begin in one buffer and end in the next.
    audio: Audio<'r>,
    wants_speech: bool,
    response: Response,
}

impl FeatureExtractor {
    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let frontend = audio::frontend(context)?;
        let sample_rate = frontend.options().sample_rate;
        let reader = AudioReader::new(context, sample_rate, &Names::STEP)?;
        let threads = threads(context)?;
        let speech = [None, Some(frontend.feature_dim())];
        check_tensor(config.output("speech")?, DataType::Fp32, &speech)?;
        check_type(config.output("speech_lengths")?, DataType::Int32)?;
        let warning = config.output(WARNING).ok();
        if let Some(warning) = warning {
            check_tensor(warning, DataType::String, &[Some(1)])?;
        }
        Ok(Arc::new(Self {
            meter: AudioMeter::of_steps(context, sample_rate),
            frames: FrameMeter::new(context),
            warns: warning.is_some(),
            prompts: PromptInput::listed(context)?,
            decoders: match reader.may_take_long() {
                true => Some(Decoders::new(threads)?),
                false => None,
            },
            reader,
            layout: Layout {
                batched: config.batches(),
            },
            pad_to_multiple: PAD_TO_MULTIPLE.read(context)?,
            threads,
            frontend,
        }))
    }

    /// Checks a request and starts its response.
    fn prepare<'r>(&self, request: &'r Request) -> Result<Job<'r>, Error> {
        let (audio, origins) = self.reader.read(request)?;
        for prompt in &self.prompts {
            prompt.check(request, audio.lengths.len())?;
        }
        self.meter.counts(audio.lengths.iter().sum());
        let mut response = request.response()?;
        if request.wants("speech_lengths") {
            let shape = self.layout.shape(audio.lengths.len(), &[1]);
            let frames = response.output::<i32>("speech_lengths", &shape)?;
            for (frames, &length) in frames.iter_mut().zip(&audio.lengths) {
                *frames = i32::try_from(self.frontend.output_frames(length)).unwrap_or(i32::MAX);
            }
        }
        if self.warns && request.wants(WARNING) {
            let warnings = origins.iter().map(Origin::warning_bytes);
            let warnings: Vec<&[u8]> = warnings.collect();
            let shape = self.layout.shape(warnings.len(), &[1]);
            response.output_strings(WARNING, &shape, &warnings)?;
        }
        Ok(Job {
            audio,
            wants_speech: request.wants("speech"),
            response,
        })
    }

    /// Opens the job's `speech` and returns the rows to compute into it.
    ///
    /// Rows shorter than the longest, and the frames that `pad_to_multiple` adds, end in zeros. Audio shorter than a
    /// frame has none of its own, but an encoder takes no empty tensor.
    fn rows<'j>(&self, job: &'j mut Job<'_>) -> Result<Vec<Row<'j>>, Error> {
        let Job {
            audio, response, ..
        } = job;
        let longest = audio
            .lengths
            .iter()
            .map(|&length| self.frontend.output_frames(length))
            .max();
        let frames = longest
            .unwrap_or(0)
            .max(1)
            .next_multiple_of(self.pad_to_multiple);
        let heard = audio
            .lengths
            .iter()
            .map(|&length| self.frontend.output_frames(length))
            .sum();
        self.frames
            .given(audio.lengths.len().saturating_mul(frames), heard);
        let dim = self.frontend.feature_dim();
        let shape = self.layout.shape(audio.lengths.len(), &[frames, dim]);
        let speech = response.output::<f32>("speech", &shape)?;
        let rows = audio.rows().zip(speech.chunks_exact_mut(frames * dim));
        Ok(rows
            .map(|(samples, out)| {
                let (out, padding) =
                    out.split_at_mut(self.frontend.output_frames(samples.len()) * dim);
                padding.fill(0.0);
                Row { samples, out }
            })
            .collect())
    }

    /// Answers requests; their rows are computed together.
    fn answer(&self, requests: Vec<Request>) {
        let mut jobs: Vec<Result<Job<'_>, Error>> = requests
            .iter()
            .map(|request| guard(|| self.prepare(request)))
            .collect();
        requests.iter().for_each(Request::compute_starts);
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
        requests.iter().for_each(Request::compute_ends);
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
        for (request, outcome) in requests.into_iter().zip(outcomes) {
            request.finish(outcome);
        }
    }
}

impl Component for FeatureExtractor {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl Worker for Arc<FeatureExtractor> {
    fn execute(&mut self, batch: Batch) {
        let Some(decoders) = &self.decoders else {
            return self.answer(batch.into_iter().collect());
        };
        let (long, short) = batch
            .into_iter()
            .partition::<Vec<Request>, _>(|request| self.reader.takes_long(request));
        self.answer(short);
        for request in long {
            let component = Arc::clone(self);
            decoders.run(move || component.answer(vec![request]));
        }
    }
}
