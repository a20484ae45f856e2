//! An item that knows since when it waits.

use std::time::Instant;

use super::batch::Size;
use super::waiting::Item;

/// An item, and when it came.
pub(super) struct Timed<T> {
    pub(super) item: T,
    pub(super) came: Instant,
}

impl<T> Timed<T> {
    /// One that comes now.
    pub(super) fn now(item: T) -> Self {
        Self {
            item,
            came: Instant::now(),
        }
    }
}

impl<T: Item> Item for Timed<T> {
    fn size(&self) -> Size {
        self.item.size()
    }

    fn deadline(&self) -> Option<Instant> {
        self.item.deadline()
    }

    fn is_over(&self) -> bool {
        self.item.is_over()
    }
}
