//! The component: whole recordings, or streams where its config has `sequence_batching`.

use std::sync::Arc;
use std::time::Duration;

use speech_segments::vad::{Event, Mode};
use triton_backend::{Batch, DataType, Error, ModelContext, Request, guard};
use wav_frontend::Workspace;

use super::model::VadModel;
use super::options::CALLS_IN_FLIGHT;
use super::stream::{VadStream, message};
use super::work::{OfStream, Owner, SEGMENTS_MS, Shared, Work, write};
use crate::component::{Component, Worker};
use crate::pipelines::chain::Chain;
use crate::pipelines::options::{self, CallsInFlight, Door, Permit};
use crate::pipelines::rows::Rows;
use crate::pipelines::scheduler::batch::Limits;
use crate::pipelines::warmup::{self, Rehearsal, Shape, Warm};
use crate::tensors::audio::{AudioReader, Names, Sizes};
use crate::tensors::layout::{Layout, check_tensor};
use crate::tensors::options::threads;
use crate::tensors::sequences::{Ends, Lease, Streams};

/// While a call is computed, the next ones are put together.
const LEAST_CALLS_IN_FLIGHT: usize = 4;
/// A live client sends a chunk every 600 ms or so.
const ENDS: Ends = Ends {
    patience: Duration::from_secs(2),
    first_step: false,
};

/// The loaded component.
pub(crate) struct VadPipeline {
    chain: Arc<Chain<Work>>,
    reader: AudioReader,
    door: Door,
    /// None where requests are recordings.
    streams: Option<Streams<Box<VadStream>>>,
    layout: Layout,
}

/// A stream's request whose samples are taken.
struct Begun {
    lease: Lease<Box<VadStream>>,
    stream: Box<VadStream>,
    permit: Permit,
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let config = &context.config;
    check_tensor(
        config.output(SEGMENTS_MS)?,
        DataType::Int32,
        &[None, Some(2)],
    )?;
    let model = VadModel::load(context)?;
    let sample_rate = model.frontend.frontend().options().sample_rate;
    let callee = options::encoder(context)?;
    let layout = Layout {
        batched: config.batches(),
    };
    let names = &Names::PIPELINE;
    let (reader, streams) = if config.sequence_batching.is_some() {
        let reader = AudioReader::of_chunks(context, sample_rate, usize::MAX, names)?;
        (reader, Some(Streams::new(context, &ENDS)?))
    } else {
        (AudioReader::new(context, sample_rate, names)?, None)
    };
    reader.refuse_more()?;
    let shared = Shared {
        model,
        name: callee.name.clone(),
        layout,
    };
    // The export has a batch of one. Several rows are several calls.
    let limits = Limits {
        calls: LEAST_CALLS_IN_FLIGHT,
        rows: 1,
        frames: usize::MAX,
        attention: usize::MAX,
        padding_percent: 0.0,
    };
    let calls = CallsInFlight::load(context, &CALLS_IN_FLIGHT, LEAST_CALLS_IN_FLIGHT)?;
    let threads = threads(context)?.get();
    let pipeline = Arc::new(VadPipeline {
        chain: Arc::new(Chain::new(context, shared, callee, calls, limits, threads)?),
        reader,
        door: Door::load(context, sample_rate)?,
        streams,
        layout,
    });
    warmup::start(context, pipeline, warmup::shapes(context, 1)?)
}

impl VadPipeline {
    fn model(&self) -> &VadModel {
        &self.chain.shared.model
    }

    /// Takes a request with recordings up.
    fn recordings(&self, request: Request, workspace: &mut Workspace) {
        let (rows, permit) = match guard(|| self.rows(&request)) {
            Ok(rows) => rows,
            Err(error) => return request.fail(error),
        };
        request.compute_starts();
        let layout = self.layout;
        let write = move |request: &Request, rows: &[Vec<Event>]| {
            let mut response = request.response()?;
            if request.wants(SEGMENTS_MS) {
                write(&mut response, layout, rows)?;
            }
            Ok(response)
        };
        let deadline = request.deadline();
        let collector = Rows::new(request, deadline, permit, rows.len(), write);
        for (place, stream) in rows.into_iter().enumerate() {
            let rows = Arc::clone(&collector);
            self.go_on(Box::new(stream), Owner::Row { rows, place }, workspace);
        }
    }

    /// Lets a request in. Its samples are held twice, by the server and by the streams; their frames come a call at a time, and are held
    /// twice while it is under way.
    fn admit(&self, request: &Request, sizes: &Sizes) -> Result<Permit, Error> {
        let model = self.model();
        let frontend = model.frontend.frontend();
        let frames = |&length: &usize| frontend.output_frames(length).min(model.frames_per_call);
        let frames: usize = sizes.lengths.iter().map(frames).sum();
        let features = frames.saturating_mul(2 * model.frontend.feature_dim());
        self.door
            .admit(request, sizes, sizes.values.saturating_add(features))
    }

