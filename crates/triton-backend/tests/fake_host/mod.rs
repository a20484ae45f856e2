//! A stand-in for tritonserver: the functions of its API that the SDK calls, counting what is handed over and given back.
//!
//! It proves ownership and faults only; what the real server does is tested on the real server.
#![allow(
    clippy::missing_safety_doc,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub
)]

mod api;
mod block;
mod callee;

use std::collections::HashSet;
use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use triton_backend::{Backend, DataType, Error, Reply, Request, Response, entry};

use block::Block;

/// `TRITONSERVER_Error`s that exist.
pub static LIVE_ERRORS: AtomicI64 = AtomicI64::new(0);
/// `TRITONBACKEND_Response`s that are neither sent nor deleted.
pub static LIVE_RESPONSES: AtomicI64 = AtomicI64::new(0);
/// `TRITONBACKEND_ResponseFactory`s that exist.
pub static LIVE_FACTORIES: AtomicI64 = AtomicI64::new(0);
/// `TRITONSERVER_Message`s that exist.
pub static LIVE_MESSAGES: AtomicI64 = AtomicI64::new(0);
/// Requests, responses and output buffers of calls to other models, and response allocators.
pub static LIVE_CALL_OBJECTS: AtomicI64 = AtomicI64::new(0);
/// Calls whose thread still runs.
pub static SERVING: AtomicI64 = AtomicI64::new(0);
/// The server was told to stop.
pub static STOPPING: AtomicBool = AtomicBool::new(false);
/// An answer that is dropped only after the model is finalised.
pub static KEPT: Mutex<Option<Reply>> = Mutex::new(None);
/// What calls told the callee: correlation id and flags.
pub static CALLS: Mutex<Vec<(String, u32)>> = Mutex::new(Vec::new());
/// Where a callee was told that its outputs will be: memory type and id.
pub static PLACES: Mutex<Vec<(i32, i64)>> = Mutex::new(Vec::new());
/// Where the parts of a call's input were, as the callee was told: memory type and id.
pub static GIVEN: Mutex<Vec<(i32, i64)>> = Mutex::new(Vec::new());
/// States set: name and bytes.
pub static STATES: Mutex<Vec<(String, Vec<u8>)>> = Mutex::new(Vec::new());
/// What was logged.
pub static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Functions that answer with an error.
pub static BROKEN: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
/// What `ReportBatchStatistics` was told: rows of each batch.
pub static BATCHES: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// What `ReportBatchStatistics` was told: the phases of each batch.
pub static BATCH_PHASES: Mutex<Vec<Phases>> = Mutex::new(Vec::new());
/// The addresses of instances that are not finalised.
static INSTANCES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// When an execution started, its inputs were read, its results were there, and it was over; in nanoseconds.
pub type Phases = [u64; 4];

/// What became of a request.
#[derive(Default)]
pub struct Record {
    pub answers: Vec<Answer>,
    pub releases: usize,
    /// Success or failure, as reported for the statistics.
    pub reports: Vec<bool>,
    pub phases: Vec<Phases>,
}

/// A response that was sent.
pub struct Answer {
    /// Code and message of an error response.
    pub error: Option<(i32, String)>,
    pub outputs: Vec<FakeOutput>,
    pub is_final: bool,
    /// It came when the request was released already.
    pub after_release: bool,
    /// Responses of any request that were there when it was sent, neither sent nor deleted.
    pub others: i64,
}

impl Answer {
    pub fn output<T: Copy>(&self, name: &str) -> Vec<T> {
        let output = self
            .outputs
            .iter()
            .find(|output| output.name == name)
            .unwrap();
        output
            .bytes()
            .chunks_exact(size_of::<T>())
            .map(|chunk| unsafe { chunk.as_ptr().cast::<T>().read_unaligned() })
            .collect()
    }
}

pub struct FakeOutput {
    pub name: String,
    pub data_type: i32,
    pub shape: Vec<i64>,
    memory: Memory,
    block: Block,
}

impl FakeOutput {
    pub fn bytes(&self) -> Vec<u8> {
        self.block.bytes()
    }
}

