//! One member of a family at the server: a value, or a histogram, with its labels.

use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, PoisonError, RwLock};

use super::families::{Description, Families, Family};
use super::functions::Functions;
use crate::sys;

/// A member, until it is closed.
pub(super) struct Series {
    functions: &'static Functions,
    open: RwLock<Option<Open>>,
}

struct Open {
    raw: NonNull<sys::TRITONSERVER_Metric>,
    family: Arc<Family>,
}

// SAFETY: the server's functions for metrics may be called from any thread.
unsafe impl Send for Open {}
// SAFETY: as above.
unsafe impl Sync for Open {}

impl Series {
    /// The member of a family with these labels; none if the server has no such thing.
    pub(super) fn of(
        families: &Families,
        description: Description,
        labels: &[(&str, &str)],
    ) -> Option<Self> {
        let functions = Functions::found()?;
        let family = families.family(description)?;
        match family.member(labels) {
            Ok(raw) => Some(Self {
                functions,
                open: RwLock::new(Some(Open { raw, family })),
            }),
            Err(error) => {
                crate::warn!("no metric '{}' {labels:?}: {error}", description.name);
                None
            }
        }
    }

    /// Adds to a counter or a gauge. `beside` runs at the same time as far as [`Series::close`] can tell.
    pub(super) fn add(&self, amount: f64, beside: impl FnOnce()) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        beside();
        if let Some(Open { raw, .. }) = &*open {
            // SAFETY: open, so live.
            unsafe {
                let functions = self.functions;
                functions.ignore((functions.metric_increment)(raw.as_ptr(), amount));
            }
        }
    }

    /// Tells a histogram of a value.
    pub(super) fn observe(&self, value: f64) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let (Some(Open { raw, .. }), Some(histograms)) = (&*open, &self.functions.histograms) {
            // SAFETY: open, so live.
            unsafe {
                self.functions
                    .ignore((histograms.observe)(raw.as_ptr(), value))
            };
        }
    }

    /// Takes it from the server, after its value has changed by `last` for the last time: others may have the same labels, and go on.
    pub(super) fn close(&self, last: impl FnOnce() -> f64) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let Some(Open { raw, family }) = open.take() else {
            return;
        };
        let functions = self.functions;
        let last = last();
        // SAFETY: live until the delete, ours, and not used after that: nobody else has the lock, and nobody finds it any more.
        unsafe {
            if last != 0.0 {
                functions.ignore((functions.metric_increment)(raw.as_ptr(), last));
            }
            family.changing(|_| functions.ignore((functions.metric_delete)(raw.as_ptr())));
        }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").finish_non_exhaustive()
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        // Of a model that failed to load before it could keep it, or nobody would have dropped it.
        self.close(|| 0.0);
    }
}
