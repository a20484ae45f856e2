//! Whole pipelines: a component that owns the request and calls the encoder itself.
//!
//! Rows of all requests wait in one queue, of limited size: a request for which it has no room is refused before anything is
//! computed for it. Whenever fewer than `calls_in_flight` calls are under way, the oldest row goes out with others of nearly its
//! length, whichever request they belong to. So calls fill up while the encoder is busy, and nothing waits while it is not. The
//! encoder's answer is scored where it stands, on a thread of the pipeline's own.

pub(crate) mod paraformer;
pub(crate) mod sensevoice;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use asr_decode::Transcript;
use triton_backend::{Batch, Call, Caller, Error, ModelContext, Reply, Request, guard, info};
use wav_frontend::{Frontend, Row as FeatureRow};

use crate::component::{Component, Worker};
use crate::metrics::FrameMeter;
use crate::pipelines::callee::Callee;
use crate::pipelines::options::{
    self, CallsInFlight, Door, Permit, WaitingPermit, calls_in_flight,
};
use crate::pipelines::rows::Rows;
use crate::pipelines::scheduler::batch::{Limits, Size};
use crate::pipelines::scheduler::queue::{
    Group, Queue, Settled, an_item_may_be_at_fault, is_late, late,
};
use crate::pipelines::scheduler::waiting::Item;
use crate::pipelines::warmup::{self, Rehearsal, Shape, Warm};
use crate::pool::Pool;
use crate::steps::found::Wanted;
use crate::steps::scoring::Decoder;
use crate::tensors::audio::{self, AudioReader, CHANNELS, Names, Origin, of_origins, rows_asked};
use crate::tensors::form::Form;
use crate::tensors::layout::Layout;
use crate::tensors::memory::{room, zeros};
use crate::tensors::options::threads;
use crate::tensors::outputs::Outputs;
use crate::tensors::parameters::{Count, Parameter, Table};

/// The parameters that offline pipelines have beside those of all pipelines.
pub(crate) const PARAMETERS: Table = Table {
    name: "Offline pipelines",
    lines: &[
        &CALLS_IN_FLIGHT,
        &MAX_FRAMES_PER_CALL,
        &MAX_ATTENTION_PER_CALL,
        &ENCODER_OUTPUTS,
        &CHANNELS,
    ],
};

/// With one instance four were faster than two: while it computes, the next calls are put together.
const LEAST_CALLS_IN_FLIGHT: usize = 4;
const CALLS_IN_FLIGHT: Parameter<Count> =
    calls_in_flight("twice the called model's instances, at least 4");
// Scores of 25 055 tokens are 100 kB a frame, which the encoder and its answer may each have once: 0.8 GB.
const MAX_FRAMES_PER_CALL: Parameter<Count> = Parameter::new(
    "max_frames_per_call",
    "the most frames of a call of several rows, padding included. A frame is 60 ms. See [What a call costs](#what-a-call-costs)",
)
.default(4000);
// Four heads of four bytes, three of them there at a time: 48 bytes each, 0.96 GB.
const MAX_ATTENTION_PER_CALL: Parameter<Count> = Parameter::new(
    "max_attention_per_call",
    "the most that attention may have to compare in a call of several rows: rows × frames² of the longest",
)
.default(20_000_000);

const ENCODER_OUTPUTS: Parameter<Form> = Parameter::new(
    "encoder_outputs",
    "`ids`: the encoder has outputs `token_ids` and `token_log_probs`; `scores`: it has `ctc_logits` or `logits`, as exported. \
     `triton-funasr repo` makes the encoder so and sets it",
)
.default("scores");

/// The parameter `max_padding_percent`, and what there is without it.
const fn max_padding_percent(otherwise: &'static str) -> Parameter<f64> {
    Parameter::new(
        "max_padding_percent",
        "rows of different lengths share a call as long as at most so much of it is padding",
    )
    .otherwise(otherwise)
    .within("from 0 to 100", |percent| (0.0..=100.0).contains(percent))
}

