//! A request that is released before its answer is answered once all the same, whatever happens.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fake_host::{
    Answer, BATCHES, FakeInput, FakeRequest, Host, LIVE_FACTORIES, LOG, Memory, Record,
    break_function,
};
use triton_backend::{
    Backend, BackendContext, Batch, Error, Instance, InstanceContext, Model, ModelContext, Promise,
    Response,
};

const CONFIG: &str = r#"{"name":"model","max_batch_size":8,"parameters":{}}"#;

/// Promises an answer to every request, and keeps the promise as the request's first value says.
struct Late;
struct LateModel;
struct LateInstance;

/// Promises whose answers come after `execute`.
static OPEN: Mutex<Vec<(Promise, f32)>> = Mutex::new(Vec::new());

/// The response factories at the end of the last execution, besides those of open promises. Those of executions before linger, so that only
/// a host's first one tells.
static KEEPING_THE_MODEL: AtomicI64 = AtomicI64::new(0);

/// When that was.
static EXECUTED: Mutex<Option<Instant>> = Mutex::new(None);

const HELD: f32 = 100.0;

impl Backend for Late {
    type Model = LateModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for LateModel {
    type Backend = Late;
    type Instance = LateInstance;

    fn new(_: &Late, _: &ModelContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Instance for LateInstance {
    type Model = LateModel;

    fn new(_: &Arc<LateModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            let x = request.input("x").unwrap().read::<f32>().unwrap()[0];
            let promise = match x {
                HELD => request.into(),
                _ => request.release_early(),
            };
            OPEN.lock().unwrap().push((promise, x));
        }
        let promised = OPEN
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, x)| *x != HELD)
            .count() as i64;
        KEEPING_THE_MODEL.store(LIVE_FACTORIES.load(SeqCst) - promised, SeqCst);
        *EXECUTED.lock().unwrap() = Some(Instant::now());
    }
}

/// Doubles `x` into `y`, if `y` is wanted.
fn double(promise: &Promise, x: f32) -> Result<Response, Error> {
    assert!(!promise.is_cancelled());
    let mut response = promise.response()?;
    if promise.wants("y") {
        response.output::<f32>("y", &[1])?[0] = 2.0 * x;
    }
    Ok(response)
}

/// Keeps the open promises, on another thread, and returns how many there were.
fn keep_promises() -> usize {
    let open = std::mem::take(&mut *OPEN.lock().unwrap());
    let count = open.len();
    let keeper = std::thread::spawn(move || {
        for (promise, x) in open {
            match x {
                -1.0 => drop(promise),
                -2.0 => promise.answer(|_| panic!("bad mood")),
                -3.0 => promise.fail(Error::invalid("no")),
                -4.0 => promise.answer(|promise| {
                    promise.response()?.output::<f32>("y", &[1])?[0] = 0.0;
                    Err(Error::invalid("changed my mind"))
                }),
                x => promise.answer(|promise| double(promise, x)),
            }
        }
    });
    keeper.join().unwrap();
    count
}

fn request(value: f32) -> FakeRequest {
    FakeRequest::new(vec![FakeInput::floats("x", &[1, 1], &[value])])
}

fn host() -> Host<Late> {
    Host::load(CONFIG).unwrap()
}

/// The one answer of a request that was released and reported once.
fn only_answer(record: &Mutex<Record>, reported: bool) -> Answer {
    let mut record = record.lock().unwrap();
    assert_eq!(record.answers.len(), 1, "answers");
    assert_eq!(record.releases, 1, "releases");
    assert_eq!(record.reports, [reported], "reported statistics");
    let answer = record.answers.pop().unwrap();
    assert!(answer.is_final);
    answer
}

#[test]
fn the_request_is_back_before_its_answer_is_there() {
    let mut host = host();
    let record = host.execute(vec![Some(request(3.0))]).remove(0);
    {
        let record = record.lock().unwrap();
        assert_eq!(
            (record.releases, record.reports.len(), record.answers.len()),
            (1, 1, 0)
        );
    }
    assert_eq!(*BATCHES.lock().unwrap(), [1]);
    assert_eq!(keep_promises(), 1);
    let answer = only_answer(&record, true);
    assert!(answer.after_release);
    assert_eq!(answer.output::<f32>("y"), [6.0]);
}

