//! Every request is answered once and released once, whatever happens, and nothing that changes hands leaks.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::Arc;

use fake_host::{
    BATCHES, FP32, FakeInput, FakeRequest, Host, LOG, Memory, break_function, bytes_of, name_of,
    only_answer,
};
use triton_backend::{
    Backend, BackendContext, Batch, DataType, Error, ErrorCode, Instance, InstanceContext, Model,
    ModelContext, Request, Response, guard,
};

const CONFIG: &str = r#"{"name":"model","max_batch_size":8,"parameters":{}}"#;

/// A backend whose behaviour the request's first value picks.
struct Moody;
struct MoodyModel;
struct MoodyInstance;

impl Backend for Moody {
    type Model = MoodyModel;

    fn new(context: &BackendContext) -> Result<Self, Error> {
        assert_eq!(context.setting("color"), Some("blue"));
        Ok(Self)
    }
}

impl Model for MoodyModel {
    type Backend = Moody;
    type Instance = MoodyInstance;

    fn new(_: &Moody, context: &ModelContext) -> Result<Self, Error> {
        match context.config.parameters.text("load") {
            Some("panic") => panic!("no such luck"),
            Some("fail") => Err(Error::parameter("load", "wants to fail")),
            _ => Ok(Self),
        }
    }

    fn complete_config(
        _: &Moody,
        context: &ModelContext,
    ) -> Result<Option<serde_json::Value>, Error> {
        let mut config = context.config_json.clone();
        config["parameters"]["load"]["string_value"] = "fail".into();
        Ok(Some(config))
    }
}

impl Instance for MoodyInstance {
    type Model = MoodyModel;

    fn new(_: &Arc<MoodyModel>, context: &InstanceContext) -> Result<Self, Error> {
        assert_eq!(context.name, "model_0");
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        batch.compute_starts();
        for request in batch {
            let mood = request
                .input("x")
                .and_then(|x| Ok(x.read::<f32>()?.first().copied()));
            match mood {
                Ok(Some(-1.0)) => drop(request),
                Ok(Some(-2.0)) => request.answer(|_| panic!("bad mood")),
                Ok(Some(-3.0)) => panic!("very bad mood"),
                Ok(Some(-4.0)) => {
                    request.fail(Error::new(ErrorCode::Unavailable, "later\0perhaps"))
                }
                Ok(Some(-6.0)) => request.answer(greet),
                Ok(Some(-7.0)) => request.answer(|request| {
                    request.send(double(request)?)?;
                    request.send(double(request)?)?;
                    double(request)
                }),
                Ok(Some(-8.0)) => request.answer(|request| {
                    request.send(double(request)?)?;
                    Err(Error::invalid("only the beginning"))
                }),
                Ok(Some(-5.0)) => request.answer(|request| {
                    let mut response = request.response()?;
                    response.output::<f32>("y", &[1])?.fill(0.0);
                    Err(Error::invalid("changed my mind"))
                }),
                Ok(_) => request.answer(double),
                Err(error) => request.fail(error),
            }
        }
    }
}

/// Doubles `x` into `y`, if `y` is wanted.
fn double(request: &Request) -> Result<Response, Error> {
    let x = request.input("x")?;
    let values = x.read::<f32>()?;
    let mut response = request.response()?;
    if request.wants("y") {
        let y = response.output::<f32>("y", x.shape())?;
        for (y, x) in y.iter_mut().zip(values.iter()) {
            *y = 2.0 * x;
        }
    }
    Ok(response)
}

/// Greets every name into `y`.
fn greet(request: &Request) -> Result<Response, Error> {
    let names = request.input("names")?.strings()?;
    let greetings: Vec<Vec<u8>> = names
        .iter()
        .map(|name| [b"hello ", &name[..]].concat())
        .collect();
    let mut response = request.response()?;
    response.output_strings("y", &[1, greetings.len() as i64], &greetings)?;
    Ok(response)
}

fn request(values: &[f32]) -> FakeRequest {
    FakeRequest::new(vec![FakeInput::floats(
        "x",
        &[1, values.len() as i64],
        values,
    )])
}

fn host() -> Host<Moody> {
    Host::load(CONFIG).unwrap()
}

#[test]
fn a_success_is_one_answer_and_one_release() {
    let answer = host().answer(request(&[1.0, 2.5]));
    assert_eq!(answer.error, None);
    assert_eq!(answer.output::<f32>("y"), [2.0, 5.0]);
    assert_eq!(answer.outputs[0].shape, [1, 2]);
    assert_eq!(name_of(answer.outputs[0].data_type), DataType::Fp32);
}

