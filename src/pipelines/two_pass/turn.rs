//! A request of a stream, from what `vad` said of its chunk to its answer: all calls that it needs are under way together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use speech_segments::sentences::Span;
use triton_backend::{Call, CallHandle, Error, Promise, Reply, guard};

use super::model::Model;
use super::result::{Final, Progress, TRANSCRIPTS, Told};
use super::segmenter::{Ended, Piece};
use super::session::Message;
use super::stream::{FirstPass, Stream};
use crate::pipelines::options::Permit;
use crate::pipelines::rows::Hold;
use crate::pipelines::segments::{Failed, Heard, for_marks, marked};
use crate::tensors::sequences::{Lease, over};

/// A request, and the stream that it goes on with.
pub(super) struct Turn {
    /// Before the promise: dropped together, the stream is over when the client hears of it.
    pub(super) lease: Lease<Box<Stream>>,
    pub(super) stream: Box<Stream>,
    pub(super) promise: Promise,
    /// Given back before the answer: whoever has it may send the next request.
    pub(super) permit: Permit,
}

/// What comes of a segment.
struct Part {
    id: i64,
    start_ms: u64,
    /// None while it goes on.
    end_ms: Option<u64>,
    /// Of one that ended: what the first pass said before.
    before: String,
    /// What the first pass says now.
    delta: String,
    heard: Option<Heard>,
    marked: Option<String>,
    problem: Option<Error>,
}

/// A call, and what it is for: the place of a part.
enum Job {
    First(usize, Message),
    Second(usize, Call),
}

/// What a call was for.
#[derive(Clone, Copy)]
enum Purpose {
    First(usize),
    Second(usize),
    Marks(usize),
}

/// A turn whose calls are under way.
struct UnderWay {
    model: Arc<Model>,
    /// None once it is answered.
    state: Mutex<Option<State>>,
}

struct State {
    turn: Turn,
    parts: Vec<Part>,
    /// Answers to come.
    missing: usize,
    calls: Vec<CallHandle>,
}

impl Turn {
    /// Goes on with what `vad` answered.
    pub(super) fn go_on(mut self, model: &Arc<Model>, reply: Result<Reply, Error>) {
        if self.promise.is_cancelled() {
            return self.cancel();
        }
        let mut parts = Vec::new();
        let jobs = guard(|| {
            let end = self.lease.ends();
            let pieces = self.stream.cut(model, &reply?, end)?;
            let mut jobs = Vec::new();
            for piece in pieces {
                parts.push(self.stream.part(model, piece, parts.len(), &mut jobs)?);
            }
            Ok(jobs)
        });
        match jobs {
            Ok(jobs) if jobs.is_empty() => self.answer(parts),
            Ok(jobs) => UnderWay::start(model, self, parts, jobs),
            Err(error) => self.fail(error),
        }
    }

    /// Answers with what came of all parts.
    fn answer(mut self, parts: Vec<Part>) {
        let ended = self.lease.ends();
        let told = guard(|| Ok(self.stream.tell(parts)));
        let Self {
            lease,
            stream,
            promise,
            permit,
        } = self;
        let progress = Progress {
            audio_ms: stream.segmenter.audio_ms(),
            ended,
            speaking: stream.first_pass.is_some(),
        };
        promise.compute_ends();
        let response = guard(|| {
            let mut response = promise.response()?;
            told?.write(&mut response, |name| promise.wants(name), progress)?;
            Ok(response)
        });
        lease.put_back(stream);
        permit.answered();
        promise.finish(response);
    }

    /// The client took the request back, and with it the stream.
    pub(super) fn cancel(self) {
        let Self {
            lease,
            stream,
            promise,
            permit,
        } = self;
        lease.cancel();
        drop(stream);
        drop(permit);
        promise.fail(Error::cancelled());
    }

    /// The stream is over.
    pub(super) fn fail(self, error: Error) {
        let Self {
            lease,
            stream,
            promise,
            permit,
        } = self;
        drop(lease);
        drop(stream);
        drop(permit);
        promise.fail(over(error));
    }
}

impl Stream {
    /// What is to come of a piece, which is to be number `place`, and the calls for it.
    fn part(
        &mut self,
        model: &Model,
        piece: Piece,
        place: usize,
        jobs: &mut Vec<Job>,
    ) -> Result<Part, Error> {
        let Piece {
            id,
            start_ms,
            fresh,
            begins,
            ended,
        } = piece;
        let mut part = Part {
            id,
            start_ms,
            end_ms: ended.as_ref().map(|ended| ended.end_ms),
            before: String::new(),
            delta: String::new(),
            heard: None,
            marked: None,
            problem: None,
        };
        let own = self.first_pass.take().filter(|_| !begins);
        let mut first_pass = own.unwrap_or_else(|| FirstPass::new(model));
        let Some(Ended { samples, .. }) = ended else {
            let message = first_pass.session.message(&fresh, TRANSCRIPTS, false)?;
            jobs.push(Job::First(place, message));
            self.first_pass = Some(first_pass);
            return Ok(part);
        };
        if samples.is_empty() && begins {
            // Nothing of it can be heard.
            return Ok(part);
        }
        let message = first_pass.session.message(&fresh, TRANSCRIPTS, true)?;
        jobs.push(Job::First(place, message));
        part.before = std::mem::take(&mut first_pass.text);
        if !samples.is_empty() {
            let call = model.second_pass(&samples, &self.said)?;
            jobs.push(Job::Second(place, call));
        }
        Ok(part)
    }

