//! The component: recordings wait for a thread, which transcribes one after the other.

use std::sync::Arc;
use std::time::Instant;

use triton_backend::{Batch, Error, ModelContext, Request, guard};

use super::model::Model;
use super::options::RECORDINGS_AT_A_TIME;
use super::recording::transcribe;
use crate::component::{Component, Worker};
use crate::pipelines::options::Waiting;
use crate::pipelines::scheduler::admission::Permit;
use crate::pipelines::scheduler::queue::{is_late, late};
use crate::pool::Pool;

/// The loaded component.
struct Transcribe {
    model: Arc<Model>,
    door: Waiting,
    threads: Pool,
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    Ok(Arc::new(Transcribe {
        model: Arc::new(Model::load(context)?),
        door: Waiting::load(context)?,
        threads: Pool::new(RECORDINGS_AT_A_TIME.read(context)?)?,
    }))
}

impl Transcribe {
    /// Lets a request wait for a thread.
    fn take(&self, request: Request) {
        let (rows, bytes) = self.model.reader.waiting(&request);
        let permit = match self.door.admit(rows, bytes) {
            Ok(permit) => permit,
            Err(error) => return request.fail(error),
        };
        let (deadline, model) = (request.deadline(), Arc::clone(&self.model));
        self.threads
            .run(move || answer(&model, request, deadline, permit));
    }
}

fn answer(model: &Model, request: Request, deadline: Option<Instant>, permit: Permit<2>) {
    if is_late(deadline) {
        return request.fail(late());
    }
    request.compute_starts();
    let outcome = guard(|| transcribe(model, &request, deadline));
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

impl Component for Transcribe {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }

    fn called(&self) -> Vec<&str> {
        let options = &self.model.options;
        let named = [&options.vad, &options.recogniser].map(String::as_str);
        named
            .into_iter()
            .chain(options.punctuation.as_deref())
            .collect()
    }
}

impl Worker for Arc<Transcribe> {
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            self.take(request);
        }
    }
}
