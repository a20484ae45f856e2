//! Values that go from answers into later calls: on the host, and in GPU memory, with the stand-in for the CUDA runtime. Never run on a
//! GPU.
#![allow(clippy::unwrap_used)]

mod compiler;
mod cudart;
mod fake_host;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cudart::{Cudart, OUT_OF_MEMORY, run_with_it};
use fake_host::{FakeInput, FakeRequest, GIVEN, Host, PLACES, awaited_answer, forward};
use triton_backend::{
    Backend, BackendContext, Batch, Call, Caller, Carried, Error, Instance, InstanceContext, Model,
    ModelContext, Reply,
};

/// Rows of a request.
const ROWS: usize = 3;
/// Values of a row.
const SIZE: usize = 2;

/// Has its rows doubled, and doubled again in another order together with a row of zeros.
struct Carrying;
struct CarryingModel(Caller);
struct CarryingInstance(Arc<CarryingModel>);

/// What is called first.
static CALLEE: Mutex<&str> = Mutex::new("on_gpu");
/// The rows of the last request.
static LAST: Mutex<Vec<Arc<Carried<f32>>>> = Mutex::new(Vec::new());

impl Backend for Carrying {
    type Model = CarryingModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for CarryingModel {
    type Backend = Carrying;
    type Instance = CarryingInstance;

    fn new(_: &Carrying, context: &ModelContext) -> Result<Self, Error> {
        Caller::new(context).map(Self)
    }
}

impl Instance for CarryingInstance {
    type Model = CarryingModel;

    fn new(model: &Arc<CarryingModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self(Arc::clone(model)))
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            let values = request.input("x").unwrap().read::<f32>().unwrap();
            let first = Call::new(*CALLEE.lock().unwrap())
                .input("x", &[values.len() as i64], values.into_owned())
                .output_carried("y");
            let model = Arc::clone(&self.0);
            self.0.0.call(first, move |reply| match again(reply) {
                Ok(call) => {
                    model.0.call(call, move |reply| {
                        request.answer(|request| forward(request, reply));
                    });
                }
                Err(error) => request.fail(error),
            });
        }
    }
}

fn again(reply: Result<Reply, Error>) -> Result<Call, Error> {
    if *CALLEE.lock().unwrap() == "on_gpu_in_halves" {
        return both_again(&reply?);
    }
    let rows = reply?.carry::<f32>(&["y".to_owned()], ROWS, SIZE)?;
    let rows: Vec<_> = rows.into_iter().map(Arc::new).collect();
    LAST.lock().unwrap().clone_from(&rows);
    let zeros = Arc::new(Carried::zeros(SIZE)?);
    let parts = rows.into_iter().rev().chain([zeros]).map(|row| (row, 0));
    let shape = [((ROWS + 1) * SIZE) as i64];
    Ok(Call::new("working")
        .input_carried("x", &shape, parts)
        .output("y"))
}

/// The same with two outputs: their rows in turns, those of `z` first.
fn both_again(reply: &Reply) -> Result<Call, Error> {
    let rows = reply.carry::<f32>(&["y".to_owned(), "z".to_owned()], ROWS, SIZE)?;
    let rows: Vec<_> = rows.into_iter().map(Arc::new).collect();
    LAST.lock().unwrap().clone_from(&rows);
    let parts = rows
        .into_iter()
        .flat_map(|row| [(Arc::clone(&row), 1), (row, 0)]);
    Ok(Call::new("working")
        .input_carried("x", &[(2 * ROWS * SIZE) as i64], parts)
        .output("y"))
}

fn outcome(host: &mut Host<Carrying>, values: &[f32]) -> Result<Vec<f32>, (i32, String)> {
    GIVEN.lock().unwrap().clear();
    PLACES.lock().unwrap().clear();
    let x = FakeInput::floats("x", &[1, values.len() as i64], values);
    let records = host.execute(vec![Some(FakeRequest::new(vec![x]))]);
    let answer = awaited_answer(&records[0]);
    host.settle();
    match answer.error {
        Some(error) => Err(error),
        None => Ok(answer.output::<f32>("y")),
    }
}

