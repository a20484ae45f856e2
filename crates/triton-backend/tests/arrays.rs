//! Tensors as arrays, wherever they stand and whatever their shape.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::Arc;

use fake_host::{Answer, FP32, FakeInput, FakeRequest, Host, Memory, awaited_answer, bytes_of};
use triton_backend::ndarray::{Axis, Dimension, Ix0, Ix1, Ix2, Ix3, IxDyn};
use triton_backend::{
    Backend, BackendContext, Batch, Call, Caller, Error, Instance, InstanceContext, Model,
    ModelContext, Request, Response,
};

/// A backend that does with `x` what the config says.
struct Arrays;
struct ArraysModel {
    job: String,
    caller: Caller,
}
struct ArraysInstance(Arc<ArraysModel>);

impl Backend for Arrays {
    type Model = ArraysModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for ArraysModel {
    type Backend = Arrays;
    type Instance = ArraysInstance;

    fn new(_: &Arrays, context: &ModelContext) -> Result<Self, Error> {
        Ok(Self {
            job: context.config.parameters.require("job")?.to_owned(),
            caller: Caller::new(context)?,
        })
    }
}

impl Instance for ArraysInstance {
    type Model = ArraysModel;

    fn new(model: &Arc<ArraysModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self(Arc::clone(model)))
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            match self.0.job.as_str() {
                "transpose" => request.answer(transpose),
                "where" => request.answer(is_borrowed),
                "copy 0" => request.answer(copy::<Ix0>),
                "copy 1" => request.answer(copy::<Ix1>),
                "copy 2" => request.answer(copy::<Ix2>),
                "copy 3" => request.answer(copy::<Ix3>),
                "copy" => request.answer(copy::<IxDyn>),
                "make" => request.answer(make),
                "ask for 1" => ask::<Ix1>(&self.0.caller, request),
                "ask for 2" => ask::<Ix2>(&self.0.caller, request),
                other => panic!("no job {other}"),
            }
        }
    }
}

/// The input's columns, written in an order that is not the memory's.
fn transpose(request: &Request) -> Result<Response, Error> {
    let x = request.input("x")?.array::<f32, Ix2>()?;
    let mut response = request.response()?;
    let mut y = response.output_array("y", (x.ncols(), x.nrows()))?;
    for (column, values) in x.axis_iter(Axis(0)).enumerate() {
        y.column_mut(column).assign(&values);
    }
    Ok(response)
}

/// 1 if the array is the server's memory, 0 if it is a copy.
fn is_borrowed(request: &Request) -> Result<Response, Error> {
    let input = request.input("x")?;
    let x = input.array::<f32, IxDyn>()?;
    let borrowed = x.is_view();
    assert_eq!(borrowed, x.as_ptr() == input.read::<f32>()?.as_ptr());
    let mut response = request.response()?;
    response
        .output_array("y", ())?
        .fill(f32::from(u8::from(borrowed)));
    Ok(response)
}

fn copy<D: Dimension>(request: &Request) -> Result<Response, Error> {
    let x = request.input("x")?.array::<f32, D>()?;
    let mut response = request.response()?;
    response.output_array("y", x.raw_dim())?.assign(&x);
    Ok(response)
}

/// An output whose dimensions are powers of two, the input's elements, or nothing where they are negative.
fn make(request: &Request) -> Result<Response, Error> {
    let powers = request.input("x")?.array::<f32, Ix1>()?;
    let shape = powers.mapv(|power| {
        if power < 0.0 {
            0
        } else {
            1_usize << (power as u32)
        }
    });
    let mut response = request.response()?;
    response
        .output_array::<f32, _>("y", IxDyn(&shape.to_vec()))?
        .fill(7.0);
    Ok(response)
}

fn ask<D: Dimension>(caller: &Caller, request: Request) {
    let values = request.input("x").unwrap().read().unwrap().into_owned();
    let call = Call::new("working")
        .input::<f32>("x", &[values.len() as i64], values)
        .output("y");
    caller.call(call, |reply| {
        request.answer(|request| {
            let reply = reply?;
            let doubled = reply.output("y")?.array::<f32, D>()?;
            assert!(doubled.is_view());
            let mut response = request.response()?;
            response
                .output_array("y", doubled.raw_dim())?
                .assign(&doubled);
            Ok(response)
        });
    });
}

