//! Other models of the fake server. A model's name says how it behaves.
#![allow(non_snake_case, unsafe_op_in_unsafe_fn)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use triton_backend::sys;

use super::api::{ErrorPtr, error, message};
use super::block::{read_on_gpu, write_on_gpu};
use super::{CALLS, GIVEN, LIVE_CALL_OBJECTS, PLACES, SERVING, STOPPING, bytes_of};

struct Allocator {
    alloc: sys::AllocFn,
    release: sys::ReleaseFn,
    query: Option<sys::QueryFn>,
    deleted: AtomicBool,
}

struct Deleted(#[allow(dead_code, reason = "only to be held")] *mut Allocator);

unsafe impl Send for Deleted {}

/// Allocators that were deleted.
static DELETED: Mutex<Vec<Deleted>> = Mutex::new(Vec::new());

#[derive(Default)]
struct CallRequest {
    model: String,
    id: String,
    flags: u32,
    /// The input's bytes, which stay the backend's until the release callback.
    input: Vec<Part>,
    release: Option<(sys::RequestReleaseFn, usize)>,
    complete: Option<(usize, sys::ResponseCompleteFn, usize)>,
    /// What the allocator's functions are given.
    allocator_userp: usize,
}

struct Part {
    start: usize,
    size: usize,
    memory: (i32, i64),
}

impl Part {
    unsafe fn bytes(&self) -> Vec<u8> {
        let start = ptr::with_exposed_provenance::<u8>(self.start);
        match self.memory.0 {
            2 => read_on_gpu(start, self.size),
            _ => std::slice::from_raw_parts(start, self.size).to_vec(),
        }
    }
}

struct CallResponse {
    allocator: *const Allocator,
    /// Its error's code and message.
    failure: Option<(c_int, CString)>,
    /// Of each output: `y`, and `z` behind it in the same memory if there are two.
    shape: [i64; 1],
    outputs: usize,
    buffer: *mut c_void,
    buffer_userp: *mut c_void,
    byte_size: usize,
    memory: (i32, i64),
}

fn born() {
    LIVE_CALL_OBJECTS.fetch_add(1, Ordering::SeqCst);
}

fn died() {
    LIVE_CALL_OBJECTS.fetch_sub(1, Ordering::SeqCst);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ResponseAllocatorNew(
    allocator: *mut *mut Allocator,
    alloc: sys::AllocFn,
    release: sys::ReleaseFn,
    _start: *const c_void,
) -> ErrorPtr {
    born();
    *allocator = Box::into_raw(Box::new(Allocator {
        alloc,
        release,
        query: None,
        deleted: AtomicBool::new(false),
    }));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ResponseAllocatorSetQueryFunction(
    allocator: *mut Allocator,
    query: sys::QueryFn,
) -> ErrorPtr {
    (*allocator).query = Some(query);
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ResponseAllocatorDelete(allocator: *mut Allocator) -> ErrorPtr {
    died();
    // Never freed, so that a use after this is seen; kept here, so that it is no leak to those who look for leaks.
    DELETED.lock().unwrap().push(Deleted(allocator));
    assert!(
        !(*allocator).deleted.swap(true, Ordering::SeqCst),
        "an allocator deleted twice"
    );
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ServerIsLive(_server: *mut c_void, live: *mut bool) -> ErrorPtr {
    *live = !STOPPING.load(Ordering::SeqCst);
    match *live {
        true => ptr::null_mut(),
        false => error(4, "Server exiting"),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ServerModelIsReady(
    _server: *mut c_void,
    model: *const c_char,
    version: i64,
    ready: *mut bool,
) -> ErrorPtr {
    assert_eq!(version, -1);
    match CStr::from_ptr(model).to_str().unwrap() {
        "missing" => error(2, "Request for unknown model: 'missing' is not found"),
        model => {
            *ready = model != "loading";
            ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ServerModelConfig(
    _server: *mut c_void,
    model: *const c_char,
    version: i64,
    config_version: u32,
    config: *mut *mut CString,
) -> ErrorPtr {
    assert_eq!((version, config_version), (-1, 1));
    let model = CStr::from_ptr(model).to_str().unwrap();
    if model == "missing" {
        return error(2, "Request for unknown model: 'missing' is not found");
    }
    *config = message(CString::new(format!("{{\"name\":\"{model}\"}}")).unwrap());
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ServerModelIndex(
    _server: *mut c_void,
    flags: u32,
    index: *mut *mut CString,
) -> ErrorPtr {
    assert_eq!(flags, 1);
    let models = r#"[{"name":"encoder","version":"1","state":"READY"},{"name":"sensevoice"}]"#;
    *index = message(CString::new(models).unwrap());
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestNew(
    request: *mut *mut CallRequest,
    _server: *mut c_void,
    model: *const c_char,
    version: i64,
) -> ErrorPtr {
    assert_eq!(version, -1);
    let model = CStr::from_ptr(model).to_str().unwrap().to_owned();
    if model == "missing" {
        return error(2, "Request for unknown model: 'missing' is not found");
    }
    born();
    *request = Box::into_raw(Box::new(CallRequest {
        model,
        ..CallRequest::default()
    }));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestDelete(request: *mut CallRequest) -> ErrorPtr {
    died();
    drop(Box::from_raw(request));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestSetFlags(
    request: *mut CallRequest,
    flags: u32,
) -> ErrorPtr {
    (*request).flags = flags;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestSetCorrelationId(
    request: *mut CallRequest,
    id: u64,
) -> ErrorPtr {
    (*request).id = id.to_string();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestSetCorrelationIdString(
    request: *mut CallRequest,
    id: *const c_char,
) -> ErrorPtr {
    (*request).id = CStr::from_ptr(id).to_str().unwrap().to_owned();
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestSetTimeoutMicroseconds(
    _request: *mut CallRequest,
    timeout: u64,
) -> ErrorPtr {
    assert_eq!(timeout, 5_000_000);
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestAddInput(
    request: *mut CallRequest,
    name: *const c_char,
    _data_type: c_int,
    _shape: *const i64,
    _rank: u64,
) -> ErrorPtr {
    if (*request).model == "picky" {
        return error(3, "no such input");
    }
    assert_eq!(CStr::from_ptr(name), c"x");
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestAppendInputData(
    request: *mut CallRequest,
    _name: *const c_char,
    base: *const c_void,
    byte_size: usize,
    memory_type: c_int,
    memory_type_id: i64,
) -> ErrorPtr {
    let request = &mut *request;
    request.input.push(Part {
        start: base.expose_provenance(),
        size: byte_size,
        memory: (memory_type, memory_type_id),
    });
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestAddRequestedOutput(
    _request: *mut CallRequest,
    name: *const c_char,
) -> ErrorPtr {
    assert_eq!(CStr::from_ptr(name), c"y");
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestSetReleaseCallback(
    request: *mut CallRequest,
    release: sys::RequestReleaseFn,
    userp: *mut c_void,
) -> ErrorPtr {
    (*request).release = Some((release, userp.expose_provenance()));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceRequestSetResponseCallback(
    request: *mut CallRequest,
    allocator: *mut Allocator,
    allocator_userp: *mut c_void,
    complete: sys::ResponseCompleteFn,
    userp: *mut c_void,
) -> ErrorPtr {
    (*request).allocator_userp = allocator_userp.expose_provenance();
    (*request).complete = Some((
        allocator.expose_provenance(),
        complete,
        userp.expose_provenance(),
    ));
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_ServerInferAsync(
    _server: *mut c_void,
    request: *mut CallRequest,
    _trace: *mut c_void,
) -> ErrorPtr {
    let call = &*request;
    if call.model == "refusing" {
        return error(4, "Request for model 'refusing' has exceeded the queue");
    }
    CALLS.lock().unwrap().push((call.id.clone(), call.flags));
    let request = request.expose_provenance();
    SERVING.fetch_add(1, Ordering::SeqCst);
    std::thread::spawn(move || {
        unsafe { serve(ptr::with_exposed_provenance_mut(request)) };
        SERVING.fetch_sub(1, Ordering::SeqCst);
    });
    ptr::null_mut()
}

/// Answers a call as the model's name says, on a thread of its own.
unsafe fn serve(request: *mut CallRequest) {
    let model = (*request).model.clone();
    let (allocator, complete, userp) = (*request).complete.unwrap();
    let userp = ptr::with_exposed_provenance_mut(userp);
    let allocator: *const Allocator = ptr::with_exposed_provenance(allocator);
    let parts = &(*request).input;
    let places = parts.iter().map(|part| part.memory);
    GIVEN.lock().unwrap().extend(places);
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes()).collect();
    let doubled: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|chunk| 2.0 * f32::from_le_bytes(chunk.try_into().unwrap()))
        .collect();
    let allocator_userp = ptr::with_exposed_provenance_mut((*request).allocator_userp);
    if model == "asking" || model == "on_gpu" {
        ask_for_places(allocator, allocator_userp);
    }
    // Every callee would rather leave its outputs on a GPU.
    let respond = || {
        let response = respond(allocator, allocator_userp, &doubled);
        if model == "on_gpu_in_halves" {
            (*response).outputs = 2;
            (*response).shape[0] /= 2;
        }
        response
    };
    let answer = |flags| complete(respond().cast(), flags, userp);
    if model == "late_release" {
        answer(1);
        std::thread::sleep(Duration::from_millis(20));
        // It may still ask: the request is there.
        ask_for_places(allocator, allocator_userp);
    }
    let (release, release_userp) = (*request).release.unwrap();
    release(
        request.cast(),
        1,
        ptr::with_exposed_provenance_mut(release_userp),
    );
    match model.as_str() {
        "late_release" => {}
        "failing" => complete(fail(allocator).cast(), 1, userp),
        "huge" => complete(outgrow(allocator).cast(), 1, userp),
        "silent" => complete(ptr::null_mut(), 1, userp),
        "changing_its_mind" => {
            answer(0);
            complete(fail(allocator).cast(), 1, userp);
        }
        "talkative" => {
            answer(0);
            answer(0);
            complete(ptr::null_mut(), 1, userp);
        }
        _ => answer(1),
    }
}

/// Asks where outputs will be put, as a backend does before it makes them, and leaves errors to themselves like the official
/// ONNX Runtime backend: they are seen when the host counts those that still exist.
unsafe fn ask_for_places(allocator: *const Allocator, allocator_userp: *mut c_void) {
    let mut size = 12;
    for (name, byte_size) in [
        (c"y".as_ptr(), &raw mut size),
        (ptr::null(), ptr::null_mut()),
    ] {
        let (mut memory_type, mut memory_type_id) = (2, 1);
        let Some(query) = (*allocator).query else {
            let _leaked = error(4, "Output properties are not available");
            continue;
        };
        let refused = query(
            allocator.cast_mut().cast(),
            allocator_userp,
            name,
            byte_size,
            &mut memory_type,
            &mut memory_type_id,
        );
        assert!(refused.is_null());
        PLACES.lock().unwrap().push((memory_type, memory_type_id));
    }
}

unsafe fn respond(
    allocator: *const Allocator,
    allocator_userp: *mut c_void,
    values: &[f32],
) -> *mut CallResponse {
    let bytes = bytes_of(values);
    let (mut buffer, mut buffer_userp) = (ptr::null_mut(), ptr::null_mut());
    let (mut memory_type, mut memory_type_id) = (2, 1);
    let refused = ((*allocator).alloc)(
        ptr::null_mut(),
        c"y".as_ptr(),
        bytes.len(),
        2,
        1,
        allocator_userp,
        &mut buffer,
        &mut buffer_userp,
        &mut memory_type,
        &mut memory_type_id,
    );
    assert!(refused.is_null());
    assert_eq!(buffer.is_null(), bytes.is_empty());
    match memory_type {
        2 => write_on_gpu(buffer.cast(), &bytes),
        _ => ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len()),
    }
    born();
    Box::into_raw(Box::new(CallResponse {
        allocator,
        failure: None,
        shape: [values.len() as i64],
        outputs: 1,
        buffer,
        buffer_userp,
        byte_size: bytes.len(),
        memory: (memory_type, memory_type_id),
    }))
}

/// Asks for more memory than there is, and answers what it is told.
unsafe fn outgrow(allocator: *const Allocator) -> *mut CallResponse {
    let (mut buffer, mut buffer_userp) = (ptr::null_mut(), ptr::null_mut());
    let (mut memory_type, mut memory_type_id) = (0, 0);
    let refused = ((*allocator).alloc)(
        ptr::null_mut(),
        c"y".as_ptr(),
        usize::MAX - 7,
        0,
        0,
        ptr::null_mut(),
        &mut buffer,
        &mut buffer_userp,
        &mut memory_type,
        &mut memory_type_id,
    );
    assert!(!refused.is_null() && buffer.is_null());
    let response = respond(allocator, ptr::null_mut(), &[]);
    let refused: ErrorPtr = refused.cast();
    let message = CStr::from_ptr(sys::TRITONSERVER_ErrorMessage(refused.cast())).to_owned();
    (*response).failure = Some((sys::TRITONSERVER_ErrorCode(refused.cast()), message));
    sys::TRITONSERVER_ErrorDelete(refused.cast());
    response
}

unsafe fn fail(allocator: *const Allocator) -> *mut CallResponse {
    let response = respond(allocator, ptr::null_mut(), &[]);
    (*response).failure = Some((1, c"out of luck".to_owned()));
    response
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceResponseDelete(response: *mut CallResponse) -> ErrorPtr {
    died();
    let response = Box::from_raw(response);
    let deleted = (*response.allocator).deleted.load(Ordering::SeqCst);
    if deleted {
        eprintln!("a response outlived its allocator");
        std::process::abort();
    }
    // As the server: what has no memory has none to be given back.
    if !response.buffer.is_null() {
        let (memory_type, memory_type_id) = response.memory;
        let freed = ((*response.allocator).release)(
            ptr::null_mut(),
            response.buffer,
            response.buffer_userp,
            response.byte_size,
            memory_type,
            memory_type_id,
        );
        assert!(freed.is_null());
    }
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceResponseError(response: *mut CallResponse) -> ErrorPtr {
    // As the server: a new one each time, which is whoever's that asked.
    match &(*response).failure {
        Some((code, message)) => error(*code, message.to_str().unwrap()),
        None => ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceResponseOutputCount(
    response: *mut CallResponse,
    count: *mut u32,
) -> ErrorPtr {
    *count = (*response).outputs as u32;
    ptr::null_mut()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TRITONSERVER_InferenceResponseOutput(
    response: *mut CallResponse,
    index: u32,
    name: *mut *const c_char,
    data_type: *mut c_int,
    shape: *mut *const i64,
    rank: *mut u64,
    base: *mut *const c_void,
    byte_size: *mut usize,
    memory_type: *mut c_int,
    memory_type_id: *mut i64,
    _userp: *mut *mut c_void,
) -> ErrorPtr {
    let response = &*response;
    *name = [c"y", c"z"][index as usize].as_ptr();
    *data_type = 11;
    *shape = response.shape.as_ptr();
    *rank = 1;
    let size = response.byte_size / response.outputs;
    *base = response.buffer.wrapping_byte_add(index as usize * size);
    *byte_size = size;
    (*memory_type, *memory_type_id) = response.memory;
    ptr::null_mut()
}