/// Where the fake host puts tensors.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Memory {
    #[default]
    Aligned,
    /// CPU memory that starts at an odd address.
    Odd,
    /// On the GPU of that number, as far as anyone can tell who touches it: it must be copied.
    Gpu(i64),
}

impl Memory {
    fn raw_type(self) -> i32 {
        match self {
            Self::Gpu(_) => 2,
            _ => 0,
        }
    }

    fn raw_id(self) -> i64 {
        match self {
            Self::Gpu(device) => device,
            _ => 0,
        }
    }
}

pub struct FakeInput {
    name: CString,
    data_type: i32,
    shape: Vec<i64>,
    /// Size as declared.
    byte_size: u64,
    buffers: Vec<Block>,
    memory: Memory,
}

impl FakeInput {
    pub fn new(
        name: &str,
        data_type: i32,
        shape: &[i64],
        chunks: &[&[u8]],
        memory: Memory,
    ) -> Self {
        let buffers = chunks
            .iter()
            .map(|chunk| Block::holding(chunk, memory))
            .collect();
        Self {
            name: CString::new(name).unwrap(),
            data_type,
            shape: shape.to_vec(),
            byte_size: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            buffers,
            memory,
        }
    }

    /// A tensor of floats in one buffer.
    pub fn floats(name: &str, shape: &[i64], values: &[f32]) -> Self {
        Self::new(name, 11, shape, &[&bytes_of(values)], Memory::Aligned)
    }

    pub fn declared_size(mut self, byte_size: u64) -> Self {
        self.byte_size = byte_size;
        self
    }
}

pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

pub struct FakeRequest {
    id: CString,
    pub inputs: Vec<FakeInput>,
    pub outputs: Vec<CString>,
    output_memory: Memory,
    pub flags: u32,
    pub correlation_id: Result<u64, CString>,
    record: Arc<Mutex<Record>>,
}

struct FakeFactory {
    output_memory: Memory,
    record: Arc<Mutex<Record>>,
}

struct FakeResponse {
    /// Made by a factory, which may be after the request's release.
    from_factory: bool,
    /// Boxed, because the backend holds on to their addresses.
    #[allow(clippy::vec_box)]
    outputs: Vec<Box<FakeOutput>>,
    output_memory: Memory,
    record: Arc<Mutex<Record>>,
}

struct FakeError {
    code: i32,
    message: CString,
}

pub struct FakeBackend {
    name: CString,
    directory: CString,
    config: CString,
    state: *mut c_void,
}

pub struct FakeModel {
    name: CString,
    directory: CString,
    pub config: CString,
    pub auto_complete: bool,
    backend: *mut FakeBackend,
    state: *mut c_void,
}

pub struct FakeInstance {
    name: CString,
    model: *mut FakeModel,
    state: *mut c_void,
}

/// A host with one backend, one model and one instance, driven through the same functions as by the server.
pub struct Host<B: Backend> {
    backend: Box<FakeBackend>,
    pub model: Box<FakeModel>,
    instance: Option<Box<FakeInstance>>,
    _lock: MutexGuard<'static, ()>,
    _backend: std::marker::PhantomData<B>,
}

/// Tests share the counters, so one host lives at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Takes what an entry point returned: an error's code and message.
fn outcome(error: *mut triton_backend::sys::TRITONSERVER_Error) -> Result<(), (i32, String)> {
    if error.is_null() {
        return Ok(());
    }
    LIVE_ERRORS.fetch_sub(1, Ordering::SeqCst);
    let error = unsafe { Box::from_raw(error.cast::<FakeError>()) };
    Err((error.code, error.message.into_string().unwrap()))
}

impl<B: Backend> Host<B> {
    /// Loads backend, model and instance.
    pub fn load(config: &str) -> Result<Self, (i32, String)> {
        let mut host = Self::new(config);
        host.initialize()?;
        Ok(host)
    }

    /// Loads them with a `--backend-config` of the server's.
    pub fn load_with_setting(key: &str, value: &str) -> Result<Self, (i32, String)> {
        let mut host = Self::new("{}");
        let setting = format!("{{\"cmdline\":{{\"{key}\":\"{value}\"}}}}");
        host.backend.config = CString::new(setting).unwrap();
        host.initialize()?;
        Ok(host)
    }

