//! The component: requests of streams, each of which is a turn.

use std::sync::Arc;
use std::time::Duration;

use triton_backend::{Batch, Error, ModelContext, Request, guard};

use super::model::Model;
use super::session::Message;
use super::stream::Stream;
use super::turn::Turn;
use crate::component::{Component, Worker};
use crate::pipelines::options::Permit;
use crate::tensors::sequences::{Ends, Lease, Streams};

/// How often a chunk is copied: by the stream, and by each call.
const COPIES: usize = 4;
/// A live client sends a chunk every 600 ms or so.
const ENDS: Ends = Ends {
    patience: Duration::from_secs(2),
    first_step: false,
};

/// The loaded component.
struct TwoPass {
    model: Arc<Model>,
    streams: Streams<Box<Stream>>,
}

/// A request whose samples its stream has taken.
struct Begun {
    lease: Lease<Box<Stream>>,
    stream: Box<Stream>,
    permit: Permit,
    /// What `vad` is asked.
    message: Message,
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    Ok(Arc::new(TwoPass {
        model: Arc::new(Model::load(context)?),
        streams: Streams::new(context, &ENDS)?,
    }))
}

impl TwoPass {
    /// Takes a request up.
    fn take(&self, request: Request) {
        let Begun {
            lease,
            stream,
            permit,
            message,
        } = match guard(|| self.begin(&request)) {
            Ok(begun) => begun,
            Err(error) => return request.fail(error),
        };
        request.compute_starts();
        // The server would hold the first request of the next stream back until a last request is released, which would wait for this
        // one's second pass.
        let promise = match lease.ends() {
            true => request.release_early(),
            false => request.into(),
        };
        let turn = Turn {
            lease,
            stream,
            promise,
            permit,
        };
        let model = Arc::clone(&self.model);
        message.send(move |reply| {
            let next = Arc::clone(&model);
            model.pool.run(move || turn.go_on(&next, reply));
        });
    }

    fn begin(&self, request: &Request) -> Result<Begun, Error> {
        let model = &self.model;
        let leased = self.streams.lease(&request.sequence()?)?;
        let admit = |stream: Option<&Box<Stream>>| {
            let rate = stream.and_then(|stream| stream.sample_rate());
            let sizes = model.reader.chunk_sizes(request, rate)?;
            let length = sizes.lengths.iter().sum::<usize>();
            let permit = model
                .door
                .admit(request, &sizes, COPIES.saturating_mul(length))?;
            let chunk = model.reader.chunk(request, sizes)?;
            if let Some(stream) = stream {
                stream.check_rate(chunk.sample_rate)?;
            }
            let said = model
                .others
                .read(request, stream.map(|stream| &stream.said))?;
            Ok((permit, chunk, length, said))
        };
        let (lease, state, brought) = leased.read(request.is_cancelled(), admit)?;
        let (mut permit, chunk, length, said) = brought;
        permit.samples_are_read();
        let begins = state.is_none();
        let mut stream = state.unwrap_or_else(|| Box::new(Stream::new(model)));
        if let Err(error) = stream.reserve(length) {
            lease.refuse((!begins).then_some(stream));
            return Err(error);
        }
        stream.said = said;
        let message = stream.push(model, &chunk, lease.ends())?;
        Ok(Begun {
            lease,
            stream,
            permit,
            message,
        })
    }
}

impl Component for TwoPass {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }

    fn called(&self) -> Vec<&str> {
        let options = &self.model.options;
        let named = [&options.vad, &options.first_pass, &options.recogniser].map(String::as_str);
        named
            .into_iter()
            .chain(options.punctuation.as_deref())
            .collect()
    }
}

impl Worker for Arc<TwoPass> {
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            self.take(request);
        }
    }
}
