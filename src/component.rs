//! What a component is: a step of an ensemble, or a whole model.

use std::sync::Arc;

use triton_backend::Batch;

/// A loaded component, shared by the model's instances.
pub(crate) trait Component: Send + Sync {
    /// What one instance runs.
    fn worker(self: Arc<Self>) -> Box<dyn Worker>;

    /// The models that it calls, without which it can answer nothing.
    fn called(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// One instance of a component.
pub(crate) trait Worker: Send {
    /// Answers the requests of a batch.
    fn execute(&mut self, batch: Batch);
}
