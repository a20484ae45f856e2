//! `libtriton_faulty.so`: a model that passes its requests on to another model of the same server, and fails or holds some of
//! them on the way. The tests put it in the place of an encoder or decoder.
//!
//! | parameter | |
//! |---|---|
//! | `target` | the model that does the work |
//! | `fail_every` | every so many requests, counted over the model's life, one fails |
//! | `poison_input`, `poison` | a request fails when a row of this input holds these numbers, comma-separated, in any place that begins a vector of the row |
//! | `error`, `code` | what poisoned requests are told: a message, and `INVALID_ARGUMENT` or `INTERNAL`, the default |
//! | `whole_batches` | true: a poisoned request fails all others of its execution, too |
//! | `spoil` | poisoned rows, or all rows if nothing is called poison, do not fail: this output of theirs is NaN |
//! | `hold_while` | a file: as long as it is there, requests wait. Each that does has an empty file beside it, `FILE.TARGET.NUMBER` |
//! | `nan_output` | the first number of this output is NaN |
//! | `delay_ms` | how long each request waits anyway |
//! | `execution_ms` | how long each execution keeps its instance, before anything else |
#![forbid(unsafe_code)]
// Without the entry points, which a test binary cannot have, nothing uses the model.
#![cfg_attr(test, allow(dead_code))]

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use triton_backend::{
    Backend, BackendContext, Batch, Call, Caller, DataType, Error, ErrorCode, Instance,
    InstanceContext, Model, ModelContext, Reply, Request, Response,
};

/// How often it is looked whether requests are still to be held. Each has a thread that looks: dozens of them must not take the
/// time that those need who go on meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Numbers computed in different company may differ by this much.
const NEARNESS: f32 = 1e-3;

struct Faulty;

struct FaultyModel {
    target: String,
    outputs: Vec<String>,
    fail_every: Option<u64>,
    poison: Option<(String, Vec<f32>)>,
    /// What poisoned requests are told.
    error: Error,
    whole_batches: bool,
    spoil: Option<String>,
    hold_while: Option<PathBuf>,
    nan_output: Option<String>,
    delay: Duration,
    execution: Duration,
    seen: AtomicU64,
    held: AtomicU64,
    caller: Caller,
}

struct FaultyInstance(Arc<FaultyModel>);

impl Backend for Faulty {
    type Model = FaultyModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for FaultyModel {
    type Backend = Faulty;
    type Instance = FaultyInstance;

    fn new(_: &Faulty, context: &ModelContext) -> Result<Self, Error> {
        let parameters = &context.config.parameters;
        let outputs = &context.config.output;
        let poison = match (parameters.text("poison_input"), parameters.text("poison")) {
            (Some(input), Some(numbers)) => Some((input.to_owned(), parsed(numbers)?)),
            _ => None,
        };
        let code = match parameters.text("code") {
            Some("INVALID_ARGUMENT") => ErrorCode::InvalidArgument,
            _ => ErrorCode::Internal,
        };
        let error = parameters.text("error").unwrap_or("a row is poisoned");
        Ok(Self {
            error: Error::new(code, error),
            whole_batches: parameters.flag("whole_batches")?.unwrap_or(false),
            spoil: parameters.text("spoil").map(str::to_owned),
            target: parameters.require("target")?.to_owned(),
            outputs: outputs.iter().map(|output| output.name.clone()).collect(),
            fail_every: parameters.get("fail_every")?,
            poison,
            hold_while: parameters.text("hold_while").map(PathBuf::from),
            nan_output: parameters.text("nan_output").map(str::to_owned),
            delay: Duration::from_millis(parameters.get("delay_ms")?.unwrap_or(0)),
            execution: Duration::from_millis(parameters.get("execution_ms")?.unwrap_or(0)),
            seen: AtomicU64::new(0),
            held: AtomicU64::new(0),
            caller: Caller::new(context)?,
        })
    }
}

impl Instance for FaultyInstance {
    type Model = FaultyModel;

    fn new(model: &Arc<FaultyModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self(Arc::clone(model)))
    }

    fn execute(&mut self, batch: Batch) {
        thread::sleep(self.0.execution);
        if self.0.whole_batches {
            let failed = batch
                .requests()
                .iter()
                .find_map(|request| self.0.rows_to_spoil(request).err());
            if let Some(error) = failed {
                return batch
                    .into_iter()
                    .for_each(|request| request.fail(error.clone()));
            }
        }
        for request in batch {
            let model = Arc::clone(&self.0);
            if model.hold_while.is_none() && model.delay.is_zero() {
                model.pass_on(request);
            } else {
                thread::spawn(move || {
                    model.wait();
                    model.pass_on(request);
                });
            }
        }
    }
}

