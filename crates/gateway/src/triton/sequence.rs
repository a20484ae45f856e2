//! A client's stream of audio on one server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::error::CallError;
use super::messages::{InferParameter, ModelInferRequest, ParameterChoice};
use super::server::{Lease, note};
use super::tensors::{Answer, Input};
use crate::metrics::Metrics;

/// A stream, all of which goes to one server.
#[derive(Debug)]
pub(crate) struct Sequence {
    model: String,
    id: i64,
    started: bool,
    lease: Lease,
}

impl Sequence {
    pub(super) fn new(model: &str, lease: Lease) -> Self {
        Self {
            model: model.to_owned(),
            id: id(),
            started: false,
            lease,
        }
    }

    /// Whether the server holds something of it.
    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    /// Where its server is.
    pub(crate) fn server(&self) -> &str {
        &self.lease.0.address
    }

    /// Whether its server is ready, and has its model.
    pub(crate) fn is_welcome(&self) -> bool {
        let models = self.lease.0.models();
        models.is_some_and(|models| models.contains_key(&self.model))
    }

    /// Sends the next chunk, and says whether it is the last.
    ///
    /// # Errors
    /// What the server says, or that it has gone. The stream is over then.
    pub(crate) async fn send(
        &mut self,
        inputs: &[Input],
        outputs: &[&str],
        end: bool,
        metrics: &Metrics,
    ) -> Result<Answer, CallError> {
        let start = !std::mem::replace(&mut self.started, true);
        let mut request = ModelInferRequest::of(&self.model, inputs, outputs);
        for (name, choice) in [
            ("sequence_id", ParameterChoice::Int64(self.id)),
            ("sequence_start", ParameterChoice::Bool(start)),
            ("sequence_end", ParameterChoice::Bool(end)),
        ] {
            let parameter = InferParameter {
                choice: Some(choice),
            };
            request.parameters.insert(name.to_owned(), parameter);
        }
        let server = &self.lease.0;
        let timer = metrics.chunk_seconds.start_timer();
        let answer = server.client.infer_part(request, self.id).await;
        timer.observe_duration();
        answer
            .map(|response| Answer::new(&self.model, response))
            .map_err(|status| {
                let error = CallError::of(&server.address, &status);
                note(server, &error, metrics);
                error
            })
    }
}

/// A number that clients beside this one hardly have; 0 would be no sequence. The protocol has 64 bits with a sign for it.
fn id() -> i64 {
    let random = getrandom::u64().unwrap_or_else(|_| {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        (now.as_nanos() as u64) ^ (NEXT.fetch_add(1, Ordering::Relaxed) << 48)
    });
    (random >> 1).max(1).cast_signed()
}
