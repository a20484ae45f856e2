//! Streams whose END should have come through the steps behind by now, and may still be on its way there.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use triton_backend::CorrelationId;

/// How long an END may take through the steps behind: an encoder's queue, and its window.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether one has come through.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What waits for an end.
pub(super) type Done = Box<dyn FnOnce() + Send>;

/// The streams that are waited for, and whether anything is to be waited for at all.
#[derive(Default)]
pub(super) struct Overdue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    streams: Vec<Stream>,
}

/// A stream that is not over behind.
pub(super) struct Stream {
    pub(super) id: CorrelationId,
    pub(super) done: Done,
    /// Nobody ends it any more.
    pub(super) is_lost: bool,
    until: Instant,
}

impl Overdue {
    /// Waits for a stream's own END, on the thread that calls [`Overdue::wait`].
    pub(super) fn add(&self, id: CorrelationId, done: Done) {
        let stream = Stream {
            id,
            done,
            is_lost: false,
            until: Instant::now() + PATIENCE,
        };
        self.lock().streams.push(stream);
        self.changed.notify_all();
    }

    /// There is no more waiting.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits until some time, or until it is to look at the streams. None when it was stopped.
    pub(super) fn wait(&self, until: Instant) -> Option<()> {
        let mut state = self.lock();
        while !state.stopped {
            let left = until.saturating_duration_since(Instant::now());
            let looks = !state.streams.is_empty();
            let pause = if looks { left.min(LOOK_EVERY) } else { left };
            if pause.is_zero() {
                return Some(());
            }
            let (woken, waited) = self
                .changed
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if waited.timed_out() && !state.stopped {
                return Some(());
            }
        }
        None
    }

    /// Takes out the streams that are over, and those that were waited for long enough.
    pub(super) fn take(&self, is_held: impl Fn(&CorrelationId) -> bool) -> Vec<Stream> {
        let streams = std::mem::take(&mut self.lock().streams);
        let now = Instant::now();
        // Without the lock: it takes those of the tables behind.
        let (settled, left): (Vec<_>, Vec<_>) = streams
            .into_iter()
            .map(|stream| Stream {
                is_lost: is_held(&stream.id),
                ..stream
            })
            .partition(|stream| !stream.is_lost || now >= stream.until);
        self.lock().streams.extend(left);
        settled
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> CorrelationId {
        CorrelationId::Number(number)
    }

    fn add(overdue: &Overdue, number: u64) {
        overdue.add(id(number), Box::new(|| ()));
    }

    fn taken(overdue: &Overdue, held: u64) -> Vec<(CorrelationId, bool)> {
        let streams = overdue.take(|stream| *stream == id(held));
        let settled = streams.into_iter();
        settled.map(|each| (each.id, each.is_lost)).collect()
    }

    #[test]
    fn a_stream_is_waited_for_until_its_end_came_through_or_is_lost() {
        let overdue = Overdue::default();
        add(&overdue, 1);
        add(&overdue, 2);
        assert_eq!(taken(&overdue, 2), [(id(1), false)]);
        assert_eq!(taken(&overdue, 2), []);
        std::thread::sleep(PATIENCE);
        assert_eq!(taken(&overdue, 2), [(id(2), true)]);
        assert_eq!(taken(&overdue, 2), []);
    }

    #[test]
    fn the_thread_looks_often_only_while_there_is_one() {
        let overdue = Overdue::default();
        let begun = Instant::now();
        let until = begun + Duration::from_millis(200);
        assert_eq!(overdue.wait(until), Some(()));
        assert!(Instant::now() >= until);
        add(&overdue, 1);
        let begun = Instant::now();
        assert_eq!(overdue.wait(begun + 60 * PATIENCE), Some(()));
        assert!(begun.elapsed() < PATIENCE);
        overdue.stop();
        assert_eq!(overdue.wait(begun + 60 * PATIENCE), None);
    }

    #[test]
    fn one_that_comes_wakes_the_thread() {
        let overdue = Overdue::default();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| overdue.wait(begun + 60 * PATIENCE));
            std::thread::sleep(LOOK_EVERY);
            add(&overdue, 1);
            assert_eq!(thread.join().unwrap(), Some(()));
        });
        assert!(begun.elapsed() < 10 * PATIENCE);
    }
}
