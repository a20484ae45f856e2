//! A request whose rows come one by one, whatever it is that comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use triton_backend::{Error, Request, Response};

/// What a request holds until its answer.
pub(crate) trait Hold {
    /// All that the answer tells is there, and the answer follows.
    fn answered(self);
}

/// Makes a response of what came of all rows.
type Write<T> = Box<dyn Fn(&Request, &[T]) -> Result<Response, Error> + Send + Sync>;

/// Collects what came of a request's rows; the last one, or the first error, ends the request.
///
/// `P` is what the request holds until then. It is given back before the answer: whoever has that may send the next request.
pub(crate) struct Rows<T, P> {
    open: Mutex<Option<Open<T, P>>>,
    write: Write<T>,
    /// When the client does not wait for rows any more whose call has not gone out.
    deadline: Option<Instant>,
}

struct Open<T, P> {
    request: Request,
    came: Vec<Option<T>>,
    permit: P,
}

impl<T, P: Hold> Rows<T, P> {
    /// Of `rows` rows, at least one; `deadline` is when the client does not wait for rows any more whose call has not gone out.
    pub(crate) fn new(
        request: Request,
        deadline: Option<Instant>,
        permit: P,
        rows: usize,
        write: impl Fn(&Request, &[T]) -> Result<Response, Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let open = Open {
            request,
            came: (0..rows).map(|_| None).collect(),
            permit,
        };
        Arc::new(Self {
            open: Mutex::new(Some(open)),
            write: Box::new(write),
            deadline,
        })
    }

    /// When the client does not wait for rows any more whose call has not gone out.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the request is answered or its client wants no answer: then its rows need not be computed.
    pub(crate) fn is_over(&self) -> bool {
        self.lock()
            .as_ref()
            .is_none_or(|open| open.request.is_cancelled())
    }

    /// Marks for the statistics that what was computed of a row is there.
    pub(crate) fn compute_ends(&self) {
        if let Some(open) = &*self.lock() {
            open.request.compute_ends();
        }
    }

    /// Says what came of a row.
    pub(crate) fn deliver(&self, row: usize, outcome: Result<T, Error>) {
        let mut guard = self.lock();
        let Some(mut open) = guard.take() else {
            return;
        };
        match outcome {
            Ok(came) => {
                if let Some(place) = open.came.get_mut(row) {
                    *place = Some(came);
                }
                if open.came.iter().any(Option::is_none) {
                    *guard = Some(open);
                    return;
                }
                drop(guard);
                let Open {
                    request,
                    came,
                    permit,
                } = open;
                permit.answered();
                let came: Vec<T> = came.into_iter().flatten().collect();
                request.answer(|request| (self.write)(request, &came));
            }
            Err(error) => {
                drop(guard);
                let Open {
                    request, permit, ..
                } = open;
                drop(permit);
                request.fail(error);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open<T, P>>> {
        // The request is taken out as a whole before anything can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
