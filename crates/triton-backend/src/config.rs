//! The model config as typed values, read from the JSON the server hands out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::{DataType, Error, Parameters, excerpt};

/// A model's config (`config.pbtxt`), as the server completed and normalised it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelConfig {
    /// The model's name.
    pub name: String,
    /// The older way to name a backend, e.g. `onnxruntime_onnx`.
    pub platform: String,
    /// The backend's name.
    pub backend: String,
    /// The most rows of a batch; 0: tensors have no batch dimension.
    pub max_batch_size: i32,
    /// The inputs.
    pub input: Vec<TensorConfig>,
    /// The outputs.
    pub output: Vec<TensorConfig>,
    /// Where and how often the model runs.
    pub instance_group: Vec<InstanceGroup>,
    /// The file in the version directory that holds the model.
    pub default_model_filename: String,
    /// Hints on how to run the model.
    pub optimization: Optimization,
    /// Present if the server batches requests of this model.
    pub dynamic_batching: Option<DynamicBatching>,
    /// Present if the server keeps the requests of a sequence together.
    pub sequence_batching: Option<SequenceBatching>,
    /// Present if the model is an ensemble.
    pub ensemble_scheduling: Option<EnsembleScheduling>,
    /// The free-form parameters.
    pub parameters: Parameters,
}

/// An input or output in a model config.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TensorConfig {
    /// The tensor's name.
    pub name: String,
    /// `TYPE_FP32`, `TYPE_STRING`, …; see [`TensorConfig::data_type`].
    #[serde(rename = "data_type")]
    pub data_type_name: String,
    /// The shape without the batch dimension; -1 is variable.
    #[serde(deserialize_with = "integers")]
    pub dims: Vec<i64>,
    /// The shape the backend sees in place of `dims`.
    pub reshape: Option<Reshape>,
    /// An input the client may leave out.
    pub optional: bool,
    /// Requests of different shapes may share an execution.
    pub allow_ragged_batch: bool,
}

impl TensorConfig {
    /// The data type, if it is one this crate knows.
    pub fn data_type(&self) -> Option<DataType> {
        DataType::from_config_name(&self.data_type_name)
    }

    /// The shape the backend sees, without the batch dimension.
    pub fn backend_dims(&self) -> &[i64] {
        self.reshape
            .as_ref()
            .map_or(&self.dims, |reshape| &reshape.shape)
    }
}

/// `reshape` of a tensor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Reshape {
    /// The shape the backend sees, without the batch dimension.
    #[serde(deserialize_with = "integers")]
    pub shape: Vec<i64>,
}

/// One entry of `instance_group`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InstanceGroup {
    /// `KIND_CPU`, `KIND_GPU`, `KIND_AUTO` or `KIND_MODEL`.
    pub kind: String,
    /// How many instances.
    pub count: i32,
    /// The GPUs, for `KIND_GPU`.
    pub gpus: Vec<i32>,
}

/// `optimization`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Optimization {
    /// Graph optimisation level.
    pub graph: Option<GraphOptimization>,
    /// Execution accelerators.
    pub execution_accelerators: Option<ExecutionAccelerators>,
}

/// `optimization.graph`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GraphOptimization {
    /// -1 basic, 1 extended, 2 disabled in ONNX Runtime's case; 0 all.
    pub level: i32,
}

/// `optimization.execution_accelerators`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ExecutionAccelerators {
    /// Accelerators for GPU instances, in order of preference.
    pub gpu_execution_accelerator: Vec<Accelerator>,
    /// Accelerators for CPU instances, in order of preference.
    pub cpu_execution_accelerator: Vec<Accelerator>,
}

/// One accelerator with its options.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Accelerator {
    /// E.g. `tensorrt`.
    pub name: String,
    /// Its options.
    pub parameters: BTreeMap<String, String>,
}

/// `dynamic_batching`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DynamicBatching {
    /// Sizes the batcher tries to reach.
    pub preferred_batch_size: Vec<i32>,
    /// How long a request may wait for company.
    #[serde(deserialize_with = "integer")]
    pub max_queue_delay_microseconds: i64,
}

