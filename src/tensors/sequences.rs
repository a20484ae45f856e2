//! The streams a model is in the middle of, told apart by their correlation ids.
//!
//! A request takes a [`Lease`] of its stream before anything else is looked at. START makes a new generation of the id: what
//! the id held before is gone from then on, whatever becomes of the request, and a lease of an older generation puts nothing
//! back.

mod behind;
mod endings;
mod inner;
mod numbers;
mod overdue;
mod registry;
mod sweeper;
mod table;

use std::sync::Arc;
use std::time::Duration;

use triton_backend::{CorrelationId, Error, ModelContext, Sequence, warn};

use self::endings::Endings;
pub(crate) use self::inner::{InnerCall, InnerSequence};
use self::overdue::Overdue;
use self::sweeper::Sweeper;
pub(crate) use self::table::Lease;
use self::table::Leased;
use self::table::Table;
use crate::metrics::LIVE_STREAMS;

/// The streams of a model, and the states of those without a request under way.
pub(crate) struct Streams<S: Send + 'static> {
    table: Arc<Table<S>>,
    endings: Arc<Endings>,
    overdue: Arc<Overdue>,
}

/// What a request is told that took its stream along.
pub(crate) fn over(error: Error) -> Error {
    error.context("the stream is over, begin it again with the START flag")
}

/// When a stream is ended in the steps behind a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Now,
    /// When its own END, which this model has let through, came through them, too, or was lost: it has a second.
    Overdue,
}

/// How a model's streams end when nobody ends them.
pub(crate) struct Ends {
    /// When the server stops, streams that were idle for so long are ended.
    pub(crate) patience: Duration,
    /// The model is the first step of ensembles, whose other steps hear of a stream only through it.
    pub(crate) first_step: bool,
}

impl<S: Send + 'static> Streams<S> {
    /// No streams yet. The server itself ends those that are idle for longer than the config allows.
    pub(crate) fn new(context: &ModelContext, ends: &Ends) -> Result<Self, Error> {
        let config = &context.config;
        let batching = config.sequence_batching.as_ref().ok_or_else(|| {
            Error::Config(
                "this component serves streams; the config needs sequence_batching".to_owned(),
            )
        })?;
        let controls = batching
            .control_input
            .iter()
            .flat_map(|input| &input.control);
        for control in controls.filter(|control| control.kind == "CONTROL_SEQUENCE_CORRID") {
            if control.data_type_name != "TYPE_STRING" {
                warn!(
                    "model '{}': its control input for the correlation id is {}. The server overflows it when a client \
                     sends a text as id, and may abort; this component does not need it, remove it from the config",
                    config.name, control.data_type_name
                );
            }
        }
        let table = Arc::new(Table::new(context.gauge(&LIVE_STREAMS, &[])));
        let holds: Arc<dyn registry::Holds> = Arc::clone(&table) as _;
        registry::register(&context.name, Arc::downgrade(&holds));
        let endings = Arc::new(Endings::new(context, ends.first_step)?);
        let overdue = Arc::<Overdue>::default();
        context.keep(Sweeper::start(
            Arc::clone(&table),
            Arc::clone(&endings),
            Arc::clone(&overdue),
            batching.max_idle(),
            ends.patience,
        )?);
        Ok(Self {
            table,
            endings,
            overdue,
        })
    }

    /// Takes a request's stream; START begins a new one, whatever the id held.
    ///
    /// # Errors
    /// If there is no such stream; the message says why.
    pub(crate) fn lease(&self, sequence: &Sequence) -> Result<Leased<S>, Error> {
        self.table.lease(sequence)
    }

    /// Whether a stream of that id, which is new here, never ended in a step behind this model.
    pub(crate) fn is_held_behind(&self, id: &CorrelationId) -> bool {
        self.endings.is_held_behind(id)
    }

    /// Ends a stream in the steps behind this model, then runs `done`. No request of the stream may be let through meanwhile.
    pub(crate) fn end_behind(
        &self,
        id: CorrelationId,
        when: When,
        done: impl FnOnce() + Send + 'static,
    ) {
        match when {
            When::Now => self.endings.end_behind(id, Box::new(done)),
            When::Overdue => self.overdue.add(id, Box::new(done)),
        }
    }
}
