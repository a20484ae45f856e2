//! A server that speaks Triton's gRPC protocol and answers every request at once with the same text: behind it, what the gateway itself
//! takes is all that there is.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use triton_funasr_gateway::messages::*;

use super::material::{RECORDINGS, STREAMS};
use super::requests::{OUTPUT, string};

/// What it hears.
const TEXT: &str = "再见";
/// `DataType` of `model_config.proto`.
const FP32: i32 = 11;
const INT32: i32 = 8;
const STRING: i32 = 13;
/// In front of each message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Windows as wide as a server's.
const WINDOW: u32 = 16 << 20;

/// Stopped when it is dropped.
pub(super) struct StandIn {
    runtime: Option<Runtime>,
    pub(super) address: SocketAddr,
}

impl StandIn {
    pub(super) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(serve(listener));
        Ok(Self {
            runtime: Some(runtime),
            address,
        })
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            // A client that goes is no news.
            let _ = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let message = body.slice(PREFIX.min(body.len())..);
    let answered = reply(&path, message);
    let mut trailers = HeaderMap::new();
    // 0 is well, 12 is "unimplemented".
    let status = if answered.is_some() { "0" } else { "12" };
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body =
        Full::new(answered.unwrap_or_default()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// The answer's bytes with their prefix; nothing for a call that it does not know.
fn reply(path: &str, message: Bytes) -> Option<Bytes> {
    match path {
        SERVER_READY => Some(framed(&ServerReadyResponse { ready: true })),
        REPOSITORY_INDEX => {
            let models = [RECORDINGS, STREAMS].map(|name| ModelIndex {
                name: name.to_owned(),
                version: "1".to_owned(),
            });
            Some(framed(&RepositoryIndexResponse {
                models: models.to_vec(),
            }))
        }
        MODEL_CONFIG => {
            let name = ModelConfigRequest::decode(message).ok()?.name;
            Some(framed(&ModelConfigResponse {
                config: Some(config(&name)),
            }))
        }
        MODEL_INFER => Some(framed(&ModelInferResponse {
            outputs: vec![InferTensor {
                name: OUTPUT.to_owned(),
                datatype: "BYTES".to_owned(),
                shape: vec![1, 1],
            }],
            raw_output_contents: vec![string(TEXT.as_bytes())],
            ..ModelInferResponse::default()
        })),
        _ => None,
    }
}

fn config(name: &str) -> ModelConfig {
    let tensor = |(name, data_type): (&str, i32)| ModelTensor {
        name: name.to_owned(),
        data_type,
    };
    let is_stream = name == STREAMS;
    let inputs = if is_stream {
        [("WAV", FP32), ("WAV_LENS", INT32), ("SAMPLE_RATE", INT32)]
    } else {
        [("AUDIO", STRING), ("LANGUAGE", INT32), ("TEXT_NORM", INT32)]
    };
    ModelConfig {
        name: name.to_owned(),
        input: inputs.map(tensor).to_vec(),
        output: vec![tensor((OUTPUT, STRING))],
        sequence_batching: is_stream.then_some(Present {}),
        ..ModelConfig::default()
    }
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put(message.encode_to_vec().as_slice());
    bytes.freeze()
}
