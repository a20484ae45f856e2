//! Requests that their clients take back, on a server that knows how.
#![allow(clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

mod compiler;
mod fake_host;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use fake_host::{BATCHES, FakeInput, FakeRequest, Host, Record, break_function};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};
use triton_backend::{
    Backend, BackendContext, Batch, Error, Instance, InstanceContext, Model, ModelContext, Promise,
    Request,
};

/// Leaves what it is asked to the test.
struct Waiting;
struct WaitingModel;
struct WaitingInstance;

static OPEN: Mutex<Vec<Promise>> = Mutex::new(Vec::new());

const EARLY: f32 = 1.0;
const HELD: f32 = 2.0;

impl Backend for Waiting {
    type Model = WaitingModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for WaitingModel {
    type Backend = Waiting;
    type Instance = WaitingInstance;

    fn new(_: &Waiting, _: &ModelContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Instance for WaitingInstance {
    type Model = WaitingModel;

    fn new(_: &Arc<WaitingModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        let promise = |request: Request| match request.input("x").unwrap().read::<f32>().unwrap()[0]
        {
            EARLY => request.release_early(),
            _ => request.into(),
        };
        OPEN.lock().unwrap().extend(batch.into_iter().map(promise));
    }
}

type TakeBack = unsafe extern "C" fn(bool);

/// Gives this process the functions of such a server, and returns what they answer to.
fn server_that_knows_how() -> TakeBack {
    static FOUND: OnceLock<TakeBack> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libcancel.so");
        let built = compiler::cc()
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cancel.c"))
            .status()
            .unwrap();
        assert!(built.success());
        // Never closed: what is looked up once is kept.
        let library = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) }.unwrap();
        let library = std::mem::ManuallyDrop::new(library);
        let take_back: Symbol<TakeBack> = unsafe { library.get("take_back") }.unwrap();
        *take_back
    })
}

/// What comes of a request that is taken back, or not, before `answer` answers it.
fn outcome(mood: f32, taken_back: bool, answer: impl Fn(Promise)) -> Arc<Mutex<Record>> {
    let mut host = Host::<Waiting>::load(r#"{"max_batch_size":8}"#).unwrap();
    let take_back = server_that_knows_how();
    unsafe { take_back(false) };
    let input = FakeInput::floats("x", &[1, 1], &[mood]);
    let record = host
        .execute(vec![Some(FakeRequest::new(vec![input]))])
        .remove(0);
    unsafe { take_back(taken_back) };
    std::mem::take(&mut *OPEN.lock().unwrap())
        .into_iter()
        .for_each(answer);
    assert_eq!(*BATCHES.lock().unwrap(), [1]);
    record
}

fn succeed(promise: Promise) {
    promise.answer(Promise::response);
}

fn fail(promise: Promise) {
    promise.fail(Error::invalid("no"));
}

/// The code of the one answer, and what was reported.
fn seen(record: &Mutex<Record>) -> (Option<i32>, Vec<bool>) {
    let record = record.lock().unwrap();
    assert_eq!((record.answers.len(), record.releases), (1, 1));
    // A response that is deleted after the answer would call an allocator that may be gone with it.
    assert_eq!(record.answers[0].others, 0);
    let code = record.answers[0].error.as_ref().map(|(code, _)| *code);
    (code, record.reports.clone())
}

#[test]
fn a_request_that_was_taken_back_is_told_so_and_is_no_failure() {
    const CANCELLED: i32 = 7;
    for answer in [succeed, fail, drop::<Promise>] {
        assert_eq!(
            seen(&outcome(HELD, true, answer)),
            (Some(CANCELLED), vec![])
        );
        // It was reported when it was released.
        assert_eq!(
            seen(&outcome(EARLY, true, answer)),
            (Some(CANCELLED), vec![true])
        );
    }
}

#[test]
fn any_other_is_told_what_came_of_it() {
    const INVALID: i32 = 3;
    assert_eq!(seen(&outcome(HELD, false, succeed)), (None, vec![true]));
    assert_eq!(
        seen(&outcome(HELD, false, fail)),
        (Some(INVALID), vec![false])
    );
    assert_eq!(seen(&outcome(EARLY, false, succeed)), (None, vec![true]));
    assert_eq!(
        seen(&outcome(EARLY, false, fail)),
        (Some(INVALID), vec![true])
    );
}

#[test]
fn one_that_cannot_be_told_is_no_failure_either() {
    let record = outcome(HELD, true, |promise| {
        break_function("TRITONBACKEND_ResponseSend");
        succeed(promise);
    });
    let record = record.lock().unwrap();
    assert_eq!((record.answers.len(), record.releases), (0, 1));
    assert!(record.reports.is_empty());
}
