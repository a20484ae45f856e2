//! How much there may be at a time. Nothing waits here: what is beyond a limit is refused, and told so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::options::Options;

/// A permit of memory is so many bytes: tokio counts permits in 32 bits where several are taken.
const PAGE: usize = 4096;
/// So many callers are remembered before those of whom nothing is known any more are forgotten.
const CALLERS: usize = 10_000;

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// Too much is under way.
    #[error("the gateway has as much to do as it takes; try again in a moment")]
    Busy,
    /// As many files are held as there is room for.
    #[error("the gateway holds as much audio as it has room for; try again in a moment")]
    Full,
    /// The caller has too much under way.
    #[error(
        "this key has {limit} transcriptions and streams under way, which is its limit; wait until one is done"
    )]
    CallersShare {
        /// `--key-requests`.
        limit: u32,
    },
    /// The caller asks too often.
    #[error(
        "this key may begin {limit} transcriptions and streams a minute; try again in {seconds} s"
    )]
    CallersRate {
        /// `--key-rate`.
        limit: u32,
        /// When there is room for the next.
        seconds: u64,
    },
}

impl Refusal {
    /// As metrics call it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Full => "memory",
            Self::CallersShare { .. } => "key_requests",
            Self::CallersRate { .. } => "key_rate",
        }
    }

    /// After how many seconds it may be tried again.
    pub(crate) fn retry_after(self) -> u64 {
        match self {
            Self::CallersRate { seconds, .. } => seconds,
            _ => 1,
        }
    }
}

/// What is left of each limit.
#[derive(Debug)]
pub(crate) struct Limits {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    held: IntGauge,
    refused: IntCounterVec,
    callers: Arc<Callers>,
}

impl Limits {
    /// `held` counts the bytes of files that are held, `refused` refusals by their reasons.
    pub(crate) fn new(options: &Options, held: IntGauge, refused: IntCounterVec) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            requests: semaphore(options.max_requests as usize),
            streams: semaphore(options.max_streams as usize),
            memory: semaphore(options.max_held_bytes() / PAGE),
            held,
            refused,
            callers: Arc::new(Callers {
                share: options.key_requests,
                rate: options.key_rate,
                known: Mutex::default(),
            }),
        }
    }

    /// Room for a transcription.
    pub(crate) fn request(&self, caller: &str) -> Result<Admission, Refusal> {
        self.counted(self.admit(&self.requests, caller))
    }

    /// Room for a transcription of what came by a WebSocket, which its caller's limits know already.
    pub(crate) fn within_a_stream(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let of_all = Arc::clone(&self.requests).try_acquire_owned();
        self.counted(of_all.map_err(|_| Refusal::Busy))
    }

    /// Room for a stream.
    pub(crate) fn stream(&self, caller: &str) -> Result<Admission, Refusal> {
        self.counted(self.admit(&self.streams, caller))
    }

    fn admit(&self, all: &Arc<Semaphore>, caller: &str) -> Result<Admission, Refusal> {
        let of_all = Arc::clone(all)
            .try_acquire_owned()
            .map_err(|_| Refusal::Busy)?;
        let of_caller = self.callers.admit(caller, Instant::now())?;
        Ok(Admission {
            _of_all: of_all,
            _of_caller: of_caller,
        })
    }

    fn counted<T>(&self, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        outcome.inspect_err(|refusal| {
            let reason = refusal.reason();
            self.refused.with_label_values(&[reason]).inc();
        })
    }

    /// No memory so far; more is taken as it comes.
    pub(crate) fn memory(&self) -> Memory {
        Memory {
            all: Arc::clone(&self.memory),
            taken: None,
            bytes: 0,
            held: self.held.clone(),
            refused: self.refused.with_label_values(&[Refusal::Full.reason()]),
        }
    }
}

/// A place, as long as it lives.
#[derive(Debug)]
pub(crate) struct Admission {
    _of_all: OwnedSemaphorePermit,
    _of_caller: OfCaller,
}

/// Memory that somebody's file has.
#[derive(Debug)]
pub(crate) struct Memory {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    bytes: usize,
    held: IntGauge,
    refused: IntCounter,
}

