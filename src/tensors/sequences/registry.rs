//! Who of this process has a stream: for a step that must know whether another one has heard of an end.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError, Weak};

use triton_backend::CorrelationId;

/// A model's streams.
pub(super) trait Holds: Send + Sync {
    /// Whether there is one of that id.
    fn holds(&self, id: &CorrelationId) -> bool;
}

static MODELS: LazyLock<Mutex<HashMap<String, Weak<dyn Holds>>>> = LazyLock::new(Mutex::default);

/// Makes a model's streams known, in place of those of an older version.
pub(super) fn register(model: &str, streams: Weak<dyn Holds>) {
    let mut models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    models.retain(|_, streams| streams.strong_count() > 0);
    models.insert(model.to_owned(), streams);
}

/// Whether a model has a stream of that id; false of models that are not of this library.
pub(super) fn holds(model: &str, id: &CorrelationId) -> bool {
    let models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    let streams = models.get(model).and_then(Weak::upgrade);
    drop(models);
    streams.is_some_and(|streams| streams.holds(id))
}
