//! The streams a model is in the middle of, told apart by their correlation ids.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use triton_backend::{CorrelationId, Error, ErrorCode, ModelConfig, Sequence, verbose, warn};

/// How much longer than the server a state waits: a request that kept its sequence alive may have queued this long.
const QUEUE_MARGIN: Duration = Duration::from_secs(60);
/// How often idle streams are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The states of a model's streams.
///
/// A request takes its stream's state out and puts it back, unless it was the last: what is in here is idle, and a
/// state that a failing request lost is gone.
pub(crate) struct Streams<S> {
    inner: Mutex<Inner<S>>,
    keep: Duration,
    farewell: Farewell<S>,
}

/// Takes the state of a stream that was idle for too long.
type Farewell<S> = Box<dyn Fn(CorrelationId, S) + Send + Sync>;

struct Inner<S> {
    idle: HashMap<CorrelationId, (S, Instant)>,
    swept: Instant,
}

/// What a request finds.
pub(crate) struct Taken<S> {
    /// The stream's state.
    pub(crate) state: S,
    /// The state of a stream that never ended and whose id the request gave to a new one.
    pub(crate) abandoned: Option<S>,
}

impl<S> Streams<S> {
    /// No streams yet. The server itself ends those that are idle for longer than the config allows.
    pub(crate) fn new(config: &ModelConfig) -> Result<Self, Error> {
        Self::with_farewell(config, |_, _| ())
    }

    /// The same, where there is something to be done when the state of an idle stream goes.
    pub(crate) fn with_farewell(
        config: &ModelConfig,
        farewell: impl Fn(CorrelationId, S) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
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
        Ok(Self {
            inner: Mutex::new(Inner {
                idle: HashMap::new(),
                swept: Instant::now(),
            }),
            keep: batching.max_idle() + QUEUE_MARGIN,
            farewell: Box::new(farewell),
        })
    }

    /// Takes the state of a request's stream; the first request of a stream gets a new one.
    pub(crate) fn take(
        &self,
        sequence: &Sequence,
        new: impl FnOnce() -> Result<S, Error>,
    ) -> Result<Taken<S>, Error> {
        let (found, swept) = {
            let mut inner = self.lock();
            let swept = inner.sweep(self.keep);
            if !swept.is_empty() {
                verbose!(
                    "freed the state of {} idle streams; {} are left",
                    swept.len(),
                    inner.idle.len()
                );
            }
            let found = inner.idle.remove(&sequence.id).map(|(state, _)| state);
            (found, swept)
        };
        for (id, state) in swept {
            (self.farewell)(id, state);
        }
        if sequence.start {
            return Ok(Taken {
                state: new()?,
                abandoned: found,
            });
        }
        let state = found.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "stream {} is not known here: its first request failed or lacked the START flag, or it was idle too long",
                    sequence.id
                ),
            )
        })?;
        Ok(Taken {
            state,
            abandoned: None,
        })
    }

    /// Puts the state back for the stream's next request. Comes before the answer, which the next request may follow at
    /// once.
    pub(crate) fn put_back(&self, id: CorrelationId, state: S) {
        self.lock().idle.insert(id, (state, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        // Insertions and removals leave the map whole, also if a state's drop panics.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Inner<S> {
    /// Takes out what was idle for too long.
    fn sweep(&mut self, keep: Duration) -> Vec<(CorrelationId, S)> {
        let now = Instant::now();
        if now.duration_since(self.swept) < SWEEP_EVERY {
            return Vec::new();
        }
        self.swept = now;
        self.idle
            .extract_if(|_, (_, since)| now.duration_since(*since) > keep)
            .map(|(id, (state, _))| (id, state))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_idle_for_too_long_is_taken_out() {
        let id = |number| CorrelationId::Number(number);
        let (now, keep) = (Instant::now(), Duration::from_secs(5));
        let before = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut inner = Inner {
            idle: HashMap::from([(id(7), ("old", before(6))), (id(8), ("new", before(4)))]),
            swept: before(2),
        };
        assert_eq!(inner.sweep(keep), [(id(7), "old")]);
        assert_eq!(inner.idle.keys().collect::<Vec<_>>(), [&id(8)]);
        // Not looked for again so soon.
        inner.idle.insert(id(9), ("old", before(6)));
        assert!(inner.sweep(keep).is_empty());
    }
}
