//! The requests of one execution, and what the server's statistics want to know of it.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::check;
use crate::instances::{Instance, Instances};
use crate::phases::{Marks, now};
use crate::request::End;
use crate::{Error, Input, Request, Response, sys};

/// The requests of one call of [`Instance::execute`](crate::Instance::execute).
///
/// Two marks divide the time between taking the requests and answering them for the server's statistics: everything
/// before [`Batch::compute_starts`] counts as input, everything after [`Batch::compute_ends`] as output. They are set
/// for all requests here, or for each [where it is](Request::compute_starts). The phases of the batch end with those of
/// its last request.
pub struct Batch {
    requests: Vec<Request>,
}

/// What the requests of one execution share.
pub(crate) struct Execution {
    instance: Instance,
    instances: Arc<Instances>,
    rows: AtomicU64,
    unanswered: AtomicUsize,
    start: u64,
    marks: Marks,
}

impl Batch {
    /// Takes over the requests of an execution.
    ///
    /// # Safety
    /// `requests` points to `count` requests that the server hands over (null ones are skipped) to `instance`, one of
    /// `instances`.
    pub(crate) unsafe fn take(
        instance: Instance,
        instances: Arc<Instances>,
        requests: *mut *mut sys::TRITONBACKEND_Request,
        count: u32,
        batches: bool,
    ) -> Self {
        let execution = Arc::new(Execution {
            instance,
            instances,
            rows: AtomicU64::new(0),
            unanswered: AtomicUsize::new(0),
            start: now(),
            marks: Marks::default(),
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
        Self { requests }
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
        let now = now();
        let marks = self.requests.iter().map(Request::marks);
        marks.for_each(|marks| marks.compute_starts(now));
    }

    /// Marks that the work is done and the outputs are to be handed over.
    pub fn compute_ends(&self) {
        let now = now();
        let marks = self.requests.iter().map(Request::marks);
        marks.for_each(|marks| marks.compute_ends(now));
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