#[test]
fn parts_of_an_answer_go_before_the_last_one() {
    let mut host = host();
    for (mood, count, error) in [
        (-7.0, 3, None),
        (-8.0, 2, Some((3, "only the beginning".to_owned()))),
    ] {
        let records = host.execute(vec![Some(request(&[mood]))]);
        let record = records[0].lock().unwrap();
        assert_eq!((record.answers.len(), record.releases), (count, 1));
        let (last, parts) = record.answers.split_last().unwrap();
        assert_eq!((last.is_final, &last.error), (true, &error));
        for part in parts {
            assert!(!part.is_final && part.error.is_none());
            assert_eq!(part.output::<f32>("y"), [2.0 * mood]);
        }
    }
}

#[test]
fn every_kind_of_failure_is_the_own_request_s_alone() {
    let mut host = host();
    let moods = [-1.0, -2.0, -4.0, -5.0, 3.0];
    let records = host.execute(moods.iter().map(|&mood| Some(request(&[mood]))).collect());
    let errors: Vec<_> = records
        .iter()
        .map(|record| only_answer(record).error)
        .collect();
    assert_eq!(
        errors,
        [
            Some((
                1,
                "the backend ended without answering this request".to_owned()
            )),
            Some((1, "the backend panicked: bad mood".to_owned())),
            Some((4, "later\\0perhaps".to_owned())),
            Some((3, "changed my mind".to_owned())),
            None,
        ]
    );
}

#[test]
fn a_panic_of_the_whole_execution_answers_what_is_open() {
    let mut host = host();
    let records = host.execute(
        [1.0, -3.0, 2.0]
            .iter()
            .map(|&mood| Some(request(&[mood])))
            .collect(),
    );
    let answers: Vec<_> = records.iter().map(only_answer).collect();
    assert_eq!(answers[0].output::<f32>("y"), [2.0]);
    for answer in &answers[1..] {
        let (code, message) = answer.error.as_ref().unwrap();
        assert_eq!(*code, 1);
        assert!(
            message.contains("panicked while it had this request"),
            "{message}"
        );
    }
    assert!(
        LOG.lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("very bad mood"))
    );
    // The instance goes on working.
    assert_eq!(host.answer(request(&[4.0])).output::<f32>("y"), [8.0]);
}

#[test]
fn null_requests_are_skipped() {
    let mut host = host();
    let records = host.execute(vec![None, Some(request(&[1.0])), None]);
    assert_eq!(only_answer(&records[0]).output::<f32>("y"), [2.0]);
    host.execute(vec![None]);
}

#[test]
fn a_server_that_fails_us_leaks_nothing() {
    for function in [
        "TRITONBACKEND_ResponseOutput",
        "TRITONBACKEND_OutputBuffer",
        "TRITONBACKEND_InputBuffer",
    ] {
        let mut host = host();
        break_function(function);
        let (code, message) = host.answer(request(&[1.0])).error.unwrap();
        assert_eq!((code, message), (1, format!("{function} is broken")));
    }
    let mut host = host();
    break_function("TRITONBACKEND_ResponseSend");
    let records = host.execute(vec![Some(request(&[1.0])), Some(request(&[-4.0]))]);
    for record in records {
        let record = record.lock().unwrap();
        // What was not delivered is no success.
        assert_eq!((record.answers.len(), record.releases), (0, 1));
        assert_eq!(record.reports, [false]);
    }
    assert!(
        LOG.lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("could not be sent"))
    );
}

#[test]
fn without_a_response_object_the_request_is_still_released() {
    let mut host = host();
    break_function("TRITONBACKEND_ResponseNew");
    let records = host.execute(vec![Some(request(&[1.0]))]);
    let record = records[0].lock().unwrap();
    assert_eq!((record.answers.len(), record.releases), (0, 1));
    assert!(
        LOG.lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("ResponseNew is broken"))
    );
}

#[test]
fn loading_reports_errors_and_panics() {
    let load = |mood: &str| {
        let config = format!(
            r#"{{"max_batch_size":8,"parameters":{{"load":{{"string_value":"{mood}"}}}}}}"#
        );
        Host::<Moody>::load(&config).map(drop)
    };
    assert_eq!(
        load("fail"),
        Err((3, "parameter 'load': wants to fail".to_owned()))
    );
    assert_eq!(
        load("panic"),
        Err((1, "the backend panicked: no such luck".to_owned()))
    );
    assert_eq!(load("well"), Ok(()));
}

#[test]
fn a_config_is_completed_where_the_server_allows_it() {
    let mut host = Host::<Moody>::new(CONFIG);
    host.model.auto_complete = true;
    assert_eq!(
        host.initialize(),
        Err((3, "parameter 'load': wants to fail".to_owned()))
    );
    break_function("TRITONBACKEND_ModelSetConfig");
    let (_, message) = host.initialize_model().unwrap_err();
    assert_eq!(message, "TRITONBACKEND_ModelSetConfig is broken");
}

