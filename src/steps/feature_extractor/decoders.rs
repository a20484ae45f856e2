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
            places: Arc::new(Places {
                free: Mutex::new(threads.get().saturating_mul(WAITING_PER_THREAD)),
                given_back: Condvar::new(),
            }),
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

    #[test]
    fn no_more_than_the_places_wait_and_each_comes_to_its_turn() {
        let decoders = Arc::new(Decoders::new(NonZeroUsize::MIN).unwrap());
        let (open, gate) = channel::<()>();
        let (done, finished) = channel();
        let (taken, counted) = channel();
        let caller = std::thread::spawn({
            let decoders = Arc::clone(&decoders);
            move || {
                let gate = Arc::new(Mutex::new(gate));
                for number in 0..WAITING_PER_THREAD + 2 {
                    let (gate, done) = (Arc::clone(&gate), done.clone());
                    decoders.run(move || {
                        gate.lock().unwrap().recv().unwrap();
                        done.send(number).unwrap();
                    });
                    taken.send(number).unwrap();
                }
            }
        });
        for number in 0..WAITING_PER_THREAD {
            assert_eq!(counted.recv().unwrap(), number);
        }
        assert!(counted.recv_timeout(Duration::from_millis(100)).is_err());
        for number in 0..WAITING_PER_THREAD + 2 {
            open.send(()).unwrap();
            assert_eq!(finished.recv().unwrap(), number);
        }
        caller.join().unwrap();
    }
}