/// `sequence_batching`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SequenceBatching {
    /// How long a sequence may be idle before the server ends it; 0 is the server's default, a second.
    #[serde(deserialize_with = "integer")]
    pub max_sequence_idle_microseconds: i64,
    /// Inputs through which the server tells a request's place in its sequence.
    pub control_input: Vec<ControlInput>,
    /// The implicit state.
    pub state: Vec<StateConfig>,
}

/// An input through which the server tells a request's place in its sequence.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ControlInput {
    /// The input's name.
    pub name: String,
    /// What it tells.
    pub control: Vec<Control>,
}

/// What a [`ControlInput`] tells.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Control {
    /// `CONTROL_SEQUENCE_START`, `CONTROL_SEQUENCE_CORRID`, …
    pub kind: String,
    /// Its type, where the config gives it one: `TYPE_UINT64`, …
    #[serde(rename = "data_type")]
    pub data_type_name: String,
}

impl SequenceBatching {
    /// How long a sequence may be idle before the server ends it.
    pub fn max_idle(&self) -> Duration {
        match u64::try_from(self.max_sequence_idle_microseconds) {
            Ok(0) | Err(_) => Duration::from_secs(1),
            Ok(microseconds) => Duration::from_micros(microseconds),
        }
    }
}

/// `ensemble_scheduling`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EnsembleScheduling {
    /// The models that the ensemble sends its requests through.
    pub step: Vec<EnsembleStep>,
}

/// One step of an ensemble.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EnsembleStep {
    /// The model.
    pub model_name: String,
}

/// A state that the server keeps between the requests of a sequence.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StateConfig {
    /// The input that brings the state of the request before.
    pub input_name: String,
    /// The name under which the next state is set.
    pub output_name: String,
    /// `TYPE_FP32`, …; see [`StateConfig::data_type`].
    #[serde(rename = "data_type")]
    pub data_type_name: String,
    /// The shape without the batch dimension; -1 is variable.
    #[serde(deserialize_with = "integers")]
    pub dims: Vec<i64>,
}

impl StateConfig {
    /// The data type, if it is one this crate knows.
    pub fn data_type(&self) -> Option<DataType> {
        DataType::from_config_name(&self.data_type_name)
    }
}

impl ModelConfig {
    /// Reads the JSON form of a config.
    ///
    /// # Errors
    /// If `json` is not a model config.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|error| {
            // The message may repeat a text of the config, and ends with its place.
            let message = error.to_string();
            let (line, column) = (error.line(), error.column());
            match excerpt(&message) {
                Cow::Borrowed(_) => Error::Config(message),
                Cow::Owned(cut) => Error::Config(format!("{cut} at line {line} column {column}")),
            }
        })
    }

    /// Whether tensors have a batch dimension.
    pub fn batches(&self) -> bool {
        self.max_batch_size > 0
    }

    /// The input called `name`.
    ///
    /// # Errors
    /// If the config has none.
    pub fn input(&self, name: &str) -> Result<&TensorConfig, Error> {
        find(&self.input, "input", name)
    }

    /// The output called `name`.
    ///
    /// # Errors
    /// If the config has none.
    pub fn output(&self, name: &str) -> Result<&TensorConfig, Error> {
        find(&self.output, "output", name)
    }
}

fn find<'c>(
    tensors: &'c [TensorConfig],
    kind: &str,
    name: &str,
) -> Result<&'c TensorConfig, Error> {
    tensors
        .iter()
        .find(|tensor| tensor.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
            Error::Config(format!("{kind} '{name}' is missing; there are {names:?}"))
        })
}

/// Protobuf's JSON writes 64-bit integers as strings, Triton's mostly as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer {
    Number(i64),
    Text(String),
}

impl Integer {
    fn value<E: serde::de::Error>(self) -> Result<i64, E> {
        match self {
            Self::Number(value) => Ok(value),
            Self::Text(text) => text.parse().map_err(E::custom),
        }
    }
}

fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Integer::deserialize(deserializer)?.value()
}

fn integers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    Vec::<Integer>::deserialize(deserializer)?
        .into_iter()
        .map(Integer::value)
        .collect()
}
