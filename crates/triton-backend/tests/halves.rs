//! Tensors of 16-bit floating point numbers.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::Arc;

use fake_host::{FakeInput, FakeRequest, Host, Memory};
use triton_backend::half::{bf16, f16};
use triton_backend::{
    Backend, BackendContext, Batch, DataType, Error, Instance, InstanceContext, Model,
    ModelContext, Request, Response,
};

/// Adds one half to FP16, and one to BF16.
struct Halves;
struct HalvesModel;
struct HalvesInstance;

impl Backend for Halves {
    type Model = HalvesModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for HalvesModel {
    type Backend = Halves;
    type Instance = HalvesInstance;

    fn new(_: &Halves, _: &ModelContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Instance for HalvesInstance {
    type Model = HalvesModel;

    fn new(_: &Arc<HalvesModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            request.answer(add);
        }
    }
}

fn add(request: &Request) -> Result<Response, Error> {
    let x = request.input("x")?;
    let mut response = request.response()?;
    match x.data_type() {
        DataType::Bf16 => {
            let values = x.read::<bf16>()?;
            let y = response.output::<bf16>("y", x.shape())?;
            for (y, x) in y.iter_mut().zip(&*values) {
                *y = *x + bf16::ONE;
            }
        }
        _ => {
            let values = x.read::<f16>()?;
            let y = response.output::<f16>("y", x.shape())?;
            for (y, x) in y.iter_mut().zip(&*values) {
                *y = *x + f16::from_f32_const(0.5);
            }
        }
    }
    Ok(response)
}

const FP16: i32 = 10;
const BF16: i32 = 14;

fn request(data_type: i32, bits: &[u16], memory: Memory) -> FakeRequest {
    let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let shape = [1, bits.len() as i64];
    let x = FakeInput::new("x", data_type, &shape, &[&bytes], memory);
    FakeRequest::new(vec![x]).output_memory(memory)
}

#[test]
fn both_kinds_are_read_and_written() {
    let mut host = Host::<Halves>::load("{}").unwrap();
    for memory in [Memory::Aligned, Memory::Odd] {
        // 1 and -2 become 1.5 and -1.5; the largest, 65504, stays.
        let answer = host.answer(request(FP16, &[0x3C00, 0xC000, 0x7BFF], memory));
        assert_eq!(answer.error, None);
        assert_eq!(answer.outputs[0].data_type, FP16);
        assert_eq!(answer.output::<u16>("y"), [0x3E00, 0xBE00, 0x7BFF]);
        // 1 and -3 become 2 and -2.
        let answer = host.answer(request(BF16, &[0x3F80, 0xC040], memory));
        assert_eq!(answer.error, None);
        assert_eq!(answer.outputs[0].data_type, BF16);
        assert_eq!(answer.output::<u16>("y"), [0x4000, 0xC000]);
    }
}

#[test]
fn one_is_not_the_other() {
    let mut host = Host::<Halves>::load("{}").unwrap();
    // Read as FP16, whatever it is.
    let answer = host.answer(request(4, &[0x3C00, 0], Memory::Aligned));
    let (code, message) = answer.error.unwrap();
    assert_eq!(code, 3);
    assert_eq!(message, "input 'x' has data type UINT32, expected FP16");
}
