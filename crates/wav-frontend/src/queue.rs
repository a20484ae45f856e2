//! A queue whose content is one slice.

use std::collections::TryReserveError;

/// Values appended at the end and dropped at the front, always readable as one slice.
///
/// Dropping costs as much as what is dropped, however much waits behind it, and the memory is bounded by what waits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Queue {
    values: Vec<f32>,
    /// Values at the front of `values` that are dropped already.
    start: usize,
}

/// Values for which memory is kept, as giving it back and taking it again at every chunk would cost more.
const KEPT: usize = 16_384;

impl Queue {
    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.values[self.start..]
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() - self.start
    }

    /// Makes room for `count` more values.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), TryReserveError> {
        self.values.try_reserve(count)
    }

    pub(crate) fn extend(&mut self, values: &[f32]) {
        self.values.extend_from_slice(values);
    }

    /// Appends `count` zeros.
    pub(crate) fn extend_zeros(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, 0.0);
    }

    /// Drops the first `count` values, or all if there are fewer.
    pub(crate) fn skip(&mut self, count: usize) {
        self.start += count.min(self.len());
        // What remains is moved only when as much was dropped since the last time.
        if self.start < self.len() {
            return;
        }
        self.values.drain(..self.start);
        self.start = 0;
        if self.values.len() < self.values.capacity() / 4 {
            self.values.shrink_to(KEPT.max(2 * self.values.len()));
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.values.capacity()
    }

    #[cfg(test)]
    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.values.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_what_was_put_in_less_what_was_dropped() {
        let (mut queue, mut put, mut dropped) = (Queue::default(), 0, 0);
        for round in 0..2_000 {
            let values: Vec<f32> = (put..put + round % 37).map(|value| value as f32).collect();
            queue.extend(&values);
            put += values.len();
            let count = (round * 7) % 41;
            dropped = (dropped + count).min(put);
            queue.skip(count);
            assert_eq!(queue.len(), put - dropped);
            let expected: Vec<f32> = (dropped..put).map(|value| value as f32).collect();
            assert_eq!(queue.as_slice(), expected, "round {round}");
        }
    }

    #[test]
    fn room_that_is_not_there_is_an_error() {
        let mut queue = Queue::default();
        queue.extend(&[1.0, 2.0]);
        assert!(queue.reserve(usize::MAX / 8).is_err());
        assert_eq!(queue.as_slice(), [1.0, 2.0]);
        queue.reserve(10_000).unwrap();
        let place = queue.as_ptr();
        queue.extend_zeros(10_000);
        assert_eq!(queue.as_ptr(), place);
    }

    #[test]
    fn memory_goes_with_the_content() {
        let mut queue = Queue::default();
        queue.extend_zeros(1_000_000);
        while queue.len() > 0 {
            queue.skip(999);
            let bound = KEPT.max(8 * queue.len());
            assert!(queue.capacity() <= bound, "{}", queue.capacity());
        }
    }
}
