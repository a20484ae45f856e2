//! Tensors in GPU memory, with a stand-in for the CUDA runtime. Never run on a GPU.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fake_host::{FP32, FakeInput, FakeRequest, Host, Memory, bytes_of};
use triton_backend::{
    Backend, BackendContext, Batch, Error, Instance, InstanceContext, Model, ModelContext,
};

/// Copies `x` to `y`.
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
        for request in batch {
            request.answer(|request| {
                let x = request.input("x")?;
                let bytes = x.bytes()?;
                let mut response = request.response()?;
                response
                    .output_bytes("y", x.data_type(), x.shape(), bytes.len())?
                    .copy_from_slice(&bytes);
                Ok(response)
            });
        }
    }
}

fn gpu_request(values: &[f32]) -> FakeRequest {
    let bytes = bytes_of(values);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let shape = [1, values.len() as i64];
    FakeRequest::new(vec![FakeInput::new(
        "x",
        FP32,
        &shape,
        &[first, second],
        Memory::Gpu,
    )])
}

#[test]
fn without_a_cuda_runtime_the_error_says_what_to_do() {
    let mut host = Host::<Copy>::load("{}").unwrap();
    let (code, message) = host.answer(gpu_request(&[1.0, 2.0])).error.unwrap();
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
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
#[ignore = "needs the library path that the test above sets"]
fn copies() {
    let mut host = Host::<Copy>::load("{}").unwrap();
    let answer = host.answer(gpu_request(&[1.0, 2.0, 3.0]).output_memory(Memory::Gpu));
    assert_eq!(answer.error, None);
    assert_eq!(answer.output::<f32>("y"), [1.0, 2.0, 3.0]);

    let unlucky = FakeInput::new("x", 2, &[1, 13], &[&[1; 13]], Memory::Gpu);
    let (_, message) = host.answer(FakeRequest::new(vec![unlucky])).error.unwrap();
    assert!(message.contains("unlucky size"), "{message}");
}
