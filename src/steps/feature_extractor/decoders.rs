//! Threads for requests whose audio takes long to read, so that those beside them need not wait.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use triton_backend::Error;

use crate::pool::Pool;

/// Requests that wait for each of the threads. More are left to the server, whose queue has limits of its own.
const WAITING_PER_THREAD: usize = 4;

/// A pool that takes no more than it can do soon.
pub(super) struct Decoders {
    pool: Pool,
    places: Arc<Places>,
}

struct Places {
    free: Mutex<usize>,
    given_back: Condvar,
}

/// One of the places; dropped, it is free.
struct Place(Arc<Places>);

impl Decoders {
    pub(super) fn new(threads: NonZeroUsize) -> Result<Self, Error> {
        Ok(Self {
            pool: Pool::new(threads.get())?,
            places: Places::new(threads.get().saturating_mul(WAITING_PER_THREAD)),
        })
    }

    /// Runs `job` on one of the threads; waits while there is no place for it.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let place = Places::take(&self.places);
        self.pool.run(move || {
            // Also when the job panics.
            let _place = place;
            job();
        });
    }
}

impl Places {
    fn new(free: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Mutex::new(free),
            given_back: Condvar::new(),
        })
    }

    fn take(self: &Arc<Self>) -> Place {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .given_back
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free += 1;
        drop(free);
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    // The threads themselves log, which takes a server.
    #[test]
    fn whoever_finds_no_place_waits_for_one() {
        let places = Places::new(2);
        let first = Places::take(&places);
        let _second = Places::take(&places);
        let (taken, told) = channel();
        let waiting = std::thread::spawn({
            let places = Arc::clone(&places);
            move || {
                let _third = Places::take(&places);
                taken.send(()).unwrap();
            }
        });
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
        drop(first);
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        waiting.join().unwrap();
        assert_eq!(*places.free.lock().unwrap(), 1);
    }
}