#[test]
fn the_model_is_kept_until_a_moment_after_the_execution() {
    let mut host = host();
    let both = vec![Some(request(3.0)), Some(request(3.0))];
    let record = host.execute(both).remove(0);
    assert_eq!(record.lock().unwrap().releases, 1);
    assert_eq!(
        KEEPING_THE_MODEL.load(SeqCst),
        2,
        "any of the requests may be one that keeps no model"
    );
    let others = || LIVE_FACTORIES.load(SeqCst) - 2;
    let give_up = Instant::now() + Duration::from_secs(10);
    while others() > 0 {
        assert!(Instant::now() < give_up, "the model is kept for good");
        std::thread::yield_now();
    }
    assert!(
        EXECUTED.lock().unwrap().unwrap().elapsed() >= Duration::from_millis(100),
        "the server's thread may not be back from the execution yet"
    );
    assert_eq!(others(), 0, "there are the promises'");
    keep_promises();
    assert_eq!(LIVE_FACTORIES.load(SeqCst), 0);
}

#[test]
fn a_held_request_is_released_with_its_answer() {
    let mut host = host();
    let record = host.execute(vec![Some(request(HELD))]).remove(0);
    assert_eq!(record.lock().unwrap().releases, 0);
    keep_promises();
    let answer = only_answer(&record, true);
    assert!(!answer.after_release);
    assert_eq!(answer.output::<f32>("y"), [2.0 * HELD]);
}

#[test]
fn every_kind_of_failure_is_one_answer() {
    let mut host = host();
    let moods = [-1.0, -2.0, -3.0, -4.0, 5.0];
    let records = host.execute(moods.map(|mood| Some(request(mood))).into());
    keep_promises();
    let messages = records.iter().map(|record| {
        let answer = only_answer(record, true);
        assert!(answer.after_release);
        answer.error.map_or(String::new(), |(_, message)| message)
    });
    let messages: Vec<_> = messages.collect();
    assert!(messages[0].contains("without answering"), "{messages:?}");
    assert!(messages[1].contains("bad mood"), "{messages:?}");
    assert_eq!(messages[2..], ["no", "changed my mind", ""]);
    assert_eq!(*BATCHES.lock().unwrap(), [5]);
}

#[test]
fn outputs_nobody_asked_for_are_not_made_and_memory_may_be_anywhere() {
    let mut host = host();
    let mut unwanted = request(1.0);
    unwanted.outputs.clear();
    let odd = request(2.0).output_memory(Memory::Odd);
    let records = host.execute(vec![Some(unwanted), Some(odd)]);
    keep_promises();
    assert!(only_answer(&records[0], true).outputs.is_empty());
    assert_eq!(only_answer(&records[1], true).output::<f32>("y"), [4.0]);
}

#[test]
fn a_server_that_makes_no_factory_gets_the_request_back_with_the_answer() {
    let mut host = host();
    break_function("TRITONBACKEND_ResponseFactoryNew");
    let record = host.execute(vec![Some(request(3.0))]).remove(0);
    assert_eq!(record.lock().unwrap().releases, 0);
    keep_promises();
    assert_eq!(only_answer(&record, true).output::<f32>("y"), [6.0]);
    assert!(LOG.lock().unwrap()[0].contains("before its answer"));
}

#[test]
fn a_factory_that_makes_no_response_leaks_nothing() {
    let mut host = host();
    let record = host.execute(vec![Some(request(3.0))]).remove(0);
    break_function("TRITONBACKEND_ResponseNewFromFactory");
    keep_promises();
    let record = record.lock().unwrap();
    assert_eq!((record.answers.len(), record.releases), (0, 1));
    assert!(LOG.lock().unwrap()[0].contains("could not be sent"));
}
