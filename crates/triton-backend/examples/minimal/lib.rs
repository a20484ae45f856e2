//! The smallest backend: answers the largest absolute value of each row.

use triton_backend::{
    Backend, BackendContext, Batch, Error, Instance, InstanceContext, Model, ModelContext, Request,
    Response, export_backend,
};

struct Minimal; // the backend: made with the first model that names it
struct MinimalModel; // a model: what its config says, shared by the model's instances
struct MinimalInstance; // an instance of a model: works on one thread at a time
export_backend!(Minimal); // exports the C functions that the server looks for

impl Backend for Minimal {
    type Model = MinimalModel;
    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for MinimalModel {
    type Backend = Minimal;
    type Instance = MinimalInstance;
    fn new(_: &Minimal, context: &ModelContext) -> Result<Self, Error> {
        let config = &context.config; // a model whose config lacks a tensor does not load
        config.input("x").and(config.output("peak")).map(|_| Self)
    }
}

impl Instance for MinimalInstance {
    type Model = MinimalModel;
    fn new(_: &std::sync::Arc<MinimalModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            request.answer(peaks); // what `peaks` returns, or its error, goes to this client alone
        }
    }
}

fn peaks(request: &Request) -> Result<Response, Error> {
    let x = request.input("x")?;
    let values = x.read::<f32>()?; // of all rows, one behind the other
    let wrong = |why: String| Err(Error::input("x", why)); // the client's fault: HTTP 400
    let rows = match x.shape() {
        &[rows, _] if !values.is_empty() => rows,
        shape => return wrong(format!("has shape {shape:?}, expected [rows, values]")),
    };
    let mut response = request.response()?;
    let peaks = response.output::<f32>("peak", &[rows, 1])?; // the server's memory, to be filled
    let row_len = values.len() / peaks.len();
    for (row, (peak, values)) in peaks.iter_mut().zip(values.chunks(row_len)).enumerate() {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return wrong(format!("row {row} has {value}, expected finite numbers"));
        }
        *peak = values.iter().fold(0.0, |peak, value| peak.max(value.abs()));
    }
    Ok(response)
}
