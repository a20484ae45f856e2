//! The requests that tell the server that a stream is over which nobody ends.
//!
//! The server holds a place for each stream in every model with `sequence_batching`, until the stream's END or until it was
//! idle for too long, and waits for all of them when it stops. Only an END that reaches a model frees its place there, and a
//! client's END reaches the later steps of an ensemble only if the steps before them let it through.

use std::collections::VecDeque;
use std::sync::Arc;

use triton_backend::{Caller, CorrelationId, Error, ModelContext, Server, verbose};

use super::behind::{Behind, Callee};
use super::overdue::Done;
use super::registry;

/// Sends ENDs.
pub(super) struct Endings {
    server: Server,
    caller: Caller,
    own: Arc<Callee>,
    behind: Option<Behind>,
}

/// What a server is seen to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seen {
    /// It does not tell of its models yet.
    Starting,
    Ready,
    Stopping,
}

impl Endings {
    pub(super) fn new(context: &ModelContext, first_step: bool) -> Result<Self, Error> {
        Ok(Self {
            server: Server::of(context),
            caller: Caller::new(context)?,
            own: Arc::new(Callee::new(&context.name, &context.config)),
            behind: first_step.then(|| Behind::new(context)),
        })
    }

    /// The model's name.
    pub(super) fn model(&self) -> &str {
        &self.own.name
    }

    /// Asks the server for the steps behind, so that they are known when it stops.
    pub(super) fn look(&self) -> Seen {
        if self.server.is_stopping() {
            return Seen::Stopping;
        }
        match self.behind.as_ref().is_none_or(Behind::refresh) {
            true => Seen::Ready,
            false => Seen::Starting,
        }
    }

    /// Whether a step behind this one that is of this library has a stream of that id.
    pub(super) fn is_held_behind(&self, id: &CorrelationId) -> bool {
        self.steps()
            .iter()
            .any(|step| registry::holds(&step.name, id))
    }

    /// Ends a stream in the steps behind this one, in their order, so that requests that are on their way get there before.
    pub(super) fn end_behind(self: &Arc<Self>, id: CorrelationId, done: Done) {
        self.end_at(id, self.steps().into(), done);
    }

    /// The same in this model, too.
    pub(super) fn end_everywhere(self: &Arc<Self>, id: CorrelationId) {
        let mut models = VecDeque::from(self.steps());
        models.push_front(Arc::clone(&self.own));
        self.end_at(id, models, Box::new(|| ()));
    }

    fn end_at(self: &Arc<Self>, id: CorrelationId, mut models: VecDeque<Arc<Callee>>, done: Done) {
        let Some(model) = models.pop_front() else {
            return done();
        };
        let endings = Arc::clone(self);
        self.caller.call(model.end(id.clone()), move |reply| {
            if let Err(error) = reply {
                // Mostly there was no such stream, or the model does not like the inputs; it is over there all the same.
                verbose!("stream {id} was ended at model '{}': {error}", model.name);
            }
            endings.end_at(id, models, done);
        });
    }

    /// The steps behind this one, as they were when last looked for.
    fn steps(&self) -> Vec<Arc<Callee>> {
        let steps = self.behind.as_ref().map(Behind::steps);
        steps.unwrap_or_default()
    }
}