/// What tells one offline model from another.
pub(crate) trait Recogniser: Send + Sync + Sized + 'static {
    /// What a row has beside its audio; the default is good for a warm-up.
    type Extra: Clone + Default + Send + Sync;
    /// What makes text of what the encoder found.
    type Decoder: Decoder;
    /// The padding that is allowed.
    const MAX_PADDING_PERCENT: Parameter<f64>;
    /// Without the parameter: where the encoder runs on a GPU, and where on a processor.
    const PADDING_PERCENT: [f64; 2];

    /// Reads what each of the `rows` rows of a request has beside its audio, and checks it: the encoder sees nothing that
    /// a client can get wrong.
    fn extras(&self, request: &Request, rows: usize) -> Result<Vec<Self::Extra>, Error>;

    /// Finds what else the encoder is to be given of rows, and tells `done`: at once, or later from a thread of the server's.
    fn prepare(&self, extras: Vec<Self::Extra>, done: Prepared<Self::Extra>) {
        done(Ok(extras));
    }

    /// The models that [`prepare`](Self::prepare) calls.
    fn helpers(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What a row of a warm-up has beside its audio.
    fn rehearse(&self, _: &Rehearsal) -> Result<Self::Extra, Error> {
        Ok(Self::Extra::default())
    }

    /// Only rows of one class share a call.
    fn class(&self, _: &Self::Extra) -> usize {
        0
    }

    /// Completes the inputs of the encoder's call, which has `speech` and `speech_lengths` already.
    fn complete(&self, call: Call, _: &[Self::Extra]) -> Result<Call, Error> {
        Ok(call)
    }

    /// What makes text of what the encoder found.
    fn decoder(&self) -> &Self::Decoder;

    /// What becomes of what was heard in a row that has this beside its audio.
    fn finish(&self, _: &Self::Extra, heard: Transcript) -> Transcript {
        heard
    }

    /// What is wrong with a tensor of the encoder that tells when words were said, if something is.
    fn lacks(&self, _: &str) -> Option<String> {
        None
    }

    /// Whether every row has a call of the encoder to itself.
    fn rows_go_alone(&self) -> bool {
        false
    }

    /// Whether the encoder's failure with a row alone means that there is nothing to hear in it.
    fn means_silence(&self, _: &Error) -> bool {
        false
    }
}

/// Whom [`Recogniser::prepare`] tells.
pub(crate) type Prepared<E> = Box<dyn FnOnce(Result<Vec<E>, Error>) + Send>;

/// What the encoder is to be given of a row.
struct Input<E> {
    /// `[frames, feature_dim]`
    features: Vec<f32>,
    frames: usize,
    extra: E,
}

/// The rows of a request that was let in.
struct Admitted<E> {
    inputs: Vec<Input<E>>,
    /// Where each comes from.
    origins: Vec<Origin>,
    permit: Permit,
}

/// A row that waits for the encoder.
struct Row<E> {
    collector: Arc<Rows<Transcript, Permit>>,
    /// Which of the request's rows.
    place: usize,
    class: usize,
    input: Input<E>,
}

impl<E> Item for Row<E> {
    fn size(&self) -> Size {
        Size {
            class: self.class,
            rows: 1,
            length: self.input.frames,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.collector.deadline()
    }

    fn is_over(&self) -> bool {
        self.collector.is_over()
    }
}

/// A loaded pipeline.
pub(crate) struct OfflinePipeline<R: Recogniser> {
    recogniser: R,
    frontend: Frontend,
    reader: AudioReader,
    outputs: Arc<Outputs>,
    door: Door,
    limits: Limits,
    /// As the parameter has it.
    padding_percent: Option<f64>,
    calls: CallsInFlight,
    threads: NonZeroUsize,
    encoder: Callee,
    wanted: Wanted,
    caller: Caller,
    pool: Pool,
    /// For requests that take long to read, if there can be such: apart from the other, which keeps the encoder busy.
    decoders: Option<Pool>,
    queue: Queue<Row<R::Extra>>,
    frames: FrameMeter,
}

impl<R: Recogniser> OfflinePipeline<R> {
    /// Loads what all pipelines have in common.
    pub(crate) fn load(context: &ModelContext, recogniser: R) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let frontend = audio::frontend(context)?;
        let rows = options::max_rows_per_call(context)?;
        let limits = Limits {
            calls: LEAST_CALLS_IN_FLIGHT,
            rows: if recogniser.rows_go_alone() { 1 } else { rows },
            frames: MAX_FRAMES_PER_CALL.read(context)?,
            attention: MAX_ATTENTION_PER_CALL.read(context)?,
            // Until the encoder is known.
            padding_percent: 0.0,
        };
        let threads = threads(context)?;
        let shapes = warmup::shapes(context, limits.rows)?;
        let sample_rate = frontend.options().sample_rate;
        let (encoder, form) = (options::encoder(context)?, ENCODER_OUTPUTS.read(context)?);
        let queue = options::queue(context, &encoder);
        let outputs = Outputs::of(config)?.of_recordings()?;
        let wanted = Wanted {
            form,
            times: R::Decoder::NAMES
                .tell_times(outputs.needs().times, |tensor| recogniser.lacks(tensor))?,
        };
        let asked = form.tensors(R::Decoder::NAMES.scores);
        info!(
            "model '{}' asks '{}' for {asked}",
            context.name, encoder.name
        );
        let reader = AudioReader::new(context, sample_rate, &Names::PIPELINE)?
            .with_channels(CHANNELS.read(context)?);
        let pipeline = Arc::new(Self {
            decoders: match reader.may_take_long() {
                true => Some(Pool::new(threads.get())?),
                false => None,
            },
            reader,
            door: Door::load(context, sample_rate)?,
            outputs: Arc::new(outputs),
            limits,
            padding_percent: R::MAX_PADDING_PERCENT.find(context)?,
            threads,
            encoder,
            wanted,
            caller: Caller::new(context)?,
            pool: Pool::new(threads.get())?,
            calls: CallsInFlight::load(context, &CALLS_IN_FLIGHT, LEAST_CALLS_IN_FLIGHT)?,
            queue,
            frames: FrameMeter::new(context),
            recogniser,
            frontend,
        });
        warmup::start(context, pipeline, shapes)
    }

