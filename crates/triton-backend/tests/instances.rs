//! Instances that go while requests of theirs are open, as when `instance_group` changes under traffic.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

use fake_host::{BATCHES, FakeInput, FakeRequest, Host, awaited_answer};
use triton_backend::{
    Backend, BackendContext, Batch, Error, Instance, InstanceContext, Model, ModelContext, Request,
};

/// Takes requests and leaves them to the gate.
struct Gated;
struct GatedModel;
struct GatedInstance;

/// Requests that wait, until a test opens the gate.
static GATE: OnceLock<(Sender<Request>, Mutex<Receiver<Request>>)> = OnceLock::new();

fn gate() -> &'static (Sender<Request>, Mutex<Receiver<Request>>) {
    GATE.get_or_init(|| {
        let (sender, receiver) = channel();
        (sender, Mutex::new(receiver))
    })
}

impl Backend for Gated {
    type Model = GatedModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for GatedModel {
    type Backend = Gated;
    type Instance = GatedInstance;

    fn new(_: &Gated, _: &ModelContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Instance for GatedInstance {
    type Model = GatedModel;

    fn new(_: &Arc<GatedModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            gate().0.send(request).unwrap();
        }
    }
}

/// Answers what waits.
fn open_the_gate() {
    let waiting: Vec<Request> = gate().1.lock().unwrap().try_iter().collect();
    for request in waiting {
        request.answer(Request::response);
    }
}

fn requests(count: usize) -> Vec<Option<FakeRequest>> {
    let input = || FakeInput::floats("x", &[1, 1], &[1.0]);
    (0..count)
        .map(|_| Some(FakeRequest::new(vec![input()])))
        .collect()
}

fn host() -> Host<Gated> {
    Host::load(r#"{"max_batch_size":8}"#).unwrap()
}

#[test]
fn requests_of_an_instance_that_was_replaced_are_answered_and_counted() {
    let mut host = host();
    let first = host.execute(requests(2));
    host.replace_instance();
    let second = host.execute(requests(1));
    open_the_gate();
    for record in first.iter().chain(&second) {
        assert_eq!(awaited_answer(record).error, None);
    }
    assert_eq!(*BATCHES.lock().unwrap(), [2, 1]);
}

#[test]
fn requests_of_a_model_without_instances_are_answered_all_the_same() {
    let mut host = host();
    let records = host.execute(requests(2));
    host.finalize_instance();
    open_the_gate();
    for record in &records {
        let record = record.lock().unwrap();
        assert!(record.reports.is_empty(), "there is nothing to report with");
        assert_eq!((record.answers.len(), record.releases), (1, 1));
        assert!(record.answers[0].error.is_none());
    }
    assert!(BATCHES.lock().unwrap().is_empty());
}

#[test]
fn instances_come_and_go_while_answers_are_reported() {
    let mut host = host();
    let over = AtomicBool::new(false);
    let mut records = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    open_the_gate();
                }
            });
        }
        for _ in 0..300 {
            records.extend(host.execute(requests(2)));
            host.replace_instance();
        }
        over.store(true, SeqCst);
    });
    open_the_gate();
    for record in &records {
        assert_eq!(awaited_answer(record).error, None);
    }
    assert_eq!(*BATCHES.lock().unwrap(), [2; 300]);
}
