//! What outlives an execution by a moment, so that the server's thread is done with it first.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::factory::ResponseFactory;
use crate::{Error, Request};

/// Ten of these are longer than a thread that is ready to run waits for a processor, on any machine that still serves.
const INSTANT: Duration = Duration::from_millis(10);

/// Keeps models loaded until the executions that were given their last requests have long returned.
///
/// When an unloaded model's last request, response and factory are gone, the server stops the instance's thread, and may crash if that
/// one still executes, or has not come back from it (docs/triton-notes.md).
pub(crate) struct Linger {
    /// None only while it is dropped.
    factories: Option<Sender<Factories>>,
    thread: Option<JoinHandle<()>>,
}

impl Linger {
    pub(crate) fn new() -> Result<Self, Error> {
        let (factories, received) = channel();
        let thread = std::thread::Builder::new()
            .name("linger".to_owned())
            .spawn(move || release(&received))
            .map_err(|error| Error::internal(format!("no thread can be started: {error}")))?;
        Ok(Self {
            factories: Some(factories),
            thread: Some(thread),
        })
    }

    /// Keeps the model of `requests` until a moment after this is dropped, whatever becomes of them.
    pub(crate) fn keep_model(&self, requests: &[Request]) -> KeptModel<'_> {
        // All of them: one that stands for a sequence without a request (`direct`) keeps no model. A server that has no memory for
        // them does not get as far as unloading, either.
        let factories = requests
            .iter()
            .filter_map(|request| ResponseFactory::new(request).ok());
        KeptModel {
            linger: self,
            factories: factories.collect(),
        }
    }
}

/// Those of an execution's requests.
type Factories = Vec<ResponseFactory>;

/// A model that stays loaded.
pub(crate) struct KeptModel<'l> {
    linger: &'l Linger,
    factories: Factories,
}

impl Drop for KeptModel<'_> {
    fn drop(&mut self) {
        if let Some(factories) = &self.linger.factories {
            // Dropped at once if the thread is gone, which it is not before the linger.
            drop(factories.send(std::mem::take(&mut self.factories)));
        }
    }
}

impl Drop for Linger {
    fn drop(&mut self) {
        self.factories = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A server deletes models on threads of its own. One that did so where their last factory goes would wait for itself here.
        if thread.thread().id() == std::thread::current().id() {
            return;
        }
        if thread.join().is_err() {
            crate::error!("what keeps models loaded a moment longer has panicked");
        }
    }
}

/// Drops what comes, each after a moment or two, all of a moment at a time.
fn release(received: &Receiver<Factories>) {
    while let Ok(first) = received.recv() {
        let others: Vec<_> = received.try_iter().collect();
        // Not in one sleep: that would be over where the whole process was stopped for so long, as a container that is out of
        // processor time is.
        for _ in 0..10 {
            std::thread::sleep(INSTANT);
        }
        drop((first, others));
    }
}
