//! The requests of one execution, and what the server's statistics want to know of it.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::check;
use crate::{Error, Input, Request, Response, sys};

/// The requests of one call of [`Instance::execute`](crate::Instance::execute).
///
/// Two marks divide the time between taking the requests and answering them for the server's statistics: everything
/// before [`Batch::compute_starts`] counts as input, everything after [`Batch::compute_ends`] as output.
pub struct Batch {
    requests: Vec<Request>,
    execution: Arc<Execution>,
}

/// What the requests of one execution share.
pub(crate) struct Execution {
    instance: *mut sys::TRITONBACKEND_ModelInstance,
    rows: AtomicU64,
    unanswered: AtomicUsize,
    start: u64,
    compute_start: AtomicU64,
    compute_end: AtomicU64,
}

// SAFETY: the instance pointer is only passed back to the server, whose reporting functions may be called from any
// thread; the server keeps the instance until its last request is released.
unsafe impl Send for Execution {}
// SAFETY: as above.
unsafe impl Sync for Execution {}

impl Batch {
    /// Takes over the requests of an execution.
    ///
    /// # Safety
    /// `requests` points to `count` requests that the server hands over (null ones are skipped) to `instance`.
    pub(crate) unsafe fn take(
        instance: *mut sys::TRITONBACKEND_ModelInstance,
        requests: *mut *mut sys::TRITONBACKEND_Request,
        count: u32,
        batches: bool,
    ) -> Self {
        let execution = Arc::new(Execution {
            instance,
            rows: AtomicU64::new(0),
            unanswered: AtomicUsize::new(0),
            start: now(),
            compute_start: AtomicU64::new(0),
            compute_end: AtomicU64::new(0),
        });
        let requests: Vec<Request> = (0..count as usize)
            // SAFETY: within the array.
            .filter_map(|index| NonNull::new(unsafe { *requests.add(index) }))
            // SAFETY: handed over by the server, each once.
            .map(|raw| unsafe { Request::new(raw, Arc::clone(&execution)) })
            .collect();
        let rows = requests.iter().map(|request| rows(request, batches)).sum();
        execution.rows.store(rows, Ordering::Relaxed);
        execution
            .unanswered
            .store(requests.len(), Ordering::Relaxed);
        Self {
            requests,
            execution,
        }
    }

    /// The requests, to look at.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The requests, to set their state.
    pub fn requests_mut(&mut self) -> &mut [Request] {
        &mut self.requests
    }

    /// Marks that the inputs are read and the work begins.
    pub fn compute_starts(&self) {
        self.execution.compute_start.store(now(), Ordering::Relaxed);
    }

    /// Marks that the work is done and the outputs are to be handed over.
    pub fn compute_ends(&self) {
        self.execution.compute_end.store(now(), Ordering::Relaxed);
    }

    /// Ends every request with its own outcome.
    ///
    /// A request for which `outcomes` has none answers with an error, as when it is dropped.
    pub fn finish(self, outcomes: impl IntoIterator<Item = Result<Response, Error>>) {
        for (request, outcome) in self.requests.into_iter().zip(outcomes) {
            request.finish(outcome);
        }
    }
}

impl IntoIterator for Batch {
    type Item = Request;
    type IntoIter = std::vec::IntoIter<Request>;

    fn into_iter(self) -> Self::IntoIter {
        self.requests.into_iter()
    }
}

impl Execution {
    fn marks(&self, end: u64) -> (u64, u64) {
        let compute_start = match self.compute_start.load(Ordering::Relaxed) {
            0 => self.start,
            marked => marked,
        };
        let compute_end = match self.compute_end.load(Ordering::Relaxed) {
            0 => end,
            marked => marked,
        };
        (compute_start, compute_end)
    }

    /// Reports one answered request, which is not released yet, and with the last one the batch: until that release
    /// the server keeps the instance.
    pub(crate) fn report(&self, request: *mut sys::TRITONBACKEND_Request, success: bool) {
        let end = now();
        let (compute_start, compute_end) = self.marks(end);
        // SAFETY: a live request, hence a live instance. Statistics that cannot be reported are no request's fault.
        let _ = unsafe {
            check(sys::TRITONBACKEND_ModelInstanceReportStatistics(
                self.instance,
                request,
                success,
                self.start,
                compute_start,
                compute_end,
                end,
            ))
        };
        if self.unanswered.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        // SAFETY: as above.
        let _ = unsafe {
            check(sys::TRITONBACKEND_ModelInstanceReportBatchStatistics(
                self.instance,
                self.rows.load(Ordering::Relaxed),
                self.start,
                compute_start,
                compute_end,
                end,
            ))
        };
    }
}

/// The rows a request adds to the batch, as the server counts them.
fn rows(request: &Request, batches: bool) -> u64 {
    if !batches {
        return 1;
    }
    request
        .inputs()
        .ok()
        .and_then(|inputs| inputs.first().and_then(Input::batch_size))
        .unwrap_or(1)
}

/// The monotonic clock in nanoseconds, the clock of the server's own time stamps.
fn now() -> u64 {
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
