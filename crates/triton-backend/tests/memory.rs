//! Where there is no memory, the request that needs it fails, and nothing else.
#![allow(clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

mod fake_host;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use fake_host::{FakeInput, FakeRequest, Host, Memory, awaited_answer, bytes_of};
use triton_backend::{
    Backend, BackendContext, Batch, Call, Caller, Error, Instance, InstanceContext, Model,
    ModelContext, Request, Response, with_room, zeroed,
};

/// What counts as much memory here.
const MUCH: usize = 1 << 16;
/// What no machine has.
const TOO_MUCH: usize = 1 << 40;

thread_local! {
    /// This thread gets much memory so many times more, if it is not left alone.
    static GIFTS: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Stingy;

impl Stingy {
    fn refuses(size: usize) -> bool {
        size >= TOO_MUCH
            || size >= MUCH
                && GIFTS.with(|gifts| match gifts.get() {
                    None => false,
                    Some(0) => true,
                    Some(left) => {
                        gifts.set(Some(left - 1));
                        false
                    }
                })
    }
}

unsafe impl GlobalAlloc for Stingy {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Self::refuses(layout.size()) {
            true => ptr::null_mut(),
            false => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match Self::refuses(layout.size()) {
            true => ptr::null_mut(),
            false => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match Self::refuses(size) {
            true => ptr::null_mut(),
            false => unsafe { System.realloc(memory, layout, size) },
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Stingy = Stingy;

/// Runs `body`, in which this thread gets much memory `gifts` times.
fn with_gifts<T>(gifts: usize, body: impl FnOnce() -> T) -> T {
    GIFTS.set(Some(gifts));
    let result = body();
    GIFTS.set(None);
    result
}

/// Does what a request's id says, with little memory.
struct Poor;
struct PoorModel(Caller);
struct PoorInstance(Arc<PoorModel>);

impl Backend for Poor {
    type Model = PoorModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for PoorModel {
    type Backend = Poor;
    type Instance = PoorInstance;

    fn new(_: &Poor, context: &ModelContext) -> Result<Self, Error> {
        Ok(Self(Caller::new(context)?))
    }
}

impl Instance for PoorInstance {
    type Model = PoorModel;

    fn new(model: &Arc<PoorModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self(Arc::clone(model)))
    }

    fn execute(&mut self, batch: Batch) {
        for request in batch {
            match request.inputs().unwrap()[0].name() {
                "read" => request.answer(|request| copy(request, "read", 0)),
                "bytes" => request.answer(|request| {
                    with_gifts(0, || request.input("bytes")?.bytes())?;
                    request.response()
                }),
                "strings" => request.answer(|request| {
                    with_gifts(1, || request.input("strings")?.strings())?;
                    request.response()
                }),
                // One for the host's own memory of the output, none for ours.
                "write" => request.answer(|request| copy(request, "write", 1)),
                _ => {
                    let call = Call::new("huge").input("x", &[1], [1.0_f32]).output("y");
                    self.0.0.call(call, move |reply| {
                        request.answer(|request| {
                            reply?;
                            request.response()
                        });
                    });
                }
            }
        }
    }
}

fn copy(request: &Request, name: &str, gifts: usize) -> Result<Response, Error> {
    with_gifts(gifts, || {
        let x = request.input(name)?;
        let values = x.read::<f32>()?;
        let mut response = request.response()?;
        let y = response.output::<f32>("y", x.shape())?;
        y.copy_from_slice(&values);
        Ok(response)
    })
}

/// A request with an input of this name, of so many floats.
fn request(name: &str, count: usize, memory: Memory) -> FakeRequest {
    let bytes = bytes_of(&vec![1.0; count]);
    let input = FakeInput::new(name, 11, &[1, count as i64], &[&bytes], memory);
    FakeRequest::new(vec![input])
}

fn host() -> Host<Poor> {
    Host::load(r#"{"max_batch_size":8}"#).unwrap()
}

#[test]
fn an_input_that_cannot_be_gathered_is_its_requests_error() {
    let mut host = host();
    let records = host.execute(vec![
        Some(request("read", MUCH, Memory::Odd)),
        Some(request("read", 2, Memory::Odd)),
        // Borrowed where it stands, so it needs none.
        Some(request("bytes", MUCH, Memory::Odd)),
    ]);
    let answers: Vec<_> = records.iter().map(fake_host::only_answer).collect();
    let message = format!("no memory for input 'read' ({} bytes)", 4 * MUCH);
    assert_eq!(answers[0].error, Some((4, message)));
    assert_eq!(answers[1].output::<f32>("y"), [1.0, 1.0]);
    assert_eq!(answers[2].error, None);
    let half = vec![1; MUCH];
    let input = FakeInput::new(
        "bytes",
        2,
        &[1, 2 * MUCH as i64],
        &[&half, &half],
        Memory::Odd,
    );
    let message = format!("no memory for input 'bytes' ({} bytes)", 2 * MUCH);
    let answer = host.answer(FakeRequest::new(vec![input]));
    assert_eq!(answer.error, Some((4, message)));
}

#[test]
fn strings_that_cannot_be_taken_apart_are_their_requests_error() {
    let mut host = host();
    let mut ask = |count: usize, string: &[u8]| {
        let length = u32::try_from(string.len()).unwrap().to_le_bytes();
        let bytes = [&length[..], string].concat().repeat(count);
        let shape = [1, count as i64];
        let input = FakeInput::new("strings", 13, &shape, &[&bytes], Memory::Aligned);
        host.answer(FakeRequest::new(vec![input])).error
    };
    assert_eq!(ask(3, b"Li"), None);
    assert_eq!(ask(1, &vec![b'x'; MUCH]), None);
    let message = format!("no memory for input 'strings' ({MUCH} bytes)");
    assert_eq!(ask(2, &vec![b'x'; MUCH]), Some((4, message)));
}

#[test]
fn an_output_that_cannot_be_staged_is_its_requests_error() {
    let mut host = host();
    let [aligned, odd] = [Memory::Aligned, Memory::Odd]
        .map(|memory| host.answer(request("write", MUCH, Memory::Aligned).output_memory(memory)));
    assert_eq!(aligned.error, None);
    let message = format!("no memory for output 'y' ({} bytes)", 4 * MUCH);
    assert_eq!(odd.error, Some((4, message)));
}

#[test]
fn a_callee_whose_output_has_no_room_is_told() {
    let mut host = host();
    let records = host.execute(vec![Some(request("call", 1, Memory::Aligned))]);
    let (code, message) = awaited_answer(&records[0]).error.unwrap();
    assert_eq!(code, 4);
    assert_eq!(
        message,
        format!(
            "model 'huge': no memory for output 'y' of the called model ({} bytes)",
            usize::MAX - 7
        )
    );
}

#[test]
fn memory_is_zeroed_or_refused() {
    assert_eq!(zeroed::<f32>(3, "three").unwrap(), [0.0; 3]);
    assert!(zeroed::<u8>(0, "nothing").unwrap().is_empty());
    assert_eq!(with_room::<u64>(3, "three").unwrap().capacity(), 3);
    let messages = [
        zeroed::<f32>(TOO_MUCH, "a wish").unwrap_err(),
        with_room::<f32>(TOO_MUCH, "a wish").unwrap_err(),
        zeroed::<u64>(usize::MAX, "a dream").unwrap_err(),
        with_room::<u64>(usize::MAX, "a dream").unwrap_err(),
    ]
    .map(|error| error.to_string());
    let wish = format!("no memory for a wish ({} bytes)", 4 * TOO_MUCH);
    let dream = format!("no memory for a dream ({} values)", usize::MAX);
    assert_eq!(messages, [wish.clone(), wish, dream.clone(), dream]);
}
