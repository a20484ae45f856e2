//! The messages of KServe's `inference.GRPCInferenceService` and Triton's `model_config.proto`, as far as the gateway reads and writes
//! them: names, numbers and types are the protocol's. A reader of protocol buffers passes over fields that it does not know, so what
//! is left away here does no harm; nothing has to be compiled from `.proto` files.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;

/// The path of a call of the service.
macro_rules! path {
    ($call:literal) => {
        concat!("/inference.GRPCInferenceService/", $call)
    };
}

pub const SERVER_READY: &str = path!("ServerReady");
pub const REPOSITORY_INDEX: &str = path!("RepositoryIndex");
pub const MODEL_CONFIG: &str = path!("ModelConfig");
pub const MODEL_INFER: &str = path!("ModelInfer");
pub const MODEL_STREAM_INFER: &str = path!("ModelStreamInfer");

#[derive(Clone, PartialEq, Message)]
pub struct ServerReadyRequest {}

#[derive(Clone, PartialEq, Message)]
pub struct ServerReadyResponse {
    #[prost(bool, tag = "1")]
    pub ready: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct RepositoryIndexRequest {
    /// Models that are ready alone.
    #[prost(bool, tag = "2")]
    pub ready: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct RepositoryIndexResponse {
    #[prost(message, repeated, tag = "1")]
    pub models: Vec<ModelIndex>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelIndex {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelConfigRequest {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelConfigResponse {
    #[prost(message, optional, tag = "1")]
    pub config: Option<ModelConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelConfig {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub input: Vec<ModelTensor>,
    #[prost(message, repeated, tag = "6")]
    pub output: Vec<ModelTensor>,
    #[prost(message, optional, tag = "13")]
    pub sequence_batching: Option<Present>,
    #[prost(map = "string, message", tag = "14")]
    pub parameters: HashMap<String, ModelParameter>,
    #[prost(message, optional, tag = "15")]
    pub ensemble_scheduling: Option<ModelEnsembling>,
    #[prost(message, optional, tag = "19")]
    pub model_transaction_policy: Option<ModelTransactionPolicy>,
}

/// A message of which only counts that it is there.
#[derive(Clone, PartialEq, Message)]
pub struct Present {}

/// An input or an output.
#[derive(Clone, PartialEq, Message)]
pub struct ModelTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    /// `DataType` of `model_config.proto`.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelParameter {
    #[prost(string, tag = "1")]
    pub string_value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelEnsembling {
    #[prost(message, repeated, tag = "1")]
    pub step: Vec<EnsembleStep>,
}

#[derive(Clone, PartialEq, Message)]
pub struct EnsembleStep {
    #[prost(string, tag = "1")]
    pub model_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelTransactionPolicy {
    #[prost(bool, tag = "1")]
    pub decoupled: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelInferRequest {
    #[prost(string, tag = "1")]
    pub model_name: String,
    /// Told in the server's log and traces.
    #[prost(string, tag = "3")]
    pub id: String,
    #[prost(map = "string, message", tag = "4")]
    pub parameters: HashMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub inputs: Vec<InferTensor>,
    #[prost(message, repeated, tag = "6")]
    pub outputs: Vec<RequestedOutput>,
    /// The inputs' elements, little-endian, in their order; a string is its length in 32 bits and its bytes.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub raw_input_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub struct InferTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RequestedOutput {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct InferParameter {
    #[prost(oneof = "ParameterChoice", tags = "1, 2, 3")]
    pub choice: Option<ParameterChoice>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ParameterChoice {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(int64, tag = "2")]
    Int64(i64),
    #[prost(string, tag = "3")]
    String(String),
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelInferResponse {
    #[prost(map = "string, message", tag = "4")]
    pub parameters: HashMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<InferTensor>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub raw_output_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelStreamInferResponse {
    #[prost(string, tag = "1")]
    pub error_message: String,
    #[prost(message, optional, tag = "2")]
    pub infer_response: Option<ModelInferResponse>,
}
