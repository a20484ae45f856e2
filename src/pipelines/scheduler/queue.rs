//! Work that waits for a called model, and what becomes of it when a call fails.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use triton_backend::{Error, ErrorCode, Gauge, Histogram};

use super::batch::Limits;
use super::timed::Timed;
use super::waiting::{Item, Waiting};
use crate::metrics::TIMEOUT;

/// At how many items it is looked, whenever a call may go out, whether anybody still wants them.
const LOOKED_AT: usize = 64;

/// Items that wait, and how many calls for them are under way.
///
/// No item is dropped under the lock: dropping one may answer a request.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    meter: QueueMeter,
}

/// Who is told of what waits. The default tells nobody.
#[derive(Default)]
pub(crate) struct QueueMeter {
    /// Items that wait.
    pub(crate) length: Gauge,
    /// How long they waited for their first call, in seconds.
    pub(crate) wait: Histogram,
}

struct Inner<T> {
    waiting: Waiting<Timed<T>>,
    /// Items of failed calls. They go before all others, each of these parts in a call that nothing else runs beside.
    again: VecDeque<Vec<T>>,
    in_flight: usize,
    /// The call under way is such a one.
    alone_in_flight: bool,
    closed: bool,
}

/// The items of one call.
#[derive(Debug, PartialEq)]
pub(crate) struct Group<T> {
    pub(crate) items: Vec<T>,
    /// No other call of the queue runs beside.
    alone: bool,
}

/// What comes out of a queue.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken<T> {
    /// The next call, if another may go out. [`Queue::settle`] says how it ended.
    pub(crate) group: Option<Group<T>>,
    /// Items that are over, and so cost no call.
    pub(crate) over: Vec<T>,
    /// Items whose deadline is over.
    pub(crate) late: Vec<T>,
}

impl<T> Taken<T> {
    /// Whether nothing came out: there is nothing more to do.
    pub(crate) fn is_nothing(&self) -> bool {
        self.group.is_none() && self.over.is_empty() && self.late.is_empty()
    }
}

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Settled<T, A> {
    /// It was answered.
    Answered(Vec<T>, A),
    /// It failed, and so did all of its items.
    Failed(Vec<T>, Error),
    /// It failed, and its items wait again, for calls with nothing beside.
    Repeated,
}

/// Whether a call's error can be the fault of one of its items. A callee that is overloaded, out of memory, broken or about to stop
/// is nobody's; calling it again for each item would only add to its load.
pub(crate) fn an_item_may_be_at_fault(error: &Error) -> bool {
    error.code() == ErrorCode::InvalidArgument
}

