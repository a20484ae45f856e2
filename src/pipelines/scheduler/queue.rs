//! Work that waits for a called model, and what becomes of it when a call fails.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use triton_backend::{Error, ErrorCode};

/// Items in the order they came, and how many calls for them are under way.
///
/// No item is dropped under the lock: dropping one may answer a request.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    most_in_flight: usize,
}

struct Inner<T> {
    waiting: Vec<T>,
    /// Items that go before all others, each in a call that nothing else runs beside.
    alone: VecDeque<T>,
    in_flight: usize,
    /// The call under way is such a one.
    alone_in_flight: bool,
    closed: bool,
}

impl<T> Inner<T> {
    fn has_room(&self, most_in_flight: usize) -> bool {
        !self.closed && !self.alone_in_flight && self.in_flight < most_in_flight
    }
}

/// The items of one call.
#[derive(Debug, PartialEq)]
pub(crate) struct Group<T> {
    pub(crate) items: Vec<T>,
    /// It is one item, and no other call of the queue runs beside.
    alone: bool,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Settled<T, A> {
    /// It was answered.
    Answered(Vec<T>, A),
    /// It failed, and so did all of its items.
    Failed(Vec<T>, Error),
    /// It failed, and its items wait again, each for a call by itself.
    Repeated,
}

/// Whether a call's error can be the fault of one of its items. A callee that is overloaded, out of memory, broken or about to stop
/// is nobody's; calling it again for each item would only add to its load.
pub(crate) fn an_item_may_be_at_fault(error: &Error) -> bool {
    error.code() == ErrorCode::InvalidArgument
}

impl<T> Queue<T> {
    /// A queue of up to `most_in_flight` calls at a time.
    pub(crate) fn new(most_in_flight: usize) -> Self {
        let inner = Inner {
            waiting: Vec::new(),
            alone: VecDeque::new(),
            in_flight: 0,
            alone_in_flight: false,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            most_in_flight,
        }
    }

    /// Lets nothing out until [`Queue::open`].
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Lets items out.
    pub(crate) fn open(&self) {
        self.lock().closed = false;
    }

    /// Whether another call may go out.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().has_room(self.most_in_flight)
    }

    /// Lets items wait behind all others.
    pub(crate) fn push(&self, items: impl IntoIterator<Item = T>) {
        self.lock().waiting.extend(items);
    }

    /// Takes the items out that `gone` is true of: nobody wants them computed any more.
    pub(crate) fn remove(&self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        let mut inner = self.lock();
        let alone = std::mem::take(&mut inner.alone);
        let (mut removed, kept): (Vec<T>, Vec<T>) = alone.into_iter().partition(&gone);
        inner.alone = kept.into();
        removed.extend(inner.waiting.extract_if(.., |item| gone(item)));
        removed
    }

    /// Takes the items of the next call, if another may go out: those at the places that `choose` picks, in order, from
    /// the items waiting. [`Queue::settle`] says how it ended.
    pub(crate) fn next(&self, choose: impl FnOnce(&[T]) -> Vec<usize>) -> Option<Group<T>> {
        let mut inner = self.lock();
        if !inner.has_room(self.most_in_flight) {
            return None;
        }
        if !inner.alone.is_empty() {
            // The calls under way end first; nothing else goes out meanwhile.
            if inner.in_flight > 0 {
                return None;
            }
            let items = inner.alone.pop_front().into_iter().collect();
            inner.in_flight = 1;
            inner.alone_in_flight = true;
            return Some(Group { items, alone: true });
        }
        let places = choose(&inner.waiting);
        if places.is_empty() {
            return None;
        }
        inner.in_flight += 1;
        // From the last place to the first, so that the places stay right.
        let mut items: Vec<T> = places
            .into_iter()
            .rev()
            .map(|place| inner.waiting.remove(place))
            .collect();
        items.reverse();
        Some(Group {
            items,
            alone: false,
        })
    }