    /// The rows of a request, if there is room for it.
    fn rows(&self, request: &Request) -> Result<(Vec<VadStream>, Permit), Error> {
        if request.is_cancelled() {
            return Err(Error::cancelled());
        }
        let sizes = self.reader.sizes(request)?;
        let mut permit = self.admit(request, &sizes)?;
        let audio = self.reader.samples(request, sizes)?;
        let stream = |samples: &[f32]| {
            let mut stream = VadStream::new(self.model(), Mode::Offline)?;
            stream.reserve(samples.len())?;
            stream.push(self.model(), samples, true)?;
            Ok(stream)
        };
        let rows = audio
            .rows()
            .map(stream)
            .collect::<Result<Vec<_>, Error>>()?;
        if rows.is_empty() {
            return Err(Error::input("WAV", "has no rows"));
        }
        permit.samples_are_read();
        Ok((rows, permit))
    }

    /// Takes a stream's request up.
    fn chunk(
        &self,
        streams: &Streams<Box<VadStream>>,
        request: Request,
        workspace: &mut Workspace,
    ) {
        match guard(|| self.begin(streams, &request)) {
            Ok(Begun {
                lease,
                stream,
                permit,
            }) => {
                request.compute_starts();
                let own = OfStream {
                    deadline: request.deadline(),
                    promise: request.into(),
                    lease,
                    permit,
                };
                self.go_on(stream, Owner::Stream(Box::new(own)), workspace);
            }
            Err(error) => request.fail(error),
        }
    }

    fn begin(&self, streams: &Streams<Box<VadStream>>, request: &Request) -> Result<Begun, Error> {
        let leased = streams.lease(&request.sequence()?)?;
        let admit = |_: Option<&_>| {
            let sizes = self.reader.chunk_sizes(request)?;
            let permit = self.admit(request, &sizes)?;
            Ok((permit, self.reader.chunk(request, sizes)?.samples))
        };
        let (lease, state, (mut permit, samples)) = leased.read(request.is_cancelled(), admit)?;
        let begins = state.is_none();
        let mut stream = match state {
            Some(stream) => stream,
            None => Box::new(VadStream::new(self.model(), Mode::Streaming)?),
        };
        if let Err(error) = stream.reserve(samples.len()) {
            lease.refuse((!begins).then_some(stream));
            return Err(error);
        }
        stream.push(self.model(), &samples, lease.ends())?;
        permit.samples_are_read();
        Ok(Begun {
            lease,
            stream,
            permit,
        })
    }

    /// Lets audio wait for the model, or answers what needs no call.
    fn go_on(&self, mut stream: Box<VadStream>, owner: Owner, workspace: &mut Workspace) {
        let work = Work {
            events: std::mem::take(&mut stream.untold),
            stream,
            owner,
        };
        let work = guard(|| Ok(work.go_on(&self.chain.shared, workspace)));
        // What panicked is dropped, and its request told so.
        self.chain.push(work.ok().flatten());
    }
}

impl Warm for VadPipeline {
    fn callees(&self) -> Vec<&str> {
        vec![&self.chain.callee.name]
    }

    fn rehearse(&self, shape: &Shape, stage: &Rehearsal) -> Result<(), Error> {
        self.chain.callee.learn();
        let model = self.model();
        let frontend = model.frontend.frontend();
        let samples = shape.samples(frontend.options().sample_rate);
        let frames = frontend.output_frames(samples);
        let frames = frames.clamp(1, model.frames_per_call);
        let name = &self.chain.callee.name;
        stage.call(name, || {
            let speech = warmup::noise(frames.saturating_mul(model.frontend.feature_dim()))?;
            Ok(message(model, name, (frames, speech), |_| {
                vec![0.0; model.caches.values()]
            }))
        })?;
        Ok(())
    }

    fn close(&self) {
        self.chain.close();
    }

    fn open(self: Arc<Self>) {
        self.chain.open();
    }
}

impl Component for VadPipeline {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(VadInstance {
            pipeline: self,
            workspace: Workspace::new(),
        })
    }
}

/// One instance.
struct VadInstance {
    pipeline: Arc<VadPipeline>,
    workspace: Workspace,
}

impl Worker for VadInstance {
    fn execute(&mut self, batch: Batch) {
        let pipeline = &self.pipeline;
        pipeline.chain.callee.learn();
        for request in batch {
            match &pipeline.streams {
                None => pipeline.recordings(request, &mut self.workspace),
                Some(streams) => pipeline.chunk(streams, request, &mut self.workspace),
            }
            pipeline.chain.pump();
        }
    }
}