/// Whether a client does not wait any more.
pub(crate) fn is_late(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// What an item is told whose deadline is over.
pub(crate) fn late() -> Error {
    Error::new(
        ErrorCode::Unavailable,
        "the request's timeout was over before it was its turn to be computed",
    )
    .because(TIMEOUT)
}

impl<T: Item> Queue<T> {
    /// An empty queue.
    pub(crate) fn new(meter: QueueMeter) -> Self {
        let inner = Inner {
            waiting: Waiting::default(),
            again: VecDeque::new(),
            in_flight: 0,
            alone_in_flight: false,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            meter,
        }
    }

    /// Lets no call out until [`Queue::open`].
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Lets calls out.
    pub(crate) fn open(&self) {
        self.lock().closed = false;
    }

    /// Lets items wait behind all others.
    pub(crate) fn push(&self, items: impl IntoIterator<Item = T>) {
        // The items are made before the lock is taken.
        let items: Vec<Timed<T>> = items.into_iter().map(Timed::now).collect();
        self.count(items.len(), 1);
        let mut inner = self.lock();
        items.into_iter().for_each(|item| inner.waiting.push(item));
    }

    /// Takes out what nobody wants computed any more, and the items of the next call, by age: the oldest and those nearest to it in
    /// length. To be asked again until it [is nothing](Taken::is_nothing).
    ///
    /// Looking for what is not wanted costs at most a few items' time beyond those found, however many wait; an item that is
    /// not found so is when its call would go out.
    pub(crate) fn next(&self, limits: &Limits) -> Taken<T> {
        let now = Instant::now();
        let mut inner = self.lock();
        let mut late = Vec::new();
        while late.len() < LOOKED_AT
            && let Some(item) = inner.waiting.take_late(now)
        {
            late.push(item.item);
        }
        let over = inner.waiting.look(LOOKED_AT).into_iter();
        let mut over: Vec<T> = over.map(|timed| timed.item).collect();
        let mut left = late.len() + over.len();
        let mut came = Vec::new();
        let group = inner.group(limits).and_then(|out| {
            let Out {
                items,
                alone,
                came: out_came,
            } = out;
            left += items.len();
            came = out_came;
            let (gone, items): (Vec<T>, Vec<T>) = items.into_iter().partition(Item::is_over);
            over.extend(gone);
            let is_late = |item: &T| item.deadline().is_some_and(|deadline| deadline <= now);
            let (gone, items): (Vec<T>, Vec<T>) = items.into_iter().partition(is_late);
            late.extend(gone);
            (!items.is_empty()).then_some(Group { items, alone })
        });
        if let Some(group) = &group {
            inner.in_flight += 1;
            inner.alone_in_flight = group.alone;
        }
        drop(inner);
        self.count(left, -1);
        for came in came {
            let waited = now.saturating_duration_since(came);
            self.meter.wait.observe(waited.as_secs_f64());
        }
        Taken { group, over, late }
    }

    /// Ends a call. If it failed and `doubtful` is true of its error, its halves wait again, each for a call of its own, to find which
    /// item is at fault: nothing else is under way then that the callee could put together with it. An item that fails so by
    /// itself has its error. So one that is at fault among `n` costs twice the logarithm of `n` in calls, and not `n`.
    pub(crate) fn settle<A>(
        &self,
        group: Group<T>,
        answer: Result<A, Error>,
        doubtful: impl FnOnce(&Error) -> bool,
    ) -> Settled<T, A> {
        let Group { mut items, alone } = group;
        let repeat = match &answer {
            Ok(_) => false,
            Err(error) => !(alone && items.len() <= 1) && doubtful(error),
        };
        let half = items.len().div_ceil(2);
        let again = if repeat { items.len() } else { 0 };
        let second = repeat.then(|| items.split_off(half));
        self.count(again, 1);
        let mut inner = self.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        inner.alone_in_flight = false;
        match (answer, second) {
            (Ok(answer), _) => Settled::Answered(items, answer),
            (Err(error), None) => Settled::Failed(items, error),
            (Err(_), Some(second)) => {
                // One that had company at the callee alone waits again as it is.
                if !second.is_empty() {
                    inner.again.push_front(second);
                }
                inner.again.push_front(items);
                Settled::Repeated
            }
        }
    }

    /// Tells of so many items that came, or, with -1 as `sign`, went.
    fn count(&self, items: usize, sign: i64) {
        if items > 0 {
            let items = i64::try_from(items).unwrap_or(i64::MAX);
            self.meter.length.add(sign * items);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Items are moved in and out as a whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The items of a call.
struct Out<T> {
    items: Vec<T>,
    /// Nothing may run beside it.
    alone: bool,
    /// When they came, unless they had a call before.
    came: Vec<Instant>,
}

impl<T: Item> Inner<T> {
    /// The items of the next call.
    fn group(&mut self, limits: &Limits) -> Option<Out<T>> {
        if self.closed || self.alone_in_flight || self.in_flight >= limits.calls.max(1) {
            return None;
        }
        if self.again.is_empty() {
            let items = self.waiting.take(limits).into_iter();
            let (came, items): (Vec<_>, Vec<_>) =
                items.map(|timed| (timed.came, timed.item)).unzip();
            return (!items.is_empty()).then_some(Out {
                items,
                alone: false,
                came,
            });
        }
        // The calls under way end first; nothing else goes out meanwhile.
        let items = (self.in_flight == 0).then(|| self.again.pop_front())??;
        Some(Out {
            items,
            alone: true,
            came: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::LIMITS;
    use super::super::waiting::tests::{Row, rows};
    use super::*;

    const FOUR: Limits = Limits { calls: 4, ..LIMITS };

    fn failed(code: ErrorCode) -> Result<(), Error> {
        Err(Error::new(code, "no"))
    }

    /// A queue of rows of equal length, named 0 and on.
    fn queue(count: usize) -> Queue<Row> {
        let queue = Queue::new(QueueMeter::default());
        queue.push(rows(&vec![10; count]));
        queue
    }

    fn names(rows: &[Row]) -> Vec<usize> {
        rows.iter().map(|row| row.name).collect()
    }

    /// The next call's items.
    fn next(queue: &Queue<Row>, limits: &Limits) -> Option<Group<Row>> {
        queue.next(limits).group
    }

    fn settle(
        queue: &Queue<Row>,
        group: Group<Row>,
        answer: Result<(), Error>,
    ) -> Settled<Row, ()> {
        queue.settle(group, answer, an_item_may_be_at_fault)
    }

    #[test]
    fn items_go_out_in_order_as_long_as_calls_may() {
        let queue = queue(5);
        let group = next(&queue, &LIMITS).unwrap();
        assert_eq!(names(&group.items), [0, 1, 2, 3]);
        assert!(queue.next(&LIMITS).is_nothing());
        settle(&queue, group, Ok(()));
        assert_eq!(names(&next(&queue, &LIMITS).unwrap().items), [4]);
        assert!(queue.next(&FOUR).is_nothing());
    }

    #[test]
    fn a_call_that_an_item_may_be_to_blame_for_is_halved_with_nothing_beside() {
        let queue = queue(4);
        let first = next(&queue, &FOUR).unwrap();
        queue.push(rows(&[20]));
        let beside = next(&queue, &FOUR).unwrap();
        queue.push(rows(&[30]));
        let settled = settle(&queue, first, failed(ErrorCode::InvalidArgument));
        assert!(matches!(settled, Settled::Repeated));
        // Not beside the call that is under way, and nothing overtakes them.
        assert_eq!(next(&queue, &FOUR), None);
        settle(&queue, beside, Ok(()));
        // The third of the four is bad: both halves, and the bad one's.
        for (expected, is_bad) in [
            (vec![0, 1], false),
            (vec![2, 3], true),
            (vec![2], true),
            (vec![3], false),
        ] {
            let group = next(&queue, &FOUR).unwrap();
            assert_eq!(names(&group.items), expected);
            assert_eq!(next(&queue, &FOUR), None);
            let answer = match is_bad {
                true => failed(ErrorCode::InvalidArgument),
                false => Ok(()),
            };
            match settle(&queue, group, answer) {
                Settled::Answered(items, ()) => assert!(!is_bad && names(&items) == expected),
                Settled::Failed(items, _) => assert_eq!(names(&items), [2]),
                Settled::Repeated => assert_eq!(expected, [2, 3]),
            }
        }
        assert_eq!(next(&queue, &FOUR).unwrap().items[0].size.length, 30);
    }

    #[test]
    fn one_that_fails_beside_others_has_another_call_alone() {
        let queue = queue(1);
        let group = next(&queue, &FOUR).unwrap();
        let settled = settle(&queue, group, failed(ErrorCode::InvalidArgument));
        assert!(matches!(settled, Settled::Repeated));
        let group = next(&queue, &FOUR).unwrap();
        let settled = settle(&queue, group, failed(ErrorCode::InvalidArgument));
        assert!(matches!(settled, Settled::Failed(items, _) if items.len() == 1));
        assert!(queue.next(&FOUR).is_nothing());
    }

    #[test]
    fn one_bad_item_among_many_costs_few_calls() {
        let limits = Limits {
            rows: 64,
            frames: 640,
            ..LIMITS
        };
        let queue = queue(64);
        let (mut calls, mut good) = (0, 0);
        while let Some(group) = next(&queue, &limits) {
            calls += 1;
            let bad = group.items.iter().any(|row| row.name == 41);
            let answer = match bad {
                true => failed(ErrorCode::InvalidArgument),
                false => Ok(()),
            };
            match settle(&queue, group, answer) {
                Settled::Answered(items, ()) => good += items.len(),
                Settled::Failed(items, _) => assert_eq!(names(&items), [41]),
                Settled::Repeated => {}
            }
        }
        assert_eq!((calls, good), (1 + 2 * 6, 63));
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
            let queue = queue(2);
            let group = next(&queue, &FOUR).unwrap();
            let settled = settle(&queue, group, failed(code));
            assert!(
                matches!(settled, Settled::Failed(items, error) if items.len() == 2 && error.code() == code)
            );
            assert!(queue.next(&FOUR).is_nothing());
        }
    }

    #[test]
    fn what_nobody_wants_costs_no_call() {
        let mut all = rows(&[10; 6]);
        all[1].over = true;
        all[2].deadline = Some(Instant::now());
        all[4].over = true;
        let queue = Queue::new(QueueMeter::default());
        queue.push(all);
        let Taken { group, over, late } = queue.next(&LIMITS);
        assert_eq!(names(&group.unwrap().items), [0, 3, 5]);
        assert_eq!((names(&over), names(&late)), (vec![1, 4], vec![2]));
    }

    #[test]
    fn what_nobody_wants_is_found_while_no_call_may_go_out_and_however_many_wait() {
        let mut all = rows(&[10; 1000]);
        all.iter_mut().skip(500).for_each(|row| row.over = true);
        let queue = Queue::new(QueueMeter::default());
        queue.close();
        queue.push(all);
        let mut found = 0;
        for _ in 0..1000_usize.div_ceil(LOOKED_AT) {
            let taken = queue.next(&LIMITS);
            assert_eq!(taken.group, None);
            assert!(taken.over.len() <= LOOKED_AT);
            found += taken.over.len();
        }
        assert_eq!(found, 500);
    }

    #[test]
    fn however_many_are_late_none_of_them_has_a_call() {
        let mut all = rows(&[10; 200]);
        let now = Some(Instant::now());
        all.iter_mut().take(199).for_each(|row| row.deadline = now);
        let queue = Queue::new(QueueMeter::default());
        queue.push(all);
        let mut found = 0;
        let group = loop {
            let taken = queue.next(&LIMITS);
            found += taken.late.len();
            if let Some(group) = taken.group {
                break group;
            }
        };
        assert_eq!((found, names(&group.items)), (199, vec![199]));
    }

    #[test]
    fn items_of_a_failed_call_that_are_over_have_no_other_one() {
        let queue = queue(3);
        let mut group = next(&queue, &LIMITS).unwrap();
        group.items[0].over = true;
        group.items[1].over = true;
        settle(&queue, group, failed(ErrorCode::InvalidArgument));
        let Taken { group, over, .. } = queue.next(&LIMITS);
        assert_eq!((group, names(&over)), (None, vec![0, 1]));
        assert_eq!(names(&next(&queue, &LIMITS).unwrap().items), [2]);
    }

    #[test]
    fn what_waits_is_counted() {
        let queue = queue(3);
        let length = || queue.meter.length.value();
        assert_eq!(length(), 3);
        let one = Limits { rows: 1, ..LIMITS };
        let group = next(&queue, &one).unwrap();
        assert_eq!(length(), 2);
        // It waits again, and is not alone.
        settle(&queue, group, failed(ErrorCode::InvalidArgument));
        assert_eq!(length(), 3);
        let group = next(&queue, &LIMITS).unwrap();
        assert_eq!(length(), 2);
        settle(&queue, group, Ok(()));
        let mut late = rows(&[10, 10, 10]);
        late[0].deadline = Some(Instant::now());
        late[1].over = true;
        queue.push(late);
        assert_eq!(length(), 5);
        let Taken { group, over, late } = queue.next(&LIMITS);
        assert_eq!((over.len(), late.len()), (1, 1));
        assert_eq!(length(), 3 - group.unwrap().items.len() as i64);
    }

    #[test]
    fn a_closed_queue_lets_no_call_out() {
        let queue = queue(1);
        queue.close();
        assert!(queue.next(&LIMITS).is_nothing());
        queue.open();
        assert_eq!(names(&next(&queue, &LIMITS).unwrap().items), [0]);
    }

    #[test]
    fn no_item_is_dropped_under_the_lock() {
        use std::rc::{Rc, Weak};

        use super::super::batch::{Size, tests::row};

        /// Needs its queue when it is dropped, as a request does whose answer lets another one go out.
        struct Needy {
            queue: Weak<Queue<Needy>>,
            over: bool,
            deadline: Option<Instant>,
        }
        impl Item for Needy {
            fn size(&self) -> Size {
                row(10)
            }
            fn deadline(&self) -> Option<Instant> {
                self.deadline
            }
            fn is_over(&self) -> bool {
                self.over
            }
        }
        impl Drop for Needy {
            fn drop(&mut self) {
                if let Some(queue) = self.queue.upgrade() {
                    assert!(queue.inner.try_lock().is_ok());
                }
            }
        }
        let queue = Rc::new(Queue::new(QueueMeter::default()));
        let needy = |over, deadline| Needy {
            queue: Rc::downgrade(&queue),
            over,
            deadline,
        };
        let now = Some(Instant::now());
        queue.push([
            needy(false, None),
            needy(false, None),
            needy(true, None),
            needy(false, now),
        ]);
        for code in [
            ErrorCode::InvalidArgument,
            ErrorCode::InvalidArgument,
            ErrorCode::Internal,
        ] {
            let taken = queue.next(&LIMITS);
            drop((taken.over, taken.late));
            let group = taken.group.unwrap();
            drop(queue.settle(group, failed(code), an_item_may_be_at_fault));
        }
        assert!(queue.next(&LIMITS).is_nothing());
    }
}
