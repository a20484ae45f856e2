//! The calls of one server.

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;

use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::messages::*;
use crate::traces::Traced;
use crate::trail::Trail;

/// A long recording's document may have many megabytes; the default limit is four.
const LARGEST_ANSWER: usize = 512 << 20;
const CONNECTING: Duration = Duration::from_secs(3);
/// A connection on which nothing is answered for so long is given up, so a machine that vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The header with a sequence's number: deploy/haproxy.cfg looks at it.
const SEQUENCE: &str = "triton-sequence";

/// A server, by gRPC. Cheap to clone; all clones share a connection.
#[derive(Debug, Clone)]
pub(super) struct Client {
    grpc: Grpc<Channel>,
    address: Arc<str>,
}

impl Client {
    /// For `host:port`. Connects when it is first needed, and again after a connection broke.
    ///
    /// # Errors
    /// If it is no address.
    pub(super) fn new(address: &str) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(CONNECTING)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(false)
            // Large files go out at the network's pace instead of 64 kB a round trip.
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20);
        let grpc = Grpc::new(endpoint.connect_lazy()).max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self {
            grpc,
            address: address.into(),
        })
    }

    async fn unary<Q, R>(&self, path: &'static str, request: Request<Q>) -> Result<R, Status>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc.clone();
        ready(&mut grpc).await?;
        let path = PathAndQuery::from_static(path);
        let answer = grpc.unary(request, path, ProstCodec::default());
        Ok(answer.await?.into_inner())
    }

    pub(super) async fn ready(&self) -> Result<bool, Status> {
        let answer: ServerReadyResponse = self
            .unary(SERVER_READY, Request::new(ServerReadyRequest {}))
            .await?;
        Ok(answer.ready)
    }

    /// The models that are ready.
    pub(super) async fn models(&self) -> Result<Vec<ModelIndex>, Status> {
        let request = Request::new(RepositoryIndexRequest { ready: true });
        let answer: RepositoryIndexResponse = self.unary(REPOSITORY_INDEX, request).await?;
        Ok(answer.models)
    }

    pub(super) async fn config(&self, model: &str) -> Result<ModelConfig, Status> {
        let name = model.to_owned();
        let answer: ModelConfigResponse = self
            .unary(MODEL_CONFIG, Request::new(ModelConfigRequest { name }))
            .await?;
        Ok(answer.config.unwrap_or_default())
    }

    pub(super) async fn infer(
        &self,
        request: ModelInferRequest,
    ) -> Result<ModelInferResponse, Status> {
        let (request, call) = self.of_the_trail("ModelInfer", request);
        let answer = self.unary(MODEL_INFER, request).await;
        answer.inspect_err(|status| call.failed(status))
    }

    /// The same for a part of a sequence; a balancer in between knows by a header which server has it.
    pub(super) async fn infer_part(
        &self,
        request: ModelInferRequest,
        sequence: i64,
    ) -> Result<ModelInferResponse, Status> {
        let (mut request, call) = self.of_the_trail("ModelInfer", request);
        request.metadata_mut().insert(SEQUENCE, sequence.into());
        let answer = self.unary(MODEL_INFER, request).await;
        answer.inspect_err(|status| call.failed(status))
    }

    /// One request to a decoupled model; its answers until there is none any more.
    pub(super) async fn stream(&self, request: ModelInferRequest) -> Result<Answers, Status> {
        let (request, call) = self.of_the_trail("ModelStreamInfer", request);
        let mut grpc = self.grpc.clone();
        let answers = async {
            ready(&mut grpc).await?;
            let path = PathAndQuery::from_static(MODEL_STREAM_INFER);
            let requests = request.map(tokio_stream::once);
            grpc.streaming(requests, path, ProstCodec::default()).await
        };
        let answers = answers.await.inspect_err(|status| call.failed(status))?;
        Ok(Answers {
            answers: answers.into_inner(),
            call,
        })
    }

    /// A request with the id and in the trace of what this task works on, and the call as a part of that.
    fn of_the_trail(
        &self,
        method: &'static str,
        mut request: ModelInferRequest,
    ) -> (Request<ModelInferRequest>, Traced) {
        let Some(trail) = Trail::current() else {
            return (Request::new(request), Traced::default());
        };
        let call = trail
            .traced
            .call(method, &request.model_name, &self.address);
        trail.id.as_ref().clone_into(&mut request.id);
        let mut request = Request::new(request);
        call.mark(request.metadata_mut());
        (request, call)
    }
}

/// The answers of a decoupled model.
#[derive(Debug)]
pub(super) struct Answers {
    answers: Streaming<ModelStreamInferResponse>,
    call: Traced,
}

impl Answers {
    /// The next one; nothing when all have come.
    pub(super) async fn next(&mut self) -> Result<Option<ModelStreamInferResponse>, Status> {
        let answer = self.answers.message().await;
        answer.inspect_err(|status| self.call.failed(status))
    }
}

async fn ready(grpc: &mut Grpc<Channel>) -> Result<(), Status> {
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))
}