    /// Takes a request up on a thread of the pipeline's own, if there is room for it to wait.
    fn take_later(self: &Arc<Self>, request: Request, deadline: Option<Instant>, decoders: &Pool) {
        let (rows, bytes) = self.reader.waiting(&request);
        match self.door.admit_waiting(rows, bytes) {
            Ok(waiting) => {
                let pipeline = Arc::clone(self);
                decoders.run(move || match is_late(deadline) {
                    true => {
                        drop(waiting);
                        request.fail(late());
                    }
                    false => pipeline.take(request, deadline, Some(waiting)),
                });
            }
            Err(error) => request.fail(error),
        }
    }

    /// Computes the features of a request's rows and lets the rows wait, until `deadline` at most. Those too short for a frame are
    /// answered here. `waiting` is what it was let in with to wait for a thread.
    fn take(
        self: &Arc<Self>,
        request: Request,
        deadline: Option<Instant>,
        waiting: Option<WaitingPermit>,
    ) {
        let Admitted {
            inputs,
            origins,
            permit,
        } = match guard(|| self.inputs(&request, deadline, waiting)) {
            Ok(admitted) => admitted,
            Err(error) => {
                request.fail(error);
                return self.pump();
            }
        };
        request.compute_starts();
        let outputs = Arc::clone(&self.outputs);
        let write = move |request: &Request, heard: &[Transcript]| {
            outputs.respond(request, heard, &origins)
        };
        let collector = Rows::new(request, deadline, permit, inputs.len(), write);
        let (heard, unheard): (Vec<_>, Vec<_>) = inputs
            .into_iter()
            .enumerate()
            .partition(|(_, input)| input.frames > 0);
        for (place, _) in unheard {
            collector.deliver(place, Ok(Transcript::default()));
        }
        if heard.is_empty() {
            return self.pump();
        }
        let row = |(place, input)| Row {
            collector: Arc::clone(&collector),
            place,
            class: 0,
            input,
        };
        let rows: Vec<_> = heard.into_iter().map(row).collect();
        let extras = rows.iter().map(|row| row.input.extra.clone()).collect();
        let pipeline = Arc::clone(self);
        let wait = move |extras| pipeline.wait(rows, extras);
        self.recogniser.prepare(extras, Box::new(wait));
    }

    /// Lets rows wait for the encoder, with what it is to be given of them.
    fn wait(self: &Arc<Self>, mut rows: Vec<Row<R::Extra>>, extras: Result<Vec<R::Extra>, Error>) {
        match extras {
            Ok(extras) => {
                for (row, extra) in rows.iter_mut().zip(extras) {
                    row.class = self.recogniser.class(&extra);
                    row.input.extra = extra;
                }
                self.queue.push(rows);
            }
            Err(error) => fail(rows, &error),
        }
        self.pump();
    }