/// That the values of the first call's answer were on `GPU` in between, or on the host.
fn carried_right(host: &mut Host<Carrying>, on_gpu: bool) {
    let answered = outcome(host, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let twice_doubled = [20.0, 24.0, 12.0, 16.0, 4.0, 8.0, 0.0, 0.0];
    assert_eq!(answered, Ok(twice_doubled.to_vec()));
    let place = if on_gpu { GPU } else { HOST };
    // The first call's input, then the parts of the second's.
    let given = GIVEN.lock().unwrap();
    assert_eq!(*given, [HOST, place, place, place, HOST]);
    // By name; an output without one is on the host.
    assert_eq!(PLACES.lock().unwrap()[..2], [place, HOST]);
    let rows = LAST.lock().unwrap();
    let values: Vec<_> = rows.iter().flat_map(|row| row.on_host()).collect();
    match on_gpu {
        true => assert!(values.is_empty()),
        false => assert_eq!(
            values,
            [&[2.0, 4.0][..], &[6.0, 8.0], &[10.0, 12.0]]
                .map(Box::from)
                .iter()
                .collect::<Vec<_>>()
        ),
    }
}

const KEY: &str = "gpu-cache-byte-size";
/// Room enough.
const ROOM: &str = "1048576";
const HOST: (i32, i64) = (0, 0);
const GPU: (i32, i64) = (2, 1);

#[test]
fn without_a_cuda_runtime_they_are_on_the_host() {
    let mut host = Host::<Carrying>::load_with_setting(KEY, ROOM).unwrap();
    carried_right(&mut host, false);
}

#[test]
fn rows_that_do_not_come_out_even_are_an_error() {
    let mut host = Host::<Carrying>::load("{}").unwrap();
    let (_, message) = outcome(&mut host, &[1.0, 2.0, 3.0, 4.0]).unwrap_err();
    assert!(
        message.contains("'y'") && message.contains("3 rows of 2"),
        "{message}"
    );
}

#[test]
fn with_a_cuda_runtime_they_stay_on_the_gpu() {
    run_with_it("with_it::", &[]);
}

/// In a process that has the stand-in in its library path.
mod with_it {
    use super::*;

    fn host() -> Host<Carrying> {
        Host::load_with_setting(KEY, ROOM).unwrap()
    }

    fn on(mut host: Host<Carrying>, test: impl FnOnce(&Cudart, &mut Host<Carrying>)) {
        let cudart = Cudart::loaded();
        test(&cudart, &mut host);
        LAST.lock().unwrap().clear();
        assert_eq!((cudart.last_error(), cudart.legacy()), (0, 0));
        drop(host);
        let left = (cudart.streams(), cudart.pinned(), cudart.on_gpu());
        assert_eq!(left, (0, 0, 0));
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn and_are_copied_once_within_it() {
        on(host(), |cudart, host| {
            let before = cudart.copies(1);
            carried_right(host, true);
            // A row each: nothing comes from the host or goes there.
            assert_eq!(cudart.copies(1) - before, ROWS);
            let held = cudart.on_gpu();
            for _ in 0..10 {
                carried_right(host, true);
            }
            // The answer and the rows, those of the last request and of this one, a page each.
            assert!(held <= 4 * 4096 && cudart.on_gpu() <= 8 * 4096);
            assert_eq!(cudart.pinned(), 0);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn each_output_has_its_place_in_a_row() {
        *CALLEE.lock().unwrap() = "on_gpu_in_halves";
        on(host(), |cudart, host| {
            let before = cudart.copies(1);
            let values: Vec<f32> = (1..=12).map(|value| value as f32).collect();
            let twice_doubled =
                [7, 8, 1, 2, 9, 10, 3, 4, 11, 12, 5, 6].map(|value| 4.0 * value as f32);
            assert_eq!(outcome(host, &values), Ok(twice_doubled.to_vec()));
            assert_eq!(GIVEN.lock().unwrap()[1..], [GPU; 2 * ROWS]);
            assert_eq!(cudart.copies(1) - before, 2 * ROWS);
        });
        *CALLEE.lock().unwrap() = "on_gpu";
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn or_on_the_host_where_there_is_a_limit() {
        on(Host::load("{}").unwrap(), |cudart, host| {
            carried_right(host, false);
            assert_eq!(cudart.on_gpu(), 0);
        });
        // Room for the answer alone.
        on(
            Host::load_with_setting(KEY, "4096").unwrap(),
            |cudart, host| {
                let answered = outcome(host, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
                assert_eq!(answered.unwrap()[..3], [20.0, 24.0, 12.0]);
                assert_eq!(*GIVEN.lock().unwrap(), [HOST; 5]);
                assert_eq!(cudart.on_gpu(), 4096);
            },
        );
        on(Host::load_with_setting(KEY, ROOM).unwrap(), |_, host| {
            carried_right(host, true);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn a_callee_may_ask_as_long_as_it_has_the_request() {
        *CALLEE.lock().unwrap() = "late_release";
        on(host(), |_, host| {
            let answered = outcome(host, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert_eq!(answered.unwrap()[..3], [20.0, 24.0, 12.0]);
            // It was told of the GPU when its answer was long used up.
            assert!(PLACES.lock().unwrap().contains(&GPU));
        });
        *CALLEE.lock().unwrap() = "on_gpu";
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn or_on_the_host_where_the_gpu_has_no_memory() {
        on(host(), |cudart, host| {
            // What lies idle is given back, and then there may be some.
            cudart.fail("cudaMalloc", OUT_OF_MEMORY, 1);
            carried_right(host, true);
        });
        on(host(), |cudart, host| {
            cudart.fail("cudaMalloc", OUT_OF_MEMORY, 2);
            for _ in 0..2 {
                // A GPU that had none is not asked again at once.
                let answered = outcome(host, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
                assert_eq!(answered.unwrap()[..3], [20.0, 24.0, 12.0]);
                assert_eq!(*GIVEN.lock().unwrap(), [HOST; 5]);
            }
            std::thread::sleep(Duration::from_millis(1100));
            carried_right(host, true);
        });
    }

    #[test]
    #[ignore = "needs the library path that a test above sets"]
    fn a_copy_that_fails_fails_the_request() {
        for function in ["copy", "cudaMemcpyAsync"] {
            on(host(), |cudart, host| {
                cudart.fail(function, OUT_OF_MEMORY, 1);
                let (code, message) = outcome(host, &[1.0; 6]).unwrap_err();
                assert_eq!(code, 4, "{message}");
                assert!(message.contains("outputs of the called model"), "{message}");
                carried_right(host, true);
            });
        }
    }
}
