//! Execution: requests become as few runs as their shapes allow, and each gets its own answer.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ort::logging::LogLevel;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions};
use triton_backend::{
    Batch, Error, ErrorCode, Instance, InstanceContext, Request, Response, guard, log,
};

use crate::job::{Group, Job, Reader, SessionInputs};
use crate::model::{OnnxModel, SharedSession};
use crate::options::SHRINK_ARENAS;
use crate::session::one_line;
use crate::signature::Signature;
use crate::tensor::{Output, Rows, join};

/// What took longer may have taken much memory.
const LONG: Duration = Duration::from_millis(20);

/// An instance of a model.
pub(crate) struct OnnxInstance {
    model: Arc<OnnxModel>,
    session: SharedSession,
    signature: Signature,
    /// The arenas that give memory back after each run.
    arenas: Option<String>,
}

/// What came of a run.
struct Run<'j, 'r> {
    group: Group<'j, 'r>,
    outputs: Arc<Outputs>,
}

type Outputs = Result<Vec<Output>, Error>;

/// The answer to a request, with the states it leaves behind.
struct Answer {
    response: Response,
    outputs: Arc<Outputs>,
    rows: Rows,
}

impl Instance for OnnxInstance {
    type Model = OnnxModel;

    fn new(model: &Arc<OnnxModel>, context: &InstanceContext) -> Result<Self, Error> {
        let session = model.session_for(context)?;
        let signature = {
            let session = session.lock().unwrap_or_else(PoisonError::into_inner);
            model.signature(&session)?
        };
        Ok(Self {
            model: Arc::clone(model),
            session,
            signature,
            arenas: model.arenas(context)?,
        })
    }

    fn execute(&mut self, mut batch: Batch) {
        let started = Instant::now();
        let answers = self.answer(&batch);
        let requests = batch.requests_mut().iter_mut();
        let outcomes: Vec<Result<Response, Error>> = requests
            .zip(answers)
            .map(|(request, answer)| {
                let answer = answer?;
                let kept = guard(|| self.keep_states(request, answer));
                kept.map_err(|error| self.named(error))
            })
            .collect();
        batch.finish(outcomes);
        if self.arenas.is_some() && started.elapsed() > LONG {
            self.give_back();
        }
    }
}

