//! What a model learns of the server around it.

#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use fake_host::{FakeInput, FakeRequest, Host, STOPPING};
use triton_backend::{
    Backend, BackendContext, Batch, Error, ErrorCode, Instance, InstanceContext, Model,
    ModelContext, Server,
};

/// A backend that answers every request with what the server says, as an error's text.
struct Asking;
/// The server, and the model that it calls.
struct AskingModel(Server, String);
struct AskingInstance(Arc<AskingModel>);

impl Backend for Asking {
    type Model = AskingModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for AskingModel {
    type Backend = Asking;
    type Instance = AskingInstance;

    fn ready(&self) -> Result<(), Error> {
        match self.1.as_str() {
            "panic" => panic!("no such luck"),
            callee if self.0.model_is_ready(callee) => Ok(()),
            callee => Err(Error::new(
                ErrorCode::Unavailable,
                format!("'{callee}' is not ready"),
            )),
        }
    }

    fn new(_: &Asking, context: &ModelContext) -> Result<Self, Error> {
        let callee = context.config.parameters.text("callee");
        Ok(Self(
            Server::of(context),
            callee.unwrap_or("encoder").to_owned(),
        ))
    }
}

impl Instance for AskingInstance {
    type Model = AskingModel;

    fn new(model: &Arc<AskingModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self(Arc::clone(model)))
    }

    fn execute(&mut self, batch: Batch) {
        let server = self.0.0;
        let ready = ["encoder", "loading", "missing"].map(|model| server.model_is_ready(model));
        let config = |model| {
            server
                .model_config(model)
                .map_err(|error| error.to_string())
        };
        let facts = format!(
            "stopping {}; ready {ready:?}; models {:?}; {:?}; {:?}",
            server.is_stopping(),
            server.ready_models().unwrap(),
            config("encoder").map(|config| config["name"].clone()),
            config("missing"),
        );
        for request in batch {
            request.fail(Error::internal(facts.clone()));
        }
    }
}

#[test]
fn a_model_can_ask_the_server() {
    let mut host = Host::<Asking>::load("{}").unwrap();
    let mut facts = || {
        let request = FakeRequest::new(vec![FakeInput::floats("x", &[1], &[1.0])]);
        host.answer(request).error.unwrap().1
    };
    let expected = |stopping| {
        format!(
            "stopping {stopping}; ready [true, false, false]; models [\"encoder\", \"sensevoice\"]; \
             Ok(String(\"encoder\")); Err(\"Request for unknown model: 'missing' is not found\")"
        )
    };
    assert_eq!(facts(), expected(false));
    STOPPING.store(true, Ordering::SeqCst);
    assert_eq!(facts(), expected(true));
}

/// A model that keeps something, and that something else has for longer than the server has the model.
struct Keeping;
struct KeepingModel;
struct KeepingInstance;

static DROPPED: Mutex<Vec<&str>> = Mutex::new(Vec::new());
static ELSEWHERE: Mutex<Option<Arc<KeepingModel>>> = Mutex::new(None);

/// What is kept.
struct Told;

impl Drop for Told {
    fn drop(&mut self) {
        DROPPED.lock().unwrap().push("what was kept");
    }
}

impl Drop for KeepingModel {
    fn drop(&mut self) {
        DROPPED.lock().unwrap().push("the model");
    }
}

impl Backend for Keeping {
    type Model = KeepingModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for KeepingModel {
    type Backend = Keeping;
    type Instance = KeepingInstance;

    fn new(_: &Keeping, context: &ModelContext) -> Result<Self, Error> {
        context.keep(Told);
        match context.config.parameters.text("load") {
            Some("fail") => Err(Error::parameter("load", "wants to fail")),
            _ => Ok(Self),
        }
    }
}

impl Instance for KeepingInstance {
    type Model = KeepingModel;

    fn new(model: &Arc<KeepingModel>, _: &InstanceContext) -> Result<Self, Error> {
        *ELSEWHERE.lock().unwrap() = Some(Arc::clone(model));
        Ok(Self)
    }

    fn execute(&mut self, _: Batch) {}
}

fn dropped() -> Vec<&'static str> {
    std::mem::take(&mut DROPPED.lock().unwrap())
}

#[test]
fn what_a_model_keeps_goes_when_the_server_finalises_it() {
    let host = Host::<Keeping>::load("{}").unwrap();
    assert!(dropped().is_empty());
    drop(host);
    assert_eq!(dropped(), ["what was kept"]);
    *ELSEWHERE.lock().unwrap() = None;
    assert_eq!(dropped(), ["the model"]);
    let fails = r#"{"parameters": {"load": {"string_value": "fail"}}}"#;
    assert!(Host::<Keeping>::load(fails).is_err());
    assert_eq!(dropped(), ["what was kept"]);
}

/// What a newer server is told that asks whether a model that calls `callee` is ready.
fn readiness(callee: &str) -> Result<(), (i32, String)> {
    let config = format!("{{\"parameters\":{{\"callee\":{{\"string_value\":\"{callee}\"}}}}}}");
    Host::<Asking>::load(&config).unwrap().ready()
}

#[test]
fn a_model_says_whether_it_is_ready() {
    const INTERNAL: i32 = 1;
    const UNAVAILABLE: i32 = 4;
    assert_eq!(readiness("encoder"), Ok(()));
    assert_eq!(
        readiness("loading"),
        Err((UNAVAILABLE, "'loading' is not ready".to_owned()))
    );
    let (code, message) = readiness("panic").unwrap_err();
    assert_eq!(code, INTERNAL);
    assert!(message.contains("no such luck"), "{message}");
}
