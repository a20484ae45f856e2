//! A request whose rows are computed in different calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use triton_backend::{Error, Request, Response};

use crate::tensors::layout::Layout;

/// Collects the texts of a request's rows; the last one, or the first error, ends the request.
pub(crate) struct Collector {
    open: Mutex<Option<Open>>,
    layout: Layout,
    output: &'static str,
}

struct Open {
    request: Request,
    texts: Vec<Option<String>>,
}

impl Collector {
    /// A collector for `rows` rows, whose texts make up the output called `output`.
    pub(crate) fn new(
        request: Request,
        rows: usize,
        layout: Layout,
        output: &'static str,
    ) -> Arc<Self> {
        let open = Open {
            request,
            texts: vec![None; rows],
        };
        Arc::new(Self {
            open: Mutex::new(Some(open)),
            layout,
            output,
        })
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
    pub(crate) fn deliver(&self, row: usize, text: Result<String, Error>) {
        let mut open = self.lock();
        let Some(Open { request, mut texts }) = open.take() else {
            return;
        };
        match text {
            Ok(text) => {
                if let Some(place) = texts.get_mut(row) {
                    *place = Some(text);
                }
                if texts.iter().any(Option::is_none) {
                    *open = Some(Open { request, texts });
                    return;
                }
                drop(open);
                let texts: Vec<String> = texts.into_iter().flatten().collect();
                request.answer(|request| self.respond(request, &texts));
            }
            Err(error) => {
                drop(open);
                request.fail(error);
            }
        }
    }

    fn respond(&self, request: &Request, texts: &[String]) -> Result<Response, Error> {
        let mut response = request.response()?;
        if request.wants(self.output) {
            response.output_strings(self.output, &self.layout.shape(texts.len(), &[1]), texts)?;
        }
        Ok(response)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        // The request is taken out as a whole before anything can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
