//! The phases of a request for the server's statistics: input, inference, output.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

/// When the inputs were read and when the results were there, in nanoseconds; 0 as long as nobody said.
#[derive(Default)]
pub(crate) struct Marks {
    compute_start: AtomicU64,
    compute_end: AtomicU64,
}

impl Marks {
    /// The first mark counts.
    pub(crate) fn compute_starts(&self, now: u64) {
        let marked = &self.compute_start;
        // Fails if there is a mark already.
        let _ = marked.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The last mark counts.
    pub(crate) fn compute_ends(&self, now: u64) {
        self.compute_end.fetch_max(now, Ordering::Relaxed);
    }

    /// Takes over the marks of one of several: what they have in common has begun, and ended, with the last of them.
    pub(crate) fn include(&self, one: &Self) {
        let last = |all: &AtomicU64, one: &AtomicU64| {
            all.fetch_max(one.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        last(&self.compute_start, &one.compute_start);
        last(&self.compute_end, &one.compute_end);
    }

    /// The phases of what began at `start` and is over `now`. What was not marked counts as inference.
    pub(crate) fn phases(&self, start: u64, now: u64) -> Phases {
        // A phase of 0 ns would be missing in some of the server's answers.
        let end = now.max(start + 3);
        let marked = |mark: &AtomicU64, otherwise| match mark.load(Ordering::Relaxed) {
            0 => otherwise,
            mark => mark,
        };
        let compute_start = marked(&self.compute_start, start).clamp(start + 1, end - 2);
        let compute_end = marked(&self.compute_end, end).clamp(compute_start + 1, end - 1);
        Phases {
            start,
            compute_start,
            compute_end,
            end,
        }
    }
}

/// Four points in time, each after the one before.
pub(crate) struct Phases {
    pub(crate) start: u64,
    pub(crate) compute_start: u64,
    pub(crate) compute_end: u64,
    pub(crate) end: u64,
}

/// The monotonic clock in nanoseconds, the clock of the server's own time stamps.
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let clock: c_int = libc::CLOCK_MONOTONIC;
    // SAFETY: a valid out pointer. This clock exists on every Linux.
    unsafe { libc::clock_gettime(clock, &mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}