#[test]
fn a_server_too_old_is_refused() {
    let mut host = Host::<Moody>::new(CONFIG);
    break_function("old");
    let (code, message) = host.initialize().unwrap_err();
    assert_eq!(code, 5);
    assert!(message.contains("backend API 1.9"), "{message}");
}

#[test]
fn a_batch_is_reported_once_with_its_rows() {
    let mut host = host();
    let two_rows = FakeRequest::new(vec![FakeInput::floats("x", &[2, 1], &[1.0, 2.0])]);
    host.execute(vec![
        Some(request(&[1.0])),
        Some(two_rows),
        Some(request(&[-4.0])),
    ]);
    assert_eq!(*BATCHES.lock().unwrap(), [4]);
}

#[test]
fn an_output_nobody_asked_for_is_not_made() {
    let mut unasked = request(&[1.0]);
    unasked.outputs.clear();
    assert!(host().answer(unasked).outputs.is_empty());
}

#[test]
fn inputs_are_read_wherever_they_stand() {
    let mut host = host();
    let bytes = bytes_of(&[1.0, 2.0, 3.0]);
    let (first, second) = bytes.split_at(5);
    for (chunks, memory) in [
        (vec![&bytes[..]], Memory::Aligned),
        (vec![&bytes[..]], Memory::Odd),
        (vec![first, second], Memory::Aligned),
        (vec![first, &[], second], Memory::Odd),
    ] {
        let input = FakeInput::new("x", FP32, &[1, 3], &chunks, memory);
        let answer = host.answer(FakeRequest::new(vec![input]));
        assert_eq!(answer.output::<f32>("y"), [2.0, 4.0, 6.0]);
    }
}

#[test]
fn outputs_are_written_wherever_they_stand() {
    let mut host = host();
    let answer = host.answer(request(&[1.0, -0.5]).output_memory(Memory::Odd));
    assert_eq!(answer.output::<f32>("y"), [2.0, -1.0]);
}

#[test]
fn bytes_that_are_not_what_the_shape_says_are_refused() {
    let mut host = host();
    let cases = [
        FakeInput::floats("x", &[1, 3], &[1.0, 2.0]),
        FakeInput::floats("x", &[1, -2], &[1.0, 2.0]),
        FakeInput::floats("x", &[i64::MAX, 8], &[1.0, 2.0]),
        FakeInput::floats("x", &[1, 3], &[1.0, 2.0]).declared_size(12),
        FakeInput::floats("x", &[1, 1], &[1.0, 2.0]).declared_size(4),
    ];
    for input in cases {
        let (code, message) = host.answer(FakeRequest::new(vec![input])).error.unwrap();
        assert_eq!(code, 3);
        assert!(message.starts_with("input 'x'"), "{message}");
    }
    let (_, message) = host.answer(FakeRequest::new(vec![])).error.unwrap();
    assert_eq!(message, "input 'x' is missing");
    let integers = FakeInput::new("x", 8, &[1, 1], &[&[0; 4]], Memory::Aligned);
    let (_, message) = host.answer(FakeRequest::new(vec![integers])).error.unwrap();
    assert_eq!(message, "input 'x' has data type INT32, expected FP32");
}

#[test]
fn strings_are_read_and_written() {
    let mut host = host();
    let mut greet = |rank: i64, bytes: &[u8]| {
        let names = FakeInput::new("names", 13, &[1, rank], &[bytes], Memory::Odd);
        host.answer(FakeRequest::new(vec![
            FakeInput::floats("x", &[1, 1], &[-6.0]),
            names,
        ]))
    };
    let answer = greet(2, b"\x02\0\0\0Li\0\0\0\0");
    assert_eq!(
        answer.outputs[0].bytes(),
        b"\x08\0\0\0hello Li\x06\0\0\0hello "
    );
    for (rank, bytes) in [
        (1, &b"\x02\0\0\0L"[..]),
        (1, b"\x02\0"),
        (1, b"\xff\xff\xff\xffL"),
        (2, b"\0\0\0\0"),
    ] {
        let (code, message) = greet(rank, bytes).error.unwrap();
        assert_eq!(code, 3);
        assert!(message.starts_with("input 'names'"), "{message}");
    }
}

#[test]
fn the_guard_turns_any_panic_into_an_error() {
    let text = |error: Error| error.to_string();
    let owned: Result<(), Error> = guard(|| std::panic::panic_any("owned".to_owned()));
    assert_eq!(
        owned.map_err(text),
        Err("the backend panicked: owned".to_owned())
    );
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a payload that panics when dropped");
        }
    }
    let bomb: Result<(), Error> = guard(|| std::panic::panic_any(Bomb));
    assert_eq!(
        bomb.map_err(text),
        Err("the backend panicked: no message".to_owned())
    );
}
