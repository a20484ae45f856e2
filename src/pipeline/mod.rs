//! Whole pipelines: a component that owns the request and calls the encoder itself.
//!
//! Rows of all requests wait in one queue. Whenever fewer than `calls_in_flight` calls are under way, the oldest row goes
//! out with others of nearly its length, whichever request they belong to. So calls fill up while the encoder is busy, and
//! nothing waits while it is not. The encoder's answer is scored where it stands, on a thread of the pipeline's own.

mod grouping;
pub(crate) mod lane;
pub(crate) mod pool;
mod ticket;

use std::num::NonZeroUsize;
use std::sync::Arc;

use triton_backend::{
    Batch, Call, Caller, DataType, Error, ErrorCode, ModelContext, Reply, Request, guard,
};
use wav_frontend::{Frontend, Row as FeatureRow};

use self::grouping::{Limits, choose};
use self::lane::Lane;
use self::pool::Pool;
use self::ticket::Ticket;
use crate::audio::{self, AudioReader};
use crate::component::{Component, Worker, check_tensor};
use crate::options::threads;
use crate::rows::Layout;

/// The parameters that every pipeline reads.
pub(crate) const PARAMETERS: &[&str] = &[
    "encoder",
    "max_padding_percent",
    "max_frames_per_call",
    "max_rows_per_call",
    "calls_in_flight",
    "threads",
];

/// What tells one offline model from another.
pub(crate) trait Recogniser: Send + Sync + Sized + 'static {
    /// What a row has beside its audio.
    type Extra: Copy + Send + Sync;
    /// Padding that is allowed if the config does not say.
    const PADDING_PERCENT: f64;

    /// Reads what each of the `rows` rows of a request has beside its audio.
    fn extras(&self, request: &Request, rows: usize) -> Result<Vec<Self::Extra>, Error>;

    /// Completes the encoder's call, which has `speech` and `speech_lengths` already.
    fn complete(&self, call: Call, extras: &[Self::Extra]) -> Call;

    /// The texts of the rows of the encoder's answer.
    fn texts(&self, reply: &Reply) -> Result<Vec<String>, Error>;

    /// Whether the encoder's failure with a row alone means that there is nothing to hear in it.
    fn means_silence(&self, error: &Error) -> bool;
}

/// What the encoder is to be given of a row.
struct Input<E> {
    /// `[frames, feature_dim]`
    features: Vec<f32>,
    frames: usize,
    extra: E,
}

/// A row that waits for the encoder.
struct Row<E> {
    ticket: Arc<Ticket>,
    /// Which of the request's rows.
    place: usize,
    input: Input<E>,
    /// It failed in company and is tried alone.
    alone: bool,
}

/// A loaded pipeline.
pub(crate) struct Pipeline<R: Recogniser> {
    recogniser: R,
    frontend: Frontend,
    reader: AudioReader,
    layout: Layout,
    limits: Limits,
    threads: NonZeroUsize,
    encoder: String,
    caller: Caller,
    pool: Pool,
    lane: Lane<Row<R::Extra>>,
}

