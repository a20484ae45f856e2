//! Sequences, implicit state, calls to other models, and answers given from their callbacks.

#![allow(clippy::unwrap_used)]

mod fake_host;

use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use fake_host::{
    CALLS, FakeInput, FakeRequest, Host, KEPT, LIVE_ERRORS, LOG, PLACES, STATES, awaited_answer,
    break_function, bytes_of, forward, only_answer,
};
use triton_backend::{
    Backend, BackendContext, Batch, Call, Caller, CorrelationId, Error, Instance, InstanceContext,
    Model, ModelContext, Request,
};

/// A backend that lets another model do the work, in the fashion the first value picks.
struct Delegating;
struct DelegatingModel {
    caller: Caller,
    callee: String,
}
struct DelegatingInstance(Arc<DelegatingModel>);

impl Backend for Delegating {
    type Model = DelegatingModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for DelegatingModel {
    type Backend = Delegating;
    type Instance = DelegatingInstance;

    fn new(_: &Delegating, context: &ModelContext) -> Result<Self, Error> {
        let callee = context.config.parameters.require("callee")?.to_owned();
        Ok(Self {
            caller: Caller::new(context)?,
            callee,
        })
    }
}

impl Instance for DelegatingInstance {
    type Model = DelegatingModel;

    fn new(model: &Arc<DelegatingModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self(Arc::clone(model)))
    }

    fn execute(&mut self, batch: Batch) {
        for mut request in batch {
            let values = request
                .input("x")
                .unwrap()
                .read::<f32>()
                .unwrap()
                .into_owned();
            if let Err(error) = request.set_state("r_x", &[1, 1], &values[..1]) {
                request.fail(error);
                continue;
            }
            let mood = values.first().copied();
            let mut call = Call::new(&self.0.callee)
                .input("x", &[values.len() as i64], values)
                .output("y")
                .timeout_microseconds(5_000_000);
            if let Ok(sequence) = request.sequence() {
                call = call.sequence(sequence);
            }
            self.0.caller.call(call, move |reply| match mood {
                Some(-1.0) => drop(request),
                Some(-2.0) => {
                    *KEPT.lock().unwrap() = reply.ok();
                    request.answer(Request::response);
                }
                Some(-3.0) => panic!("bad mood"),
                _ => request.answer(|request| forward(request, reply)),
            });
        }
    }
}

fn host(callee: &str) -> Host<Delegating> {
    let config = format!(
        r#"{{"max_batch_size":8,"parameters":{{"callee":{{"string_value":"{callee}"}}}}}}"#
    );
    Host::load(&config).unwrap()
}

fn request(values: &[f32]) -> FakeRequest {
    FakeRequest::new(vec![FakeInput::floats(
        "x",
        &[1, values.len() as i64],
        values,
    )])
}

/// What a request with `values` is answered when `callee` works for us.
fn outcome(callee: &str, values: &[f32]) -> Result<Vec<f32>, (i32, String)> {
    let mut host = host(callee);
    let records = host.execute(vec![Some(request(values))]);
    let answer = awaited_answer(&records[0]);
    match answer.error {
        Some(error) => Err(error),
        None => Ok(answer.output::<f32>("y")),
    }
}

#[test]
fn an_answer_comes_from_the_callback() {
    for callee in ["working", "late_release", "talkative"] {
        assert_eq!(
            outcome(callee, &[1.0, 2.0, 3.0]),
            Ok(vec![2.0, 4.0, 6.0]),
            "{callee}"
        );
    }
}

#[test]
fn a_callee_that_asks_where_outputs_go_is_told_where_they_are_put() {
    let mut host = host("asking");
    for _ in 0..3 {
        let records = host.execute(vec![Some(request(&[1.0]))]);
        assert_eq!(awaited_answer(&records[0]).output::<f32>("y"), [2.0]);
    }
    host.settle();
    // In CPU memory, as the callee's outputs are indeed (`respond` looks), with and without name and size.
    assert_eq!(*PLACES.lock().unwrap(), [(0, 0); 6]);
    assert_eq!(LIVE_ERRORS.load(SeqCst), 0, "errors made and not freed");
}

