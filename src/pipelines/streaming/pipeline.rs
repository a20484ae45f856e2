//! The way of a request through the streaming pipeline.

use std::sync::Arc;
use std::time::Duration;

use triton_backend::{Batch, Call, Caller, Error, ModelContext, Reply, Request, Response, guard};
use wav_frontend::Workspace;

use super::calls;
use super::models::{CALLS_IN_FLIGHT, LEAST_CALLS_IN_FLIGHT, Models};
use super::stream::{Need, Queued, Stream, StreamRequest, Tokens, Windows};
use crate::component::{Component, Worker};
use crate::pipelines::callee::Callee;
use crate::pipelines::options::{self, CallsInFlight, Door, Permit, max_rows_per_call};
use crate::pipelines::rows::Hold;
use crate::pipelines::scheduler::batch::Limits;
use crate::pipelines::scheduler::queue::{
    Group, Queue, Settled, Taken, an_item_may_be_at_fault, late,
};
use crate::pipelines::scheduler::waiting::Item;
use crate::pipelines::warmup;
use crate::pool::Pool;
use crate::tensors::audio::{AudioReader, Names};
use crate::tensors::options::threads;
use crate::tensors::outputs::Outputs;
use crate::tensors::sequences::{Ends, Lease, Streams, over};

/// A live client sends a chunk every 600 ms or so.
const ENDS: Ends = Ends {
    patience: Duration::from_secs(2),
    first_step: false,
};

/// The loaded component.
pub(super) struct StreamingPipeline {
    pub(super) models: Models,
    reader: AudioReader,
    outputs: Outputs,
    streams: Streams<Stream>,
    pub(super) encoding: Queue<Queued<Windows>>,
    pub(super) decoding: Queue<Queued<Tokens>>,
    door: Door,
    calls: CallsInFlight,
    caller: Caller,
    pool: Pool,
}

/// A request whose samples its stream has taken.
struct Begun {
    lease: Lease<Stream>,
    stream: Stream,
    permit: Permit,
    /// It needs more than a turn.
    long: bool,
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let config = &context.config;
    let models = Models::load(context)?;
    // Sizes that cannot be used fail here and not with the first stream.
    Stream::new(&models)?;
    let sample_rate = models.frontend.frontend().options().sample_rate;
    let most_rows = max_rows_per_call(context)?;
    let pipeline = Arc::new(StreamingPipeline {
        reader: AudioReader::of_chunks(context, sample_rate, usize::MAX, &Names::PIPELINE)?,
        outputs: Outputs::of(config)?.without_audio()?,
        streams: Streams::new(context, &ENDS)?,
        encoding: options::queue(context, &models.encoder),
        decoding: options::queue(context, &models.decoder),
        door: Door::load(context, sample_rate)?,
        calls: CallsInFlight::load(context, &CALLS_IN_FLIGHT, LEAST_CALLS_IN_FLIGHT)?
            .full_on_processors(),
        caller: Caller::new(context)?,
        pool: Pool::new(threads(context)?.get())?,
        models,
    });
    warmup::start(context, pipeline, warmup::shapes(context, most_rows)?)
}

