//! Metrics: who owns them, what is shown, and what watches the ends of requests.
#![allow(clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

mod compiler;
mod fake_host;

use std::ffi::{CString, c_char, c_int};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fake_host::{FakeInput, FakeRequest, Host, LIVE_ERRORS, LOG};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use triton_backend::{
    Backend, BackendContext, Batch, Counter, Counters, Error, ErrorCode, Gauge, Gauges, Histogram,
    Histograms, Instance, InstanceContext, Model, ModelContext, Watch, sys,
};

const ROWS: Counters = Counters::new("test_rows_total", "Rows.");
const WAITING: Gauges = Gauges::new("test_waiting", "What waits.");
const WAITS: Histograms = Histograms::new("test_wait_seconds", "How long.", &[0.1, 1.0]);

const ROWS_KEY: &str = "test_rows_total{model=model,version=1,kind=long}";
const WAITING_KEY: &str = "test_waiting{model=model,version=1}";
const WAITS_KEY: &str = "test_wait_seconds{model=model,version=1}";

struct Counting;
struct CountingModel(Handles);
struct CountingInstance;

#[derive(Clone)]
struct Handles {
    rows: Counter,
    waiting: Gauge,
    waits: Histogram,
}

/// The handles of the model that was loaded last, which stay when it goes.
static HANDLES: Mutex<Option<Handles>> = Mutex::new(None);
/// Why requests failed.
static FAILED: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Backend for Counting {
    type Model = CountingModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for CountingModel {
    type Backend = Counting;
    type Instance = CountingInstance;

    fn new(_: &Counting, context: &ModelContext) -> Result<Self, Error> {
        let handles = Handles {
            rows: context.counter(&ROWS, &[("kind", "long")]),
            waiting: context.gauge(&WAITING, &[]),
            waits: context.histogram(&WAITS, &[]),
        };
        *HANDLES.lock().unwrap() = Some(handles.clone());
        match context.config.parameters.text("load") {
            Some("fail") => Err(Error::parameter("load", "wants to fail")),
            _ => Ok(Self(handles)),
        }
    }

    fn watch(&self) -> Option<Arc<dyn Watch>> {
        Some(Arc::new(Watching(self.0.rows.clone())))
    }
}

struct Watching(Counter);

impl Watch for Watching {
    fn failed(&self, error: &Error) {
        self.0.add(1.0);
        let reason = error.reason().unwrap_or("no reason");
        let failed = format!("{:?}, {reason}: {error}", error.code());
        FAILED.lock().unwrap().push(failed);
    }
}

impl Instance for CountingInstance {
    type Model = CountingModel;

    fn new(_: &Arc<CountingModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            let full = Error::new(ErrorCode::Unavailable, "full").because("most");
            match request.input("x").unwrap().read::<f32>().unwrap()[0] as i32 {
                0 => request.answer(triton_backend::Request::response),
                1 => request.fail(full.context("here")),
                2 => request.release_early().fail(Error::invalid("bad")),
                _ => drop(request),
            }
        }
    }
}

/// One test at a time: they look at the server when their host is gone.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The functions of tests/metrics.c, which this process has as a server's from then on.
struct StandIn(Library);

impl StandIn {
    fn get() -> &'static Self {
        static LOADED: OnceLock<StandIn> = OnceLock::new();
        LOADED.get_or_init(|| {
            let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libmetrics.so");
            let built = compiler::cc()
                .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
                .arg(&library)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics.c"))
                .arg("-lm")
                .status()
                .unwrap();
            assert!(built.success());
            let library = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) }.unwrap();
            type New = unsafe extern "C" fn(c_int, *const c_char) -> sys::ErrorPtr;
            type Delete = unsafe extern "C" fn(sys::ErrorPtr);
            unsafe {
                let errors = library.get::<unsafe extern "C" fn(New, Delete)>("standin_errors");
                errors.unwrap()(sys::TRITONSERVER_ErrorNew, sys::TRITONSERVER_ErrorDelete);
            }
            Self(library)
        })
    }

    /// Families, members, labels and arguments that exist.
    fn live(&self) -> [c_int; 4] {
        let live = unsafe {
            self.0
                .get::<unsafe extern "C" fn(c_int) -> c_int>("standin_live")
        };
        let live = live.unwrap();
        [0, 1, 2, 3].map(|what| unsafe { live(what) })
    }

    fn value(&self, key: &str) -> Option<f64> {
        let key = CString::new(key).unwrap();
        let value = unsafe {
            self.0
                .get::<unsafe extern "C" fn(*const c_char) -> f64>("standin_value")
        };
        let value = unsafe { value.unwrap()(key.as_ptr()) };
        (!value.is_nan()).then_some(value)
    }

    fn observed(&self, key: &str) -> c_int {
        let key = CString::new(key).unwrap();
        let observed = unsafe {
            self.0
                .get::<unsafe extern "C" fn(*const c_char) -> c_int>("standin_observed")
        };
        unsafe { observed.unwrap()(key.as_ptr()) }
    }

    fn disable(&self, really: bool) {
        let disable = unsafe { self.0.get::<unsafe extern "C" fn(bool)>("standin_disable") };
        unsafe { disable.unwrap()(really) };
    }
}

