//! What can be wrong with a file.

use std::io;

/// A file that is not ONNX, or not readable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is written to meanwhile, or was replaced.
    #[error(
        "the file had {before} bytes when it was read, and has {now} now; try again once nobody writes to it"
    )]
    Changed {
        /// Its size before.
        before: u64,
        /// Its size now.
        now: u64,
    },
    /// The bytes are no ONNX model.
    #[error("it is not an ONNX file: {0}")]
    NotOnnx(String),
    /// Two edits cannot be made together.
    #[error("two of its edits {0}")]
    Conflict(&'static str),
}

pub(crate) type Result<T> = std::result::Result<T, OnnxError>;

pub(crate) fn not_onnx<T>(reason: impl Into<String>) -> Result<T> {
    Err(OnnxError::NotOnnx(reason.into()))
}
