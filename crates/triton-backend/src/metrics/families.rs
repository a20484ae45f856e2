//! The families of a backend.

use std::collections::HashMap;
use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::functions::Functions;
use crate::error::{Error, ErrorCode, c_string, check};
use crate::sys;

/// What a family's members are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    fn to_raw(self) -> c_int {
        match self {
            Self::Counter => 0,
            Self::Gauge => 1,
            Self::Histogram(_) => 2,
        }
    }
}

/// What a family is called, and what it is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Description {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
}

/// The families that models have asked for, by name. What the server does not have is remembered as nothing, and said once.
#[derive(Debug, Default)]
pub(crate) struct Families(Mutex<HashMap<&'static str, Option<Arc<Family>>>>);

impl Families {
    /// Those of all backends that this library is loaded as. The server counts who has a member by the family's object, and two families
    /// of one name are one at heart: with an object each, the first to delete a member would take it from the other.
    pub(crate) fn of_this_library() -> Arc<Self> {
        static SHARED: Mutex<Weak<Families>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let families = Arc::default();
            *shared = Arc::downgrade(&families);
            families
        })
    }

    /// A family; none if the server has no such thing.
    pub(super) fn family(&self, description: Description) -> Option<Arc<Family>> {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = families
            .entry(description.name)
            .or_insert_with(|| Family::or_told(description));
        made.clone()
    }
}

/// A family at the server.
#[derive(Debug)]
pub(super) struct Family {
    raw: NonNull<sys::TRITONSERVER_MetricFamily>,
    kind: Kind,
    /// Held while members come and go. The server finds, and frees, members of equal labels without one: who came while the last of
    /// them went would have what is freed.
    changes: Mutex<()>,
}

// SAFETY: the server's functions for metrics may be called from any thread; members come and go under a lock.
unsafe impl Send for Family {}
// SAFETY: as above.
unsafe impl Sync for Family {}

impl Family {
    /// None if the server cannot make it, which is no reason not to serve.
    fn or_told(description: Description) -> Option<Arc<Self>> {
        let name = description.name;
        match Self::new(description) {
            Ok(family) => Some(Arc::new(family)),
            Err(error) => {
                crate::info!("no metric '{name}': {error}");
                None
            }
        }
    }

    fn new(Description { name, help, kind }: Description) -> Result<Self, Error> {
        let unsupported = |what| Error::new(ErrorCode::Unsupported, what);
        let functions =
            Functions::found().ok_or_else(|| unsupported("this server has no metrics"))?;
        if matches!(kind, Kind::Histogram(_)) && functions.histograms.is_none() {
            return Err(unsupported("this server has no histograms"));
        }
        let mut raw = ptr::null_mut();
        let (name, help) = (c_string(name), c_string(help));
        // SAFETY: a valid out pointer; the server copies the texts.
        unsafe {
            check((functions.family_new)(
                &mut raw,
                kind.to_raw(),
                name.as_ptr(),
                help.as_ptr(),
            ))?;
        }
        Ok(Self {
            raw: NonNull::new(raw)
                .ok_or_else(|| Error::internal("the server made no family of metrics"))?,
            kind,
            changes: Mutex::new(()),
        })
    }

    /// A member with these labels, which whoever asks deletes [while no other one comes or goes](Family::changing).
    pub(super) fn member(
        &self,
        labels: &[(&str, &str)],
    ) -> Result<NonNull<sys::TRITONSERVER_Metric>, Error> {
        let functions = Functions::found()
            .ok_or_else(|| Error::internal("the functions that made the family are gone"))?;
        let labels = labels
            .iter()
            .map(|(name, value)| Label::new(functions, name, value))
            .collect::<Result<Vec<_>, Error>>()?;
        let raw_labels: Vec<_> = labels
            .iter()
            .map(|label| label.raw.as_ptr().cast_const())
            .collect();
        let count = raw_labels.len() as u64;
        let mut raw = ptr::null_mut();
        self.changing(|family| {
            // SAFETY: a valid out pointer, a live family, live labels and buckets, of which the server copies what it needs.
            unsafe {
                let (Kind::Histogram(buckets), Some(histograms)) =
                    (self.kind, &functions.histograms)
                else {
                    let labels = raw_labels.as_ptr();
                    return check((functions.metric_new)(&mut raw, family, labels, count));
                };
                let mut args = ptr::null_mut();
                check((histograms.args_new)(&mut args))?;
                let made = check((histograms.args_set)(
                    args,
                    buckets.as_ptr(),
                    buckets.len() as u64,
                ))
                .and_then(|()| {
                    let labels = raw_labels.as_ptr();
                    check((histograms.metric_new)(
                        &mut raw, family, labels, count, args,
                    ))
                });
                functions.ignore((histograms.args_delete)(args));
                made
            }
        })?;
        NonNull::new(raw).ok_or_else(|| Error::internal("the server made no metric"))
    }

    /// Runs `body` while no other member comes or goes.
    pub(super) fn changing<T>(
        &self,
        body: impl FnOnce(*mut sys::TRITONSERVER_MetricFamily) -> T,
    ) -> T {
        let _lock = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        body(self.raw.as_ptr())
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if let Some(functions) = Functions::found() {
            // SAFETY: ours, without members, which hold the family, and not used after this.
            unsafe { functions.ignore((functions.family_delete)(self.raw.as_ptr())) };
        }
    }
}

/// A label, as the server takes it.
struct Label {
    functions: &'static Functions,
    raw: NonNull<sys::TRITONSERVER_Parameter>,
}

impl Label {
    fn new(functions: &'static Functions, name: &str, value: &str) -> Result<Self, Error> {
        let (name, value) = (c_string(name), c_string(value));
        // SAFETY: the server copies both texts.
        let raw = unsafe {
            (functions.parameter_new)(name.as_ptr(), sys::PARAMETER_STRING, value.as_ptr().cast())
        };
        let raw = NonNull::new(raw).ok_or_else(|| Error::internal("the server made no label"))?;
        Ok(Self { functions, raw })
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        // SAFETY: ours, and not used after this.
        unsafe { (self.functions.parameter_delete)(self.raw.as_ptr()) };
    }
}
