//! The steps behind a model in its ensembles, which it must tell of streams that end in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use triton_backend::{
    Call, CorrelationId, DataType, Error, ErrorCode, ModelConfig, ModelContext, Sequence, Server,
    verbose,
};

/// How long a look holds that found ensembles and missed nothing. What comes after another one is looked at again next time.
const HOLDS: Duration = Duration::from_secs(30);

/// A model and the inputs of a request that it takes.
pub(super) struct Callee {
    pub(super) name: String,
    inputs: Vec<(String, DataType, Vec<i64>)>,
}

/// The other steps of the ensembles that begin with a model.
pub(super) struct Behind {
    model: String,
    server: Server,
    known: Known,
}

/// The steps as far as they are known.
struct Known(Mutex<Steps>);

struct Steps {
    by_ensemble: BTreeMap<String, Vec<Arc<Callee>>>,
    /// When the server is to be asked.
    look_at: Instant,
}

/// What a server said of its models.
struct Look {
    ready: BTreeSet<String>,
    /// The ensembles with the model, and of each other step what it takes: none without sequences.
    ensembles: Vec<(String, Vec<Asked>)>,
    /// Models that are no such ensembles.
    others: BTreeSet<String>,
}

struct Asked {
    step: String,
    answer: Result<Option<Arc<Callee>>, Error>,
}

impl Behind {
    pub(super) fn new(context: &ModelContext) -> Self {
        Self {
            model: context.name.clone(),
            server: Server::of(context),
            known: Known::new(),
        }
    }

    /// In the order in which a request meets them.
    pub(super) fn steps(&self) -> Vec<Arc<Callee>> {
        self.known.steps()
    }

    /// Asks the server, if it is time to. That reads directories, which may be on another machine: not where requests wait.
    /// False if it could not tell, as while it starts.
    pub(super) fn refresh(&self) -> bool {
        let refreshed = self.known.refresh(Instant::now(), || {
            let config_of =
                |model: &str| ModelConfig::from_json(&self.server.model_config(model)?.to_string());
            Ok(Look::new(
                &self.model,
                self.server.ready_models()?,
                config_of,
            ))
        });
        if let Err(error) = &refreshed
            && error.code() != ErrorCode::Unavailable
        {
            verbose!(
                "model '{}': which ensembles there are is not known: {error}",
                self.model
            );
        }
        refreshed.is_ok()
    }
}

impl Known {
    fn new() -> Self {
        Self(Mutex::new(Steps {
            by_ensemble: BTreeMap::new(),
            look_at: Instant::now(),
        }))
    }

    fn steps(&self) -> Vec<Arc<Callee>> {
        let mut found: Vec<Arc<Callee>> = Vec::new();
        for step in self.lock().by_ensemble.values().flatten() {
            if found.iter().all(|other| other.name != step.name) {
                found.push(Arc::clone(step));
            }
        }
        found
    }

    fn refresh(
        &self,
        now: Instant,
        ask: impl FnOnce() -> Result<Look, Error>,
    ) -> Result<(), Error> {
        if now < self.lock().look_at {
            return Ok(());
        }
        // Without the lock: each START takes it.
        let look = ask()?;
        self.lock().learn(look, now);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        // A look that panics leaves fewer steps, and is repeated.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steps {
    /// What was known before stays, but for what the server says is otherwise. An ensemble that is not ready may be on its way
    /// back, while its steps still have the streams that it began.
    fn learn(&mut self, look: Look, now: Instant) {
        let before = std::mem::take(&mut self.by_ensemble);
        let known = |step: &str| before.values().flatten().find(|known| known.name == step);
        let asked = look.ready.len() == look.ensembles.len() + look.others.len();
        let mut is_complete = asked && !look.ensembles.is_empty();
        for (ensemble, steps) in look.ensembles {
            let steps = steps.into_iter().filter_map(|Asked { step, answer }| {
                is_complete &= answer.is_ok();
                answer.unwrap_or_else(|_| known(&step).cloned())
            });
            self.by_ensemble.insert(ensemble, steps.collect());
        }
        for (ensemble, mut steps) in before {
            if look.others.contains(&ensemble) || self.by_ensemble.contains_key(&ensemble) {
                continue;
            }
            steps.retain(|step| look.ready.contains(&step.name));
            if !steps.is_empty() {
                self.by_ensemble.insert(ensemble, steps);
            }
        }
        if is_complete {
            self.look_at = now + HOLDS;
        }
    }
}

impl Look {
    fn new(
        model: &str,
        ready: Vec<String>,
        config_of: impl Fn(&str) -> Result<ModelConfig, Error>,
    ) -> Self {
        let ready = BTreeSet::from_iter(ready);
        let mut look = Self {
            ensembles: Vec::new(),
            others: BTreeSet::new(),
            ready,
        };
        for ensemble in &look.ready {
            // A model may go between two questions.
            let Ok(config) = config_of(ensemble) else {
                continue;
            };
            let steps = config.ensemble_scheduling.unwrap_or_default().step;
            if steps.iter().all(|step| step.model_name != model) {
                look.others.insert(ensemble.clone());
                continue;
            }
            let others = steps.into_iter().map(|step| step.model_name);
            let asked = others.filter(|step| step != model).map(|step| {
                let answer = config_of(&step).map(|config| {
                    let has_sequences = config.sequence_batching.is_some();
                    has_sequences.then(|| Arc::new(Callee::new(&step, &config)))
                });
                Asked { step, answer }
            });
            look.ensembles.push((ensemble.clone(), asked.collect()));
        }
        look
    }
}

impl Callee {
    /// Sizes that vary are 1.
    pub(super) fn new(name: &str, config: &ModelConfig) -> Self {
        let inputs = config
            .input
            .iter()
            .filter_map(|input| {
                let rows = config.batches().then_some(1);
                let dims = input.dims.iter().map(|&dim| dim.max(1));
                let shape = rows.into_iter().chain(dims).collect();
                Some((input.name.clone(), input.data_type()?, shape))
            })
            .collect();
        Self {
            name: name.to_owned(),
            inputs,
        }
    }

    /// A request that ends the stream, of silence. Whatever the model makes of it, the server has noted the end by then.
    pub(super) fn end(&self, id: CorrelationId) -> Call {
        let end = Sequence {
            id,
            start: false,
            end: true,
        };
        let call = Call::new(&self.name).sequence(end);
        self.inputs
            .iter()
            .fold(call, |call, (name, data_type, shape)| {
                let count = shape
                    .iter()
                    .map(|&size| usize::try_from(size).unwrap_or(1))
                    .product();
                match data_type {
                    DataType::Fp32 => call.input(name, shape, vec![0.0_f32; count]),
                    DataType::Int32 => call.input(name, shape, vec![1_i32; count]),
                    DataType::Int64 => call.input(name, shape, vec![1_i64; count]),
                    // The server refuses the request for want of the input.
                    _ => call,
                }
            })
    }
}

#[cfg(test)]
mod tests;
