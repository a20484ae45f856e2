//! What a pipeline knows of a model that it calls.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use triton_backend::{ModelContext, Server};

/// How long what was learnt of a model holds: it may be loaded anew with another config.
const HOLDS: Duration = Duration::from_secs(30);
/// How soon a server is asked again that could not tell.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// More instances than this are not looked after one by one.
const MOST_INSTANCES: usize = 64;

/// A model to call.
pub(crate) struct Callee {
    pub(crate) name: String,
    server: Server,
    state: Mutex<State>,
}

struct State {
    traits: Traits,
    /// When the server is to be asked.
    ask_at: Instant,
}

/// What a model's config says of its calls, as far as the server could tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Traits {
    /// Calls that it works on at a time.
    pub(crate) instances: Option<usize>,
    /// The most rows of a call. None also where it has no batch dimension.
    pub(crate) most_rows: Option<usize>,
    /// It has an instance on a GPU.
    pub(crate) on_gpu: bool,
}

impl Callee {
    /// The model called `name`, which need not be there yet.
    pub(crate) fn new(context: &ModelContext, name: String) -> Self {
        Self {
            name,
            server: Server::of(context),
            state: Mutex::new(State {
                traits: Traits::default(),
                ask_at: Instant::now(),
            }),
        }
    }

    /// What is known of it.
    pub(crate) fn traits(&self) -> Traits {
        self.lock().traits
    }

    /// Asks the server, if it is time to. That is done when a request has come and not at load: nothing orders the loading of
    /// models, and a server that starts does not tell.
    ///
    /// Only where the server cannot end meanwhile: while it waits for `execute`, or for the caller's thread. Once the last request
    /// is answered it may be gone.
    pub(crate) fn learn(&self) {
        let now = Instant::now();
        {
            let mut state = self.lock();
            if now < state.ask_at {
                return;
            }
            // Only one asks, and not under the lock.
            state.ask_at = now + ASK_AGAIN;
        }
        let Ok(config) = self.server.model_config(&self.name) else {
            return;
        };
        *self.lock() = State {
            traits: Traits::of(&config),
            ask_at: now + HOLDS,
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Written as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traits {
    /// What a config says, as the server completed it.
    pub(crate) fn of(config: &serde_json::Value) -> Self {
        let whole = |value: &serde_json::Value| usize::try_from(value.as_u64()?).ok();
        let groups = config["instance_group"].as_array();
        let instances = groups.map(|groups| {
            let counts = groups.iter().map(|group| {
                let gpus = group["gpus"].as_array().map_or(1, |gpus| gpus.len().max(1));
                whole(&group["count"]).unwrap_or(1).saturating_mul(gpus)
            });
            let count = counts.fold(0, usize::saturating_add);
            count.clamp(1, MOST_INSTANCES)
        });
        let is_gpu = |group: &serde_json::Value| group["kind"] == "KIND_GPU";
        Self {
            instances,
            on_gpu: groups.is_some_and(|groups| groups.iter().any(is_gpu)),
            most_rows: whole(&config["max_batch_size"]).filter(|&rows| rows > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &str) -> (Option<usize>, Option<usize>) {
        let config: serde_json::Value = serde_json::from_str(config).unwrap();
        let Traits {
            instances,
            most_rows,
            ..
        } = Traits::of(&config);
        (instances, most_rows)
    }

    #[test]
    fn instances_are_counted_over_groups_and_gpus() {
        assert_eq!(of("{}"), (None, None));
        assert_eq!(of(r#"{"instance_group": [{"count": 3}]}"#).0, Some(3));
        let groups =
            r#"{"instance_group": [{"count": 2, "gpus": [0, 1]}, {"count": 1, "gpus": []}, {}]}"#;
        assert_eq!(of(groups).0, Some(6));
        assert_eq!(
            of(r#"{"instance_group": [{"count": 9999999}]}"#).0,
            Some(64)
        );
        assert_eq!(of(r#"{"instance_group": [{"count": -1}]}"#).0, Some(1));
    }

    #[test]
    fn a_model_with_an_instance_on_a_gpu_is_on_one() {
        for (groups, on_gpu) in [
            ("[]", false),
            (r#"[{"kind": "KIND_CPU"}]"#, false),
            (r#"[{"kind": "KIND_CPU"}, {"kind": "KIND_GPU"}]"#, true),
        ] {
            let config = format!(r#"{{"instance_group": {groups}}}"#);
            let config = serde_json::from_str(&config).unwrap();
            assert_eq!(Traits::of(&config).on_gpu, on_gpu, "{groups}");
        }
    }

    #[test]
    fn a_model_without_a_batch_dimension_has_no_limit_of_rows() {
        assert_eq!(of(r#"{"max_batch_size": 16}"#).1, Some(16));
        assert_eq!(of(r#"{"max_batch_size": 0}"#).1, None);
    }
}
