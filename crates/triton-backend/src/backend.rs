//! The three things a backend consists of, as traits.

use std::sync::Arc;

use crate::{Batch, Error, InstanceKind, Watch, context};

/// A backend: one per name under which the server loads the library.
pub trait Backend: Sized + Send + Sync + 'static {
    /// Its models.
    type Model: Model<Backend = Self>;

    /// Where instances run if the config's `instance_group` leaves it open. `None` lets the server choose: the GPUs, where
    /// there are any.
    const PREFERRED_KIND: Option<InstanceKind> = None;

    /// Called when the server loads the backend.
    ///
    /// # Errors
    /// Then no model of this backend loads.
    fn new(context: &context::BackendContext) -> Result<Self, Error>;
}

/// A loaded model, shared by its instances.
pub trait Model: Sized + Send + Sync + 'static {
    /// The backend it belongs to.
    type Backend: Backend<Model = Self>;
    /// Its instances.
    type Instance: Instance<Model = Self>;

    /// Called when the server loads the model.
    ///
    /// # Errors
    /// Then the model does not load; the message is shown to the operator.
    fn new(backend: &Self::Backend, context: &context::ModelContext) -> Result<Self, Error>;

    /// Called before [`Model::new`] if the server lets backends complete configs: what is missing in the config, as a
    /// whole config in JSON, or `None` if nothing is.
    ///
    /// # Errors
    /// Then the model does not load.
    fn complete_config(
        backend: &Self::Backend,
        context: &context::ModelContext,
    ) -> Result<Option<serde_json::Value>, Error> {
        let _ = (backend, context);
        Ok(None)
    }

    /// Whether the model could answer now: what else it needs is there. Servers with `TRITONBACKEND_ModelInstanceReady` (cores from December 2025 on)
    /// tell their clients so; older ones do not ask. May be called at any time, from any thread, and should be quick.
    ///
    /// # Errors
    /// If it could not; the reason goes to the server's log.
    fn ready(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Who is to be told how the model's requests end. Asked when an instance is made.
    fn watch(&self) -> Option<Arc<dyn Watch>> {
        None
    }
}

/// One of the copies of a model that execute side by side. The server calls each from one thread at a time.
pub trait Instance: Sized + Send + 'static {
    /// The model it is an instance of.
    type Model: Model<Instance = Self>;

    /// Called when the server makes the instance.
    ///
    /// # Errors
    /// Then the model does not load.
    fn new(model: &Arc<Self::Model>, context: &context::InstanceContext) -> Result<Self, Error>;

    /// Answers the requests of a batch. What is dropped unanswered, answers with an error.
    fn execute(&mut self, batch: Batch);
}