impl<R: Recogniser> Pipeline<R> {
    /// Loads what all pipelines have in common.
    pub(crate) fn load(context: &ModelContext, recogniser: R) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let parameters = &config.parameters;
        let frontend = audio::frontend(context)?;
        check_tensor(config.output("TRANSCRIPTS")?, DataType::String, &[Some(1)])?;
        let rows = usize::try_from(config.max_batch_size).unwrap_or(0).max(1);
        let count = |key| {
            parameters
                .get::<NonZeroUsize>(key)
                .map(|count| count.map(NonZeroUsize::get))
        };
        let limits = Limits {
            rows: count("max_rows_per_call")?.unwrap_or(rows),
            frames: count("max_frames_per_call")?.unwrap_or(usize::MAX),
            padding_percent: parameters
                .get("max_padding_percent")?
                .unwrap_or(R::PADDING_PERCENT),
        };
        let threads = threads(context)?;
        Ok(Arc::new(Self {
            reader: AudioReader::new(context, frontend.options().sample_rate, "WAV", "WAV_LENS")?,
            layout: Layout {
                batched: config.batches(),
            },
            limits,
            threads,
            encoder: parameters.text("encoder").unwrap_or("encoder").to_owned(),
            caller: Caller::new(context)?,
            pool: Pool::new(threads.get())?,
            lane: Lane::new(count("calls_in_flight")?.unwrap_or(4)),
            recogniser,
            frontend,
        }))
    }

    /// The rows of a request, their features computed. Those too short for a frame are answered here.
    fn rows(&self, request: Request) -> Vec<Row<R::Extra>> {
        match guard(|| self.inputs(&request)) {
            Ok(inputs) => {
                request.compute_starts();
                let ticket = Ticket::new(request, inputs.len(), self.layout, "TRANSCRIPTS");
                let (heard, unheard): (Vec<_>, Vec<_>) = inputs
                    .into_iter()
                    .enumerate()
                    .partition(|(_, input)| input.frames > 0);
                for (place, _) in unheard {
                    ticket.deliver(place, Ok(String::new()));
                }
                let row = |(place, input)| Row {
                    ticket: Arc::clone(&ticket),
                    place,
                    input,
                    alone: false,
                };
                heard.into_iter().map(row).collect()
            }
            Err(error) => {
                request.fail(error);
                Vec::new()
            }
        }
    }

    /// Checks a request and computes its features.
    fn inputs(&self, request: &Request) -> Result<Vec<Input<R::Extra>>, Error> {
        if request.is_cancelled() {
            return Err(Error::new(
                ErrorCode::Cancelled,
                "the client cancelled the request",
            ));
        }
        let audio = self.reader.read(request)?;
        let extras = self.recogniser.extras(request, audio.lengths.len())?;
        let dim = self.frontend.feature_dim();
        let empty = |(&length, extra): (&usize, R::Extra)| {
            let frames = self.frontend.output_frames(length);
            Input {
                features: vec![0.0; frames * dim],
                frames,
                extra,
            }
        };
        let mut inputs: Vec<Input<R::Extra>> =
            audio.lengths.iter().zip(extras).map(empty).collect();
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
        Ok(inputs)
    }

    /// Sends calls as long as rows wait and the encoder may have more.
    fn pump(self: &Arc<Self>) {
        while let Some(group) = self.next_group() {
            self.send(group);
        }
    }

    fn next_group(&self) -> Option<Vec<Row<R::Extra>>> {
        self.lane.next(
            |row| row.ticket.is_over(),
            |waiting| match waiting.first() {
                Some(row) if row.alone => vec![0],
                _ => {
                    let company = waiting.iter().take_while(|row| !row.alone);
                    let frames: Vec<usize> = company.map(|row| row.input.frames).collect();
                    choose(&frames, &self.limits)
                }
            },
        )
    }

    fn send(self: &Arc<Self>, group: Vec<Row<R::Extra>>) {
        let call = self.call(&group);
        let pipeline = Arc::clone(self);
        self.caller.call(call, move |reply| {
            let scoring = Arc::clone(&pipeline);
            pipeline.pool.run(move || scoring.score(group, reply));
        });
    }

    fn call(&self, group: &[Row<R::Extra>]) -> Call {
        let dim = self.frontend.feature_dim();
        let longest = group.iter().map(|row| row.input.frames).max().unwrap_or(0);
        let mut speech = Vec::with_capacity(group.len() * longest * dim);
        for (index, row) in group.iter().enumerate() {
            speech.extend_from_slice(&row.input.features);
            speech.resize((index + 1) * longest * dim, 0.0);
        }
        let lengths: Vec<i32> = group
            .iter()
            .map(|row| i32::try_from(row.input.frames).unwrap_or(i32::MAX))
            .collect();
        let extras: Vec<R::Extra> = group.iter().map(|row| row.input.extra).collect();
        let batch = Layout { batched: true };
        let call = Call::new(&self.encoder)
            .input("speech", &batch.shape(group.len(), &[longest, dim]), speech)
            .input("speech_lengths", &batch.shape(group.len(), &[1]), lengths);
        self.recogniser.complete(call, &extras)
    }

    /// Hands out what a call answered. Rows that failed together are tried one by one, to find whose fault it was.
    fn score(self: Arc<Self>, group: Vec<Row<R::Extra>>, reply: Result<Reply, Error>) {
        group.iter().for_each(|row| row.ticket.compute_ends());
        // First of all the next call, so that the encoder is not idle meanwhile.
        self.lane.done();
        self.pump();
        let rows = group.len();
        let texts = guard(|| {
            let texts = self.recogniser.texts(&reply?)?;
            if texts.len() == rows {
                return Ok(texts);
            }
            let (encoder, answered) = (&self.encoder, texts.len());
            Err(Error::internal(format!(
                "model '{encoder}' answered {answered} rows of {rows}"
            )))
        });
        match texts {
            Ok(texts) => {
                for (row, text) in group.into_iter().zip(texts) {
                    row.ticket.deliver(row.place, Ok(text));
                }
            }
            Err(error) if rows == 1 => {
                let text = match self.recogniser.means_silence(&error) {
                    true => Ok(String::new()),
                    false => Err(error),
                };
                for (row, text) in group.into_iter().zip([text]) {
                    row.ticket.deliver(row.place, text);
                }
            }
            Err(_) => {
                self.lane
                    .push_front(group.into_iter().map(|row| Row { alone: true, ..row }));
                self.pump();
            }
        }
    }
}

impl<R: Recogniser> Component for Pipeline<R> {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl<R: Recogniser> Worker for Arc<Pipeline<R>> {
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            let rows = self.rows(request);
            self.lane.push(rows);
            self.pump();
        }
    }
}