impl Memory {
    /// So many bytes more.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let had = self.bytes.div_ceil(PAGE);
        let wanted = self.bytes.saturating_add(bytes).div_ceil(PAGE) - had;
        let pages = u32::try_from(wanted).map_err(|_| Refusal::Full)?;
        let more = Arc::clone(&self.all).try_acquire_many_owned(pages);
        let more = more.map_err(|_| {
            self.refused.inc();
            Refusal::Full
        })?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        self.bytes += bytes;
        self.held.add(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.held.sub(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

#[derive(Debug)]
struct Callers {
    /// How much each may have under way.
    share: Option<u32>,
    /// How much each may begin a minute.
    rate: Option<u32>,
    known: Mutex<HashMap<String, Caller>>,
}

#[derive(Debug)]
struct Caller {
    under_way: u32,
    /// What may begin now: a bucket that is filled evenly, up to a minute's.
    left: f64,
    filled: Instant,
}

impl Callers {
    fn admit(self: &Arc<Self>, name: &str, now: Instant) -> Result<OfCaller, Refusal> {
        let mut known = self.lock();
        if known.len() >= CALLERS {
            known.retain(|_, caller| {
                caller.under_way > 0 || now.duration_since(caller.filled).as_secs() < 60
            });
        }
        let full = self.rate.map_or(0.0, f64::from);
        let caller = known.entry(name.to_owned()).or_insert(Caller {
            under_way: 0,
            left: full,
            filled: now,
        });
        if let Some(limit) = self.share.filter(|limit| caller.under_way >= *limit) {
            return Err(Refusal::CallersShare { limit });
        }
        if let Some(limit) = self.rate {
            let passed = now.duration_since(caller.filled).as_secs_f64();
            caller.left = (caller.left + passed * full / 60.0).min(full);
            caller.filled = now;
            if caller.left < 1.0 {
                let seconds = ((1.0 - caller.left) * 60.0 / full).ceil() as u64;
                return Err(Refusal::CallersRate { limit, seconds });
            }
            caller.left -= 1.0;
        }
        caller.under_way += 1;
        Ok(OfCaller {
            callers: Arc::clone(self),
            name: name.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Caller>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a caller's share.
#[derive(Debug)]
struct OfCaller {
    callers: Arc<Callers>,
    name: String,
}

impl Drop for OfCaller {
    fn drop(&mut self) {
        if let Some(caller) = self.callers.lock().get_mut(&self.name) {
            caller.under_way = caller.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Opts;

    use super::*;

    fn limits(edit: impl FnOnce(&mut Options)) -> Limits {
        let mut options = Options::default();
        edit(&mut options);
        let refused = IntCounterVec::new(Opts::new("refused", "refused"), &["reason"]).unwrap();
        Limits::new(&options, IntGauge::new("held", "held").unwrap(), refused)
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_has_gone() {
        let limits = limits(|options| options.max_requests = 1);
        let first = limits.request("a").unwrap();
        assert_eq!(limits.request("b").unwrap_err(), Refusal::Busy);
        // Streams have places of their own.
        limits.stream("b").unwrap();
        drop(first);
        limits.request("b").unwrap();
    }

    #[test]
    fn memory_is_given_back() {
        let limits = limits(|options| options.max_held_mb = 1);
        let mut file = limits.memory();
        file.take(1000).unwrap();
        file.take(900_000).unwrap();
        assert_eq!(limits.held.get(), 901_000);
        let mut other = limits.memory();
        assert_eq!(other.take(200_000).unwrap_err(), Refusal::Full);
        assert_eq!(limits.held.get(), 901_000);
        drop(file);
        assert_eq!(limits.held.get(), 0);
        other.take(200_000).unwrap();
        assert_eq!(limits.memory().take(usize::MAX).unwrap_err(), Refusal::Full);
    }

    #[test]
    fn each_caller_has_a_share() {
        let limits = limits(|options| options.key_requests = Some(2));
        let first = limits.request("a").unwrap();
        let second = limits.request("a").unwrap();
        let refused = limits.request("a").unwrap_err();
        assert_eq!(refused, Refusal::CallersShare { limit: 2 });
        limits.request("b").unwrap();
        drop((first, second));
        limits.request("a").unwrap();
    }

    #[test]
    fn a_callers_rate_is_filled_up_evenly() {
        let limits = limits(|options| options.key_rate = Some(30));
        let now = Instant::now();
        let at = |seconds| {
            limits
                .callers
                .admit("a", now + Duration::from_secs_f64(seconds))
        };
        (0..30).for_each(|_| drop(at(0.0).unwrap()));
        let refused = |seconds| Refusal::CallersRate { limit: 30, seconds };
        assert_eq!(at(0.0).unwrap_err(), refused(2));
        assert_eq!(at(1.5).unwrap_err(), refused(1));
        at(2.1).unwrap();
        assert_eq!(at(2.1).unwrap_err(), refused(2));
        // No more than a minute's, however long it was quiet.
        (0..30).for_each(|_| drop(at(1000.0).unwrap()));
        assert!(at(1000.0).is_err());
    }
}
