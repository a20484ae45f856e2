//! What a model learns of the server around it.

#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fake_host::{FakeInput, FakeRequest, Host, STOPPING};
use triton_backend::{
    Backend, BackendContext, Batch, Error, Instance, InstanceContext, Model, ModelContext, Server,
};

/// A backend that answers every request with what the server says, as an error's text.
struct Asking;
struct AskingModel(Server);
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

    fn new(_: &Asking, context: &ModelContext) -> Result<Self, Error> {
        Ok(Self(Server::of(context)))
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
