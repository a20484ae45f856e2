//! What the server sees: a backend whose models are components.

use std::sync::Arc;

use triton_backend::{
    Backend, BackendContext, Batch, Error, ErrorCode, Instance, InstanceContext, InstanceKind,
    Model, ModelContext, Server, Watch, info,
};

use crate::component::{Component, Worker};
use crate::metrics::Failures;
use crate::registry;

/// The backend `funasr`.
pub(crate) struct Funasr;

impl Backend for Funasr {
    type Model = FunasrModel;

    /// The components are native code on the CPU, also where there is a GPU.
    const PREFERRED_KIND: Option<InstanceKind> = Some(InstanceKind::Cpu);

    fn new(context: &BackendContext) -> Result<Self, Error> {
        info!(
            "backend '{}': triton_funasr {}",
            context.name,
            env!("FUNASR_STAMP")
        );
        Ok(Self)
    }
}

/// A model: the component its config names.
pub(crate) struct FunasrModel {
    component: Arc<dyn Component>,
    failures: Arc<Failures>,
    server: Server,
}

impl Model for FunasrModel {
    type Backend = Funasr;
    type Instance = FunasrInstance;

    fn new(_: &Funasr, context: &ModelContext) -> Result<Self, Error> {
        let component = registry::load(context)
            .map_err(|error| error.context(format_args!("model '{}'", context.name)))?;
        let parameters = registry::parameters(context);
        Ok(Self {
            component,
            failures: Arc::new(Failures::new(context, parameters)),
            server: Server::of(context),
        })
    }

    fn ready(&self) -> Result<(), Error> {
        let called = self.component.called();
        match called.iter().find(|name| !self.server.model_is_ready(name)) {
            None => Ok(()),
            Some(name) => Err(Error::new(
                ErrorCode::Unavailable,
                format!("model '{name}', which this one calls, is not ready"),
            )),
        }
    }

    fn watch(&self) -> Option<Arc<dyn Watch>> {
        Some(Arc::clone(&self.failures) as _)
    }
}

/// An instance: a worker of the component.
pub(crate) struct FunasrInstance {
    worker: Box<dyn Worker>,
}

impl Instance for FunasrInstance {
    type Model = FunasrModel;

    fn new(model: &Arc<FunasrModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self {
            worker: Arc::clone(&model.component).worker(),
        })
    }

    fn execute(&mut self, batch: Batch) {
        self.worker.execute(batch);
    }
}
