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

pub(super) const SERVER_READY: &str = path!("ServerReady");
pub(super) const REPOSITORY_INDEX: &str = path!("RepositoryIndex");
pub(super) const MODEL_CONFIG: &str = path!("ModelConfig");
pub(super) const MODEL_INFER: &str = path!("ModelInfer");
pub(super) const MODEL_STREAM_INFER: &str = path!("ModelStreamInfer");

#[derive(Clone, PartialEq, Message)]
pub(super) struct ServerReadyRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ServerReadyResponse {
    #[prost(bool, tag = "1")]
    pub(super) ready: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RepositoryIndexRequest {
    /// Models that are ready alone.
    #[prost(bool, tag = "2")]
    pub(super) ready: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RepositoryIndexResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) models: Vec<ModelIndex>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelIndex {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelConfigRequest {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelConfigResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<ModelConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelConfig {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) input: Vec<ModelTensor>,
    #[prost(message, repeated, tag = "6")]
    pub(super) output: Vec<ModelTensor>,
    #[prost(message, optional, tag = "13")]
    pub(super) sequence_batching: Option<Present>,
    #[prost(map = "string, message", tag = "14")]
    pub(super) parameters: HashMap<String, ModelParameter>,
    #[prost(message, optional, tag = "15")]
    pub(super) ensemble_scheduling: Option<ModelEnsembling>,
    #[prost(message, optional, tag = "19")]
    pub(super) model_transaction_policy: Option<ModelTransactionPolicy>,
}

/// A message of which only counts that it is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Present {}

/// An input or an output.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelTensor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// `DataType` of `model_config.proto`.
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelParameter {
    #[prost(string, tag = "1")]
    pub(super) string_value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelEnsembling {
    #[prost(message, repeated, tag = "1")]
    pub(super) step: Vec<EnsembleStep>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnsembleStep {
    #[prost(string, tag = "1")]
    pub(super) model_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelTransactionPolicy {
    #[prost(bool, tag = "1")]
    pub(super) decoupled: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelInferRequest {
    #[prost(string, tag = "1")]
    pub(super) model_name: String,
    #[prost(map = "string, message", tag = "4")]
    pub(super) parameters: HashMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub(super) inputs: Vec<InferTensor>,
    #[prost(message, repeated, tag = "6")]
    pub(super) outputs: Vec<RequestedOutput>,
    /// The inputs' elements, little-endian, in their order; a string is its length in 32 bits and its bytes.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(super) raw_input_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct InferTensor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(super) shape: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestedOutput {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct InferParameter {
    #[prost(oneof = "ParameterChoice", tags = "1, 2, 3")]
    pub(super) choice: Option<ParameterChoice>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum ParameterChoice {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(int64, tag = "2")]
    Int64(i64),
    #[prost(string, tag = "3")]
    String(String),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelInferResponse {
    #[prost(map = "string, message", tag = "4")]
    pub(super) parameters: HashMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub(super) outputs: Vec<InferTensor>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub(super) raw_output_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelStreamInferResponse {
    #[prost(string, tag = "1")]
    pub(super) error_message: String,
    #[prost(message, optional, tag = "2")]
    pub(super) infer_response: Option<ModelInferResponse>,
}
