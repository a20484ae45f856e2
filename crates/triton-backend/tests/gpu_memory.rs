//! Tensors in GPU memory, with a stand-in for the CUDA runtime: pages that end the test when anything but a copy touches
//! them, and copies that come late. Never run on a GPU.
#![allow(clippy::unwrap_used)]

mod compiler;
mod cudart;
mod fake_host;

use std::sync::Arc;
use std::time::Duration;

use cudart::{Cudart, ILLEGAL_ADDRESS, OUT_OF_MEMORY, run_with_it};
use fake_host::{
    Answer, FP32, FakeInput, FakeRequest, Host, Memory, STATES, bytes_of, only_answer,
};
use triton_backend::{
    Backend, BackendContext, Batch, DataType, Error, Instance, InstanceContext, Model,
    ModelContext, Request, Response,
};

/// So many requests are answered at the same time.
const MANY: usize = 8;

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

    /// Many requests each have a thread of their own.
    fn execute(&mut self, batch: Batch) {
        let many = batch.requests().len() >= MANY;
        std::thread::scope(|scope| {
            for mut request in batch {
                let answer = move || {
                    let outcome = copy(&mut request);
                    request.finish(outcome);
                };
                match many {
                    true => drop(scope.spawn(answer)),
                    false => answer(),
                }
            }
        });
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

/// A request whose values are in that many buffers in some memory, and go to other memory.
fn request(values: &[f32], buffers: usize, from: Memory, to: Memory) -> FakeRequest {
    let bytes = bytes_of(values);
    let chunks: Vec<&[u8]> = bytes.chunks(bytes.len().div_ceil(buffers)).collect();
    let shape = [1, values.len() as i64];
    let x = FakeInput::new("x", FP32, &shape, &chunks, from);
    FakeRequest::new(vec![x]).output_memory(to)
}

const GPU: Memory = Memory::Gpu(0);
const OTHER_GPU: Memory = Memory::Gpu(1);
/// Is not there.
const NO_GPU: Memory = Memory::Gpu(7);

/// From a GPU and back to it.
fn there_and_back(values: &[f32], gpu: Memory) -> FakeRequest {
    request(values, 1, gpu, gpu)
}

fn outcome(answer: &Answer) -> Result<Vec<f32>, (i32, String)> {
    match &answer.error {
        None => Ok(answer.output::<f32>("y")),
        Some(error) => Err(error.clone()),
    }
}

fn failed(answer: &Answer, code: i32, parts: &[&str]) {
    let (got, message) = answer.error.clone().unwrap();
    assert_eq!(got, code, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part} not in {message}");
    }
}

const INTERNAL: i32 = 1;
const UNAVAILABLE: i32 = 4;

#[test]
fn without_a_cuda_runtime_the_error_says_what_to_do() {
    let mut host = Host::<Copy>::load("{}").unwrap();
    let answer = host.answer(request(&[1.0, 2.0], 2, GPU, Memory::Aligned));
    failed(&answer, UNAVAILABLE, &["input 'x'", "libcudart"]);
}

#[test]
fn with_a_cuda_runtime_in_reach_tensors_are_copied() {
    run_with_it("with_it::", &[]);
}

#[test]
fn the_stand_in_can_fail_from_the_start() {
    run_with_it(
        "failing::",
        &[("CUDART_FAIL", "cudaStreamCreateWithFlags=2")],
    );
}

#[test]
fn a_pool_that_is_no_number_fails_the_load() {
    let loaded = Host::<Copy>::load_with_setting("pinned-memory-pool-byte-size", "1 GB");
    let (code, message) = loaded.map(drop).unwrap_err();
    assert_eq!(code, 3);
    assert!(
        message.contains("pinned-memory-pool-byte-size") && message.contains("1 GB"),
        "{message}"
    );
}

mod failing {
    use super::*;

    #[test]
    #[ignore = "needs the library path and the failure that a test above sets"]
    fn from_the_start() {
        let mut host = Host::<Copy>::load("{}").unwrap();
        let first = host.answer(there_and_back(&[1.0], GPU));
        failed(
            &first,
            UNAVAILABLE,
            &["making a stream on GPU 0", "out of memory"],
        );
        let second = host.answer(there_and_back(&[1.0], GPU));
        assert_eq!(outcome(&second), Ok(vec![1.0]));
    }
}

