//! `libtriton_transport.so`: takes a request's inputs as any backend does and answers with outputs of a given shape, whose
//! numbers nobody wrote. What it takes is what the server, its scheduler and its protocol take.
//!
//! The parameter `answer` lists the outputs, as in `speech FP32 1,167,560; speech_lengths INT32 1,1; text STRING 1,1`.
#![forbid(unsafe_code)]

use std::sync::Arc;

use triton_backend::{
    Backend, BackendContext, Batch, DataType, Error, Instance, InstanceContext, Model,
    ModelContext, Request, Response,
};

/// What a string output says.
const TEXT: &str = "as long as a short transcript";

/// The backend.
struct Transport;

impl Backend for Transport {
    type Model = Answer;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

/// One output of an answer.
struct Output {
    name: String,
    data_type: DataType,
    shape: Vec<i64>,
}

impl Output {
    /// From `name TYPE 1,2,3`.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (name, data_type, shape) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            name: name.to_owned(),
            data_type: match data_type {
                "FP32" => DataType::Fp32,
                "INT32" => DataType::Int32,
                "STRING" => DataType::String,
                _ => return None,
            },
            shape: shape
                .split(',')
                .map(|size| size.parse().ok())
                .collect::<Option<_>>()?,
        })
    }
}

/// What every request is answered.
struct Answer {
    outputs: Vec<Output>,
}

impl Model for Answer {
    type Backend = Transport;
    type Instance = Worker;

    fn new(_: &Transport, context: &ModelContext) -> Result<Self, Error> {
        let text = context.config.parameters.require("answer")?;
        let outputs: Option<_> = text.split(';').map(Output::parse).collect();
        Ok(Self {
            outputs: outputs.ok_or_else(|| {
                Error::parameter("answer", "expected 'name TYPE 1,2,3; …'".to_owned())
            })?,
        })
    }
}

/// One instance.
struct Worker(Arc<Answer>);

impl Worker {
    fn answer(&self, request: &Request) -> Result<Response, Error> {
        for input in request.inputs()? {
            input.bytes()?;
        }
        let mut response = request.response()?;
        for output in &self.0.outputs {
            let (name, shape) = (&output.name, &output.shape);
            match output.data_type {
                DataType::Int32 => response.output::<i32>(name, shape)?.fill(1),
                DataType::String => response.output_strings(name, shape, &[TEXT])?,
                _ => drop(response.output::<f32>(name, shape)?),
            }
        }
        Ok(response)
    }
}

impl Instance for Worker {
    type Model = Answer;

    fn new(model: &Arc<Answer>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self(Arc::clone(model)))
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            request.answer(|request| self.answer(request));
        }
    }
}

triton_backend::export_backend!(Transport);