#[test]
fn a_callee_that_fails_fails_the_request_and_is_named() {
    for (callee, code, words) in [
        ("failing", 1, "model 'failing': out of luck"),
        (
            "changing_its_mind",
            1,
            "model 'changing_its_mind': out of luck",
        ),
        ("silent", 1, "model 'silent' ended without an answer"),
        (
            "missing",
            2,
            "calling model 'missing': Request for unknown model",
        ),
        (
            "refusing",
            4,
            "calling model 'refusing': Request for model 'refusing' has exceeded",
        ),
        ("picky", 3, "calling model 'picky': no such input"),
    ] {
        let (got, message) = outcome(callee, &[1.0]).unwrap_err();
        assert_eq!(got, code, "{message}");
        assert!(message.starts_with(words), "{message}");
        assert_eq!(LIVE_ERRORS.load(SeqCst), 0, "errors made and not freed");
    }
}

#[test]
fn a_callback_that_drops_or_panics_answers_all_the_same() {
    let (_, message) = outcome("working", &[-1.0]).unwrap_err();
    assert_eq!(message, "the backend ended without answering this request");
    let mut host = host("working");
    let records = host.execute(vec![Some(request(&[-3.0]))]);
    let (_, message) = awaited_answer(&records[0]).error.unwrap();
    assert!(
        message.contains("panicked while it had this request"),
        "{message}"
    );
    host.settle();
    assert!(
        LOG.lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("bad mood"))
    );
}

#[test]
fn an_answer_may_outlive_the_model() {
    let mut host = host("working");
    let records = host.execute(vec![Some(request(&[-2.0]))]);
    // The host, dropped here, finalises the model before it drops the answer that was kept.
    assert_eq!(awaited_answer(&records[0]).error, None);
}

#[test]
fn many_calls_at_once_are_each_answered_once() {
    let mut host = host("working");
    let requests = |round: usize| {
        (0..50).map(move |index| Some(request(&[(50 * round + index) as f32 + 1.0])))
    };
    let records: Vec<_> = (0..4)
        .flat_map(|round| host.execute(requests(round).collect()))
        .collect();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(
            awaited_answer(record).output::<f32>("y"),
            [2.0 * (index as f32 + 1.0)]
        );
    }
}

#[test]
fn a_call_carries_the_sequence() {
    let mut host = host("working");
    let mut number = request(&[1.0]);
    (number.correlation_id, number.flags) = (Ok(42), 1);
    let mut text = request(&[1.0]);
    (text.correlation_id, text.flags) = (Err(c"caller 7".to_owned()), 3);
    for request in [number, text, request(&[1.0])] {
        let records = host.execute(vec![Some(request)]);
        awaited_answer(&records[0]);
    }
    let calls = CALLS.lock().unwrap().clone();
    assert_eq!(
        calls,
        [
            ("42".to_owned(), 1),
            ("caller 7".to_owned(), 3),
            (String::new(), 0)
        ]
    );
}

#[test]
fn ids_print_as_clients_wrote_them() {
    assert_eq!(CorrelationId::Number(7).to_string(), "7");
    let text = |bytes: &[u8]| CorrelationId::Text(CString::new(bytes).unwrap());
    assert_eq!(text("七".as_bytes()).to_string(), "七");
    // Up to 100 bytes of it.
    assert_eq!(text(&[b'x'; 128]).to_string(), "x".repeat(97) + "…");
}

#[test]
fn ids_that_are_not_utf8_stay_apart() {
    let text = |bytes: &[u8]| CorrelationId::Text(CString::new(bytes).unwrap());
    assert_eq!(text(b"\xff").to_string(), text(b"\xfe").to_string());
    assert_ne!(text(b"\xff"), text(b"\xfe"));
}

#[test]
fn state_is_handed_to_the_server() {
    let mut host = host("working");
    let records = host.execute(vec![Some(request(&[1.5]))]);
    awaited_answer(&records[0]);
    assert_eq!(
        *STATES.lock().unwrap(),
        [("r_x".to_owned(), bytes_of(&[1.5]))]
    );
    break_function("TRITONBACKEND_StateNew");
    let records = host.execute(vec![Some(request(&[1.5]))]);
    let (_, message) = only_answer(&records[0]).error.unwrap();
    assert_eq!(message, "TRITONBACKEND_StateNew is broken");
}
