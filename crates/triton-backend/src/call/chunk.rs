//! What a call's inputs are made of.

use std::ffi::c_void;

use crate::element::{Element, as_bytes};

/// Values of any element type, as the server takes them.
pub(super) trait Data: std::fmt::Debug + Send {
    /// Where they are, which stays the same.
    fn chunk(&self) -> Chunk;
}

/// Some bytes of a tensor.
pub(super) struct Chunk {
    pub(super) start: *const c_void,
    pub(super) size: usize,
    /// The GPU whose memory they are in.
    pub(super) gpu: Option<i32>,
}

impl Chunk {
    pub(super) fn on_host(bytes: &[u8]) -> Self {
        Self {
            start: bytes.as_ptr().cast(),
            size: bytes.len(),
            gpu: None,
        }
    }
}

impl<T: Element + std::fmt::Debug> Data for Vec<T> {
    fn chunk(&self) -> Chunk {
        Chunk::on_host(as_bytes(self))
    }
}
