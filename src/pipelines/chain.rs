//! Work that needs one call of a model after the other, where each answer decides what the next call asks.
//!
//! A link of work waits in a queue, has its call, perhaps with others of its kind, and either waits again or is done.

use std::sync::Arc;

use triton_backend::{Call, Caller, Error, ModelContext, Reply, error, guard};

use crate::pipelines::callee::Callee;
use crate::pipelines::options::{self, CallsInFlight};
use crate::pipelines::scheduler::batch::Limits;
use crate::pipelines::scheduler::queue::{Group, Queue, Settled, an_item_may_be_at_fault, late};
use crate::pipelines::scheduler::waiting::Item;
use crate::pool::Pool;

/// Work at a place where it needs a call.
///
/// Dropped, it ends its request with an error, whatever became of it.
pub(crate) trait Link: Item + Send + Sized + 'static {
    /// What all work of a model shares.
    type Shared: Send + Sync + 'static;

    /// The call that these need.
    fn call(shared: &Self::Shared, callee: &Callee, links: &[Self]) -> Result<Call, Error>;

    /// Marks for the statistics that a call was answered.
    fn compute_ends(&self);

    /// Takes the answer to a call of `rows` links, of which this is number `row`. None where the work is done, or failed.
    fn answered(self, shared: &Self::Shared, reply: &Reply, place: Place) -> Option<Self>;

    /// The call failed.
    fn fail(self, error: Error);
}

/// Which of a call's rows.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) rows: usize,
}

/// All work of a model.
pub(crate) struct Chain<L: Link> {
    pub(crate) shared: L::Shared,
    pub(crate) callee: Callee,
    calls: CallsInFlight,
    limits: Limits,
    caller: Caller,
    pool: Pool,
    queue: Queue<L>,
}

impl<L: Link> Chain<L> {
    /// With these limits of a call; `calls` of it are under way at a time.
    pub(crate) fn new(
        context: &ModelContext,
        shared: L::Shared,
        callee: Callee,
        calls: CallsInFlight,
        limits: Limits,
        threads: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            queue: options::queue(context, &callee),
            shared,
            callee,
            calls,
            limits,
            caller: Caller::new(context)?,
            pool: Pool::new(threads)?,
        })
    }

    /// Lets links wait for their calls.
    pub(crate) fn push(&self, links: impl IntoIterator<Item = L>) {
        self.queue.push(links);
    }

    /// Lets no call out until [`Chain::open`].
    pub(crate) fn close(&self) {
        self.queue.close();
    }

    /// Lets calls out.
    pub(crate) fn open(self: &Arc<Self>) {
        self.queue.open();
        self.pump();
    }

    /// Sends calls as long as links wait and the model may have more.
    pub(crate) fn pump(self: &Arc<Self>) {
        loop {
            let traits = self.callee.traits();
            let taken = self.queue.next(&Limits {
                calls: self.calls.of(traits),
                // A model without a batch dimension has calls of one row.
                rows: self.limits.rows.min(traits.most_rows.unwrap_or(1)),
                ..self.limits
            });
            if taken.is_nothing() {
                return;
            }
            if let Some(group) = taken.group {
                self.send(group);
            }
            taken
                .over
                .into_iter()
                .for_each(|link| link.fail(Error::cancelled()));
            taken.late.into_iter().for_each(|link| link.fail(late()));
        }
    }

    fn send(self: &Arc<Self>, group: Group<L>) {
        let call = guard(|| L::call(&self.shared, &self.callee, &group.items));
        let chain = Arc::clone(self);
        let answered = move |reply| {
            let next = Arc::clone(&chain);
            chain.pool.run(move || next.answered(group, reply));
        };
        match call {
            Ok(call) => {
                self.caller.call(call, answered);
            }
            Err(error) => answered(Err(error)),
        }
    }

    fn answered(self: &Arc<Self>, group: Group<L>, reply: Result<Reply, Error>) {
        group.items.iter().for_each(Link::compute_ends);
        let settled = self.queue.settle(group, reply, an_item_may_be_at_fault);
        // First of all the next call, so that the model is not idle meanwhile.
        self.pump();
        match settled {
            Settled::Repeated => {}
            Settled::Failed(links, error) => {
                links.into_iter().for_each(|link| link.fail(error.clone()));
            }
            Settled::Answered(links, reply) => {
                let rows = links.len();
                for (row, link) in links.into_iter().enumerate() {
                    let place = Place { row, rows };
                    match guard(|| Ok(link.answered(&self.shared, &reply, place))) {
                        Ok(link) => self.queue.push(link),
                        // Dropped, it has ended its request.
                        Err(error) => error!("work on an answer failed: {error}"),
                    }
                }
                self.pump();
            }
        }
    }
}
