//! One execution of an instance: what its requests share, and what the server's statistics are told of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::check;
use crate::instances::{Instance, Instances};
use crate::phases::{Marks, now};
use crate::{Watch, sys};

/// What the requests of one execution share.
pub(crate) struct Execution {
    instance: Instance,
    instances: Arc<Instances>,
    watch: Option<Arc<dyn Watch>>,
    rows: AtomicU64,
    unanswered: AtomicUsize,
    start: u64,
    marks: Marks,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its response was delivered.
    Success,
    /// It was answered with an error, or could not be answered.
    Failure,
    /// Its client took it back.
    Cancelled,
}

impl Execution {
    /// An execution of `instance`, one of `instances`, that begins now.
    pub(crate) fn new(
        instance: Instance,
        instances: Arc<Instances>,
        watch: Option<Arc<dyn Watch>>,
    ) -> Self {
        Self {
            instance,
            instances,
            watch,
            rows: AtomicU64::new(0),
            unanswered: AtomicUsize::new(0),
            start: now(),
            marks: Marks::default(),
        }
    }

    /// Says how many requests it has, and how many rows they have together, before any of them ends.
    pub(crate) fn set_size(&self, requests: usize, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
        self.unanswered.store(requests, Ordering::Relaxed);
    }

    /// Who is to be told how requests end.
    pub(crate) fn watch(&self) -> Option<&Arc<dyn Watch>> {
        self.watch.as_ref()
    }

    /// How long ago it began.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(now().saturating_sub(self.start))
    }

    /// Reports one answered request, which is not released yet, and with the last one the batch: the server may let an
    /// instance go before its requests, but not the model.
    pub(crate) fn report(&self, request: *mut sys::TRITONBACKEND_Request, marks: &Marks, end: End) {
        self.marks.include(marks);
        let last = self.unanswered.fetch_sub(1, Ordering::AcqRel) == 1;
        self.instances.with(self.instance, |instance| {
            // SAFETY: a live request and a live instance.
            unsafe { self.report_request(instance, request, marks, end) };
            if !last {
                return;
            }
            let phases = self.marks.phases(self.start, now());
            // SAFETY: as above. Statistics that cannot be reported are no request's fault.
            let _ = unsafe {
                check(sys::TRITONBACKEND_ModelInstanceReportBatchStatistics(
                    instance.raw(),
                    self.rows.load(Ordering::Relaxed),
                    phases.start,
                    phases.compute_start,
                    phases.compute_end,
                    phases.end,
                ))
            };
        });
    }

    /// # Safety
    /// Instance and request are live.
    unsafe fn report_request(
        &self,
        instance: Instance,
        request: *mut sys::TRITONBACKEND_Request,
        marks: &Marks,
        end: End,
    ) {
        if end == End::Cancelled {
            return;
        }
        let phases = marks.phases(self.start, now());
        // SAFETY: the caller's promise. Statistics that cannot be reported are no request's fault.
        let _ = unsafe {
            check(sys::TRITONBACKEND_ModelInstanceReportStatistics(
                instance.raw(),
                request,
                end == End::Success,
                phases.start,
                phases.compute_start,
                phases.compute_end,
                phases.end,
            ))
        };
    }
}