impl OnnxInstance {
    fn reader(&self) -> Reader<'_> {
        Reader {
            config: &self.model.config,
            signature: &self.signature,
            lengths: &self.model.lengths,
            leniency: self.model.leniency,
        }
    }

    fn named(&self, error: Error) -> Error {
        error.context(format!("model '{}'", self.model.name))
    }

    fn batches(&self) -> bool {
        self.model.config.batches()
    }

    /// One answer per request, in order.
    fn answer(&self, batch: &Batch) -> Vec<Result<Answer, Error>> {
        let reader = self.reader();
        let mut answers: Vec<Option<Result<Answer, Error>>> = Vec::new();
        let mut jobs = Vec::new();
        for (index, request) in batch.requests().iter().enumerate() {
            match guard(|| reader.read(index, request)) {
                Ok(job) => {
                    jobs.push(job);
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(self.named(error)))),
            }
        }
        batch.compute_starts();
        let runs: Vec<Run<'_, '_>> = reader
            .groups(&jobs)
            .into_iter()
            .flat_map(|group| self.run_group(group))
            .collect();
        batch.compute_ends();
        for run in runs {
            let mut start = 0;
            for job in &run.group {
                let rows = match self.batches() {
                    true => Rows::Range {
                        start,
                        end: start + job.rows,
                    },
                    false => Rows::All,
                };
                answers[job.index] = Some(self.respond(job, rows, &run.outputs));
                start += job.rows;
            }
        }
        let unanswered = || Err(self.named(Error::internal("the request was not run")));
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(unanswered))
            .collect()
    }

    /// Runs a group. If that fails, it fails for all its jobs; with `isolate_failures` each runs again alone, so that the error
    /// falls on the one that caused it.
    fn run_group<'j, 'r>(&self, group: Group<'j, 'r>) -> Vec<Run<'j, 'r>> {
        let outputs = guard(|| self.run(&group));
        match outputs {
            Err(error) if group.len() > 1 && self.model.leniency.isolate_failures => {
                triton_backend::verbose!(
                    "model '{}': {} requests run one by one, because together they fail: {error}",
                    self.model.name,
                    group.len()
                );
                group
                    .into_iter()
                    .map(|job| {
                        let group = vec![job];
                        let outputs = Arc::new(guard(|| self.run(&group)));
                        Run { group, outputs }
                    })
                    .collect()
            }
            outputs => vec![Run {
                group,
                outputs: Arc::new(outputs),
            }],
        }
    }

    fn run(&self, group: &[&Job<'_>]) -> Outputs {
        let wanted = self.wanted(group);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let reader = self.reader();
        let inputs = reader.join(group).map_err(|error| self.named(error))?;
        let options = self.run_options(&wanted).map_err(|error| {
            let message = format!("ONNX Runtime refuses the options: {}", one_line(&error));
            self.named(Error::internal(message))
        })?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session
            .run_with_options(inputs, &options)
            .map_err(|error| self.run_error(&error, &reader.describe(group)))?;
        let rows = self
            .batches()
            .then(|| group.iter().map(|job| job.rows).sum());
        outputs
            .into_iter()
            .map(|(name, value)| {
                let output = Output::new(name, value, rows).map_err(|error| self.named(error))?;
                Ok(match self.model.config.output(name) {
                    Ok(config) if !self.batches() => output.with_dims(config.backend_dims()),
                    _ => output,
                })
            })
            .collect()
    }

    /// What clients are told of a failed run is what the official backend tells them; the log knows more.
    fn run_error(&self, error: &ort::Error, inputs: &str) -> Error {
        let message = one_line(error);
        if self.model.leniency.isolate_failures {
            let code = match error.code() {
                ort::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
                ort::ErrorCode::NotImplemented => ErrorCode::Unsupported,
                _ => ErrorCode::Internal,
            };
            return self.named(Error::new(
                code,
                format!("ONNX Runtime: {message}; {inputs}"),
            ));
        }
        triton_backend::warn!(
            "model '{}': ONNX Runtime: {message}; {inputs}",
            self.model.name
        );
        let number = ort::sys::OrtErrorCode::from(error.code()) as u32;
        Error::internal(format!("onnx runtime error {number}: {message}"))
    }

    /// The outputs that any job of a group asks for, and all states.
    fn wanted<'j>(&'j self, group: &[&'j Job<'_>]) -> Vec<&'j str> {
        let asked = group.iter().flat_map(|job| &job.outputs);
        let states = self.model.sequence.states.iter();
        let mut wanted: Vec<&str> = Vec::new();
        for name in asked.chain(states.map(|state| &state.output)) {
            if !wanted.contains(&name.as_str()) {
                wanted.push(name);
            }
        }
        wanted
    }

    fn run_options(&self, wanted: &[&str]) -> ort::Result<RunOptions<HasSelectedOutputs>> {
        let mut options = RunOptions::new()?;
        // A failed run is told to the client; the log is for those who look for something.
        if !log::enabled(log::Level::Verbose) {
            options.set_log_level(LogLevel::Fatal)?;
        }
        if let Some(arenas) = &self.arenas {
            options.set(SHRINK_ARENAS, arenas)?;
        }
        let none = OutputSelector::no_default();
        let selector = wanted
            .iter()
            .fold(none, |selector, name| selector.with(*name));
        Ok(options.with_outputs(selector))
    }

    /// The arenas give memory back at the end of a run, but not what the outputs lie in, gigabytes perhaps. Once these are gone, the
    /// end of a run that is over before its first node gives back the rest.
    fn give_back(&self) {
        let smallest = self.signature.smallest_inputs();
        let run = || {
            let inputs = smallest.iter().map(|(name, data_type, shape, data)| {
                Ok((Cow::from(*name), join(*data_type, shape, &[data])?))
            });
            let inputs = inputs.collect::<ort::Result<SessionInputs<'_>>>()?;
            let output = self.signature.outputs.first();
            let wanted: Vec<&str> = output.iter().map(|output| output.name.as_str()).collect();
            let options = self.run_options(&wanted)?;
            options.terminate()?;
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            session.run_with_options(inputs, &options).map(drop)
        };
        // It ends in an error, as it is meant to.
        drop(guard(|| Ok(run())));
    }

    /// Hands the states to the server before the response is sent: the sequence's next request may come at once.
    fn keep_states(&self, request: &mut Request, answer: Answer) -> Result<Response, Error> {
        if let Ok(outputs) = &*answer.outputs {
            for output in outputs {
                if self.model.sequence.keeps(output.name()) {
                    output.keep(request, answer.rows)?;
                }
            }
        }
        Ok(answer.response)
    }

    /// Writes a job's rows of the outputs it asked for.
    fn respond(&self, job: &Job<'_>, rows: Rows, outputs: &Arc<Outputs>) -> Result<Answer, Error> {
        let all = match &**outputs {
            Ok(outputs) => outputs,
            Err(error) => return Err(Error::new(error.code(), error.to_string())),
        };
        let write = || {
            let mut response = job.request.response()?;
            for output in all {
                if job.outputs.iter().any(|name| name == output.name()) {
                    output.write(&mut response, rows)?;
                }
            }
            Ok(response)
        };
        Ok(Answer {
            response: guard(write).map_err(|error| self.named(error))?,
            outputs: Arc::clone(outputs),
            rows,
        })
    }
}
