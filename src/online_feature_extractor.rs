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

use crate::audio::check_samples;
use crate::component::{Component, Worker, check_tensor};
use crate::options::{self, frontend_options};
use crate::rows::Layout;
use crate::streams::Streams;

/// The loaded component.
pub(crate) struct OnlineFeatureExtractor {
    frontend: OnlineFrontend,
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
        &[options::FRONTEND, &["chunk_size_s"]];

    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let options = frontend_options(context)?;
        let chunk_size_s = config.parameters.get("chunk_size_s")?.unwrap_or(0.6);
        let frontend = OnlineFrontend::new(&options, chunk_size_s)
            .map_err(|error| Error::Config(error.to_string()))?;
        let num_mel_bins = options.num_mel_bins;
        check_tensor(config.input("wav")?, DataType::Fp32, &[None])?;
        let window = [Some(frontend.window_frames()), Some(num_mel_bins)];
        check_tensor(config.output("speech")?, DataType::Fp32, &window)?;
        Ok(Arc::new(Self {
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
        let wav = request.input("wav")?;
        let layout = Layout { batched: true };
        let (rows, [samples]) = layout.rows("wav", wav.shape(), "samples")?;
        let most = samples.min(frontend.chunk_samples());
        let what = format!(
            "samples of 'wav'; a chunk has up to {} of them",
            frontend.chunk_samples()
        );
        let lens = request.input("wav_lens")?;
        let values = lens.read::<i32>()?;
        let lengths = layout.lengths("wav_lens", lens.shape(), &values, rows, (0, most), &what)?;
        let &[length] = lengths.as_slice() else {
            return Err(Error::Shape {
                name: "wav".to_owned(),
                got: wav.shape().to_vec(),
                expected: "one row: a request carries one chunk of one stream".to_owned(),
            });
        };
        let chunk = &wav.read::<f32>()?[..length];
        check_samples("wav", 0, chunk)?;
        let mut state = streams.take(sequence, || Ok(OnlineState::new()))?.state;
        let mut response = request.response()?;
        let shape = layout.shape(1, &[frontend.window_frames(), *num_mel_bins]);
        let speech = response.output::<f32>("speech", &shape)?;
        frontend
            .chunk(&mut state, chunk, speech, &mut self.workspace)
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
