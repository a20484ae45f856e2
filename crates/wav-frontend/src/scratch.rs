//! Memory for vectors.

use pulp::bytemuck::{self, Pod};

/// Numbers in a cache line.
const LINE: usize = 8;

/// A buffer that begins on a cache line, and only grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    values: Vec<f64>,
}

impl Scratch {
    /// Makes it at least `bytes` long.
    pub(crate) fn fit(&mut self, bytes: usize) {
        let len = bytes.div_ceil(LINE * size_of::<f64>()) * LINE + LINE;
        if self.values.len() < len {
            self.values.resize(len, 0.0);
        }
    }

    /// All of it as numbers of another kind.
    pub(crate) fn as_mut<T: Pod>(&mut self) -> &mut [T] {
        let start = self.values.as_ptr().align_offset(LINE * size_of::<f64>());
        let len = self.values.len() - LINE;
        bytemuck::cast_slice_mut(&mut self.values[start.min(LINE)..][..len])
    }
}