    /// Checks a request and, if there is room for it, computes its features.
    fn inputs(
        &self,
        request: &Request,
        deadline: Option<Instant>,
        mut waiting: Option<WaitingPermit>,
    ) -> Result<Admitted<R::Extra>, Error> {
        if request.is_cancelled() {
            return Err(Error::cancelled());
        }
        let dim = self.frontend.feature_dim();
        let mut sizes = self.reader.sizes(request, &mut |samples| {
            if is_late(deadline) {
                return Err(late());
            }
            let waiting = waiting.as_mut();
            waiting.map_or(Ok(()), |waiting| self.door.grow(waiting, samples))
        })?;
        // It comes in again with what it turned out to be.
        drop(waiting);
        let origins = std::mem::take(&mut sizes.origins);
        let frames = |&length: &usize| self.frontend.output_frames(length);
        let frames: usize = sizes.lengths.iter().map(frames).sum();
        let values = frames.saturating_mul(dim);
        let mut permit = self.door.admit(request, &sizes, values)?;
        let audio = self.reader.samples(request, sizes)?;
        let extras = self.recogniser.extras(request, rows_asked(&origins))?;
        let extras = of_origins(&origins, &extras);
        permit.samples_are_read();
        let empty = |(&length, extra): (&usize, R::Extra)| {
            let frames = self.frontend.output_frames(length);
            Ok(Input {
                features: zeros(frames.saturating_mul(dim), "features")?,
                frames,
                extra,
            })
        };
        let mut inputs: Vec<Input<R::Extra>> = audio
            .lengths
            .iter()
            .zip(extras)
            .map(empty)
            .collect::<Result<_, Error>>()?;
        let rows = audio.rows().zip(&mut inputs);
        let mut rows: Vec<FeatureRow<'_>> = rows
            .map(|(samples, input)| FeatureRow {
                samples,
                out: &mut input.features,
            })
            .collect();
        self.frontend
            .extract_batch(&mut rows, self.threads)
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok(Admitted {
            inputs,
            origins,
            permit,
        })
    }

    /// Sends calls as long as rows wait and the encoder may have more.
    fn pump(self: &Arc<Self>) {
        loop {
            let taken = self.queue.next(&self.limits());
            if taken.is_nothing() {
                return;
            }
            // The next call first, so that the encoder is not idle meanwhile.
            if let Some(group) = taken.group {
                self.send(group);
            }
            // Where the request has its answer already, these are no second ones.
            fail(taken.over, &Error::cancelled());
            fail(taken.late, &late());
        }
    }

    /// What the parameters allow, and the encoder as it is now.
    fn limits(&self) -> Limits {
        let traits = self.encoder.traits();
        let [on_gpu, on_processor] = R::PADDING_PERCENT;
        let usual = if traits.on_gpu { on_gpu } else { on_processor };
        Limits {
            calls: self.calls.of(traits),
            padding_percent: self.padding_percent.unwrap_or(usual),
            rows: self.limits.rows.min(traits.most_rows.unwrap_or(usize::MAX)),
            ..self.limits
        }
    }

    fn send(self: &Arc<Self>, group: Group<Row<R::Extra>>) {
        let inputs: Vec<&Input<R::Extra>> = group.items.iter().map(|row| &row.input).collect();
        let longest = inputs.iter().map(|input| input.frames).max().unwrap_or(0);
        let heard = inputs.iter().map(|input| input.frames).sum();
        self.frames
            .given(inputs.len().saturating_mul(longest), heard);
        let call = guard(|| self.call(&inputs));
        let pipeline = Arc::clone(self);
        let answered = move |reply| {
            let scoring = Arc::clone(&pipeline);
            pipeline.pool.run(move || scoring.score(group, reply));
        };
        match call {
            Ok(call) => {
                self.caller.call(call, answered);
            }
            Err(error) => answered(Err(error)),
        }
    }

    fn call(&self, inputs: &[&Input<R::Extra>]) -> Result<Call, Error> {
        let dim = self.frontend.feature_dim();
        let longest = inputs.iter().map(|input| input.frames).max().unwrap_or(0);
        let size = inputs.len().saturating_mul(longest).saturating_mul(dim);
        let mut speech = room(size, "an encoder's call")?;
        for (index, input) in inputs.iter().enumerate() {
            speech.extend_from_slice(&input.features);
            speech.resize((index + 1) * longest * dim, 0.0);
        }
        let lengths: Vec<i32> = inputs
            .iter()
            .map(|input| i32::try_from(input.frames).unwrap_or(i32::MAX))
            .collect();
        let extras: Vec<R::Extra> = inputs.iter().map(|input| input.extra.clone()).collect();
        let batch = Layout { batched: true };
        let call = Call::new(&self.encoder.name)
            .input(
                "speech",
                &batch.shape(inputs.len(), &[longest, dim]),
                speech,
            )
            .input("speech_lengths", &batch.shape(inputs.len(), &[1]), lengths);
        let names = R::Decoder::NAMES;
        let call = self.recogniser.complete(call, &extras)?;
        let call = self
            .wanted
            .form
            .ask(call, names.scores)
            .output(names.counts);
        let times = self.wanted.times.then_some(names.times);
        let times = times.into_iter().flatten();
        Ok(times.fold(call, |call, name| call.output(*name)))
    }