    pub fn new(config: &str) -> Self {
        let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        LOG.lock().unwrap().clear();
        CALLS.lock().unwrap().clear();
        PLACES.lock().unwrap().clear();
        GIVEN.lock().unwrap().clear();
        STATES.lock().unwrap().clear();
        BATCHES.lock().unwrap().clear();
        BATCH_PHASES.lock().unwrap().clear();
        INSTANCES.lock().unwrap().clear();
        *BROKEN.lock().unwrap() = None;
        STOPPING.store(false, Ordering::SeqCst);
        let mut backend = Box::new(FakeBackend {
            name: c"fake".to_owned(),
            directory: c"/".to_owned(),
            config: c"{\"cmdline\":{\"color\":\"blue\"}}".to_owned(),
            state: ptr::null_mut(),
        });
        let model = Box::new(FakeModel {
            name: c"model".to_owned(),
            directory: c"/".to_owned(),
            config: CString::new(config).unwrap(),
            auto_complete: false,
            backend: &mut *backend,
            state: ptr::null_mut(),
        });
        Self {
            backend,
            model,
            instance: None,
            _lock: lock,
            _backend: std::marker::PhantomData,
        }
    }

    pub fn initialize(&mut self) -> Result<(), (i32, String)> {
        unsafe {
            outcome(entry::initialize::<B>((&raw mut *self.backend).cast()))?;
        }
        self.initialize_model()?;
        self.instance = Some(self.new_instance()?);
        Ok(())
    }

    fn new_instance(&mut self) -> Result<Box<FakeInstance>, (i32, String)> {
        let mut instance = Box::new(FakeInstance {
            name: c"model_0".to_owned(),
            model: &mut *self.model,
            state: ptr::null_mut(),
        });
        let raw = &raw mut *instance;
        INSTANCES.lock().unwrap().push(raw.addr());
        unsafe { outcome(entry::instance_initialize::<B>(raw.cast()))? };
        Ok(instance)
    }

    /// Puts a new instance in the place of the old one, as the server does when `instance_group` changes: it waits until
    /// the old one executes nothing, but not for what it has yet to answer.
    pub fn replace_instance(&mut self) {
        let new = self.new_instance().unwrap();
        self.finalize_instance();
        self.instance = Some(new);
    }

    /// Finalises and frees the instance.
    pub fn finalize_instance(&mut self) {
        if let Some(mut instance) = self.instance.take() {
            let raw = &raw mut *instance;
            outcome(unsafe { entry::instance_finalize::<B>(raw.cast()) }).unwrap();
            INSTANCES.lock().unwrap().retain(|live| *live != raw.addr());
        }
    }

    /// Takes the model's state away, as if the model were another one.
    pub fn take_model_state(&mut self) -> *mut c_void {
        std::mem::replace(&mut self.model.state, ptr::null_mut())
    }

    pub fn put_model_state(&mut self, state: *mut c_void) {
        self.model.state = state;
    }

    pub fn finalize_model(&mut self) {
        unsafe { outcome(entry::model_finalize::<B>((&raw mut *self.model).cast())).unwrap() };
    }

    pub fn initialize_model(&mut self) -> Result<(), (i32, String)> {
        unsafe { outcome(entry::model_initialize::<B>((&raw mut *self.model).cast())) }
    }

    /// Executes requests, some of which may be null, and returns what became of them.
    pub fn execute(&mut self, requests: Vec<Option<FakeRequest>>) -> Vec<Arc<Mutex<Record>>> {
        let records = requests
            .iter()
            .flatten()
            .map(|request| Arc::clone(&request.record))
            .collect();
        let mut raw: Vec<_> = requests
            .into_iter()
            .map(|request| {
                request.map_or(ptr::null_mut(), |request| {
                    Box::into_raw(Box::new(request)).cast()
                })
            })
            .collect();
        let count = u32::try_from(raw.len()).unwrap();
        let instance = (&raw mut **self.instance.as_mut().unwrap()).cast();
        outcome(unsafe { entry::execute::<B>(instance, raw.as_mut_ptr(), count) }).unwrap();
        // The array belongs to the server and is gone after the call.
        raw.fill(ptr::null_mut());
        records
    }

