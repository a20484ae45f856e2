//! Work that waits for a called model.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items in the order they came, and how many calls for them are under way.
pub(crate) struct Lane<T> {
    inner: Mutex<Inner<T>>,
    most_in_flight: usize,
}

struct Inner<T> {
    waiting: Vec<T>,
    in_flight: usize,
}

impl<T> Lane<T> {
    /// A lane of up to `most_in_flight` calls at a time.
    pub(crate) fn new(most_in_flight: usize) -> Self {
        let inner = Inner {
            waiting: Vec::new(),
            in_flight: 0,
        };
        Self {
            inner: Mutex::new(inner),
            most_in_flight,
        }
    }

    /// Lets items wait behind all others.
    pub(crate) fn push(&self, items: impl IntoIterator<Item = T>) {
        self.lock().waiting.extend(items);
    }

    /// Lets items wait before all others.
    pub(crate) fn push_front(&self, items: impl IntoIterator<Item = T>) {
        self.lock().waiting.splice(0..0, items);
    }

    /// Takes the items of the next call, if another may go out: those at the places that `choose` picks, in order, from
    /// the items waiting. Items that `drop_if` is true of are not computed. [`Lane::done`] says that the call is over.
    pub(crate) fn next(
        &self,
        drop_if: impl Fn(&T) -> bool,
        choose: impl FnOnce(&[T]) -> Vec<usize>,
    ) -> Option<Vec<T>> {
        let mut inner = self.lock();
        if inner.in_flight >= self.most_in_flight {
            return None;
        }
        inner.waiting.retain(|item| !drop_if(item));
        let places = choose(&inner.waiting);
        if places.is_empty() {
            return None;
        }
        inner.in_flight += 1;
        // From the last place to the first, so that the places stay right.
        let mut group: Vec<T> = places
            .into_iter()
            .rev()
            .map(|place| inner.waiting.remove(place))
            .collect();
        group.reverse();
        Some(group)
    }

    /// A call is over.
    pub(crate) fn done(&self) {
        let mut inner = self.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Items are moved in and out as a whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_go_out_in_order_as_long_as_calls_may() {
        let lane = Lane::new(1);
        lane.push([3, 1, 4, 1, 5]);
        let ones = |waiting: &[i32]| {
            let places = waiting.iter().enumerate();
            places
                .filter(|(_, item)| **item == 1)
                .map(|(place, _)| place)
                .collect()
        };
        assert_eq!(lane.next(|item| *item == 5, ones), Some(vec![1, 1]));
        assert_eq!(lane.next(|_| false, |_| vec![0]), None);
        lane.done();
        lane.push_front([9, 2]);
        assert_eq!(
            lane.next(|_| false, |waiting| (0..waiting.len()).collect()),
            Some(vec![9, 2, 3, 4])
        );
        lane.done();
        assert_eq!(
            lane.next(|_| false, |waiting| (0..waiting.len()).collect()),
            None
        );
    }
}
