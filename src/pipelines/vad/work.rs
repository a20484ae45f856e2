//! Audio that waits for the model, and whose answer it is.

use std::sync::Arc;
use std::time::Instant;

use speech_segments::vad::Event;
use triton_backend::{Call, Error, Promise, Reply, Response};
use wav_frontend::Workspace;

use super::listening::Listening;
use crate::pipelines::callee::Callee;
use crate::pipelines::chain::{Link, Place};
use crate::pipelines::options::Permit;
use crate::pipelines::rows::{Hold, Rows};
use crate::pipelines::scheduler::batch::Size;
use crate::pipelines::scheduler::waiting::Item;
use crate::tensors::layout::Layout;
use crate::tensors::sequences::{Lease, over};

/// A stream holds so many samples of requests that failed, until one does not: half a minute, 2 MB.
const MOST_UNHEARD_SAMPLES: usize = 480_000;

/// The output.
pub(crate) const SEGMENTS_MS: &str = "SEGMENTS_MS";

/// What the model's calls have in common.
pub(super) struct Shared<M> {
    pub(super) model: M,
    pub(super) name: String,
    pub(super) layout: Layout,
}

/// Audio between calls.
pub(super) struct Heard<L> {
    pub(super) audio: L,
    /// What a request that failed should have told.
    pub(super) untold: Vec<Event>,
}

/// Audio on its way.
pub(super) struct Work<L> {
    pub(super) heard: Box<Heard<L>>,
    pub(super) events: Vec<Event>,
    pub(super) owner: Owner<L>,
}

/// Whose audio it is.
pub(super) enum Owner<L> {
    /// A row of a request.
    Row {
        rows: Arc<Rows<Vec<Event>, Permit>>,
        place: usize,
    },
    /// A request of a stream.
    Stream(Box<OfStream<L>>),
}

pub(super) struct OfStream<L> {
    /// Before the promise: dropped together, the stream is over when the client hears of it.
    pub(super) lease: Lease<Box<Heard<L>>>,
    pub(super) promise: Promise,
    /// Given back before the answer: whoever has it may send the next request.
    pub(super) permit: Permit,
    /// When the client does not wait for calls any more that have not gone out.
    pub(super) deadline: Option<Instant>,
}

impl<L: Listening> Work<L> {
    /// Itself if the model is to be called; else it is answered.
    pub(super) fn go_on(
        mut self,
        shared: &Shared<L::Model>,
        workspace: &mut Workspace,
    ) -> Option<Self> {
        let Self { heard, events, .. } = &mut self;
        if heard.audio.needs_call(&shared.model, workspace, events) {
            return Some(self);
        }
        match self.owner {
            Owner::Row { rows, place } => rows.deliver(place, Ok(self.events)),
            Owner::Stream(own) => {
                let OfStream {
                    lease,
                    promise,
                    permit,
                    ..
                } = *own;
                lease.put_back(self.heard);
                permit.answered();
                let layout = shared.layout;
                promise.answer(|promise| {
                    let mut response = promise.response()?;
                    write(&mut response, layout, &[self.events])?;
                    Ok(response)
                });
            }
        }
        None
    }
}

/// Writes a row for each list, filled with -1 to the longest.
pub(super) fn write(
    response: &mut Response,
    layout: Layout,
    rows: &[Vec<Event>],
) -> Result<(), Error> {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let output = response.output::<i32>(SEGMENTS_MS, &layout.shape(rows.len(), &[longest, 2]))?;
    output.fill(-1);
    for (row, events) in output.chunks_exact_mut((2 * longest).max(1)).zip(rows) {
        let pairs = events.iter().flat_map(|event| event.pair());
        for (place, ms) in row.iter_mut().zip(pairs) {
            *place = i32::try_from(ms).unwrap_or(i32::MAX);
        }
    }
    Ok(())
}

impl<L: Listening> Item for Work<L> {
    fn size(&self) -> Size {
        Size {
            class: 0,
            rows: 1,
            length: self.heard.audio.length(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.owner {
            Owner::Row { rows, .. } => rows.deadline(),
            Owner::Stream(own) => own.deadline,
        }
    }

    fn is_over(&self) -> bool {
        match &self.owner {
            Owner::Row { rows, .. } => rows.is_over(),
            Owner::Stream(own) => own.promise.is_cancelled(),
        }
    }
}

impl<L: Listening> Link for Work<L> {
    type Shared = Shared<L::Model>;

    fn call(shared: &Shared<L::Model>, _: &Callee, links: &[Self]) -> Result<Call, Error> {
        match links {
            [work] => Ok(work.heard.audio.call(&shared.model, &shared.name)),
            _ => Err(Error::internal("the model takes one row a call")),
        }
    }

    fn compute_ends(&self) {
        match &self.owner {
            Owner::Row { rows, .. } => rows.compute_ends(),
            Owner::Stream(own) => own.promise.compute_ends(),
        }
    }

    fn answered(mut self, shared: &Shared<L::Model>, reply: &Reply, _: Place) -> Option<Self> {
        let Self { heard, events, .. } = &mut self;
        match heard.audio.take(&shared.model, &shared.name, reply, events) {
            Ok(()) => self.go_on(shared, &mut Workspace::new()),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// A stream goes on, unless it would hold too much: what was not answered is asked again with its next request, which also tells what
    /// this one should have.
    fn fail(mut self, error: Error) {
        match self.owner {
            Owner::Row { rows, place } => rows.deliver(place, Err(error)),
            Owner::Stream(own) => {
                let OfStream {
                    lease,
                    promise,
                    permit,
                    ..
                } = *own;
                let error = if promise.is_cancelled() {
                    lease.cancel();
                    error
                } else if !lease.ends() && self.heard.audio.unheard_samples() > MOST_UNHEARD_SAMPLES
                {
                    drop(lease);
                    over(error)
                } else {
                    self.heard.untold = self.events;
                    lease.put_back(self.heard);
                    error
                };
                drop(permit);
                promise.fail(error);
            }
        }
    }
}
