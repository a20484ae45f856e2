//! How a config and an ONNX file disagree.

use triton_backend::DataType;

use crate::leniency::GROUP_BY_SHAPE;

/// How a config and an ONNX file disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Mismatch {
    #[error("the config's {kind} '{name}' is not in the ONNX file, which has {known}")]
    Unknown {
        kind: &'static str,
        name: String,
        known: String,
    },
    #[error(
        "the ONNX file needs input '{name}' ({needs}), which the config does not list; its inputs are {listed}"
    )]
    Unlisted {
        name: String,
        needs: String,
        listed: String,
    },
    #[error("{kind} '{name}': the config says {config}, the ONNX file has {file}")]
    DataType {
        kind: &'static str,
        name: String,
        config: String,
        file: DataType,
    },
    #[error("{kind} '{name}' is {found} in the ONNX file, which cannot be served")]
    NotServable {
        kind: &'static str,
        name: String,
        found: String,
    },
    #[error(
        "{kind} '{name}': max_batch_size is {max_batch_size}, so its first dimension must be variable in the ONNX file, \
         but its shape there is {file}; set max_batch_size: 0 and write the whole shape in dims, or export the model with a \
         variable batch dimension"
    )]
    NoBatch {
        kind: &'static str,
        name: String,
        max_batch_size: i32,
        file: String,
    },
    #[error(
        "{kind} '{name}': the ONNX file has the shape {file}, the config says {config}; write {right}"
    )]
    Shape {
        kind: &'static str,
        name: String,
        file: String,
        config: String,
        right: String,
    },
    #[error(
        "{kind} '{name}' is a scalar in the ONNX file, so the config can have no dimension but 1 there; it says {config}"
    )]
    Scalar {
        kind: &'static str,
        name: String,
        config: String,
    },
    #[error("input '{name}': {problem}")]
    Optional { name: String, problem: &'static str },
    #[error(
        "input '{name}' comes from the server, by sequence_batching; take it out of the config's input, and if there is no input \
         in the config, list those that clients send"
    )]
    Twice { name: String },
    #[error(
        "output '{name}' is a state too, which the official backend cannot split among the requests of a batch; take it out of the \
         config's output, or out of sequence_batching's state"
    )]
    StateAsOutput { name: String },
    #[error(
        "control input '{name}': behind the batch the ONNX file must have the shape [1] for it; its shape there is {file}"
    )]
    ControlShape { name: String, file: String },
    #[error(
        "input '{name}': allow_ragged_batch is not supported; with parameter {GROUP_BY_SHAPE}: true, requests of different shapes \
         run group by group"
    )]
    Ragged { name: String },
    #[error(
        "max_batch_size is {max_batch_size}, but the ONNX file cannot batch: {name} has shape {file}, and every first dimension would \
         have to be variable; set max_batch_size: 0"
    )]
    CannotBatch {
        max_batch_size: i32,
        name: String,
        file: String,
    },
    #[error("{0} is not supported")]
    NotSupported(&'static str),
}