    /// Ends a call. If it failed and `doubtful` is true of its error, its items wait again, each for a call by itself, to find which is at
    /// fault: nothing else is under way then that the callee could put together with it. What fails so has its error.
    pub(crate) fn settle<A>(
        &self,
        group: Group<T>,
        answer: Result<A, Error>,
        doubtful: impl FnOnce(&Error) -> bool,
    ) -> Settled<T, A> {
        let Group { items, alone } = group;
        let mut inner = self.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        inner.alone_in_flight = false;
        match answer {
            Ok(answer) => Settled::Answered(items, answer),
            Err(error) if !alone && doubtful(&error) => {
                inner.alone.extend(items);
                Settled::Repeated
            }
            Err(error) => Settled::Failed(items, error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Items are moved in and out as a whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T>(waiting: &[T]) -> Vec<usize> {
        (0..waiting.len()).collect()
    }

    fn failed(code: ErrorCode) -> Result<(), Error> {
        Err(Error::new(code, "no"))
    }

    #[test]
    fn items_go_out_in_order_as_long_as_calls_may() {
        let queue = Queue::new(1);
        queue.push([3, 1, 4, 1, 5]);
        assert_eq!(queue.remove(|item| *item == 5), [5]);
        let ones = |waiting: &[i32]| {
            let places = waiting.iter().enumerate();
            places
                .filter(|(_, item)| **item == 1)
                .map(|(place, _)| place)
                .collect()
        };
        let group = queue.next(ones).unwrap();
        assert_eq!(group.items, [1, 1]);
        assert_eq!(queue.next(|_| vec![0]), None);
        queue.settle(group, Ok(()), an_item_may_be_at_fault);
        let group = queue.next(all).unwrap();
        assert_eq!(group.items, [3, 4]);
        queue.settle(group, Ok(()), an_item_may_be_at_fault);
        assert_eq!(queue.next(all), None);
    }

    #[test]
    fn items_of_a_call_that_one_may_be_to_blame_for_go_again_with_nothing_beside() {
        let queue = Queue::new(4);
        queue.push(["bad", "good"]);
        let first = queue.next(all).unwrap();
        queue.push(["other"]);
        let beside = queue.next(all).unwrap();
        queue.push(["last"]);
        let settled = queue.settle(
            first,
            failed(ErrorCode::InvalidArgument),
            an_item_may_be_at_fault,
        );
        assert!(matches!(settled, Settled::Repeated));
        // Not beside the call that is under way, and nothing overtakes them.
        assert_eq!(queue.next(all), None);
        queue.settle(beside, Ok(()), an_item_may_be_at_fault);
        let bad = queue.next(all).unwrap();
        assert_eq!(bad.items, ["bad"]);
        assert_eq!(queue.next(all), None);
        let settled = queue.settle(
            bad,
            failed(ErrorCode::InvalidArgument),
            an_item_may_be_at_fault,
        );
        assert!(matches!(settled, Settled::Failed(items, _) if items == ["bad"]));
        let good = queue.next(all).unwrap();
        assert_eq!(good.items, ["good"]);
        assert_eq!(queue.next(all), None);
        let settled = queue.settle(good, Ok(()), an_item_may_be_at_fault);
        assert!(matches!(settled, Settled::Answered(items, ()) if items == ["good"]));
        assert_eq!(queue.next(all).unwrap().items, ["last"]);
    }

    #[test]
    fn no_item_is_to_blame_for_a_callee_that_cannot() {
        for code in [
            ErrorCode::Unavailable,
            ErrorCode::Internal,
            ErrorCode::Cancelled,
            ErrorCode::NotFound,
            ErrorCode::Unknown,
        ] {
            let queue = Queue::new(4);
            queue.push([1, 2]);
            let group = queue.next(all).unwrap();
            let settled = queue.settle(group, failed(code), an_item_may_be_at_fault);
            assert!(
                matches!(settled, Settled::Failed(items, error) if items == [1, 2] && error.code() == code)
            );
            assert_eq!(queue.next(all), None);
        }
    }

    #[test]
    fn a_closed_lane_lets_nothing_out() {
        let queue = Queue::new(1);
        queue.close();
        queue.push([1]);
        assert_eq!(queue.next(all), None);
        queue.open();
        assert_eq!(queue.next(all).unwrap().items, [1]);
    }

    #[test]
    fn no_item_is_dropped_under_the_lock() {
        use std::rc::{Rc, Weak};

        /// Needs its queue when it is dropped, as a request does whose answer lets another one go out.
        struct Needy(Weak<Queue<Needy>>);
        impl Drop for Needy {
            fn drop(&mut self) {
                if let Some(queue) = self.0.upgrade() {
                    assert!(queue.inner.try_lock().is_ok());
                }
            }
        }
        let queue = Rc::new(Queue::new(1));
        queue.push([(); 3].map(|()| Needy(Rc::downgrade(&queue))));
        for code in [ErrorCode::InvalidArgument, ErrorCode::Internal] {
            let group = queue.next(|_| vec![0]).unwrap();
            drop(queue.settle(group, failed(code), an_item_may_be_at_fault));
        }
        assert_eq!(queue.remove(|_| true).len(), 2);
    }
}