/// In a process that has the stand-in in its library path.
mod with_it {
    use super::*;

    /// Runs a test on a fresh host. Afterwards nothing of the runtime's is left, the device is the one before, no failure waits
    /// for somebody else to be told, and nothing went through the legacy default stream.
    fn on_host(test: impl FnOnce(&Cudart, &mut Host<Copy>)) {
        on(Host::<Copy>::load("{}").unwrap(), test);
    }

    fn on(mut host: Host<Copy>, test: impl FnOnce(&Cudart, &mut Host<Copy>)) {
        let cudart = Cudart::loaded();
        let device = cudart.device();
        test(&cudart, &mut host);
        assert_eq!(cudart.device(), device);
        assert_eq!(cudart.last_error(), 0);
        assert_eq!(cudart.legacy(), 0);
        drop(host);
        assert_eq!((cudart.streams(), cudart.pinned()), (0, 0));
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn from_all_places_to_all_places() {
        on_host(|_, host| {
            let values = [1.0, 2.0, 3.0];
            for (buffers, from) in [(1, GPU), (2, GPU), (3, OTHER_GPU), (1, Memory::Odd)] {
                for to in [GPU, OTHER_GPU, Memory::Aligned] {
                    STATES.lock().unwrap().clear();
                    let answer = host.answer(request(&values, buffers, from, to));
                    assert_eq!(outcome(&answer), Ok(values.to_vec()));
                    let states = STATES.lock().unwrap();
                    assert_eq!(*states, [("r_x".to_owned(), bytes_of(&values))]);
                }
            }
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn copies_are_made_on_the_device_of_the_memory_and_once() {
        on_host(|cudart, host| {
            for current in [0, 1] {
                cudart.set_device(current);
                let before = [cudart.copies(0), cudart.copies(1)];
                // Two buffers in, which are read twice; an output and a state.
                let answer = host.answer(request(&[1.0, 2.0], 2, OTHER_GPU, GPU));
                assert_eq!(outcome(&answer), Ok(vec![1.0, 2.0]));
                let after = [cudart.copies(0), cudart.copies(1)];
                assert_eq!([after[0] - before[0], after[1] - before[1]], [2, 2]);
                assert_eq!(cudart.device(), current);
            }
            cudart.set_device(0);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn without_memory_on_the_gpu_one_request_fails() {
        for function in ["cudaMemcpyAsync", "cudaStreamCreateWithFlags", "copy"] {
            on_host(|cudart, host| {
                cudart.fail(function, OUT_OF_MEMORY, 1);
                let requests = [1.0, 2.0, 3.0].map(|value| Some(there_and_back(&[value], GPU)));
                let records = host.execute(requests.into());
                let [first, second, third] = [0, 1, 2].map(|index| only_answer(&records[index]));
                let parts = ["input 'x'", "GPU 0", "out of memory", "try again"];
                failed(&first, UNAVAILABLE, &parts);
                assert_eq!(outcome(&second), Ok(vec![2.0]));
                assert_eq!(outcome(&third), Ok(vec![3.0]));
            });
        }
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn an_output_that_does_not_reach_the_gpu_fails_its_request() {
        on_host(|cudart, host| {
            let to_gpu = |value| request(&[value], 1, Memory::Aligned, GPU);
            // The state's copy is the first, the output's the second.
            cudart.fail("cudaMemcpyAsync", 0, 1);
            cudart.fail("cudaMemcpyAsync", OUT_OF_MEMORY, 1);
            let requests = [to_gpu(1.0), to_gpu(2.0)].map(Some);
            let records = host.execute(requests.into());
            failed(
                &only_answer(&records[0]),
                UNAVAILABLE,
                &["outputs", "out of memory"],
            );
            assert_eq!(outcome(&only_answer(&records[1])), Ok(vec![2.0]));
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn a_gpu_that_is_not_there_is_named() {
        on_host(|cudart, host| {
            cudart.set_device(1);
            let answer = host.answer(there_and_back(&[1.0], NO_GPU));
            failed(
                &answer,
                INTERNAL,
                &["input 'x'", "GPU 7", "invalid device ordinal"],
            );
            assert_eq!(cudart.device(), 1);
            let answer = host.answer(there_and_back(&[1.0], GPU));
            assert_eq!(outcome(&answer), Ok(vec![1.0]));
            cudart.set_device(0);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn a_stream_whose_work_failed_is_not_used_again() {
        on_host(|cudart, host| {
            let answer = host.answer(there_and_back(&[1.0], GPU));
            assert_eq!(outcome(&answer), Ok(vec![1.0]));
            assert_eq!(cudart.streams(), 1);
            cudart.fail("copy", ILLEGAL_ADDRESS, 1);
            let answer = host.answer(there_and_back(&[1.0], GPU));
            failed(&answer, INTERNAL, &["illegal memory access", "4 bytes"]);
            assert_eq!(cudart.streams(), 0);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn what_is_under_way_is_awaited_when_the_next_copy_fails() {
        on_host(|cudart, host| {
            cudart.fail("cudaMemcpyAsync", 0, 1);
            cudart.fail("cudaMemcpyAsync", OUT_OF_MEMORY, 1);
            let failing = request(&[1.0, 2.0], 2, GPU, Memory::Aligned);
            // Its memory is used by the next request at once; a copy that is under way would write there.
            let next = request(&[3.0, 4.0], 1, Memory::Aligned, GPU);
            let records = host.execute(vec![Some(failing), Some(next)]);
            failed(&only_answer(&records[0]), UNAVAILABLE, &["input 'x'"]);
            assert_eq!(outcome(&only_answer(&records[1])), Ok(vec![3.0, 4.0]));
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn streams_and_pinned_memory_are_used_again() {
        on_host(|cudart, host| {
            let before = cudart.allocations();
            for number in 0..20 {
                let values = [number as f32; 3000];
                let answer = host.answer(there_and_back(&values, GPU));
                assert_eq!(outcome(&answer), Ok(values.to_vec()));
            }
            assert_eq!(cudart.streams(), 1);
            // One for the input, one for the output.
            assert_eq!(cudart.allocations() - before, 2);
            assert_eq!(cudart.pinned(), 2 * 12288);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn pinned_memory_has_a_limit() {
        let limit = 3 * 4096;
        for setting in [limit, 0] {
            let key = "pinned-memory-pool-byte-size";
            let host = Host::<Copy>::load_with_setting(key, &setting.to_string()).unwrap();
            on(host, |cudart, host| {
                let before = cudart.allocations();
                // Small ones, one that fits when the small ones make room, one that never does, small ones again.
                for count in [10, 2000, 9000, 10] {
                    let values = vec![count as f32; count];
                    let answer = host.answer(there_and_back(&values, GPU));
                    assert_eq!(outcome(&answer), Ok(values));
                    assert!(cudart.pinned() <= setting);
                }
                let made = cudart.allocations() - before;
                assert_eq!(made, if setting == 0 { 0 } else { 4 });
            });
        }
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn without_pinned_memory_ordinary_memory_will_do() {
        on_host(|cudart, host| {
            // Asked for again when what is idle was given back, and then not for a second: neither for the input's second reading nor for
            // the output.
            cudart.fail("cudaHostAlloc", OUT_OF_MEMORY, 2);
            let answer = host.answer(there_and_back(&[1.0, 2.0], GPU));
            assert_eq!(outcome(&answer), Ok(vec![1.0, 2.0]));
            assert_eq!(cudart.pinned(), 0);
            std::thread::sleep(Duration::from_millis(1100));
            let answer = host.answer(there_and_back(&[1.0, 2.0], GPU));
            assert_eq!(outcome(&answer), Ok(vec![1.0, 2.0]));
            assert_eq!(cudart.pinned(), 2 * 4096);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn many_at_a_time_do_not_mix() {
        on_host(|cudart, host| {
            let values = |index: usize| vec![index as f32; 500 + index];
            let gpu = |index| if index % 2 == 0 { GPU } else { OTHER_GPU };
            for _ in 0..3 {
                let requests = (0..5 * MANY)
                    .map(|index| Some(there_and_back(&values(index), gpu(index))))
                    .collect();
                let records = host.execute(requests);
                for (index, record) in records.iter().enumerate() {
                    assert_eq!(outcome(&only_answer(record)), Ok(values(index)));
                }
            }
            // What the last round left: no more than is kept.
            assert!(cudart.streams() <= 16);
        });
    }
}
