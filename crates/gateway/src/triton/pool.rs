//! Several servers as one: a request goes to the ready one with least of ours to do, and to another if that one goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::Answers;
use super::error::CallError;
use super::messages::ModelInferRequest;
use super::model::Model;
use super::sequence::Sequence;
use super::server::{Lease, Server, note};
use super::tensors::{Answer, Input};
use crate::metrics::Metrics;

/// The servers.
#[derive(Debug)]
pub(crate) struct Pool {
    servers: Vec<Arc<Server>>,
    /// Where to begin among servers that have equally much to do.
    turn: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl Pool {
    /// For servers at `host:port`.
    ///
    /// # Errors
    /// If one is no address: which, and why.
    pub(crate) fn new(
        addresses: &[String],
        metrics: Arc<Metrics>,
    ) -> Result<Self, (String, tonic::transport::Error)> {
        let server = |address: &String| {
            let server = Server::new(address).map_err(|error| (address.clone(), error))?;
            Ok(Arc::new(server))
        };
        Ok(Self {
            servers: addresses.iter().map(server).collect::<Result<_, _>>()?,
            turn: AtomicUsize::new(0),
            metrics,
        })
    }

    /// Looks after the servers from here on, on the current runtime.
    pub(crate) fn watch(&self) {
        for server in &self.servers {
            tokio::spawn(Arc::clone(server).watch());
        }
    }

    /// All servers, ready or not.
    pub(crate) fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The models of all servers that are ready. Of two with the same name, the first server's.
    pub(crate) fn models(&self) -> BTreeMap<String, Model> {
        let mut all = BTreeMap::new();
        for models in self.servers.iter().filter_map(|server| server.models()) {
            for (name, model) in models.iter() {
                all.entry(name.clone()).or_insert_with(|| model.clone());
            }
        }
        all
    }

    /// Sends a recording to a server, and to others as long as one goes or has no room.
    ///
    /// # Errors
    /// What the last one said.
    pub(crate) async fn infer(
        &self,
        model: &str,
        inputs: &[Input],
        outputs: &[&str],
    ) -> Result<Answer, CallError> {
        let request = ModelInferRequest::of(model, inputs, outputs);
        let mut tried = Tried::default();
        loop {
            let lease = self.pick(model, &mut tried)?;
            let server = &lease.0;
            match server.client.infer(request.clone()).await {
                Ok(response) => return Ok(Answer::new(model, response)),
                Err(status) => tried.failed(server, &status, &self.metrics)?,
            }
        }
    }

    /// The same for a decoupled model. Once something was answered, no other server is asked.
    ///
    /// # Errors
    /// What the last one said.
    pub(crate) async fn segments(
        &self,
        model: &str,
        inputs: &[Input],
        outputs: &[&str],
    ) -> Result<Segments, CallError> {
        let request = ModelInferRequest::of(model, inputs, outputs);
        let mut tried = Tried::default();
        loop {
            let lease = self.pick(model, &mut tried)?;
            let server = Arc::clone(&lease.0);
            match server.client.stream(request.clone()).await {
                Err(status) => tried.failed(&server, &status, &self.metrics)?,
                Ok(answers) => {
                    let mut segments = Segments {
                        model: model.to_owned(),
                        answers,
                        first: None,
                        lease,
                    };
                    match segments.receive().await {
                        Ok(first) => {
                            segments.first = Some(first);
                            return Ok(segments);
                        }
                        Err(error) => tried.ended(&server, error, &self.metrics)?,
                    }
                }
            }
        }
    }

    /// Begins a stream, all of which goes to one server, at none of `avoided`.
    ///
    /// # Errors
    /// If no other server that is ready has the model.
    pub(crate) fn open(&self, model: &str, avoided: &[String]) -> Result<Sequence, CallError> {
        let mut tried = Tried {
            servers: avoided.to_vec(),
            last: None,
        };
        let lease = self.pick(model, &mut tried)?;
        Ok(Sequence::new(model, lease))
    }

    fn pick(&self, model: &str, tried: &mut Tried) -> Result<Lease, CallError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (late, early) = self.servers.split_at(turn % self.servers.len().max(1));
        let fitting = early.iter().chain(late).filter(|server| {
            !tried.servers.contains(&server.address)
                && server
                    .models()
                    .is_some_and(|models| models.contains_key(model))
        });
        match fitting.min_by_key(|server| server.outstanding()) {
            Some(server) => {
                tried.servers.push(server.address.clone());
                Ok(server.lease())
            }
            None => Err(tried.last.take().unwrap_or_else(|| CallError::NoServer {
                model: model.to_owned(),
            })),
        }
    }
}

/// The servers that a request was sent to.
#[derive(Default)]
struct Tried {
    servers: Vec<String>,
    last: Option<CallError>,
}

impl Tried {
    fn failed(
        &mut self,
        server: &Server,
        status: &tonic::Status,
        metrics: &Metrics,
    ) -> Result<(), CallError> {
        self.ended(server, CallError::of(&server.address, status), metrics)
    }

    /// An error unless another server may be asked.
    fn ended(
        &mut self,
        server: &Server,
        error: CallError,
        metrics: &Metrics,
    ) -> Result<(), CallError> {
        note(server, &error, metrics);
        if !error.is_worth_another() {
            return Err(error);
        }
        metrics.moved.inc();
        self.last = Some(error);
        Ok(())
    }
}

/// The answers of a decoupled model.
#[derive(Debug)]
pub(crate) struct Segments {
    model: String,
    answers: Answers,
    first: Option<Option<Answer>>,
    lease: Lease,
}

impl Segments {
    /// The next answer; nothing when all have come.
    ///
    /// # Errors
    /// What the server said, or that it has gone.
    pub(crate) async fn next(&mut self) -> Result<Option<Answer>, CallError> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Result<Option<Answer>, CallError> {
        let address = &self.lease.0.address;
        let gone = |status| CallError::of(address, &status);
        loop {
            let Some(answer) = self.answers.next().await.map_err(gone)? else {
                return Ok(None);
            };
            if !answer.error_message.is_empty() {
                return Err(CallError::Refused {
                    code: code_of(&answer.error_message),
                    message: answer.error_message,
                });
            }
            // An answer without outputs says that nothing follows.
            match answer.infer_response {
                Some(response) if !response.outputs.is_empty() => {
                    return Ok(Some(Answer::new(&self.model, response)));
                }
                _ => {}
            }
        }
    }
}

/// In a stream an error is a text alone, in which some servers write the code.
fn code_of(message: &str) -> tonic::Code {
    use tonic::Code;
    const CODES: [(&str, Code); 4] = [
        ("[StatusCode.INVALID_ARGUMENT]", Code::InvalidArgument),
        ("[StatusCode.UNAVAILABLE]", Code::Unavailable),
        ("[StatusCode.NOT_FOUND]", Code::NotFound),
        ("[StatusCode.CANCELLED]", Code::Cancelled),
    ];
    let found = CODES.iter().find(|(name, _)| message.starts_with(name));
    found.map_or(Code::Unknown, |(_, code)| *code)
}
