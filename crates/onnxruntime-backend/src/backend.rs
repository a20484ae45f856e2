//! The backend: what all models share.

use serde_json::Value;
use triton_backend::{Backend, BackendContext, Error, Model, ModelContext};

use crate::execute::OnnxInstance;
use crate::model::OnnxModel;
use crate::session::Runtime;

/// The backend `onnxruntime`.
pub(crate) struct OnnxBackend {
    pub(crate) runtime: &'static Runtime,
    /// For models whose config leaves `max_batch_size` open.
    pub(crate) default_max_batch_size: i32,
}

const DEFAULT_MAX_BATCH_SIZE: &str = "default-max-batch-size";

impl Backend for OnnxBackend {
    type Model = OnnxModel;

    fn new(context: &BackendContext) -> Result<Self, Error> {
        let default_max_batch_size = match context.setting(DEFAULT_MAX_BATCH_SIZE) {
            None => 4,
            Some(text) => text.parse().map_err(|_| {
                Error::parameter(
                    DEFAULT_MAX_BATCH_SIZE,
                    format!("'{text}' is not a whole number"),
                )
            })?,
        };
        Ok(Self {
            runtime: Runtime::get(context)?,
            default_max_batch_size,
        })
    }
}

impl Model for OnnxModel {
    type Backend = OnnxBackend;
    type Instance = OnnxInstance;

    fn new(backend: &OnnxBackend, context: &ModelContext) -> Result<Self, Error> {
        Self::load(backend.runtime, context)
    }

    fn complete_config(
        backend: &OnnxBackend,
        context: &ModelContext,
    ) -> Result<Option<Value>, Error> {
        Self::complete_config(backend.runtime, backend.default_max_batch_size, context)
    }
}