    /// Hands out what came of a call.
    fn score(self: &Arc<Self>, group: Group<Row<R::Extra>>, reply: Result<Reply, Error>) {
        group
            .items
            .iter()
            .for_each(|row| row.collector.compute_ends());
        let settled = self.queue.settle(group, reply, |error| {
            an_item_may_be_at_fault(error) || self.recogniser.means_silence(error)
        });
        // First of all the next call, so that the encoder is not idle meanwhile; but what failed takes its request's other rows along.
        let settled = match settled {
            Settled::Failed(rows, error) if !self.recogniser.means_silence(&error) => {
                fail(rows, &error);
                return self.pump();
            }
            other => other,
        };
        self.pump();
        match settled {
            Settled::Repeated => {}
            Settled::Answered(rows, reply) => match guard(|| self.heard(&reply, &rows)) {
                Ok(heard) => {
                    for (row, heard) in rows.into_iter().zip(heard) {
                        row.collector.deliver(row.place, heard);
                    }
                }
                Err(error) => fail(rows, &error),
            },
            // Silence. A row that was not alone would be repeated.
            Settled::Failed(rows, _) => {
                for row in rows {
                    row.collector.deliver(row.place, Ok(Transcript::default()));
                }
            }
        }
    }

    fn heard(
        &self,
        reply: &Reply,
        rows: &[Row<R::Extra>],
    ) -> Result<Vec<Result<Transcript, Error>>, Error> {
        let encoder = &self.encoder.name;
        let decoder = self.recogniser.decoder();
        let frames: Vec<usize> = rows.iter().map(|row| row.input.frames).collect();
        let heard = decoder.transcripts_of_reply(reply, self.wanted, &frames, encoder)?;
        if heard.len() == rows.len() {
            let finish = |(heard, row): (Result<Transcript, Error>, &Row<R::Extra>)| {
                heard.map(|heard| self.recogniser.finish(&row.input.extra, heard))
            };
            return Ok(heard.into_iter().zip(rows).map(finish).collect());
        }
        let (answered, rows) = (heard.len(), rows.len());
        Err(Error::internal(format!(
            "model '{encoder}' answered {answered} rows of {rows}"
        )))
    }
}

fn fail<E>(rows: Vec<Row<E>>, error: &Error) {
    for row in rows {
        row.collector.deliver(row.place, Err(error.clone()));
    }
}

impl<R: Recogniser> Warm for OfflinePipeline<R> {
    fn callees(&self) -> Vec<&str> {
        let mut callees = vec![self.encoder.name.as_str()];
        callees.extend(self.recogniser.helpers());
        callees
    }

    fn rehearse(&self, shape: &Shape, stage: &Rehearsal) -> Result<(), Error> {
        self.encoder.learn();
        let samples = shape.samples(self.frontend.options().sample_rate);
        let frames = self.frontend.output_frames(samples).max(1);
        let input = Input {
            features: warmup::noise(frames.saturating_mul(self.frontend.feature_dim()))?,
            frames,
            extra: self.recogniser.rehearse(stage)?,
        };
        let inputs = vec![&input; shape.rows];
        let outcome = stage.call(&self.encoder.name, || self.call(&inputs));
        match outcome {
            Err(error) if !self.recogniser.means_silence(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn close(&self) {
        self.queue.close();
    }

    fn open(self: Arc<Self>) {
        self.queue.open();
        self.pump();
    }
}

impl<R: Recogniser> Component for OfflinePipeline<R> {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }

    fn called(&self) -> Vec<&str> {
        let mut called = self.recogniser.helpers();
        called.push(&self.encoder.name);
        called
    }
}

impl<R: Recogniser> Worker for Arc<OfflinePipeline<R>> {
    fn execute(&mut self, batch: Batch) {
        self.encoder.learn();
        // The time of all begins now, and not when the features of those before are there.
        let with_deadline = |request: Request| (request.deadline(), request);
        let requests: Vec<_> = batch.into_iter().map(with_deadline).collect();
        for (deadline, request) in requests {
            match &self.decoders {
                Some(decoders) if self.reader.takes_long(&request) => {
                    self.take_later(request, deadline, decoders);
                }
                _ => self.take(request, deadline, None),
            }
        }
    }
}
