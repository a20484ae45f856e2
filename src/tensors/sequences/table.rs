//! Which id is which stream, and who may put a state back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use triton_backend::{CorrelationId, Error, Gauge, Held as Counted, Sequence};

use super::registry::Holds;

/// The streams by id.
pub(super) struct Table<S> {
    inner: Mutex<Inner<S>>,
    /// The streams that live.
    live: Gauge,
}

struct Inner<S> {
    entries: HashMap<CorrelationId, Entry<S>>,
    /// The last generation given out.
    generation: u64,
}

struct Entry<S> {
    generation: u64,
    since: Instant,
    held: Held<S>,
    /// The stream is one of those that live.
    live: Option<Counted>,
}

/// What an id holds.
enum Held<S> {
    /// A stream between its requests.
    Idle(S),
    /// A stream with a request under way.
    Busy,
    /// A stream that is over for us, though the server still takes requests for it.
    Gone(Gone),
}

/// Why a stream is over before its END.
#[derive(Clone, Copy)]
enum Gone {
    Refused,
    Cancelled,
    Failed,
}

/// A request's stream.
pub(crate) struct Leased<S> {
    /// What the state, or the lack of one, is put back with.
    pub(crate) lease: Lease<S>,
    /// The state; none if the request begins the stream.
    pub(crate) state: Option<S>,
    /// The request begins a stream, and its id held another one that never ended.
    pub(crate) replaced: bool,
}

/// The right to put a stream's state back, for as long as no other stream took its id.
///
/// Dropped, by an early return or a panic, it ends the stream.
pub(crate) struct Lease<S> {
    table: Arc<Table<S>>,
    sequence: Sequence,
    generation: u64,
    /// Of the last request, which the table knows no more.
    _live: Option<Counted>,
    settled: bool,
}

impl<S> Table<S> {
    /// No streams yet; `live` is told how many there are.
    pub(super) fn new(live: Gauge) -> Self {
        Self {
            inner: Mutex::new(Inner {
                entries: HashMap::new(),
                generation: 0,
            }),
            live,
        }
    }

    pub(super) fn lease(self: &Arc<Self>, sequence: &Sequence) -> Result<Leased<S>, Error> {
        let mut inner = self.lock();
        let before = inner.entries.remove(&sequence.id);
        let mut live;
        let (generation, state, replaced) = match (sequence.start, before) {
            (true, before) => {
                inner.generation += 1;
                let generation = inner.generation;
                live = Some(self.live.hold());
                if !sequence.end {
                    inner.insert(sequence, generation, live.take());
                }
                drop(inner);
                // What the state of the other stream ends when it is dropped, it ends here, without the lock.
                (generation, None, before.is_some())
            }
            (
                false,
                Some(Entry {
                    generation,
                    held: Held::Idle(state),
                    live: counted,
                    ..
                }),
            ) => {
                live = Some(counted.unwrap_or_else(|| self.live.hold()));
                if !sequence.end {
                    inner.insert(sequence, generation, live.take());
                }
                (generation, Some(state), false)
            }
            (false, other) => {
                let error = unknown(&sequence.id, other.as_ref().map(|entry| &entry.held));
                if let Some(entry) = other.filter(|_| !sequence.end) {
                    inner.entries.insert(sequence.id.clone(), entry);
                }
                return Err(error);
            }
        };
        Ok(Leased {
            lease: Lease {
                table: Arc::clone(self),
                sequence: sequence.clone(),
                generation,
                _live: live,
                settled: false,
            },
            state,
            replaced,
        })
    }

    /// Takes out what was idle for longer than `most`. Returns the ids and how many streams are left; the states are dropped.
    pub(super) fn sweep(&self, most: Duration) -> (Vec<CorrelationId>, usize) {
        let now = Instant::now();
        let mut inner = self.lock();
        let swept: Vec<_> = inner
            .entries
            .extract_if(|_, entry| {
                !matches!(entry.held, Held::Busy) && now.duration_since(entry.since) > most
            })
            .collect();
        let left = inner.entries.len();
        drop(inner);
        (swept.into_iter().map(|(id, _)| id).collect(), left)
    }

