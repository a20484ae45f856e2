//! Triton's C API, as far as this crate uses it.
//!
//! Every function here exists in the oldest server we support (NGC 22.11, backend API 1.10); newer ones are in `optional.rs`. None is linked:
//! each is looked up in the process (`symbols`), which finds the server also where it is no global of the process, and a
//! server that lacks one can be told so in words.
#![allow(non_camel_case_types, non_snake_case)]

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::symbols;

macro_rules! opaque {
    ($($name:ident)*) => {$(
        /// An object that lives in the server; only its address is known here.
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )*};
}

opaque! {
    TRITONSERVER_Error TRITONSERVER_Message TRITONSERVER_Server TRITONSERVER_ResponseAllocator
    TRITONSERVER_InferenceRequest TRITONSERVER_InferenceResponse
    TRITONSERVER_Metric TRITONSERVER_MetricArgs TRITONSERVER_MetricFamily TRITONSERVER_Parameter
    TRITONBACKEND_Backend TRITONBACKEND_BackendAttribute TRITONBACKEND_Model TRITONBACKEND_ModelInstance
    TRITONBACKEND_Request TRITONBACKEND_Response TRITONBACKEND_Input TRITONBACKEND_Output
    TRITONBACKEND_State TRITONBACKEND_ResponseFactory
}

/// What most functions return: null on success, else an error that the receiver owns.
pub type ErrorPtr = *mut TRITONSERVER_Error;

pub const RESPONSE_COMPLETE_FINAL: u32 = 1;
pub const REQUEST_RELEASE_ALL: u32 = 1;

/// Of the models of a repository, those that are ready.
pub const MODEL_INDEX_READY: u32 = 1;

pub const SEQUENCE_START: u32 = 1;
pub const SEQUENCE_END: u32 = 2;

/// A parameter, or a label of a metric, that is a text.
pub const PARAMETER_STRING: c_int = 0;

pub const MEMORY_CPU: c_int = 0;
pub const MEMORY_CPU_PINNED: c_int = 1;
pub const MEMORY_GPU: c_int = 2;

pub const LOG_INFO: c_int = 0;
pub const LOG_WARN: c_int = 1;
pub const LOG_ERROR: c_int = 2;
pub const LOG_VERBOSE: c_int = 3;

/// Gives memory for one output of a response; `byte_size` may be 0.
pub type AllocFn = unsafe extern "C" fn(
    allocator: *mut TRITONSERVER_ResponseAllocator,
    tensor_name: *const c_char,
    byte_size: usize,
    memory_type: c_int,
    memory_type_id: i64,
    userp: *mut c_void,
    buffer: *mut *mut c_void,
    buffer_userp: *mut *mut c_void,
    actual_memory_type: *mut c_int,
    actual_memory_type_id: *mut i64,
) -> ErrorPtr;

/// Says where an [`AllocFn`] would put an output. `tensor_name` and `byte_size` may be null: not known yet.
pub type QueryFn = unsafe extern "C" fn(
    allocator: *mut TRITONSERVER_ResponseAllocator,
    userp: *mut c_void,
    tensor_name: *const c_char,
    byte_size: *mut usize,
    memory_type: *mut c_int,
    memory_type_id: *mut i64,
) -> ErrorPtr;

/// Takes back what an [`AllocFn`] gave.
pub type ReleaseFn = unsafe extern "C" fn(
    allocator: *mut TRITONSERVER_ResponseAllocator,
    buffer: *mut c_void,
    buffer_userp: *mut c_void,
    byte_size: usize,
    memory_type: c_int,
    memory_type_id: i64,
) -> ErrorPtr;

/// Told when the server has no more use for a request.
pub type RequestReleaseFn = unsafe extern "C" fn(
    request: *mut TRITONSERVER_InferenceRequest,
    flags: u32,
    userp: *mut c_void,
);

/// Told when a response, which may be null, is there.
pub type ResponseCompleteFn = unsafe extern "C" fn(
    response: *mut TRITONSERVER_InferenceResponse,
    flags: u32,
    userp: *mut c_void,
);