    /// Waits until no call is under way.
    pub fn settle(&self) {
        while SERVING.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    /// Whether the instance says that it is ready.
    pub fn ready(&mut self) -> Result<(), (i32, String)> {
        let instance = (&raw mut **self.instance.as_mut().unwrap()).cast();
        outcome(unsafe { entry::instance_ready::<B>(instance) })
    }

    /// Executes one request and returns its one answer.
    pub fn answer(&mut self, request: FakeRequest) -> Answer {
        let records = self.execute(vec![Some(request)]);
        only_answer(&records[0])
    }
}

impl<B: Backend> Drop for Host<B> {
    fn drop(&mut self) {
        *BROKEN.lock().unwrap() = None;
        self.finalize_instance();
        unsafe {
            outcome(entry::model_finalize::<B>((&raw mut *self.model).cast())).unwrap();
            outcome(entry::finalize::<B>((&raw mut *self.backend).cast())).unwrap();
        }
        self.settle();
        *KEPT.lock().unwrap() = None;
        if std::thread::panicking() {
            return;
        }
        for (live, what) in [
            (&LIVE_ERRORS, "errors"),
            (&LIVE_RESPONSES, "responses"),
            (&LIVE_FACTORIES, "response factories"),
            (&LIVE_MESSAGES, "messages"),
            (&LIVE_CALL_OBJECTS, "parts of calls"),
        ] {
            assert_eq!(
                live.load(Ordering::SeqCst),
                0,
                "{what} leaked or freed twice"
            );
        }
    }
}

impl FakeRequest {
    pub fn new(inputs: Vec<FakeInput>) -> Self {
        Self {
            id: c"request 7".to_owned(),
            inputs,
            outputs: vec![c"y".to_owned()],
            output_memory: Memory::Aligned,
            flags: 0,
            correlation_id: Ok(0),
            record: Arc::default(),
        }
    }

    pub fn output_memory(mut self, memory: Memory) -> Self {
        self.output_memory = memory;
        self
    }
}

/// Answers a request with what another model answered.
pub fn forward(request: &Request, reply: Result<Reply, Error>) -> Result<Response, Error> {
    let reply = reply?;
    let output = reply.output("y")?;
    let mut response = request.response()?;
    response
        .output::<f32>("y", output.shape)?
        .copy_from_slice(&output.read::<f32>()?);
    Ok(response)
}

/// The one answer of a request that is answered from a callback.
pub fn awaited_answer(record: &Arc<Mutex<Record>>) -> Answer {
    let give_up = Instant::now() + Duration::from_secs(10);
    while record.lock().unwrap().releases == 0 {
        assert!(Instant::now() < give_up, "no answer came");
        std::thread::yield_now();
    }
    only_answer(record)
}

/// The one answer of a request that was answered once and released once.
pub fn only_answer(record: &Arc<Mutex<Record>>) -> Answer {
    let mut record = record.lock().unwrap();
    assert_eq!(record.answers.len(), 1, "answers");
    assert_eq!(record.releases, 1, "releases");
    assert_eq!(
        record.reports,
        [record.answers[0].error.is_none()],
        "reported statistics"
    );
    assert!(record.answers[0].is_final);
    record.answers.pop().unwrap()
}

pub fn break_function(name: &'static str) {
    BROKEN.lock().unwrap().get_or_insert_default().insert(name);
}

fn is_broken(name: &'static str) -> bool {
    BROKEN
        .lock()
        .unwrap()
        .as_ref()
        .is_some_and(|broken| broken.contains(name))
}

/// The number of a data type in the C API.
pub const FP32: i32 = 11;

pub fn name_of(data_type: i32) -> DataType {
    match data_type {
        11 => DataType::Fp32,
        13 => DataType::String,
        other => panic!("unexpected data type {other}"),
    }
}