impl StreamingPipeline {
    /// Takes a request up.
    fn take(&self, request: Request) -> Option<Box<StreamRequest>> {
        match guard(|| self.begin(&request)) {
            Ok(Begun {
                lease,
                stream,
                permit,
                long,
            }) => {
                let deadline = request.deadline();
                // The server would hold the first request of the next stream back until this one is released.
                let promise = if lease.ends() && long {
                    request.release_early()
                } else {
                    request.into()
                };
                Some(Box::new(StreamRequest::new(
                    promise, deadline, permit, lease, stream,
                )))
            }
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    fn begin(&self, request: &Request) -> Result<Begun, Error> {
        let leased = self.streams.lease(&request.sequence()?)?;
        let admit = |stream: Option<&Stream>| {
            let rate = stream.and_then(Stream::sample_rate);
            let sizes = self.reader.chunk_sizes(request, rate)?;
            let length = sizes.lengths.iter().sum::<usize>();
            // Its samples are held twice, by the server and by the stream; their frames come a few at a time.
            let permit = self.door.admit(request, &sizes, sizes.values.max(length))?;
            let chunk = self.reader.chunk(request, sizes)?;
            if let Some(stream) = stream {
                stream.check_rate(chunk.sample_rate)?;
            }
            Ok((permit, chunk, length))
        };
        let (lease, state, (mut permit, chunk, length)) =
            leased.read(request.is_cancelled(), admit)?;
        let begins = state.is_none();
        let mut stream = match state {
            Some(stream) => stream,
            None => Stream::new(&self.models)?,
        };
        if let Err(error) = stream.reserve(length) {
            lease.refuse((!begins).then_some(stream));
            return Err(error);
        }
        stream.push(&self.models, &chunk, lease.ends())?;
        permit.samples_are_read();
        Ok(Begun {
            lease,
            stream,
            permit,
            long: length > self.models.samples_per_turn(),
        })
    }

    /// Looks what a stream needs, and lets it wait for that or answers its request.
    fn go_on(&self, mut work: Box<StreamRequest>, workspace: &mut Workspace) {
        if work.promise.is_cancelled() {
            return self.cancel(*work);
        }
        let need = guard(|| work.need(&self.models, workspace));
        // The first time: what a request needs later is found while others wait for the models.
        work.promise.compute_starts();
        match need {
            Ok(Need::Encoder(needs)) => self.encoding.push([Queued { work, needs }]),
            Ok(Need::Decoder(needs)) => self.decoding.push([Queued { work, needs }]),
            Ok(Need::Nothing) => self.answer(*work),
            Err(error) => self.fail(*work, error),
        }
    }

    /// Answers a request with the text that it added.
    fn answer(&self, work: StreamRequest) {
        let StreamRequest {
            promise,
            permit,
            lease,
            mut stream,
            mut delta,
            ..
        } = work;
        let ends = lease.ends();
        if ends {
            stream.joiner.finish(&mut delta.raw);
        }
        let response = guard(|| {
            let told = stream.text.tell(&delta, ends, self.outputs.needs());
            let mut response: Response = promise.response()?;
            self.outputs
                .write(&mut response, |name| promise.wants(name), &[told])?;
            Ok(response)
        });
        lease.put_back(stream);
        permit.answered();
        promise.finish(response);
    }

    /// Ends a request that its client took back, and with it its stream.
    fn cancel(&self, work: StreamRequest) {
        let StreamRequest {
            promise,
            permit,
            lease,
            ..
        } = work;
        lease.cancel();
        drop(permit);
        promise.fail(Error::cancelled());
    }

    /// Fails a request; its stream goes on without the windows of its last turn, unless more than another turn is left, a panic left it
    /// half way, or the client took the request back.
    fn fail(&self, work: StreamRequest, error: Error) {
        let StreamRequest {
            promise,
            permit,
            lease,
            stream,
            ..
        } = work;
        let error = match error {
            Error::Panic(_) => {
                drop(lease);
                error
            }
            _ if promise.is_cancelled() => {
                lease.cancel();
                error
            }
            // It would hold that until its next request, and more with each that fails.
            _ if !lease.ends() && stream.holds_more_than(self.models.samples_per_turn()) => {
                drop(lease);
                over(error)
            }
            _ => {
                lease.put_back(stream);
                error
            }
        };
        drop(permit);
        promise.fail(error);
    }

    /// Sends calls as long as streams wait and the models may have more.
    pub(super) fn pump(self: &Arc<Self>) {
        let (encoder, decoder) = (&self.models.encoder, &self.models.decoder);
        while let Some(group) = self.next(&self.encoding, encoder) {
            let Some(queued) = group else { continue };
            let call = guard(|| Ok(self.models.encoder_call(&queued.items)));
            self.send(call, move |pipeline, reply| pipeline.encoded(queued, reply));
        }
        while let Some(group) = self.next(&self.decoding, decoder) {
            let Some(queued) = group else { continue };
            let call = guard(|| self.models.decoder_call(&queued.items));
            self.send(call, move |pipeline, reply| pipeline.decoded(queued, reply));
        }
    }

    /// Sends a call; `answered` has what came of it, also if it could not be made.
    fn send(
        self: &Arc<Self>,
        call: Result<Call, Error>,
        answered: impl FnOnce(Arc<Self>, Result<Reply, Error>) + Send + 'static,
    ) {
        let pipeline = Arc::clone(self);
        let answered = move |reply| {
            let next = Arc::clone(&pipeline);
            pipeline.pool.run(move || answered(next, reply));
        };
        match call {
            Ok(call) => {
                self.caller.call(call, answered);
            }
            Err(error) => answered(Err(error)),
        }
    }

    /// The next call of one of the models, if something came out of its queue. What nobody waits for any more is answered.
    fn next<N>(&self, queue: &Queue<Queued<N>>, callee: &Callee) -> Option<Option<Group<Queued<N>>>>
    where
        Queued<N>: Item,
    {
        let taken = queue.next(&Limits {
            calls: self.calls.of(callee.traits()),
            rows: self.models.most_rows(callee),
            // Windows are short, and tokens few: rows say it all.
            frames: usize::MAX,
            attention: usize::MAX,
            padding_percent: 0.0,
        });
        if taken.is_nothing() {
            return None;
        }
        let Taken {
            group,
            over,
            late: expired,
        } = taken;
        for item in over {
            self.cancel(*item.work);
        }
        for item in expired {
            self.fail(*item.work, late());
        }
        Some(group)
    }

    /// The encoder has answered.
    fn encoded(self: Arc<Self>, queued: Group<Queued<Windows>>, reply: Result<Reply, Error>) {
        let encoded = guard(|| calls::Encoded::read(&reply?, &queued.items));
        if let Some((queued, encoded)) = self.settle(&self.encoding, queued, encoded) {
            let mut workspace = Workspace::new();
            let mut first = 0;
            for Queued { mut work, needs } in queued {
                let (enc, alphas) = encoded.rows(first, needs.count());
                first += needs.count();
                let integrated = guard(|| {
                    encoded.check(&self.models, enc, alphas)?;
                    work.integrate(&self.models, &needs, encoded.hidden, enc, alphas)
                });
                match integrated {
                    Ok(()) => self.go_on(work, &mut workspace),
                    Err(error) => self.fail(*work, error),
                }
            }
        }
        self.pump();
    }

    /// The decoder has answered.
    fn decoded(self: Arc<Self>, queued: Group<Queued<Tokens>>, reply: Result<Reply, Error>) {
        let decoded = guard(|| calls::Decoded::read(&self.models, &reply?, &queued.items));
        if let Some((queued, decoded)) = self.settle(&self.decoding, queued, decoded) {
            let mut workspace = Workspace::new();
            for (Queued { mut work, needs }, row) in queued.into_iter().zip(decoded.into_rows()) {
                match guard(|| row.give(&needs.fires, &self.models, &mut work)) {
                    Ok(()) => self.go_on(work, &mut workspace),
                    Err(error) => self.fail(*work, error),
                }
            }
        }
        self.pump();
    }

    /// Ends a call. Streams that wait again have their call by itself; those that failed have their error.
    fn settle<N, A>(
        &self,
        queue: &Queue<Queued<N>>,
        queued: Group<Queued<N>>,
        answer: Result<A, Error>,
    ) -> Option<(Vec<Queued<N>>, A)>
    where
        Queued<N>: Item,
    {
        for item in &queued.items {
            item.work.promise.compute_ends();
        }
        match queue.settle(queued, answer, an_item_may_be_at_fault) {
            Settled::Answered(queued, answer) => Some((queued, answer)),
            Settled::Failed(queued, error) => {
                for item in queued {
                    self.fail(*item.work, error.clone());
                }
                None
            }
            Settled::Repeated => None,
        }
    }
}

impl Component for StreamingPipeline {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(StreamingInstance {
            pipeline: self,
            workspace: Workspace::new(),
        })
    }

    fn called(&self) -> Vec<&str> {
        vec![&self.models.encoder.name, &self.models.decoder.name]
    }
}

/// One instance.
struct StreamingInstance {
    pipeline: Arc<StreamingPipeline>,
    workspace: Workspace,
}

impl Worker for StreamingInstance {
    fn execute(&mut self, batch: Batch) {
        self.pipeline.models.learn();
        for request in batch {
            if let Some(work) = self.pipeline.take(request) {
                self.pipeline.go_on(work, &mut self.workspace);
            }
        }
        self.pipeline.pump();
    }
}