    /// Counts those that are idle for longer than `most` no more: the server has ended them. A request of them may still be queued there,
    /// so their states stay.
    pub(super) fn forget_idle(&self, most: Duration) {
        let now = Instant::now();
        for entry in self.lock().entries.values_mut() {
            if !matches!(entry.held, Held::Busy) && now.duration_since(entry.since) > most {
                entry.live = None;
            }
        }
    }

    /// Drops all states.
    pub(super) fn clear(&self) {
        let entries = std::mem::take(&mut self.lock().entries);
        drop(entries);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        // Insertions and removals leave the map whole. No state is dropped under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Send> Holds for Table<S> {
    fn holds(&self, id: &CorrelationId) -> bool {
        self.lock().entries.contains_key(id)
    }
}

impl<S> Inner<S> {
    fn insert(&mut self, sequence: &Sequence, generation: u64, live: Option<Counted>) {
        let entry = Entry {
            generation,
            since: Instant::now(),
            held: Held::Busy,
            live,
        };
        self.entries.insert(sequence.id.clone(), entry);
    }
}

impl<S> Leased<S> {
    /// Reads what a request brings, given the state. One that was `cancelled` ends its stream; one that is refused leaves it as it was.
    pub(crate) fn read<T>(
        self,
        cancelled: bool,
        read: impl FnOnce(Option<&S>) -> Result<T, Error>,
    ) -> Result<(Lease<S>, Option<S>, T), Error> {
        let Self { lease, state, .. } = self;
        if cancelled {
            lease.cancel();
            return Err(Error::cancelled());
        }
        match read(state.as_ref()) {
            Ok(brought) => Ok((lease, state, brought)),
            Err(error) => {
                lease.refuse(state);
                Err(error)
            }
        }
    }
}

impl<S> Lease<S> {
    /// The request is the stream's last.
    pub(crate) fn ends(&self) -> bool {
        self.sequence.end
    }

    /// Leaves the stream to its next request; if this was the last, the stream ends. Comes before the answer, which the next
    /// request may follow at once.
    pub(crate) fn put_back(mut self, state: S) {
        self.settle(Held::Idle(state));
    }

    /// The request was refused before anything of it was used. The stream is as it was, `state`; none if the request was to
    /// begin it.
    pub(crate) fn refuse(mut self, state: Option<S>) {
        self.settle(state.map_or(Held::Gone(Gone::Refused), Held::Idle));
    }

    /// The client took the request back, and with it the stream.
    pub(crate) fn cancel(mut self) {
        self.settle(Held::Gone(Gone::Cancelled));
    }

    fn settle(&mut self, held: Held<S>) {
        self.settled = true;
        let mut inner = self.table.lock();
        // The last request has no entry any more, and an older generation's entry is another's.
        let own = inner
            .entries
            .get_mut(&self.sequence.id)
            .filter(|entry| entry.generation == self.generation);
        let over = match own {
            Some(entry) => {
                entry.since = Instant::now();
                if matches!(held, Held::Gone(_)) {
                    entry.live = None;
                }
                std::mem::replace(&mut entry.held, held)
            }
            None => held,
        };
        drop(inner);
        drop(over);
    }
}

impl<S> Drop for Lease<S> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Held::Gone(Gone::Failed));
        }
    }
}

/// Why a request that does not begin a stream finds none.
fn unknown<S>(id: &CorrelationId, held: Option<&Held<S>>) -> Error {
    let why = match held {
        Some(Held::Gone(Gone::Refused)) => "its first request was refused",
        Some(Held::Gone(Gone::Cancelled)) => "a request of it was cancelled",
        Some(Held::Gone(Gone::Failed)) => "a request of it failed half way",
        Some(Held::Busy | Held::Idle(_)) => "another request of it is still under way",
        None => "it ended, was idle for too long, or never began",
    };
    Error::invalid(format!(
        "stream {id} is not known here: {why}; begin it again with the START flag"
    ))
}

#[cfg(test)]
mod tests;
