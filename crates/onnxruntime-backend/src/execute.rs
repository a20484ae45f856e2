//! Execution: requests become as few runs as their shapes allow, and each gets its own answer.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use ort::logging::LogLevel;
use ort::session::{OutputSelector, RunOptions, Session, SessionInputValue};
use triton_backend::{
    Batch, Error, ErrorCode, Instance, InstanceContext, Request, Response, guard, log,
};

use crate::describe;
use crate::group::group_equal;
use crate::model::{OnnxModel, SharedSession};
use crate::session::one_line;
use crate::signature::{Signature, Tensor};
use crate::tensor::{Data, Output, Rows, join};

/// An instance of a model.
pub(crate) struct OnnxInstance {
    model: Arc<OnnxModel>,
    session: SharedSession,
    signature: Signature,
}

/// What a request brings to a run.
struct Job<'r> {
    /// Its place in the batch.
    index: usize,
    request: &'r Request,
    /// The rows it has, if the model batches.
    rows: usize,
    inputs: Vec<Given<'r>>,
    outputs: Vec<String>,
}

/// An input that a request brings.
struct Given<'r> {
    tensor: usize,
    shape: &'r [i64],
    data: Data<'r>,
}

/// Jobs that run as one.
type Group<'j, 'r> = Vec<&'j Job<'r>>;

/// What came of a run.
struct Run<'j, 'r> {
    group: Group<'j, 'r>,
    outputs: Result<Vec<Output>, Error>,
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
        })
    }

    fn execute(&mut self, batch: Batch) {
        let outcomes = self.answer(&batch);
        batch.finish(outcomes);
    }
}

