//! Tensors in GPU memory, with a stand-in for the CUDA runtime: pages that end the test when anything but a copy touches
//! them. Never run on a GPU.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fake_host::{FP32, FakeInput, FakeRequest, Host, Memory, STATES, bytes_of};
use triton_backend::{
    Backend, BackendContext, Batch, DataType, Error, Instance, InstanceContext, Model,
    ModelContext, Request, Response,
};

/// Copies `x` to `y`, and to the state `r_x`.
struct Copy;
struct CopyModel;
struct CopyInstance;

impl Backend for Copy {
    type Model = CopyModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for CopyModel {
    type Backend = Copy;
    type Instance = CopyInstance;

    fn new(_: &Copy, _: &ModelContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Instance for CopyInstance {
    type Model = CopyModel;

    fn new(_: &Arc<CopyModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        for mut request in batch {
            let outcome = copy(&mut request);
            request.finish(outcome);
        }
    }
}

fn copy(request: &mut Request) -> Result<Response, Error> {
    let x = request.input("x")?;
    let (data_type, shape) = (x.data_type(), x.shape().to_vec());
    let bytes = x.bytes()?.into_owned();
    let mut response = request.response()?;
    if data_type == DataType::Fp32 {
        let values = x.read::<f32>()?;
        response
            .output::<f32>("y", &shape)?
            .copy_from_slice(&values);
    } else {
        response
            .output_bytes("y", data_type, &shape, bytes.len())?
            .copy_from_slice(&bytes);
    }
    request.set_state_bytes("r_x", data_type, &shape, &bytes)?;
    Ok(response)
}

/// A request whose values are in that many buffers on the GPU.
fn gpu_request(values: &[f32], buffers: usize) -> FakeRequest {
    let bytes = bytes_of(values);
    let chunks: Vec<&[u8]> = bytes.chunks(bytes.len().div_ceil(buffers)).collect();
    let shape = [1, values.len() as i64];
    FakeRequest::new(vec![FakeInput::new(
        "x",
        FP32,
        &shape,
        &chunks,
        Memory::Gpu,
    )])
}

#[test]
fn without_a_cuda_runtime_the_error_says_what_to_do() {
    let mut host = Host::<Copy>::load("{}").unwrap();
    let (code, message) = host.answer(gpu_request(&[1.0, 2.0], 2)).error.unwrap();
    assert_eq!(code, 4);
    assert!(
        message.contains("input 'x'") && message.contains("libcudart"),
        "{message}"
    );
}

/// Runs the test below in a process that has the stand-in in its library path.
#[test]
fn with_a_cuda_runtime_in_reach_tensors_are_copied() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(directory.join("libcudart.so.12"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cudart.c"))
        .status()
        .unwrap();
    assert!(built.success());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "copies", "--ignored"])
        .env("LD_LIBRARY_PATH", directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
#[ignore = "needs the library path that the test above sets"]
fn copies() {
    let mut host = Host::<Copy>::load("{}").unwrap();
    let values = [1.0, 2.0, 3.0];
    for buffers in [1, 2, 3] {
        for output in [Memory::Gpu, Memory::Aligned] {
            STATES.lock().unwrap().clear();
            let answer = host.answer(gpu_request(&values, buffers).output_memory(output));
            assert_eq!(answer.error, None);
            assert_eq!(answer.output::<f32>("y"), values);
            let states = STATES.lock().unwrap();
            assert_eq!(*states, [("r_x".to_owned(), bytes_of(&values))]);
        }
    }

    let unlucky = FakeInput::new("x", 2, &[1, 13], &[&[1; 13]], Memory::Gpu);
    let (_, message) = host.answer(FakeRequest::new(vec![unlucky])).error.unwrap();
    assert!(message.contains("unlucky size"), "{message}");
}
