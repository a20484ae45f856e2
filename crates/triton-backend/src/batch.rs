//! The requests of one execution.

use std::ptr::NonNull;
use std::sync::Arc;

use crate::execution::Execution;
use crate::instances::{Instance, Instances};
use crate::phases::now;
use crate::{Error, Input, Request, Response, Watch, sys};

/// The requests of one call of [`Instance::execute`](crate::Instance::execute).
///
/// Two marks divide the time between taking the requests and answering them for the server's statistics: everything
/// before [`Batch::compute_starts`] counts as input, everything after [`Batch::compute_ends`] as output. They are set
/// for all requests here, or for each [where it is](Request::compute_starts). The phases of the batch end with those of
/// its last request.
pub struct Batch {
    requests: Vec<Request>,
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
        watch: Option<Arc<dyn Watch>>,
        requests: *mut *mut sys::TRITONBACKEND_Request,
        count: u32,
        batches: bool,
    ) -> Self {
        let execution = Arc::new(Execution::new(instance, instances, watch));
        let requests: Vec<Request> = (0..count as usize)
            // SAFETY: within the array.
            .filter_map(|index| NonNull::new(unsafe { *requests.add(index) }))
            // SAFETY: handed over by the server, each once.
            .map(|raw| unsafe { Request::new(raw, Arc::clone(&execution)) })
            .collect();
        let rows = requests.iter().map(|request| rows(request, batches)).sum();
        execution.set_size(requests.len(), rows);
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