impl OnnxInstance {
    /// One outcome per request, in order.
    fn answer(&self, batch: &Batch) -> Vec<Result<Response, Error>> {
        let mut outcomes: Vec<Option<Result<Response, Error>>> = Vec::new();
        let mut jobs = Vec::new();
        for (index, request) in batch.requests().iter().enumerate() {
            match guard(|| self.read(index, request)) {
                Ok(job) => {
                    jobs.push(job);
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Err(self.named(error)))),
            }
        }
        batch.compute_starts();
        let runs: Vec<Run<'_, '_>> = self
            .groups(&jobs)
            .into_iter()
            .flat_map(|group| self.run_group(group))
            .collect();
        batch.compute_ends();
        for run in runs {
            let mut start = 0;
            for job in &run.group {
                let outcome = guard(|| self.respond(job, start, &run.outputs));
                outcomes[job.index] = Some(outcome.map_err(|error| self.named(error)));
                start += job.rows;
            }
        }
        let unanswered = || Err(Error::internal("the request was not run"));
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(unanswered))
            .collect()
    }

    fn named(&self, error: Error) -> Error {
        error.context(format!("model '{}'", self.model.name))
    }

    fn batches(&self) -> bool {
        self.model.config.batches()
    }

    /// Reads a request and checks what would otherwise harm those it is batched with.
    fn read<'r>(&self, index: usize, request: &'r Request) -> Result<Job<'r>, Error> {
        if request.is_cancelled() {
            return Err(Error::new(
                ErrorCode::Cancelled,
                "the client took the request back",
            ));
        }
        let given = request.inputs()?;
        let mut inputs = Vec::with_capacity(self.signature.inputs.len());
        for (index, tensor) in self.signature.inputs.iter().enumerate() {
            let Some(input) = given.iter().find(|input| input.name() == tensor.name) else {
                if tensor.optional {
                    continue;
                }
                return Err(Error::MissingInput {
                    name: tensor.name.clone(),
                });
            };
            if let Ok(expected) = tensor.data_type
                && expected != input.data_type()
            {
                return Err(Error::DataType {
                    name: tensor.name.clone(),
                    got: input.data_type(),
                    expected,
                });
            }
            inputs.push(Given {
                tensor: index,
                shape: input.shape(),
                data: Data::read(input)?,
            });
        }
        Ok(Job {
            index,
            request,
            rows: self.rows(&inputs)?,
            inputs,
            outputs: request.requested_outputs()?,
        })
    }

    /// The rows that all inputs of a request agree on.
    fn rows(&self, inputs: &[Given<'_>]) -> Result<usize, Error> {
        if !self.batches() {
            return Ok(1);
        }
        let mut agreed: Option<i64> = None;
        for input in inputs {
            let first = input.shape.first().copied().unwrap_or(-1);
            if first < 0 || agreed.is_some_and(|agreed| agreed != first) {
                let expected = match agreed {
                    Some(rows) => format!("{rows} rows like the inputs before it"),
                    None => "a batch dimension".to_owned(),
                };
                return Err(Error::Shape {
                    name: self.tensor(input).name.clone(),
                    got: input.shape.to_vec(),
                    expected,
                });
            }
            agreed = Some(first);
        }
        Ok(agreed.map_or(1, |rows| usize::try_from(rows).unwrap_or(0)))
    }

    fn tensor(&self, input: &Given<'_>) -> &Tensor {
        &self.signature.inputs[input.tensor]
    }

    /// Jobs whose inputs differ in nothing but the number of rows go together.
    fn groups<'j, 'r>(&self, jobs: &'j [Job<'r>]) -> Vec<Group<'j, 'r>> {
        if !self.batches() {
            return jobs.iter().map(|job| vec![job]).collect();
        }
        let keys: Vec<Vec<(usize, &[i64])>> = jobs
            .iter()
            .map(|job| {
                let inputs = job.inputs.iter();
                inputs
                    .map(|input| (input.tensor, input.shape.get(1..).unwrap_or_default()))
                    .collect()
            })
            .collect();
        group_equal(&keys)
            .into_iter()
            .map(|group| group.into_iter().map(|index| &jobs[index]).collect())
            .collect()
    }

    /// Runs a group; if that fails, each of its jobs alone, so that the error falls on the one that caused it.
    fn run_group<'j, 'r>(&self, group: Group<'j, 'r>) -> Vec<Run<'j, 'r>> {
        let outputs = guard(|| self.run(&group));
        match outputs {
            Err(error) if group.len() > 1 => {
                triton_backend::verbose!(
                    "model '{}': {} requests run one by one, because together they fail: {error}",
                    self.model.name,
                    group.len()
                );
                group
                    .into_iter()
                    .map(|job| {
                        let group = vec![job];
                        let outputs = guard(|| self.run(&group));
                        Run { group, outputs }
                    })
                    .collect()
            }
            outputs => vec![Run { group, outputs }],
        }
    }

    fn run(&self, group: &[&Job<'_>]) -> Result<Vec<Output>, Error> {
        let mut wanted: Vec<&str> = Vec::new();
        for name in group.iter().flat_map(|job| &job.outputs) {
            if !wanted.contains(&name.as_str()) {
                wanted.push(name);
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let inputs = self.join(group)?;
        let options = self.run_options(&wanted).map_err(onnx_error)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = run(&mut session, inputs, &options).map_err(|error| {
            let inputs: Vec<String> = group.iter().flat_map(|job| self.describe(job)).collect();
            let request = match group.len() {
                1 => "the request's inputs",
                _ => "the inputs",
            };
            Error::new(
                onnx_code(&error),
                format!(
                    "ONNX Runtime: {}; {request}: {}",
                    one_line(&error),
                    inputs.join(", ")
                ),
            )
        })?;
        drop(session);
        let rows = self
            .batches()
            .then(|| group.iter().map(|job| job.rows).sum());
        outputs
            .into_iter()
            .map(|(name, value)| Output::new(&name, value, rows))
            .collect()
    }

    /// The group's inputs, each as one tensor.
    fn join<'j>(
        &'j self,
        group: &[&'j Job<'_>],
    ) -> Result<Vec<(Cow<'j, str>, SessionInputValue<'j>)>, Error> {
        let Some(first) = group.first() else {
            return Ok(Vec::new());
        };
        let mut joined = Vec::with_capacity(first.inputs.len());
        for (position, input) in first.inputs.iter().enumerate() {
            let tensor = self.tensor(input);
            let mut shape = input.shape.to_vec();
            if self.batches() {
                let rows: usize = group.iter().map(|job| job.rows).sum();
                shape[0] = i64::try_from(rows).unwrap_or(i64::MAX);
            }
            let parts: Vec<&Data<'_>> =
                group.iter().map(|job| &job.inputs[position].data).collect();
            let data_type = tensor.data_type.clone().map_err(Error::internal)?;
            let value = join(data_type, &shape, &parts)
                .map_err(|error| Error::input(&tensor.name, error.to_string()))?;
            joined.push((Cow::from(tensor.name.as_str()), value));
        }
        Ok(joined)
    }

    fn run_options(
        &self,
        wanted: &[&str],
    ) -> ort::Result<RunOptions<ort::session::HasSelectedOutputs>> {
        let mut options = RunOptions::new()?;
        // A failed run is told to the client; the log is for those who look for something.
        if !log::enabled(log::Level::Verbose) {
            options.set_log_level(LogLevel::Fatal)?;
        }
        if let Some(devices) = &self.model.options.shrink_arenas {
            options.set("memory.enable_memory_arena_shrinkage", devices)?;
        }
        let selector = wanted
            .iter()
            .fold(OutputSelector::no_default(), |selector, name| {
                selector.with(*name)
            });
        Ok(options.with_outputs(selector))
    }

    fn describe(&self, job: &Job<'_>) -> Vec<String> {
        job.inputs
            .iter()
            .filter_map(|input| {
                let tensor = self.tensor(input);
                let data_type = tensor.data_type.clone().ok()?;
                Some(describe::input(
                    &tensor.name,
                    data_type,
                    input.shape,
                    &input.data,
                ))
            })
            .collect()
    }

    /// Writes a job's rows of the outputs it asked for.
    fn respond(
        &self,
        job: &Job<'_>,
        start: usize,
        outputs: &Result<Vec<Output>, Error>,
    ) -> Result<Response, Error> {
        let outputs = outputs
            .as_ref()
            .map_err(|error| Error::new(error.code(), error.to_string()))?;
        let rows = match self.batches() {
            true => Rows::Range {
                start,
                end: start + job.rows,
            },
            false => Rows::All,
        };
        let mut response = job.request.response()?;
        for output in outputs {
            if job.outputs.iter().any(|name| name == output.name()) {
                output.write(&mut response, rows)?;
            }
        }
        Ok(response)
    }
}

fn run(
    session: &mut Session,
    inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)>,
    options: &RunOptions<ort::session::HasSelectedOutputs>,
) -> ort::Result<Vec<(String, ort::value::DynValue)>> {
    let outputs = session.run_with_options(inputs, options)?;
    Ok(outputs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

fn onnx_error(error: ort::Error) -> Error {
    Error::new(
        onnx_code(&error),
        format!("ONNX Runtime: {}", one_line(&error)),
    )
}

fn onnx_code(error: &ort::Error) -> ErrorCode {
    match error.code() {
        ort::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        ort::ErrorCode::NotImplemented => ErrorCode::Unsupported,
        _ => ErrorCode::Internal,
    }
}
