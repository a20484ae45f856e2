//! The backend: what all models share.

use triton_backend::{Backend, BackendContext, Error};

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