/// Functions of the server, under their own names: each calls what the process has under that name.
macro_rules! functions {
    ($($(#[$about:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        #[derive(Clone, Copy)]
        #[allow(clippy::enum_variant_names)]
        enum Function {
            $($name,)*
        }

        const NAMES: [&str; [$(Function::$name),*].len()] = [$(stringify!($name)),*];

        $($(#[$about])*
        /// # Safety
        /// As the server's headers say.
        pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            type Signature = unsafe extern "C" fn($($type),*) $(-> $result)?;
            let function = address(Function::$name);
            // SAFETY: not null, and the server's function of this name, whose signature in the headers is this one.
            let function = unsafe { std::mem::transmute::<*mut c_void, Signature>(function) };
            // SAFETY: the caller's promise.
            unsafe { function($($argument),*) }
        })*
    };
}

/// Where the functions are; null: not looked up yet, or not there.
static ADDRESSES: [AtomicPtr<c_void>; NAMES.len()] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; NAMES.len()];

fn address(function: Function) -> *mut c_void {
    let known = &ADDRESSES[function as usize];
    let address = known.load(Ordering::Acquire);
    if !address.is_null() {
        return address;
    }
    let name = NAMES[function as usize];
    let Some(found) = symbols::address(name) else {
        // Without the server's functions there is not even an error to answer with; nor is there a server that could be harmed.
        panic!("this process has no function {name}: it is no Triton server");
    };
    known.store(found, Ordering::Release);
    found
}

/// Of all functions here, those that this process does not have.
pub(crate) fn missing() -> Vec<&'static str> {
    let is_missing = |name: &&str| symbols::address(name).is_none();
    NAMES.into_iter().filter(is_missing).collect()
}

