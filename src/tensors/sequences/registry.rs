//! Who of this process has a stream: for a step that must know whether another one has heard of an end.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use triton_backend::CorrelationId;

/// A model's streams.
pub(super) trait Holds: Send + Sync {
    /// Whether there is one of that id.
    fn holds(&self, id: &CorrelationId) -> bool;
}

/// The streams of the versions of a model.
type Versions = Vec<Weak<dyn Holds>>;

/// By the model's name. While a model is loaded anew there are two of it, and if that fails the older one goes on.
static MODELS: LazyLock<Mutex<HashMap<String, Versions>>> = LazyLock::new(Mutex::default);

/// Makes a model's streams known, beside those of its other versions.
pub(super) fn register(model: &str, streams: Weak<dyn Holds>) {
    let mut models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    models.retain(|_, versions| {
        versions.retain(|streams| streams.strong_count() > 0);
        !versions.is_empty()
    });
    models.entry(model.to_owned()).or_default().push(streams);
}

/// Whether a model has a stream of that id; false of models that are not of this library.
pub(super) fn holds(model: &str, id: &CorrelationId) -> bool {
    let models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    let versions: Vec<Arc<dyn Holds>> = models
        .get(model)
        .map(|versions| versions.iter().filter_map(Weak::upgrade).collect())
        .unwrap_or_default();
    drop(models);
    versions.iter().any(|streams| streams.holds(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(u64);

    impl Holds for One {
        fn holds(&self, id: &CorrelationId) -> bool {
            *id == CorrelationId::Number(self.0)
        }
    }

    fn registered(model: &str, id: u64) -> Arc<dyn Holds> {
        let streams: Arc<dyn Holds> = Arc::new(One(id));
        register(model, Arc::downgrade(&streams));
        streams
    }

    fn held(model: &str) -> Vec<u64> {
        let is_held = |&id: &u64| holds(model, &CorrelationId::Number(id));
        (1..4).filter(is_held).collect()
    }

    #[test]
    fn a_refused_reload_leaves_the_streams_of_the_version_that_serves() {
        let model = "a model of this test alone";
        let serving = registered(model, 1);
        let refused = registered(model, 2);
        assert_eq!(held(model), [1, 2]);
        drop(refused);
        assert_eq!(held(model), [1]);
        let next = registered(model, 3);
        drop(serving);
        assert_eq!(held(model), [3]);
        drop(next);
        assert!(held(model).is_empty());
    }

    #[test]
    fn those_that_went_are_not_kept() {
        let model = "another model of this test alone";
        for id in 1..4 {
            drop(registered(model, id));
        }
        let models = MODELS.lock().unwrap();
        assert!(models.get(model).map_or(0, Vec::len) <= 1);
    }
}
