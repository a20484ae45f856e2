//! `libtriton_faulty.so`: a model that passes its requests on to another model of the same server, and fails or holds some of
//! them on the way. The tests put it in the place of an encoder or decoder.
//!
//! | parameter | |
//! |---|---|
//! | `target` | the model that does the work |
//! | `fail_every` | every so many requests, counted over the model's life, one fails |
//! | `poison_input`, `poison` | a request fails when a row of this input holds these numbers, comma-separated, in any place that begins a vector of the row |
//! | `hold_while` | a file: as long as it is there, requests wait. Each that does has an empty file beside it, `FILE.TARGET.NUMBER` |
//! | `nan_output` | the first number of this output is NaN |
//! | `delay_ms` | how long each request waits anyway |
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
    Backend, BackendContext, Batch, Call, Caller, DataType, Error, Input, Instance,
    InstanceContext, Model, ModelContext, Reply, Request, Response,
};

/// How often it is looked whether requests are still to be held.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Numbers computed in different company may differ by this much.
const NEARNESS: f32 = 1e-3;

struct Faulty;

struct FaultyModel {
    target: String,
    outputs: Vec<String>,
    fail_every: Option<u64>,
    poison: Option<(String, Vec<f32>)>,
    hold_while: Option<PathBuf>,
    nan_output: Option<String>,
    delay: Duration,
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
        Ok(Self {
            target: parameters.require("target")?.to_owned(),
            outputs: outputs.iter().map(|output| output.name.clone()).collect(),
            fail_every: parameters.get("fail_every")?,
            poison,
            hold_while: parameters.text("hold_while").map(PathBuf::from),
            nan_output: parameters.text("nan_output").map(str::to_owned),
            delay: Duration::from_millis(parameters.get("delay_ms")?.unwrap_or(0)),
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
            Ok(call) => {
                let model = Arc::clone(&self);
                self.caller.call(call, move |reply| {
                    request.answer(|request| model.answer(request, &reply?));
                });
            }
            Err(error) => request.fail(error),
        }
    }

    fn call(&self, request: &Request) -> Result<Call, Error> {
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if self
            .fail_every
            .is_some_and(|every| number.is_multiple_of(every))
        {
            return Err(Error::internal(format!("request {number} was to fail")));
        }
        let mut call = Call::new(&self.target);
        for input in request.inputs()? {
            self.check(&input)?;
            call = match input.data_type() {
                DataType::Fp32 => call.input(input.name(), input.shape(), input.read::<f32>()?),
                DataType::Int32 => call.input(input.name(), input.shape(), input.read::<i32>()?),
                other => return Err(Error::input(input.name(), format!("no {other:?} here"))),
            };
        }
        call = self.outputs.iter().fold(call, Call::output);
        Ok(match request.sequence() {
            Ok(sequence) => call.sequence(sequence),
            Err(_) => call,
        })
    }

    /// Whether the input is free of poison.
    fn check(&self, input: &Input<'_>) -> Result<(), Error> {
        let Some((name, poison)) = &self.poison else {
            return Ok(());
        };
        let vector = input.shape().last().map_or(0, |&size| size.cast_unsigned()) as usize;
        if name != input.name() || vector < poison.len() {
            return Ok(());
        }
        let near = |vector: &[f32]| {
            vector
                .iter()
                .zip(poison)
                .all(|(value, poison)| (value - poison).abs() < NEARNESS)
        };
        match input.read::<f32>()?.chunks(vector).any(near) {
            true => Err(Error::internal(format!("a row of '{name}' is poisoned"))),
            false => Ok(()),
        }
    }

    fn answer(&self, request: &Request, reply: &Reply) -> Result<Response, Error> {
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