    /// What is told of these parts.
    fn tell(&mut self, parts: Vec<Part>) -> Told {
        let mut told = Told::nothing();
        let audio_ms = self.segmenter.audio_ms();
        for part in parts {
            let span = Span {
                start_ms: part.start_ms,
                end_ms: part.end_ms.unwrap_or(audio_ms).max(part.start_ms),
            };
            if part.end_ms.is_some() {
                let outcome = Final {
                    first_pass: part.before + &part.delta,
                    heard: part.heard,
                    marked: part.marked,
                    problem: part.problem,
                };
                told.finished(part.id, span, &mut self.last_letter, outcome);
            } else if let Some(own) = self.first_pass.as_mut().filter(|_| !part.delta.is_empty()) {
                own.text.push_str(&part.delta);
                told.partial(part.id, span, &own.text, &part.delta);
            }
        }
        told
    }
}

impl UnderWay {
    fn start(model: &Arc<Model>, turn: Turn, parts: Vec<Part>, jobs: Vec<Job>) {
        let under_way = Arc::new(Self {
            model: Arc::clone(model),
            state: Mutex::new(Some(State {
                turn,
                parts,
                missing: jobs.len(),
                calls: Vec::new(),
            })),
        });
        for job in jobs {
            let call = match job {
                Job::First(place, message) => message.send(under_way.on(Purpose::First(place))),
                Job::Second(place, call) => {
                    let done = under_way.on(Purpose::Second(place));
                    model.caller.call(call, done)
                }
            };
            match &mut *under_way.lock() {
                Some(state) => state.calls.push(call),
                // It failed meanwhile.
                None => call.cancel(),
            }
        }
    }

    /// What takes an answer.
    fn on(
        self: &Arc<Self>,
        purpose: Purpose,
    ) -> impl FnOnce(Result<Reply, Error>) + Send + 'static {
        let under_way = Arc::clone(self);
        move |reply| {
            let next = Arc::clone(&under_way);
            under_way
                .model
                .pool
                .run(move || next.answered(purpose, reply));
        }
    }

    /// Takes an answer; the last one answers the request.
    fn answered(self: &Arc<Self>, purpose: Purpose, reply: Result<Reply, Error>) {
        let mut place = self.lock();
        let Some(state) = &mut *place else {
            return;
        };
        let model = &self.model;
        let cancelled = state.turn.promise.is_cancelled();
        let outcome = match cancelled {
            true => Err(Error::cancelled()),
            false => guard(|| state.take(model, purpose, reply)),
        };
        match outcome {
            Ok(Some((purpose, call))) => {
                let call = model.caller.call(call, self.on(purpose));
                state.calls.push(call);
                return;
            }
            Ok(None) => state.missing -= 1,
            Err(_) => state.calls.iter().for_each(CallHandle::cancel),
        }
        if outcome.is_ok() && state.missing > 0 {
            return;
        }
        let Some(State { turn, parts, .. }) = place.take() else {
            return;
        };
        drop(place);
        match outcome {
            Ok(_) => turn.answer(parts),
            Err(_) if cancelled => turn.cancel(),
            Err(error) => turn.fail(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        // A panic is caught with the lock held, and ends the turn.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes an answer, after which another call may be needed in its place.
    fn take(
        &mut self,
        model: &Model,
        purpose: Purpose,
        reply: Result<Reply, Error>,
    ) -> Result<Option<(Purpose, Call)>, Error> {
        let options = &model.options;
        let (Purpose::First(place) | Purpose::Second(place) | Purpose::Marks(place)) = purpose;
        let Some(part) = self.parts.get_mut(place) else {
            return Err(Error::internal("a call was for no segment"));
        };
        let outcome = match purpose {
            Purpose::First(_) => {
                part.delta = delta(&reply?)?;
                return Ok(None);
            }
            Purpose::Second(_) => reply.and_then(|reply| {
                let span = Span {
                    start_ms: part.start_ms,
                    end_ms: part.end_ms.unwrap_or(part.start_ms),
                };
                let heard = Heard::read(&options.recogniser, &reply, span)?;
                let text = heard.text.trim();
                let marks = options.punctuation.as_ref().filter(|_| !text.is_empty());
                let call = marks.map(|model| (Purpose::Marks(place), for_marks(model, text)));
                part.heard = Some(heard);
                Ok(call)
            }),
            Purpose::Marks(_) => reply.and_then(|reply| {
                part.marked = Some(marked(&reply)?);
                Ok(None)
            }),
        };
        match (outcome, options.failed) {
            (Ok(call), _) => Ok(call),
            (Err(error), Failed::Refuse) => {
                let (start, end) = (part.start_ms, part.end_ms.unwrap_or(part.start_ms));
                Err(error.context(format_args!("{start} ms to {end} ms")))
            }
            (Err(error), Failed::Report) => {
                part.problem = Some(error);
                Ok(None)
            }
        }
    }
}

/// What the first pass says.
fn delta(reply: &Reply) -> Result<String, Error> {
    let text = reply.output(TRANSCRIPTS)?.strings()?.into_iter().next();
    String::from_utf8(text.unwrap_or_default())
        .map_err(|_| Error::internal("the first pass answered a text that is not UTF-8"))
}
