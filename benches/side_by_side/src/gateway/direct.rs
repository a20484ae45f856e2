//! A client that asks a server itself, by gRPC over one connection.

use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::Result;
use hyper::http::uri::PathAndQuery;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use triton_funasr_gateway::messages::{MODEL_INFER, ModelInferRequest, ModelInferResponse};

/// A connection that stays open.
pub(super) struct Direct {
    runtime: Runtime,
    grpc: Grpc<Channel>,
}

impl Direct {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let endpoint = Endpoint::from_str(&format!("http://{address}"))?.tcp_nodelay(true);
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Self {
            runtime,
            grpc: Grpc::new(channel),
        })
    }

    pub(super) fn infer(&mut self, request: ModelInferRequest) -> Result<ModelInferResponse> {
        let Self { runtime, grpc } = self;
        let answer = async {
            grpc.ready().await?;
            let path = PathAndQuery::from_static(MODEL_INFER);
            let request = tonic::Request::new(request);
            let answer = grpc.unary(request, path, ProstCodec::default()).await?;
            anyhow::Ok(answer.into_inner())
        };
        runtime.block_on(answer)
    }
}
