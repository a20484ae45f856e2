#![doc = include_str!("../README.md")]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(feature = "ndarray")]
mod array;
mod backend;
mod batch;
mod call;
mod config;
mod context;
mod cuda;
mod element;
#[doc(hidden)]
pub mod entry;
mod error;
mod excerpt;
mod execution;
mod factory;
mod guard;
mod input;
mod instances;
mod linger;
pub mod log;
mod memory;
mod metrics;
mod model_metrics;
mod optional;
mod parameters;
mod phases;
mod promise;
mod request;
mod response;
mod sequence;
mod server;
mod state;
mod symbols;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod sys;
mod watch;

/// The crate of the types of 16-bit floating point numbers, for those who need no version of their own.
pub use half;
/// The crate of the arrays, for those who need no version of their own.
#[cfg(feature = "ndarray")]
pub use ndarray;

pub use backend::{Backend, Instance, Model};
pub use batch::Batch;
pub use call::{Call, CallHandle, Caller, Carried, Reply, ReplyOutput};
pub use config::{
    Accelerator, Control, ControlInput, DynamicBatching, EnsembleScheduling, EnsembleStep,
    ExecutionAccelerators, GraphOptimization, InstanceGroup, ModelConfig, Optimization, Reshape,
    SequenceBatching, StateConfig, TensorConfig,
};
pub use context::{BackendContext, InstanceContext, InstanceKind, ModelContext};
pub use element::{DataType, Element, element_count};
pub use error::{Error, ErrorCode};
pub use excerpt::{excerpt, shape_excerpt};
pub use guard::guard;
pub use input::{Input, Strings};
pub use memory::{with_room, zeroed};
pub use metrics::{Counter, Counters, Gauge, Gauges, Held, Histogram, Histograms};
pub use parameters::Parameters;
pub use promise::Promise;
pub use request::Request;
pub use response::Response;
pub use sequence::{CorrelationId, Sequence};
pub use server::Server;
pub use watch::Watch;
