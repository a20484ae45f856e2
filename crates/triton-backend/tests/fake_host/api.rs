//! The C functions themselves.
#![allow(non_snake_case, unsafe_op_in_unsafe_fn)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;

pub(super) type ErrorPtr = *mut FakeError;

pub(super) fn error(code: c_int, message: &str) -> ErrorPtr {
    LIVE_ERRORS.fetch_add(1, Ordering::SeqCst);
    Box::into_raw(Box::new(FakeError {
        code,
        message: CString::new(message).unwrap(),
    }))
}

macro_rules! fail_if_broken {
    ($name:literal) => {
        if is_broken($name) {
            return error(1, concat!($name, " is broken"));
        }
    };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ErrorNew(code: c_int, message: *const c_char) -> ErrorPtr {
    error(code, CStr::from_ptr(message).to_str().unwrap())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ErrorDelete(error: ErrorPtr) {
    LIVE_ERRORS.fetch_sub(1, Ordering::SeqCst);
    drop(Box::from_raw(error));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ErrorCode(error: ErrorPtr) -> c_int {
    (*error).code
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ErrorMessage(error: ErrorPtr) -> *const c_char {
    (*error).message.as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_LogIsEnabled(level: c_int) -> bool {
    level != 3
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_LogMessage(
    _level: c_int,
    _file: *const c_char,
    _line: c_int,
    message: *const c_char,
) -> ErrorPtr {
    LOG.lock()
        .unwrap()
        .push(CStr::from_ptr(message).to_str().unwrap().to_owned());
    ptr::null_mut()
}

pub(super) fn message(text: CString) -> *mut CString {
    LIVE_MESSAGES.fetch_add(1, Ordering::SeqCst);
    Box::into_raw(Box::new(text))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_MessageNewFromSerializedJson(
    out: *mut *mut CString,
    base: *const c_char,
    size: usize,
) -> ErrorPtr {
    let text = std::slice::from_raw_parts(base.cast::<u8>(), size);
    *out = message(CString::new(text).unwrap());
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_MessageDelete(message: *mut CString) -> ErrorPtr {
    LIVE_MESSAGES.fetch_sub(1, Ordering::SeqCst);
    drop(Box::from_raw(message));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_MessageSerializeToJson(
    message: *mut CString,
    base: *mut *const c_char,
    size: *mut usize,
) -> ErrorPtr {
    *base = (*message).as_ptr();
    *size = (*message).as_bytes().len();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ApiVersion(major: *mut u32, minor: *mut u32) -> ErrorPtr {
    *major = 1;
    *minor = if is_broken("old") { 9 } else { 19 };
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_BackendName(
    backend: *mut FakeBackend,
    name: *mut *const c_char,
) -> ErrorPtr {
    *name = (*backend).name.as_ptr();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_BackendConfig(
    backend: *mut FakeBackend,
    config: *mut *mut c_void,
) -> ErrorPtr {
    // The backend keeps this message: nobody else deletes it.
    *config = (&raw mut (*backend).config).cast();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_BackendArtifacts(
    backend: *mut FakeBackend,
    kind: *mut c_int,
    location: *mut *const c_char,
) -> ErrorPtr {
    *kind = 0;
    *location = (*backend).directory.as_ptr();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(
    _attribute: *mut c_void,
    _kind: c_int,
    _count: u64,
    _ids: *const u64,
    _id_count: u64,
) -> ErrorPtr {
    ptr::null_mut()
}

macro_rules! state_functions {
    ($object:ty, $get:ident, $set:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $get(object: *mut $object, state: *mut *mut c_void) -> ErrorPtr {
            *state = (*object).state;
            ptr::null_mut()
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn $set(object: *mut $object, state: *mut c_void) -> ErrorPtr {
            (*object).state = state;
            ptr::null_mut()
        }
    };
}

state_functions!(
    FakeBackend,
    TRITONBACKEND_BackendState,
    TRITONBACKEND_BackendSetState
);
state_functions!(
    FakeModel,
    TRITONBACKEND_ModelState,
    TRITONBACKEND_ModelSetState
);
state_functions!(
    FakeInstance,
    TRITONBACKEND_ModelInstanceState,
    TRITONBACKEND_ModelInstanceSetState
);

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelName(
    model: *mut FakeModel,
    name: *mut *const c_char,
) -> ErrorPtr {
    *name = (*model).name.as_ptr();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelVersion(
    _model: *mut FakeModel,
    version: *mut u64,
) -> ErrorPtr {
    *version = 1;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelRepository(
    model: *mut FakeModel,
    kind: *mut c_int,
    location: *mut *const c_char,
) -> ErrorPtr {
    *kind = 0;
    *location = (*model).directory.as_ptr();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelConfig(
    model: *mut FakeModel,
    _version: u32,
    config: *mut *mut CString,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_ModelConfig");
    *config = message((*model).config.clone());
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelAutoCompleteConfig(
    model: *mut FakeModel,
    auto_complete: *mut bool,
) -> ErrorPtr {
    *auto_complete = (*model).auto_complete;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelSetConfig(
    model: *mut FakeModel,
    _version: u32,
    config: *mut CString,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_ModelSetConfig");
    (*model).config = (*config).clone();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelBackend(
    model: *mut FakeModel,
    backend: *mut *mut FakeBackend,
) -> ErrorPtr {
    *backend = (*model).backend;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelInstanceName(
    instance: *mut FakeInstance,
    name: *mut *const c_char,
) -> ErrorPtr {
    *name = (*instance).name.as_ptr();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelInstanceKind(
    _instance: *mut FakeInstance,
    kind: *mut c_int,
) -> ErrorPtr {
    *kind = 1;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelInstanceDeviceId(
    _instance: *mut FakeInstance,
    device_id: *mut i32,
) -> ErrorPtr {
    *device_id = 0;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelInstanceModel(
    instance: *mut FakeInstance,
    model: *mut *mut FakeModel,
) -> ErrorPtr {
    *model = (*instance).model;
    ptr::null_mut()
}

/// Reads an instance, as the server does when it is told statistics, and ends the test if it was finalised: under
/// AddressSanitizer with a report of its own.
unsafe fn use_instance(instance: *mut FakeInstance) {
    let _ = (&raw const (*instance).model).read_volatile();
    if !INSTANCES.lock().unwrap().contains(&instance.addr()) {
        eprintln!("an instance was used after it was finalised");
        std::process::abort();
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelInstanceReportStatistics(
    instance: *mut FakeInstance,
    request: *mut FakeRequest,
    success: bool,
    exec_start: u64,
    compute_start: u64,
    compute_end: u64,
    exec_end: u64,
) -> ErrorPtr {
    use_instance(instance);
    let times = [exec_start, compute_start, compute_end, exec_end];
    assert!(times[0] > 0 && times.is_sorted(), "{times:?}");
    let mut record = (*request).record.lock().unwrap();
    assert_eq!(record.releases, 0, "statistics of a released request");
    record.reports.push(success);
    record.phases.push(times);
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelInstanceReportBatchStatistics(
    instance: *mut FakeInstance,
    batch_size: u64,
    exec_start: u64,
    compute_start: u64,
    compute_end: u64,
    exec_end: u64,
) -> ErrorPtr {
    use_instance(instance);
    let times = [exec_start, compute_start, compute_end, exec_end];
    BATCH_PHASES.lock().unwrap().push(times);
    BATCHES.lock().unwrap().push(batch_size);
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestId(
    request: *mut FakeRequest,
    id: *mut *const c_char,
) -> ErrorPtr {
    *id = (*request).id.as_ptr();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestFlags(
    request: *mut FakeRequest,
    flags: *mut u32,
) -> ErrorPtr {
    *flags = (*request).flags;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestCorrelationId(
    request: *mut FakeRequest,
    id: *mut u64,
) -> ErrorPtr {
    match &(*request).correlation_id {
        Ok(number) => *id = *number,
        Err(_) => return error(3, "the id is a text"),
    }
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestCorrelationIdString(
    request: *mut FakeRequest,
    id: *mut *const c_char,
) -> ErrorPtr {
    match &(*request).correlation_id {
        Ok(_) => return error(3, "the id is a number"),
        Err(text) => *id = text.as_ptr(),
    }
    ptr::null_mut()
}

/// A state whose buffer the backend fills.
struct FakeState {
    name: String,
    memory: Memory,
    block: Block,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_StateNew(
    state: *mut *mut FakeState,
    request: *mut FakeRequest,
    name: *const c_char,
    _data_type: c_int,
    _shape: *const i64,
    _rank: u32,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_StateNew");
    let memory = (*request).output_memory;
    let name = CStr::from_ptr(name).to_str().unwrap().to_owned();
    *state = Box::into_raw(Box::new(FakeState {
        name,
        memory,
        block: Block::new(0, memory),
    }));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_StateBuffer(
    state: *mut FakeState,
    buffer: *mut *mut c_void,
    byte_size: u64,
    memory_type: *mut c_int,
    memory_type_id: *mut i64,
) -> ErrorPtr {
    let state = &mut *state;
    state.block = Block::new(usize::try_from(byte_size).unwrap(), state.memory);
    *buffer = state.block.start().cast();
    *memory_type = state.memory.raw_type();
    *memory_type_id = state.memory.raw_id();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_StateUpdate(state: *mut FakeState) -> ErrorPtr {
    let state = Box::from_raw(state);
    STATES
        .lock()
        .unwrap()
        .push((state.name, state.block.bytes()));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ModelServer(
    _model: *mut FakeModel,
    server: *mut *mut c_void,
) -> ErrorPtr {
    *server = ptr::dangling_mut();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestInputCount(
    request: *mut FakeRequest,
    count: *mut u32,
) -> ErrorPtr {
    *count = u32::try_from((*request).inputs.len()).unwrap();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestInputByIndex(
    request: *mut FakeRequest,
    index: u32,
    input: *mut *mut FakeInput,
) -> ErrorPtr {
    let inputs = &mut (*request).inputs;
    *input = &mut inputs[index as usize];
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestOutputCount(
    request: *mut FakeRequest,
    count: *mut u32,
) -> ErrorPtr {
    *count = u32::try_from((*request).outputs.len()).unwrap();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestOutputName(
    request: *mut FakeRequest,
    index: u32,
    name: *mut *const c_char,
) -> ErrorPtr {
    let outputs = &(*request).outputs;
    *name = outputs[index as usize].as_ptr();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_RequestRelease(
    request: *mut FakeRequest,
    flags: u32,
) -> ErrorPtr {
    assert_eq!(flags, 1);
    let request = Box::from_raw(request);
    request.record.lock().unwrap().releases += 1;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_InputProperties(
    input: *mut FakeInput,
    name: *mut *const c_char,
    data_type: *mut c_int,
    shape: *mut *const i64,
    rank: *mut u32,
    byte_size: *mut u64,
    buffers: *mut u32,
) -> ErrorPtr {
    let input = &*input;
    *name = input.name.as_ptr();
    *data_type = input.data_type;
    *shape = input.shape.as_ptr();
    *rank = u32::try_from(input.shape.len()).unwrap();
    *byte_size = input.byte_size;
    *buffers = u32::try_from(input.buffers.len()).unwrap();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_InputBuffer(
    input: *mut FakeInput,
    index: u32,
    buffer: *mut *const c_void,
    byte_size: *mut u64,
    memory_type: *mut c_int,
    memory_type_id: *mut i64,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_InputBuffer");
    let input = &mut *input;
    let block = &mut input.buffers[index as usize];
    *buffer = block.start().cast();
    *byte_size = block.size() as u64;
    *memory_type = input.memory.raw_type();
    *memory_type_id = input.memory.raw_id();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ResponseNew(
    response: *mut *mut FakeResponse,
    request: *mut FakeRequest,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_ResponseNew");
    *response = new_response(false, (*request).output_memory, &(*request).record);
    ptr::null_mut()
}

fn new_response(
    from_factory: bool,
    output_memory: Memory,
    record: &Arc<Mutex<Record>>,
) -> *mut FakeResponse {
    LIVE_RESPONSES.fetch_add(1, Ordering::SeqCst);
    Box::into_raw(Box::new(FakeResponse {
        from_factory,
        outputs: Vec::new(),
        output_memory,
        record: Arc::clone(record),
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ResponseFactoryNew(
    factory: *mut *mut FakeFactory,
    request: *mut FakeRequest,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_ResponseFactoryNew");
    LIVE_FACTORIES.fetch_add(1, Ordering::SeqCst);
    *factory = Box::into_raw(Box::new(FakeFactory {
        output_memory: (*request).output_memory,
        record: Arc::clone(&(*request).record),
    }));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ResponseFactoryDelete(factory: *mut FakeFactory) -> ErrorPtr {
    LIVE_FACTORIES.fetch_sub(1, Ordering::SeqCst);
    drop(Box::from_raw(factory));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ResponseNewFromFactory(
    response: *mut *mut FakeResponse,
    factory: *mut FakeFactory,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_ResponseNewFromFactory");
    *response = new_response(true, (*factory).output_memory, &(*factory).record);
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ResponseDelete(response: *mut FakeResponse) -> ErrorPtr {
    LIVE_RESPONSES.fetch_sub(1, Ordering::SeqCst);
    drop(Box::from_raw(response));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ResponseOutput(
    response: *mut FakeResponse,
    output: *mut *mut FakeOutput,
    name: *const c_char,
    data_type: c_int,
    shape: *const i64,
    rank: u32,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_ResponseOutput");
    let response = &mut *response;
    response.outputs.push(Box::new(FakeOutput {
        name: CStr::from_ptr(name).to_str().unwrap().to_owned(),
        data_type,
        shape: (0..rank as usize).map(|index| *shape.add(index)).collect(),
        memory: response.output_memory,
        block: Block::new(0, response.output_memory),
    }));
    *output = &mut **response.outputs.last_mut().unwrap();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_OutputBuffer(
    output: *mut FakeOutput,
    buffer: *mut *mut c_void,
    byte_size: u64,
    memory_type: *mut c_int,
    memory_type_id: *mut i64,
) -> ErrorPtr {
    fail_if_broken!("TRITONBACKEND_OutputBuffer");
    let output = &mut *output;
    output.block = Block::new(usize::try_from(byte_size).unwrap(), output.memory);
    *buffer = output.block.start().cast();
    *memory_type = output.memory.raw_type();
    *memory_type_id = output.memory.raw_id();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONBACKEND_ResponseSend(
    response: *mut FakeResponse,
    flags: u32,
    reason: ErrorPtr,
) -> ErrorPtr {
    let others = LIVE_RESPONSES.fetch_sub(1, Ordering::SeqCst) - 1;
    let response = Box::from_raw(response);
    let reason = reason
        .as_ref()
        .map(|error| (error.code, error.message.to_str().unwrap().to_owned()));
    let mut record = response.record.lock().unwrap();
    assert!(
        response.from_factory || record.releases == 0,
        "an answer to a released request"
    );
    let after_release = record.releases > 0;
    if is_broken("TRITONBACKEND_ResponseSend") {
        return error(1, "TRITONBACKEND_ResponseSend is broken");
    }
    record.answers.push(Answer {
        error: reason,
        outputs: response.outputs.into_iter().map(|output| *output).collect(),
        is_final: flags == 1,
        after_release,
        others,
    });
    ptr::null_mut()
}
