//! Copies of a request's inputs in page-locked memory.

use std::sync::{Mutex, PoisonError};

use super::pool::Piece;

/// What was copied from GPU memory on behalf of a request, there to be read until the request ends.
#[derive(Default)]
pub(crate) struct Staging(Mutex<Vec<Copied>>);

struct Copied {
    /// The address of the server's input.
    input: usize,
    memory: Piece,
}

impl Staging {
    /// Where the copy of an input begins, if there is one. It stays while this lives.
    pub(crate) fn find(&self, input: usize) -> Option<*const u8> {
        let copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copies
            .iter()
            .find(|copied| copied.input == input)
            .map(|copied| copied.memory.start().cast_const())
    }

    /// Keeps the copy of an input, and says where it begins.
    pub(crate) fn keep(&self, input: usize, memory: Piece) -> *const u8 {
        let start = memory.start().cast_const();
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copies.push(Copied { input, memory });
        start
    }
}
