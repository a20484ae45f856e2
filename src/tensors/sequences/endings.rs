//! The ends of streams that nobody ends: a timer, and the requests that tell the server.
//!
//! The server holds a place for each stream in every model with `sequence_batching`, until the stream's END or until it was
//! idle for too long, and waits for all of them when it stops. Only an END that reaches a model frees its place there, and a
//! client's END reaches the later steps of an ensemble only if the steps before them let it through.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use triton_backend::{
    Call, Caller, CorrelationId, DataType, Error, ModelConfig, ModelContext, Sequence, Server,
    guard, verbose, warn,
};

use super::registry;
use super::table::Table;

/// How often idle streams are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked which ensembles there are. A server that stops does not say it.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);

type Done = Box<dyn FnOnce() + Send>;

/// Sends ENDs.
pub(super) struct Endings {
    server: Server,
    caller: Caller,
    own: Arc<Callee>,
    /// The other steps of the ensembles that begin with this model.
    behind: Option<Mutex<Steps>>,
}

/// The steps as they were when last looked for.
#[derive(Default)]
struct Steps {
    found: Vec<Arc<Callee>>,
    looked: Option<Instant>,
}

/// A model and the inputs of a request that it takes.
struct Callee {
    name: String,
    inputs: Vec<(String, DataType, Vec<i64>)>,
}

impl Endings {
    pub(super) fn new(context: &ModelContext, first_step: bool) -> Result<Self, Error> {
        Ok(Self {
            server: Server::of(context),
            caller: Caller::new(context)?,
            own: Arc::new(Callee::new(&context.name, &context.config)),
            behind: first_step.then(Mutex::default),
        })
    }

    /// Whether a step behind this one that is of this library has a stream of that id.
    pub(super) fn is_held_behind(&self, id: &CorrelationId) -> bool {
        self.steps()
            .iter()
            .any(|step| registry::holds(&step.name, id))
    }

    /// Ends a stream in the steps behind this one, in their order, so that requests that are on their way get there before.
    pub(super) fn end_behind(self: &Arc<Self>, id: &CorrelationId, done: Done) {
        self.end_at(id.clone(), self.steps().into(), done);
    }

    /// The same in this model, too.
    fn end_everywhere(self: &Arc<Self>, id: CorrelationId) {
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
        let steps = self
            .behind
            .as_ref()
            .map(|steps| self.looked_for(steps, Duration::MAX));
        steps.unwrap_or_default()
    }

    /// Looks for the steps, unless that was done not long ago.
    fn refresh(&self) {
        if let Some(steps) = &self.behind {
            self.looked_for(steps, LOOK_AGAIN_AFTER);
        }
    }

    fn looked_for(&self, steps: &Mutex<Steps>, most_age: Duration) -> Vec<Arc<Callee>> {
        let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps
            .looked
            .is_none_or(|looked| looked.elapsed() > most_age)
        {
            match self.look_for_steps() {
                Ok(found) => {
                    *steps = Steps {
                        found,
                        looked: Some(Instant::now()),
                    }
                }
                Err(error) => verbose!(
                    "model '{}': which ensembles there are is not known: {error}",
                    self.own.name
                ),
            }
        }
        steps.found.clone()
    }

    fn look_for_steps(&self) -> Result<Vec<Arc<Callee>>, Error> {
        let mut found: Vec<Arc<Callee>> = Vec::new();
        for ensemble in self.server.ready_models()? {
            // A model may go between two questions.
            let Ok(config) = self.config_of(&ensemble) else {
                continue;
            };
            let steps = config.ensemble_scheduling.unwrap_or_default().step;
            if !steps.iter().any(|step| step.model_name == self.own.name) {
                continue;
            }
            for step in steps.iter().map(|step| step.model_name.as_str()) {
                let is_known = found.iter().any(|other| other.name == step);
                if is_known || step == self.own.name {
                    continue;
                }
                match self.config_of(step) {
                    Ok(config) if config.sequence_batching.is_some() => {
                        found.push(Arc::new(Callee::new(step, &config)));
                    }
                    _ => (),
                }
            }
        }
        Ok(found)
    }

    fn config_of(&self, model: &str) -> Result<ModelConfig, Error> {
        ModelConfig::from_json(&self.server.model_config(model)?.to_string())
    }
}

impl Callee {
    /// Sizes that vary are 1.
    fn new(name: &str, config: &ModelConfig) -> Self {
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
    fn end(&self, id: CorrelationId) -> Call {
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

/// A thread that looks for idle streams until it is dropped.
pub(super) struct Sweeper {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    /// Streams idle for longer than `keep` go, or `patience` when the server stops.
    pub(super) fn start<S: Send + 'static>(
        table: Arc<Table<S>>,
        endings: Arc<Endings>,
        keep: Duration,
        patience: Duration,
    ) -> Result<Self, Error> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("funasr-sweep".to_owned())
            .spawn(move || {
                while !wait(&stopped) {
                    let swept = guard(|| {
                        sweep(&table, &endings, keep, patience);
                        Ok(())
                    });
                    if let Err(error) = swept {
                        warn!("model '{}': {error}", endings.own.name);
                    }
                }
            })
            .map_err(|error| Error::internal(format!("no thread could be started: {error}")))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

/// Waits until the next look is due, or until there is to be none: true.
fn wait((stop, changed): &(Mutex<bool>, Condvar)) -> bool {
    let stop = stop.lock().unwrap_or_else(PoisonError::into_inner);
    *changed
        .wait_timeout_while(stop, SWEEP_EVERY, |stop| !*stop)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}

fn sweep<S>(table: &Table<S>, endings: &Arc<Endings>, keep: Duration, patience: Duration) {
    let stopping = endings.server.is_stopping();
    if !stopping {
        // So that they are known when the server stops.
        endings.refresh();
    }
    let (swept, left) = table.sweep(if stopping { patience } else { keep });
    if swept.is_empty() {
        return;
    }
    verbose!(
        "freed the state of {} idle streams; {left} are left",
        swept.len()
    );
    if stopping {
        for id in swept {
            endings.end_everywhere(id);
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let (stop, changed) = &*self.stop;
        *stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in it is logged where it happens.
            let _ = thread.join();
        }
    }
}
