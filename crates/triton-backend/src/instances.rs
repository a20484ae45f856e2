//! The instances that a model has at the server.

use std::sync::{PoisonError, RwLock};

use crate::sys;

/// The instances of one model between their initialisation and their finalisation.
///
/// The server finalises an instance when nothing executes on it any more, be it that `instance_group` changed or that
/// the model is unloaded. It does not wait for requests that are answered after `execute`, so what is to be done with an
/// instance on their behalf asks here first.
#[derive(Default)]
pub(crate) struct Instances(RwLock<Vec<Instance>>);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instance(*mut sys::TRITONBACKEND_ModelInstance);

// SAFETY: the pointer is only passed back to the server, whose functions may be called from any thread.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Instance {
    pub(crate) fn new(raw: *mut sys::TRITONBACKEND_ModelInstance) -> Self {
        Self(raw)
    }

    pub(crate) fn raw(self) -> *mut sys::TRITONBACKEND_ModelInstance {
        self.0
    }
}

impl Instances {
    pub(crate) fn add(&self, instance: Instance) {
        let mut instances = self.0.write().unwrap_or_else(PoisonError::into_inner);
        instances.push(instance);
    }

    /// After this nothing touches the instance any more.
    pub(crate) fn remove(&self, instance: Instance) {
        let mut instances = self.0.write().unwrap_or_else(PoisonError::into_inner);
        instances.retain(|other| *other != instance);
    }

    /// Runs `body` with `instance`, or, if that is gone, with another of the model: the server counts by model. The
    /// instance stays while `body` runs, which therefore must do nothing that could wait for an instance to go, such as
    /// answering or releasing a request. Nothing is done if the model has no instance any more.
    pub(crate) fn with(&self, instance: Instance, body: impl FnOnce(Instance)) {
        let instances = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let there = instances.contains(&instance);
        if let Some(instance) = there.then_some(&instance).or(instances.first()) {
            body(*instance);
        }
    }
}
