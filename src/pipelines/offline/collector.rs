//! A request whose rows are computed in different calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use asr_decode::Transcript;
use triton_backend::{Error, Request, Response};

use crate::pipelines::options::Permit;
use crate::tensors::outputs::{Outputs, Told};

/// Collects what was heard in a request's rows; the last one, or the first error, ends the request.
pub(crate) struct Collector {
    open: Mutex<Option<Open>>,
    outputs: Arc<Outputs>,
    /// When the client does not wait for rows any more whose call has not gone out.
    deadline: Option<Instant>,
}

struct Open {
    request: Request,
    heard: Vec<Option<Transcript>>,
    /// Given back before the answer: whoever has it may send the next request.
    permit: Permit,
}

impl Collector {
    /// A collector for `rows` rows of a request that was let in, whose client waits until `deadline`, and whose transcripts make up
    /// `outputs`.
    pub(crate) fn new(
        request: Request,
        deadline: Option<Instant>,
        permit: Permit,
        rows: usize,
        outputs: Arc<Outputs>,
    ) -> Arc<Self> {
        let open = Open {
            request,
            heard: vec![None; rows],
            permit,
        };
        Arc::new(Self {
            open: Mutex::new(Some(open)),
            outputs,
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
    pub(crate) fn deliver(&self, row: usize, outcome: Result<Transcript, Error>) {
        let mut open = self.lock();
        let Some(Open {
            request,
            mut heard,
            permit,
        }) = open.take()
        else {
            return;
        };
        match outcome {
            Ok(transcript) => {
                if let Some(place) = heard.get_mut(row) {
                    *place = Some(transcript);
                }
                if heard.iter().any(Option::is_none) {
                    *open = Some(Open {
                        request,
                        heard,
                        permit,
                    });
                    return;
                }
                drop(open);
                drop(permit);
                let heard: Vec<Transcript> = heard.into_iter().flatten().collect();
                request.answer(|request| self.respond(request, &heard));
            }
            Err(error) => {
                drop(open);
                drop(permit);
                request.fail(error);
            }
        }
    }

    fn respond(&self, request: &Request, heard: &[Transcript]) -> Result<Response, Error> {
        let needs = self.outputs.needs();
        let told = |heard| Told::of_recording(heard, needs);
        let told: Vec<Told<'_>> = heard.iter().map(told).collect();
        let mut response = request.response()?;
        self.outputs
            .write(&mut response, |name| request.wants(name), &told)?;
        Ok(response)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        // The request is taken out as a whole before anything can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
