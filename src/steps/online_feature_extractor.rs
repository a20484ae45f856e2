//! Component `online_feature_extractor`: a stream's chunks to log-mel windows.
//!
//! Each request brings one chunk: `wav` FP32 `[1, samples]`, of which the first `wav_lens` INT32 `[1, 1]` count, and gets
//! one window, `speech` FP32 `[1, 61, 80]`. A chunk shorter than `chunk_size_s` is filled up with silence, or refused unless
//! it is the stream's last; an ensemble has no way to wait for the rest of it.
//!
//! `sample_rate` INT32 `[1, 1]`, where the config lists it, says with a stream's first chunk that its samples have another rate. A chunk
//! then has the samples of `chunk_size_s` of that rate.
//!
//! The later steps of an ensemble hear of a stream's end only if this step lets it through. So where a stream ends here by
//! itself (a START on its id, an END that is refused), they are told, before the request that did it is answered.

use std::sync::Arc;
use std::time::Duration;

use triton_backend::{
    Batch, CorrelationId, DataType, Error, ModelContext, Request, Response, guard,
};
use wav_frontend::Workspace;
use wav_frontend::online::OnlineFrontend;

use self::rates::{Rates, Stream};
use self::short_chunks::ShortChunks;
use crate::component::{Component, Worker};
use crate::metrics::AudioMeter;
use crate::tensors::audio::{AudioReader, MAX_AUDIO_SECONDS, Names, PCM_FORMAT};
use crate::tensors::layout::check_tensor;
use crate::tensors::layout::dim;
use crate::tensors::options::frontend_options;
use crate::tensors::parameters::{Parameter, Table};
use crate::tensors::sequences::{Ends, Streams, When};

mod rates;
mod short_chunks;

/// The parameters of this component, besides the front end's.
pub(crate) const PARAMETERS: Table = Table {
    name: "online_feature_extractor",
    lines: &[
        &CHUNK_SIZE_S,
        &short_chunks::SHORT_CHUNKS,
        &MAX_AUDIO_SECONDS,
        &PCM_FORMAT,
    ],
};

const CHUNK_SIZE_S: Parameter<f64> = Parameter::new(
    "chunk_size_s",
    "length of a chunk; a multiple of 0.06. No chunk may be longer, whatever `max_audio_seconds` is",
)
.default(0.6);

/// A live client sends a chunk every 600 ms.
const ENDS: Ends = Ends {
    patience: Duration::from_secs(2),
    first_step: true,
};

/// The loaded component.
pub(crate) struct OnlineFeatureExtractor {
    frontend: OnlineFrontend,
    reader: AudioReader,
    num_mel_bins: usize,
    streams: Streams<Stream>,
    rates: Rates,
    short_chunks: ShortChunks,
    meter: AudioMeter,
}

/// One instance.
struct OnlineInstance {
    component: Arc<OnlineFeatureExtractor>,
    workspace: Workspace,
}

impl OnlineFeatureExtractor {
    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let options = frontend_options(context)?;
        let chunk_size_s = CHUNK_SIZE_S.read(context)?;
        let frontend = OnlineFrontend::new(&options, chunk_size_s)
            .map_err(|error| Error::Config(error.to_string()))?;
        let num_mel_bins = options.num_mel_bins;
        let window = [Some(frontend.window_frames()), Some(num_mel_bins)];
        check_tensor(config.output("speech")?, DataType::Fp32, &window)?;
        let rates = Rates {
            model_rate: options.sample_rate,
            chunk_samples: frontend.chunk_samples(),
        };
        // Of other rates a chunk has more samples, or fewer; which rate it is, only the stream knows.
        let most = match config.input(Names::STEP.sample_rate) {
            Ok(_) => usize::MAX,
            Err(_) => rates.chunk_samples,
        };
        Ok(Arc::new(Self {
            reader: AudioReader::of_chunks(context, rates.model_rate, most, &Names::STEP)?,
            rates,
            short_chunks: ShortChunks::load(context)?,
            meter: AudioMeter::of_steps(context, options.sample_rate),
            frontend,
            num_mel_bins,
            streams: Streams::new(context, &ENDS)?,
        }))
    }
}

/// What becomes of a request.
struct Extracted {
    outcome: Result<Response, Error>,
    /// The stream of that id is to be ended in the steps behind first.
    end_behind: Option<(CorrelationId, When)>,
}

impl OnlineInstance {
    fn extract(&mut self, request: &Request) -> Extracted {
        let mut end_behind = None;
        let outcome = guard(|| self.window(request, &mut end_behind));
        Extracted {
            outcome,
            end_behind,
        }
    }

    fn window(
        &mut self,
        request: &Request,
        end_behind: &mut Option<(CorrelationId, When)>,
    ) -> Result<Response, Error> {
        let OnlineFeatureExtractor {
            frontend,
            reader,
            num_mel_bins,
            streams,
            rates,
            short_chunks,
            meter,
        } = &*self.component;
        let sequence = request.sequence()?;
        // Until it is let through: an END that is not, is not heard of behind.
        *end_behind = sequence.end.then(|| (sequence.id.clone(), When::Now));
        let leased = streams.lease(&sequence)?;
        // The END of the stream before may have been lost behind this step, or be on its way there.
        let begins_on_live = match leased.replaced {
            true => Some(When::Now),
            false => {
                (sequence.start && streams.is_held_behind(&sequence.id)).then_some(When::Overdue)
            }
        }
        .map(|when| (sequence.id.clone(), when));
        if sequence.start {
            end_behind.clone_from(&begins_on_live);
        }
        let read = |stream: Option<&Stream>| {
            let known = rates.of(stream, None).ok();
            let sizes = reader.chunk_sizes(request, known)?;
            let chunk = reader.chunk(request, sizes)?;
            let rate = rates.of(stream, chunk.sample_rate)?;
            let most = rates.samples(rate)?;
            rates.check(chunk.samples.len(), most, rate)?;
            if !sequence.end {
                short_chunks.check(chunk.samples.len(), most)?;
            }
            Ok((chunk.samples, rate))
        };
        let (lease, stream, (chunk, rate)) = leased.read(request.is_cancelled(), read)?;
        let mut stream = match stream {
            Some(stream) => stream,
            None => Stream::new(rate, rates.model_rate)?,
        };
        let seconds = chunk.len() as f64 / f64::from(rate.max(1));
        let chunk = stream.take(chunk, rates.chunk_samples, sequence.end);
        let mut response = request.response()?;
        let shape = [1, dim(frontend.window_frames()), dim(*num_mel_bins)];
        let speech = response.output::<f32>("speech", &shape)?;
        frontend
            .chunk(&mut stream.windows, &chunk, speech, &mut self.workspace)
            .map_err(|error| Error::input("wav", error.to_string()))?;
        meter.counts_seconds(seconds);
        lease.put_back(stream);
        *end_behind = begins_on_live;
        Ok(response)
    }
}

impl Component for OnlineFeatureExtractor {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(OnlineInstance {
            component: self,
            workspace: Workspace::new(),
        })
    }
}

impl Worker for OnlineInstance {
    fn execute(&mut self, batch: Batch) {
        batch.compute_starts();
        let extracted: Vec<_> = batch
            .requests()
            .iter()
            .map(|request| self.extract(request))
            .collect();
        batch.compute_ends();
        for (request, extracted) in batch.into_iter().zip(extracted) {
            let Extracted {
                outcome,
                end_behind,
            } = extracted;
            match end_behind {
                None => request.finish(outcome),
                Some((id, when)) => self
                    .component
                    .streams
                    .end_behind(id, when, move || request.finish(outcome)),
            }
        }
    }
}