functions! {
    fn TRITONSERVER_ErrorNew(code: c_int, message: *const c_char) -> ErrorPtr;
    fn TRITONSERVER_ErrorDelete(error: ErrorPtr);
    fn TRITONSERVER_ErrorCode(error: ErrorPtr) -> c_int;
    fn TRITONSERVER_ErrorMessage(error: ErrorPtr) -> *const c_char;
    fn TRITONSERVER_LogIsEnabled(level: c_int) -> bool;
    fn TRITONSERVER_LogMessage(
        level: c_int,
        file: *const c_char,
        line: c_int,
        message: *const c_char,
    ) -> ErrorPtr;
    fn TRITONSERVER_MessageNewFromSerializedJson(
        message: *mut *mut TRITONSERVER_Message,
        base: *const c_char,
        byte_size: usize,
    ) -> ErrorPtr;
    fn TRITONSERVER_MessageDelete(message: *mut TRITONSERVER_Message) -> ErrorPtr;
    fn TRITONSERVER_MessageSerializeToJson(
        message: *mut TRITONSERVER_Message,
        base: *mut *const c_char,
        byte_size: *mut usize,
    ) -> ErrorPtr;
    fn TRITONSERVER_ResponseAllocatorNew(
        allocator: *mut *mut TRITONSERVER_ResponseAllocator,
        alloc: AllocFn,
        release: ReleaseFn,
        start: *const c_void,
    ) -> ErrorPtr;
    fn TRITONSERVER_ResponseAllocatorSetQueryFunction(
        allocator: *mut TRITONSERVER_ResponseAllocator,
        query: QueryFn,
    ) -> ErrorPtr;
    fn TRITONSERVER_ResponseAllocatorDelete(
        allocator: *mut TRITONSERVER_ResponseAllocator,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestNew(
        request: *mut *mut TRITONSERVER_InferenceRequest,
        server: *mut TRITONSERVER_Server,
        model: *const c_char,
        version: i64,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestDelete(
        request: *mut TRITONSERVER_InferenceRequest,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestSetFlags(
        request: *mut TRITONSERVER_InferenceRequest,
        flags: u32,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestSetCorrelationId(
        request: *mut TRITONSERVER_InferenceRequest,
        id: u64,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestSetCorrelationIdString(
        request: *mut TRITONSERVER_InferenceRequest,
        id: *const c_char,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestSetTimeoutMicroseconds(
        request: *mut TRITONSERVER_InferenceRequest,
        timeout: u64,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestAddInput(
        request: *mut TRITONSERVER_InferenceRequest,
        name: *const c_char,
        data_type: c_int,
        shape: *const i64,
        dims_count: u64,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestAppendInputData(
        request: *mut TRITONSERVER_InferenceRequest,
        name: *const c_char,
        base: *const c_void,
        byte_size: usize,
        memory_type: c_int,
        memory_type_id: i64,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestAddRequestedOutput(
        request: *mut TRITONSERVER_InferenceRequest,
        name: *const c_char,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestSetReleaseCallback(
        request: *mut TRITONSERVER_InferenceRequest,
        release: RequestReleaseFn,
        userp: *mut c_void,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceRequestSetResponseCallback(
        request: *mut TRITONSERVER_InferenceRequest,
        allocator: *mut TRITONSERVER_ResponseAllocator,
        allocator_userp: *mut c_void,
        complete: ResponseCompleteFn,
        userp: *mut c_void,
    ) -> ErrorPtr;
    fn TRITONSERVER_ServerInferAsync(
        server: *mut TRITONSERVER_Server,
        request: *mut TRITONSERVER_InferenceRequest,
        trace: *mut c_void,
    ) -> ErrorPtr;
    fn TRITONSERVER_ServerIsLive(server: *mut TRITONSERVER_Server, live: *mut bool)
    -> ErrorPtr;
    fn TRITONSERVER_ServerModelIsReady(
        server: *mut TRITONSERVER_Server,
        model: *const c_char,
        version: i64,
        ready: *mut bool,
    ) -> ErrorPtr;
    fn TRITONSERVER_ServerModelConfig(
        server: *mut TRITONSERVER_Server,
        model: *const c_char,
        version: i64,
        config_version: u32,
        config: *mut *mut TRITONSERVER_Message,
    ) -> ErrorPtr;
    fn TRITONSERVER_ServerModelIndex(
        server: *mut TRITONSERVER_Server,
        flags: u32,
        index: *mut *mut TRITONSERVER_Message,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceResponseDelete(
        response: *mut TRITONSERVER_InferenceResponse,
    ) -> ErrorPtr;
    /// The error belongs to the response.
    fn TRITONSERVER_InferenceResponseError(
        response: *mut TRITONSERVER_InferenceResponse,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceResponseOutputCount(
        response: *mut TRITONSERVER_InferenceResponse,
        count: *mut u32,
    ) -> ErrorPtr;
    fn TRITONSERVER_InferenceResponseOutput(
        response: *mut TRITONSERVER_InferenceResponse,
        index: u32,
        name: *mut *const c_char,
        data_type: *mut c_int,
        shape: *mut *const i64,
        dims_count: *mut u64,
        base: *mut *const c_void,
        byte_size: *mut usize,
        memory_type: *mut c_int,
        memory_type_id: *mut i64,
        userp: *mut *mut c_void,
    ) -> ErrorPtr;

    fn TRITONBACKEND_ApiVersion(major: *mut u32, minor: *mut u32) -> ErrorPtr;
    fn TRITONBACKEND_BackendName(
        backend: *mut TRITONBACKEND_Backend,
        name: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_BackendConfig(
        backend: *mut TRITONBACKEND_Backend,
        config: *mut *mut TRITONSERVER_Message,
    ) -> ErrorPtr;
    fn TRITONBACKEND_BackendArtifacts(
        backend: *mut TRITONBACKEND_Backend,
        kind: *mut c_int,
        location: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_BackendState(
        backend: *mut TRITONBACKEND_Backend,
        state: *mut *mut c_void,
    ) -> ErrorPtr;
    fn TRITONBACKEND_BackendSetState(
        backend: *mut TRITONBACKEND_Backend,
        state: *mut c_void,
    ) -> ErrorPtr;
    fn TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(
        attribute: *mut TRITONBACKEND_BackendAttribute,
        kind: c_int,
        count: u64,
        device_ids: *const u64,
        id_count: u64,
    ) -> ErrorPtr;

    fn TRITONBACKEND_ModelName(
        model: *mut TRITONBACKEND_Model,
        name: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelVersion(
        model: *mut TRITONBACKEND_Model,
        version: *mut u64,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelRepository(
        model: *mut TRITONBACKEND_Model,
        kind: *mut c_int,
        location: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelConfig(
        model: *mut TRITONBACKEND_Model,
        config_version: u32,
        config: *mut *mut TRITONSERVER_Message,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelAutoCompleteConfig(
        model: *mut TRITONBACKEND_Model,
        auto_complete: *mut bool,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelSetConfig(
        model: *mut TRITONBACKEND_Model,
        config_version: u32,
        config: *mut TRITONSERVER_Message,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelBackend(
        model: *mut TRITONBACKEND_Model,
        backend: *mut *mut TRITONBACKEND_Backend,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelServer(
        model: *mut TRITONBACKEND_Model,
        server: *mut *mut TRITONSERVER_Server,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelState(
        model: *mut TRITONBACKEND_Model,
        state: *mut *mut c_void,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelSetState(
        model: *mut TRITONBACKEND_Model,
        state: *mut c_void,
    ) -> ErrorPtr;

    fn TRITONBACKEND_ModelInstanceName(
        instance: *mut TRITONBACKEND_ModelInstance,
        name: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelInstanceKind(
        instance: *mut TRITONBACKEND_ModelInstance,
        kind: *mut c_int,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelInstanceDeviceId(
        instance: *mut TRITONBACKEND_ModelInstance,
        device_id: *mut i32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelInstanceModel(
        instance: *mut TRITONBACKEND_ModelInstance,
        model: *mut *mut TRITONBACKEND_Model,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelInstanceState(
        instance: *mut TRITONBACKEND_ModelInstance,
        state: *mut *mut c_void,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelInstanceSetState(
        instance: *mut TRITONBACKEND_ModelInstance,
        state: *mut c_void,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelInstanceReportStatistics(
        instance: *mut TRITONBACKEND_ModelInstance,
        request: *mut TRITONBACKEND_Request,
        success: bool,
        exec_start_ns: u64,
        compute_start_ns: u64,
        compute_end_ns: u64,
        exec_end_ns: u64,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ModelInstanceReportBatchStatistics(
        instance: *mut TRITONBACKEND_ModelInstance,
        batch_size: u64,
        exec_start_ns: u64,
        compute_start_ns: u64,
        compute_end_ns: u64,
        exec_end_ns: u64,
    ) -> ErrorPtr;

    fn TRITONBACKEND_RequestId(
        request: *mut TRITONBACKEND_Request,
        id: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestFlags(
        request: *mut TRITONBACKEND_Request,
        flags: *mut u32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestCorrelationId(
        request: *mut TRITONBACKEND_Request,
        id: *mut u64,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestCorrelationIdString(
        request: *mut TRITONBACKEND_Request,
        id: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestInputCount(
        request: *mut TRITONBACKEND_Request,
        count: *mut u32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestInputByIndex(
        request: *mut TRITONBACKEND_Request,
        index: u32,
        input: *mut *mut TRITONBACKEND_Input,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestOutputCount(
        request: *mut TRITONBACKEND_Request,
        count: *mut u32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestOutputName(
        request: *mut TRITONBACKEND_Request,
        index: u32,
        name: *mut *const c_char,
    ) -> ErrorPtr;
    fn TRITONBACKEND_RequestRelease(
        request: *mut TRITONBACKEND_Request,
        flags: u32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_InputProperties(
        input: *mut TRITONBACKEND_Input,
        name: *mut *const c_char,
        data_type: *mut c_int,
        shape: *mut *const i64,
        dims_count: *mut u32,
        byte_size: *mut u64,
        buffer_count: *mut u32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_InputBuffer(
        input: *mut TRITONBACKEND_Input,
        index: u32,
        buffer: *mut *const c_void,
        byte_size: *mut u64,
        memory_type: *mut c_int,
        memory_type_id: *mut i64,
    ) -> ErrorPtr;

    fn TRITONBACKEND_ResponseNew(
        response: *mut *mut TRITONBACKEND_Response,
        request: *mut TRITONBACKEND_Request,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ResponseFactoryNew(
        factory: *mut *mut TRITONBACKEND_ResponseFactory,
        request: *mut TRITONBACKEND_Request,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ResponseFactoryDelete(
        factory: *mut TRITONBACKEND_ResponseFactory,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ResponseNewFromFactory(
        response: *mut *mut TRITONBACKEND_Response,
        factory: *mut TRITONBACKEND_ResponseFactory,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ResponseDelete(response: *mut TRITONBACKEND_Response) -> ErrorPtr;
    fn TRITONBACKEND_ResponseOutput(
        response: *mut TRITONBACKEND_Response,
        output: *mut *mut TRITONBACKEND_Output,
        name: *const c_char,
        data_type: c_int,
        shape: *const i64,
        dims_count: u32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_ResponseSend(
        response: *mut TRITONBACKEND_Response,
        flags: u32,
        error: ErrorPtr,
    ) -> ErrorPtr;
    fn TRITONBACKEND_OutputBuffer(
        output: *mut TRITONBACKEND_Output,
        buffer: *mut *mut c_void,
        byte_size: u64,
        memory_type: *mut c_int,
        memory_type_id: *mut i64,
    ) -> ErrorPtr;

    fn TRITONBACKEND_StateNew(
        state: *mut *mut TRITONBACKEND_State,
        request: *mut TRITONBACKEND_Request,
        name: *const c_char,
        data_type: c_int,
        shape: *const i64,
        dims_count: u32,
    ) -> ErrorPtr;
    fn TRITONBACKEND_StateBuffer(
        state: *mut TRITONBACKEND_State,
        buffer: *mut *mut c_void,
        byte_size: u64,
        memory_type: *mut c_int,
        memory_type_id: *mut i64,
    ) -> ErrorPtr;
    fn TRITONBACKEND_StateUpdate(state: *mut TRITONBACKEND_State) -> ErrorPtr;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_no_server_has_none_of_them() {
        assert_eq!(missing(), NAMES);
        assert!(NAMES.contains(&"TRITONBACKEND_ResponseSend"));
    }
}