fn execute(job: &str, request: FakeRequest) -> Answer {
    let config =
        format!(r#"{{"max_batch_size":8,"parameters":{{"job":{{"string_value":"{job}"}}}}}}"#);
    let mut host = Host::<Arrays>::load(&config).unwrap();
    let records = host.execute(vec![Some(request)]);
    awaited_answer(&records[0])
}

/// Shape and elements of `y`, or the error, for floats.
fn outcome(
    job: &str,
    shape: &[i64],
    values: &[f32],
) -> Result<(Vec<i64>, Vec<f32>), (i32, String)> {
    let input = FakeInput::floats("x", shape, values);
    let answer = execute(job, FakeRequest::new(vec![input]));
    match answer.error {
        Some(error) => Err(error),
        None => Ok((answer.outputs[0].shape.clone(), answer.output("y"))),
    }
}

fn refused(code: i32, message: &str) -> Result<(Vec<i64>, Vec<f32>), (i32, String)> {
    Err((code, message.to_owned()))
}

/// Six values as servers may hand them over, and whether they can be borrowed.
fn places(bytes: &[u8]) -> [(Vec<&[u8]>, Memory, f32); 5] {
    let (first, second) = bytes.split_at(9);
    [
        (vec![bytes], Memory::Aligned, 1.0),
        (vec![bytes], Memory::Odd, 0.0),
        (vec![first, second], Memory::Aligned, 0.0),
        (vec![first, &[], second], Memory::Odd, 0.0),
        (vec![&[], bytes], Memory::Aligned, 0.0),
    ]
}

#[test]
fn elements_have_their_places_wherever_they_stand() {
    let bytes = bytes_of(&[0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    for (chunks, memory, _) in places(&bytes) {
        for output_memory in [Memory::Aligned, Memory::Odd] {
            let input = FakeInput::new("x", FP32, &[2, 3], &chunks, memory);
            let request = FakeRequest::new(vec![input]).output_memory(output_memory);
            let answer = execute("transpose", request);
            assert_eq!(answer.error, None);
            assert_eq!(answer.outputs[0].shape, [3, 2]);
            assert_eq!(answer.output::<f32>("y"), [0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
        }
    }
}

#[test]
fn one_aligned_buffer_is_not_copied() {
    let bytes = bytes_of(&[0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    for (chunks, memory, borrowed) in places(&bytes) {
        let input = FakeInput::new("x", FP32, &[2, 3], &chunks, memory);
        let answer = execute("where", FakeRequest::new(vec![input]));
        assert_eq!(answer.output::<f32>("y"), [borrowed], "{chunks:?}");
    }
}

#[test]
fn another_number_of_dimensions_is_refused_with_the_shape() {
    let values = [1.0, 2.0];
    for (job, expected) in [
        ("copy 0", "0 dimensions"),
        ("copy 1", "1 dimension"),
        ("copy 3", "3 dimensions"),
    ] {
        let message = format!("input 'x' has shape [1, 2], expected {expected}");
        assert_eq!(outcome(job, &[1, 2], &values), refused(3, &message));
    }
    for job in ["copy 2", "copy"] {
        assert_eq!(
            outcome(job, &[1, 2], &values),
            Ok((vec![1, 2], values.to_vec()))
        );
    }
}

#[test]
fn arrays_may_be_empty_or_a_single_value() {
    for (job, shape) in [
        ("copy 2", &[0, 3][..]),
        ("copy 2", &[2, 0]),
        ("copy 3", &[4, 0, i64::MAX / 8]),
        ("copy", &[0]),
        ("transpose", &[0, 0]),
    ] {
        assert_eq!(outcome(job, shape, &[]), Ok((shape.to_vec(), vec![])));
    }
    for job in ["copy 0", "copy"] {
        assert_eq!(outcome(job, &[], &[5.0]), Ok((vec![], vec![5.0])));
    }
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let values = [1.0, 2.0];
    assert_eq!(
        outcome("copy 2", &[1, -2], &values),
        refused(3, "input 'x': has 8 bytes, but shape [1, -2] of FP32")
    );
    assert_eq!(
        outcome("copy", &[1, 3], &values),
        refused(3, "input 'x': has 8 bytes, but shape [1, 3] of FP32")
    );
    // No elements, but the strides of an array would overflow.
    let most = i64::MAX;
    let message =
        format!("input 'x' has shape [0, {most}, {most}], expected dimensions that can be counted");
    assert_eq!(
        outcome("copy 3", &[0, most, most], &[]),
        refused(3, &message)
    );
    let integers = FakeInput::new("x", 8, &[1, 1], &[&[0; 4]], Memory::Aligned);
    let answer = execute("copy 2", FakeRequest::new(vec![integers]));
    assert_eq!(
        answer.error,
        Some((3, "input 'x' has data type INT32, expected FP32".to_owned()))
    );
}

#[test]
fn outputs_that_cannot_be_are_the_backends_own_fault() {
    assert_eq!(
        outcome("make", &[2], &[0.0, 1.0]),
        Ok((vec![1, 2], vec![7.0, 7.0]))
    );
    let huge = 1_u64 << 62;
    for (powers, shape) in [
        // More than the server can count, more bytes than can be counted, more elements, and none in too many.
        (&[63.0][..], format!("[{}]", 1_u64 << 63)),
        (&[62.0], format!("[{huge}]")),
        (&[62.0, 62.0], format!("[{huge}, {huge}]")),
        (&[-1.0, 62.0, 62.0], format!("[0, {huge}, {huge}]")),
    ] {
        let (code, message) = outcome("make", &[powers.len() as i64], powers).unwrap_err();
        assert_eq!(
            (code, message),
            (1, format!("output 'y' of impossible shape {shape}"))
        );
    }
}

#[test]
fn what_a_called_model_answers_is_an_array_too() {
    assert_eq!(
        outcome("ask for 1", &[3], &[1.0, 2.0, 3.0]),
        Ok((vec![3], vec![2.0, 4.0, 6.0]))
    );
    assert_eq!(
        outcome("ask for 2", &[3], &[1.0, 2.0, 3.0]),
        refused(
            1,
            "output 'y' of the called model has shape [3], expected 2 dimensions"
        )
    );
}
