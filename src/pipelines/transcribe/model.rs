//! The component: recordings wait for a thread, which transcribes one after the other.

use std::sync::Arc;
use std::time::Instant;

use triton_backend::{Batch, Caller, DataType, Error, ModelContext, Request, guard};

use super::options::{Options, RECORDINGS_AT_A_TIME};
use super::recording::transcribe;
use super::result::check_outputs;
use crate::component::{Component, Worker};
use crate::pipelines::options::Waiting;
use crate::pipelines::scheduler::admission::Permit;
use crate::pipelines::scheduler::queue::late;
use crate::pool::Pool;
use crate::tensors::audio::{AudioReader, Names};

/// What is the same for all recordings.
pub(super) struct Model {
    pub(super) options: Options,
    pub(super) reader: AudioReader,
    pub(super) caller: Caller,
    /// Inputs that are handed on to the recogniser.
    pub(super) others: Vec<(String, DataType)>,
    /// What is new is told as soon as it is there.
    pub(super) decoupled: bool,
}

/// The loaded component.
struct Transcribe {
    model: Arc<Model>,
    door: Waiting,
    threads: Pool,
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let config = &context.config;
    if config.max_batch_size != 1 {
        let message = "max_batch_size is 1 here: a request has one recording".to_owned();
        return Err(Error::Config(message));
    }
    check_outputs(config)?;
    let options = Options::load(context)?;
    let names = &Names::PIPELINE;
    let audio = [
        names.wav,
        names.wav_lens,
        names.sample_rate,
        names.channel,
        names.audio,
    ];
    let others = config.input.iter();
    let others = others.filter(|input| !audio.contains(&input.name.as_str()));
    let others = others.map(|input| {
        let data_type = input.data_type().ok_or_else(|| {
            let (name, data_type) = (&input.name, &input.data_type_name);
            Error::Config(format!("input '{name}' has unknown type {data_type}"))
        })?;
        Ok((input.name.clone(), data_type))
    });
    let model = Model {
        others: others.collect::<Result<_, Error>>()?,
        reader: AudioReader::new(context, options.rate, names)?,
        caller: Caller::new(context)?,
        decoupled: context.config_json["model_transaction_policy"]["decoupled"] == true,
        options,
    };
    Ok(Arc::new(Transcribe {
        model: Arc::new(model),
        door: Waiting::load(context)?,
        threads: Pool::new(RECORDINGS_AT_A_TIME.read(context)?)?,
    }))
}

impl Transcribe {
    /// Lets a request wait for a thread.
    fn take(&self, request: Request) {
        let (rows, bytes) = self.model.reader.waiting(&request);
        let held = self.model.options.held().saturating_mul(size_of::<f32>());
        let permit = match self.door.admit(rows, bytes.saturating_add(held)) {
            Ok(permit) => permit,
            Err(error) => return request.fail(error),
        };
        let (deadline, model) = (request.deadline(), Arc::clone(&self.model));
        self.threads
            .run(move || model.answer(request, deadline, permit));
    }
}

impl Model {
    fn answer(&self, request: Request, deadline: Option<Instant>, permit: Permit<2>) {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return request.fail(late());
        }
        request.compute_starts();
        let outcome = guard(|| transcribe(self, &request, deadline));
        request.compute_ends();
        // Before the answer: whoever has that may send the next request.
        drop(permit);
        match outcome {
            Ok((told, progress)) => request.answer(|request| {
                let mut response = request.response()?;
                told.write(&mut response, |name| request.wants(name), progress)?;
                Ok(response)
            }),
            Err(error) => request.fail(error),
        }
    }
}

impl Component for Transcribe {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl Worker for Arc<Transcribe> {
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            self.take(request);
        }
    }
}