impl FaultyModel {
    fn wait(&self) {
        thread::sleep(self.delay);
        let Some(gate) = &self.hold_while else {
            return;
        };
        let number = self.held.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}.{}.{number}", gate.display(), self.target);
        // A mark that cannot be made is missed by the test that looks for it.
        let _ = File::create(&mark);
        while gate.exists() {
            thread::sleep(LOOK_EVERY);
        }
        let _ = fs::remove_file(&mark);
    }

    /// Answers a request with what the target makes of it, unless it is one of those that fail.
    fn pass_on(self: Arc<Self>, request: Request) {
        match self.call(&request) {
            Ok((call, spoiled)) => {
                let model = Arc::clone(&self);
                self.caller.call(call, move |reply| {
                    request.answer(|request| model.answer(request, &reply?, &spoiled));
                });
            }
            Err(error) => request.fail(error),
        }
    }

    /// The call, and the rows whose answer is to be spoiled.
    fn call(&self, request: &Request) -> Result<(Call, Vec<usize>), Error> {
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if self
            .fail_every
            .is_some_and(|every| number.is_multiple_of(every))
        {
            return Err(Error::internal(format!("request {number} was to fail")));
        }
        let spoiled = self.rows_to_spoil(request)?;
        let mut call = Call::new(&self.target);
        for input in request.inputs()? {
            call = match input.data_type() {
                DataType::Fp32 => call.input(input.name(), input.shape(), input.read::<f32>()?),
                DataType::Int32 => call.input(input.name(), input.shape(), input.read::<i32>()?),
                other => return Err(Error::input(input.name(), format!("no {other:?} here"))),
            };
        }
        call = self.outputs.iter().fold(call, Call::output);
        let call = match request.sequence() {
            Ok(sequence) => call.sequence(sequence),
            Err(_) => call,
        };
        Ok((call, spoiled))
    }

    /// The rows whose answer is to be spoiled; an error if poison is to fail the request.
    fn rows_to_spoil(&self, request: &Request) -> Result<Vec<usize>, Error> {
        let rows = self.poisoned(request)?;
        match self.spoil.is_some() || rows.is_empty() {
            true => Ok(rows),
            false => Err(self.error.clone()),
        }
    }

    fn poisoned(&self, request: &Request) -> Result<Vec<usize>, Error> {
        let Some((name, poison)) = &self.poison else {
            let inputs = request.inputs()?;
            let rows = inputs.first().and_then(|input| input.batch_size());
            return Ok(match self.spoil {
                Some(_) => (0..rows.unwrap_or(1) as usize).collect(),
                None => Vec::new(),
            });
        };
        let input = request.input(name)?;
        let values = match input.data_type() {
            DataType::Int32 => input
                .read::<i32>()?
                .iter()
                .map(|&value| value as f32)
                .collect(),
            _ => input.read::<f32>()?.into_owned(),
        };
        let (Some(rows), Some(&vector)) = (input.batch_size(), input.shape().last()) else {
            return Ok(Vec::new());
        };
        let vector = vector.cast_unsigned() as usize;
        if vector < poison.len() {
            return Ok(Vec::new());
        }
        let near = |vector: &[f32]| {
            vector
                .iter()
                .zip(poison)
                .all(|(value, poison)| (value - poison).abs() < NEARNESS)
        };
        let rows = values.chunks(values.len() / rows as usize).enumerate();
        Ok(rows
            .filter(|(_, row)| row.chunks(vector).any(near))
            .map(|(place, _)| place)
            .collect())
    }

    fn answer(
        &self,
        request: &Request,
        reply: &Reply,
        spoiled: &[usize],
    ) -> Result<Response, Error> {
        let mut response = request.response()?;
        for name in &self.outputs {
            if !request.wants(name) {
                continue;
            }
            let output = reply.output(name)?;
            let shape = output.shape;
            match output.data_type {
                DataType::Fp32 => {
                    let values = response.output::<f32>(name, shape)?;
                    values.copy_from_slice(&output.read()?);
                    let row = values.len() / shape.first().map_or(1, |&rows| rows as usize);
                    for &place in spoiled.iter().filter(|_| self.spoil.as_ref() == Some(name)) {
                        values[place * row..][..row].fill(f32::NAN);
                    }
                    if self.nan_output.as_ref() == Some(name)
                        && let Some(first) = values.first_mut()
                    {
                        *first = f32::NAN;
                    }
                }
                DataType::Int32 => response
                    .output::<i32>(name, shape)?
                    .copy_from_slice(&output.read()?),
                DataType::Int64 => response
                    .output::<i64>(name, shape)?
                    .copy_from_slice(&output.read()?),
                other => return Err(Error::internal(format!("'{name}' is {other:?}"))),
            }
        }
        Ok(response)
    }
}

fn parsed(numbers: &str) -> Result<Vec<f32>, Error> {
    let parse = |number: &str| {
        let number = number.trim();
        number
            .parse()
            .map_err(|_| Error::parameter("poison", format!("'{number}' is not a number")))
    };
    numbers.split(',').map(parse).collect()
}

#[cfg(not(test))]
triton_backend::export_backend!(Faulty);
