//! Component `online_feature_extractor`: a stream's chunks to log-mel windows.
//!
//! Each request brings one chunk: `wav` FP32 `[1, samples]`, of which the first `wav_lens` INT32 `[1, 1]` count, and gets
//! one window, `speech` FP32 `[1, 61, 80]`. A chunk shorter than `chunk_size_s` is filled up with silence; an ensemble has
//! no way to wait for the rest of it.

use std::sync::Arc;

use triton_backend::{
    Batch, DataType, Error, ErrorCode, ModelContext, Request, Response, Sequence, guard,
};
use wav_frontend::Workspace;
use wav_frontend::online::{OnlineFrontend, OnlineState};

use crate::audio::{AudioReader, MAX_AUDIO_SECONDS};
use crate::component::{Component, Worker, check_tensor};
use crate::options::{self, frontend_options};
use crate::rows::dim;
use crate::streams::Streams;

/// The loaded component.
pub(crate) struct OnlineFeatureExtractor {
    frontend: OnlineFrontend,
    reader: AudioReader,
    num_mel_bins: usize,
    streams: Streams<OnlineState>,
}

/// One instance.
struct Extractor {
    component: Arc<OnlineFeatureExtractor>,
    workspace: Workspace,
}

impl OnlineFeatureExtractor {
    pub(crate) const PARAMETERS: &'static [&'static [&'static str]] =
        &[options::FRONTEND, &["chunk_size_s", MAX_AUDIO_SECONDS]];

    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let options = frontend_options(context)?;
        let chunk_size_s = config.parameters.get("chunk_size_s")?.unwrap_or(0.6);
        let frontend = OnlineFrontend::new(&options, chunk_size_s)
            .map_err(|error| Error::Config(error.to_string()))?;
        let num_mel_bins = options.num_mel_bins;
        let window = [Some(frontend.window_frames()), Some(num_mel_bins)];
        check_tensor(config.output("speech")?, DataType::Fp32, &window)?;
        Ok(Arc::new(Self {
            reader: AudioReader::of_chunks(
                context,
                options.sample_rate,
                frontend.chunk_samples(),
                "wav",
                "wav_lens",
            )?,
            frontend,
            num_mel_bins,
            streams: Streams::new(config)?,
        }))
    }
}

impl Extractor {
    fn extract(&mut self, request: &Request) -> Result<Response, Error> {
        let sequence = request.sequence()?;
        let answer = self.window(request, &sequence);
        if answer.is_err() && (sequence.start || sequence.end) {
            // A stream that this was to begin or to end is over all the same; any other is as it was.
            let _ = self
                .component
                .streams
                .take(&sequence, || Ok(OnlineState::new()));
        }
        answer
    }

    fn window(&mut self, request: &Request, sequence: &Sequence) -> Result<Response, Error> {
        let OnlineFeatureExtractor {
            frontend,
            reader,
            num_mel_bins,
            streams,
        } = &*self.component;
        if request.is_cancelled() {
            // The server ends the whole sequence; taking its state out frees it.
            let _ = streams.take(sequence, || Ok(OnlineState::new()));
            return Err(Error::new(
                ErrorCode::Cancelled,
                "the client cancelled the request",
            ));
        }
        let chunk = reader.read_chunk(request)?;
        let mut state = streams.take(sequence, || Ok(OnlineState::new()))?.state;
        let mut response = request.response()?;
        let shape = [1, dim(frontend.window_frames()), dim(*num_mel_bins)];
        let speech = response.output::<f32>("speech", &shape)?;
        frontend
            .chunk(&mut state, &chunk, speech, &mut self.workspace)
            .map_err(|error| Error::input("wav", error.to_string()))?;
        if !sequence.end {
            streams.put_back(sequence.id.clone(), state);
        }
        Ok(response)
    }
}

impl Component for OnlineFeatureExtractor {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(Extractor {
            component: self,
            workspace: Workspace::new(),
        })
    }
}

impl Worker for Extractor {
    fn execute(&mut self, batch: Batch) {
        batch.compute_starts();
        let outcomes: Vec<_> = batch
            .requests()
            .iter()
            .map(|request| guard(|| self.extract(request)))
            .collect();
        batch.compute_ends();
        batch.finish(outcomes);
    }
}