fn host() -> Host<Counting> {
    StandIn::get();
    let host = Host::load(r#"{"max_batch_size":8}"#).unwrap();
    FAILED.lock().unwrap().clear();
    host
}

fn handles() -> Handles {
    HANDLES.lock().unwrap().clone().unwrap()
}

fn ask(host: &mut Host<Counting>, what: f32) {
    host.execute(vec![Some(FakeRequest::new(vec![FakeInput::floats(
        "x",
        &[1, 1],
        &[what],
    )]))]);
}

#[test]
fn what_happens_is_shown_until_the_model_goes() {
    let _alone = alone();
    let host = host();
    let server = StandIn::get();
    let Handles {
        rows,
        waiting,
        waits,
    } = handles();
    let shown = || [ROWS_KEY, WAITING_KEY, WAITS_KEY].map(|key| server.value(key));
    assert_eq!(shown(), [Some(0.0); 3]);
    rows.add(2.5);
    waiting.add(3);
    let held = waiting.hold();
    waits.observe(0.25);
    waits.observe(2.0);
    assert_eq!(shown(), [Some(2.5), Some(4.0), Some(2.25)]);
    assert_eq!(server.observed(WAITS_KEY), 2);
    drop(held);
    assert_eq!((shown()[1], waiting.value()), (Some(3.0), 3));
    assert_eq!(server.live(), [3, 3, 0, 0]);
    drop(host);
    assert_eq!(shown(), [None; 3]);
    assert_eq!(server.live(), [0; 4]);
    // Whoever still has them does no harm.
    rows.add(1.0);
    waiting.add(1);
    waits.observe(1.0);
    assert_eq!(waiting.value(), 4);
    assert_eq!(server.live(), [0; 4]);
}

#[test]
fn what_a_model_leaves_in_a_gauge_goes_with_it() {
    let _alone = alone();
    let mut host = host();
    let server = StandIn::get();
    let first = handles();
    first.waiting.add(3);
    first.rows.add(1.0);
    // The server loads the model anew before it lets the old one go; the fake host forgets the old one's state.
    let old = host.take_model_state();
    host.initialize_model().unwrap();
    let second = handles();
    second.waiting.add(2);
    second.rows.add(1.0);
    assert_eq!(server.value(WAITING_KEY), Some(5.0));
    let new = host.take_model_state();
    host.put_model_state(old);
    host.finalize_model();
    assert_eq!(server.value(WAITING_KEY), Some(2.0));
    assert_eq!(server.value(ROWS_KEY), Some(2.0), "counters go on");
    host.put_model_state(new);
    first.waiting.add(-3);
    assert_eq!(server.value(WAITING_KEY), Some(2.0));
}

#[test]
fn a_model_that_does_not_load_leaves_none() {
    let _alone = alone();
    StandIn::get();
    let fails = r#"{"parameters": {"load": {"string_value": "fail"}}}"#;
    assert!(Host::<Counting>::load(fails).is_err());
    handles().rows.add(1.0);
    assert_eq!(StandIn::get().live(), [0; 4]);
}

#[test]
fn without_metrics_everything_goes_on() {
    let _alone = alone();
    let server = StandIn::get();
    server.disable(true);
    let host = Host::<Counting>::load("{}").unwrap();
    server.disable(false);
    let Handles {
        rows,
        waiting,
        waits,
    } = handles();
    rows.add(1.0);
    waits.observe(1.0);
    waiting.add(2);
    assert_eq!(waiting.value(), 2);
    assert_eq!(server.live(), [0; 4]);
    let log = LOG.lock().unwrap().join("\n");
    assert!(
        log.contains("no metric 'test_rows_total': metrics not supported"),
        "{log}"
    );
    drop(host);
}

#[test]
fn events_and_the_end_may_meet() {
    let _alone = alone();
    for _ in 0..50 {
        let host = host();
        let Handles { rows, waiting, .. } = handles();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (rows, waiting) = (rows.clone(), waiting.clone());
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        rows.add(1.0);
                        drop(waiting.hold());
                    }
                })
            })
            .collect();
        drop(host);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(waiting.value(), 0);
        assert_eq!(StandIn::get().live(), [0; 4]);
    }
}

#[test]
fn who_watches_is_told_of_failures_alone() {
    let _alone = alone();
    let mut host = host();
    for what in [0.0, 1.0, 2.0, 3.0] {
        ask(&mut host, what);
    }
    let failed = std::mem::take(&mut *FAILED.lock().unwrap());
    assert_eq!(
        failed,
        [
            "Unavailable, most: here: full",
            "InvalidArgument, no reason: bad",
            "Internal, no reason: the backend ended without answering this request",
        ]
    );
    assert_eq!(StandIn::get().value(ROWS_KEY), Some(3.0));
    assert_eq!(LIVE_ERRORS.load(std::sync::atomic::Ordering::SeqCst), 0);
}
