//! The component: whole recordings, or streams where its config has `sequence_batching`.

use std::sync::Arc;
use std::time::Duration;

use speech_segments::vad::{Event, Mode};
use triton_backend::{Batch, DataType, Error, ModelContext, Request, guard};
use wav_frontend::Workspace;

use super::listening::Listening;
use super::options::CALLS_IN_FLIGHT;
use super::work::{Heard, OfStream, Owner, SEGMENTS_MS, Shared, Work, write};
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
struct VadPipeline<L: Listening> {
    chain: Arc<Chain<Work<L>>>,
    reader: AudioReader,
    door: Door,
    /// None where requests are recordings.
    streams: Option<Streams<Box<Heard<L>>>>,
    layout: Layout,
}

/// A stream's request whose samples are taken.
struct Begun<L> {
    lease: Lease<Box<Heard<L>>>,
    heard: Box<Heard<L>>,
    permit: Permit,
}

/// Loads the component.
pub(super) fn load<L: Listening>(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let config = &context.config;
    check_tensor(
        config.output(SEGMENTS_MS)?,
        DataType::Int32,
        &[None, Some(2)],
    )?;
    let model = L::load(context)?;
    let sample_rate = L::sample_rate(&model);
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
    // The models have a batch of one. Several rows are several calls.
    let limits = Limits {
        calls: LEAST_CALLS_IN_FLIGHT,
        rows: 1,
        frames: usize::MAX,
        attention: usize::MAX,
        padding_percent: 0.0,
    };
    let calls = CallsInFlight::load(context, &CALLS_IN_FLIGHT, LEAST_CALLS_IN_FLIGHT)?;
    let threads = threads(context)?.get();
    let pipeline = Arc::new(VadPipeline::<L> {
        chain: Arc::new(Chain::new(context, shared, callee, calls, limits, threads)?),
        reader,
        door: Door::load(context, sample_rate)?,
        streams,
        layout,
    });
    warmup::start(context, pipeline, warmup::shapes(context, 1)?)
}

impl<L: Listening> VadPipeline<L> {
    fn model(&self) -> &L::Model {
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
        for (place, audio) in rows.into_iter().enumerate() {
            let rows = Arc::clone(&collector);
            let untold = Vec::new();
            let heard = Box::new(Heard { audio, untold });
            self.go_on(heard, Owner::Row { rows, place }, workspace);
        }
    }

    /// Lets a request in. Its samples are held twice, by the server and by the streams; what calls take is made for a call at a time, and
    /// held twice while it is under way.
    fn admit(&self, request: &Request, sizes: &Sizes) -> Result<Permit, Error> {
        let of_call = |&length: &usize| L::values_of_call(self.model(), length);
        let of_calls: usize = sizes.lengths.iter().map(of_call).sum();
        let values = sizes.values.saturating_add(of_calls.saturating_mul(2));
        self.door.admit(request, sizes, values)
    }

    /// The rows of a request, if there is room for it.
    fn rows(&self, request: &Request) -> Result<(Vec<L>, Permit), Error> {
        if request.is_cancelled() {
            return Err(Error::cancelled());
        }
        let sizes = self.reader.sizes(request, &mut |_| Ok(()))?;
        let mut permit = self.admit(request, &sizes)?;
        let audio = self.reader.samples(request, sizes)?;
        let listen = |samples: &[f32]| {
            let mut audio = L::new(self.model(), Mode::Offline)?;
            audio.reserve(samples.len())?;
            audio.push(self.model(), samples, true)?;
            Ok(audio)
        };
        let rows = audio
            .rows()
            .map(listen)
            .collect::<Result<Vec<_>, Error>>()?;
        if rows.is_empty() {
            return Err(Error::input("WAV", "has no rows"));
        }
        permit.samples_are_read();
        Ok((rows, permit))
    }

    /// Takes a stream's request up.
    fn chunk(&self, streams: &Streams<Box<Heard<L>>>, request: Request, workspace: &mut Workspace) {
        match guard(|| self.begin(streams, &request)) {
            Ok(Begun {
                lease,
                heard,
                permit,
            }) => {
                request.compute_starts();
                let own = OfStream {
                    deadline: request.deadline(),
                    promise: request.into(),
                    lease,
                    permit,
                };
                self.go_on(heard, Owner::Stream(Box::new(own)), workspace);
            }
            Err(error) => request.fail(error),
        }
    }

    fn begin(
        &self,
        streams: &Streams<Box<Heard<L>>>,
        request: &Request,
    ) -> Result<Begun<L>, Error> {
        let leased = streams.lease(&request.sequence()?)?;
        let admit = |_: Option<&_>| {
            let sizes = self.reader.chunk_sizes(request, None)?;
            let permit = self.admit(request, &sizes)?;
            Ok((permit, self.reader.chunk(request, sizes)?.samples))
        };
        let (lease, state, (mut permit, samples)) = leased.read(request.is_cancelled(), admit)?;
        let begins = state.is_none();
        let mut heard = match state {
            Some(heard) => heard,
            None => Box::new(Heard {
                audio: L::new(self.model(), Mode::Streaming)?,
                untold: Vec::new(),
            }),
        };
        if let Err(error) = heard.audio.reserve(samples.len()) {
            lease.refuse((!begins).then_some(heard));
            return Err(error);
        }
        heard.audio.push(self.model(), &samples, lease.ends())?;
        permit.samples_are_read();
        Ok(Begun {
            lease,
            heard,
            permit,
        })
    }

    /// Lets audio wait for the model, or answers what needs no call.
    fn go_on(&self, mut heard: Box<Heard<L>>, owner: Owner<L>, workspace: &mut Workspace) {
        let work = Work {
            events: std::mem::take(&mut heard.untold),
            heard,
            owner,
        };
        let work = guard(|| Ok(work.go_on(&self.chain.shared, workspace)));
        // What panicked is dropped, and its request told so.
        self.chain.push(work.ok().flatten());
    }
}

impl<L: Listening> Warm for VadPipeline<L> {
    fn callees(&self) -> Vec<&str> {
        vec![&self.chain.callee.name]
    }

    fn rehearse(&self, shape: &Shape, stage: &Rehearsal) -> Result<(), Error> {
        self.chain.callee.learn();
        let samples = shape.samples(L::sample_rate(self.model()));
        let name = &self.chain.callee.name;
        stage.call(name, || L::rehearsal(self.model(), name, samples))?;
        Ok(())
    }

    fn close(&self) {
        self.chain.close();
    }

    fn open(self: Arc<Self>) {
        self.chain.open();
    }
}

impl<L: Listening> Component for VadPipeline<L> {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(VadInstance {
            pipeline: self,
            workspace: Workspace::new(),
        })
    }

    fn called(&self) -> Vec<&str> {
        vec![&self.chain.callee.name]
    }
}

/// One instance.
struct VadInstance<L: Listening> {
    pipeline: Arc<VadPipeline<L>>,
    workspace: Workspace,
}

impl<L: Listening> Worker for VadInstance<L> {
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
