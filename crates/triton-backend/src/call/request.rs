//! A call before it is sent: what the callee is asked, and the server's request for it.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::carried::{Carried, Part};
use super::chunk::{Chunk, Data};
use crate::element::Element;
use crate::error::{Error, c_string, check};
use crate::{DataType, Sequence, sys};

/// A call under construction: the model, its inputs and what it is asked for.
#[derive(Debug)]
pub struct Call {
    pub(super) model: String,
    pub(super) inputs: Vec<CallInput>,
    pub(super) outputs: Vec<String>,
    /// Those of the outputs that may stay in GPU memory.
    pub(super) carried: Vec<CString>,
    pub(super) sequence: Option<Sequence>,
    pub(super) timeout_us: Option<u64>,
}

#[derive(Debug)]
pub(super) struct CallInput {
    name: String,
    data_type: DataType,
    shape: Vec<i64>,
    /// One behind the other, they are the tensor.
    data: Vec<Box<dyn Data>>,
}

impl Call {
    /// A call of the newest version of the model called `model`.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            carried: Vec::new(),
            sequence: None,
            timeout_us: None,
        }
    }

    /// Adds an input of `shape`, batch dimension included. Values given as a `Vec` are not copied.
    #[must_use]
    pub fn input<T: Element + std::fmt::Debug>(
        mut self,
        name: impl Into<String>,
        shape: &[i64],
        values: impl Into<Vec<T>>,
    ) -> Self {
        self.inputs.push(CallInput {
            name: name.into(),
            data_type: T::DATA_TYPE,
            shape: shape.to_vec(),
            data: vec![Box::new(values.into())],
        });
        self
    }

    /// Adds an input of any type, strings included, as the bytes that a request of this backend had ([`Input::bytes`](crate::Input::bytes)).
    #[must_use]
    pub fn input_bytes(
        mut self,
        name: impl Into<String>,
        data_type: DataType,
        shape: &[i64],
        bytes: Vec<u8>,
    ) -> Self {
        self.inputs.push(CallInput {
            name: name.into(),
            data_type,
            shape: shape.to_vec(),
            data: vec![Box::new(bytes)],
        });
        self
    }

    /// Adds an input whose rows come from earlier answers: of each its part of that number. They are not copied, wherever they are.
    #[must_use]
    pub fn input_carried<T: Element + std::fmt::Debug>(
        mut self,
        name: impl Into<String>,
        shape: &[i64],
        parts: impl IntoIterator<Item = (Arc<Carried<T>>, usize)>,
    ) -> Self {
        let part = |(of, index)| -> Box<dyn Data> { Box::new(Part { of, index }) };
        self.inputs.push(CallInput {
            name: name.into(),
            data_type: T::DATA_TYPE,
            shape: shape.to_vec(),
            data: parts.into_iter().map(part).collect(),
        });
        self
    }

    /// Adds an input of strings.
    #[must_use]
    pub fn input_strings<S: AsRef<[u8]>>(
        self,
        name: impl Into<String>,
        shape: &[i64],
        strings: &[S],
    ) -> Self {
        let mut bytes = Vec::new();
        for string in strings {
            let string = string.as_ref();
            // A length that does not fit makes bytes that the server refuses.
            let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(string);
        }
        self.input_bytes(name, DataType::String, shape, bytes)
    }

    /// Asks for the output called `name`. Without any, all are answered.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs.push(name.into());
        self
    }

    /// Asks for the output called `name`, for [`Reply::carry`](crate::Reply::carry) alone: a callee that has it in GPU memory may leave it
    /// there.
    #[must_use]
    pub fn output_carried(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.carried.push(c_string(&name));
        self.output(name)
    }

    /// Makes the call a request of a sequence.
    #[must_use]
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The longest the call may wait in the callee's queue, where its queue policy lets requests time out.
    #[must_use]
    pub fn timeout_microseconds(mut self, timeout: u64) -> Self {
        self.timeout_us = Some(timeout);
        self
    }
}
/// A request that is not sent yet, deleted when dropped.
pub(super) struct NewRequest(pub(super) NonNull<sys::TRITONSERVER_InferenceRequest>);

impl NewRequest {
    pub(super) fn new(
        server: NonNull<sys::TRITONSERVER_Server>,
        model: &str,
    ) -> Result<Self, Error> {
        let mut request = ptr::null_mut();
        let name = c_string(model);
        // SAFETY: a live server, a NUL-terminated name, a valid out pointer; -1 is the newest version.
        unsafe {
            check(sys::TRITONSERVER_InferenceRequestNew(
                &mut request,
                server.as_ptr(),
                name.as_ptr(),
                -1,
            ))?;
        }
        NonNull::new(request)
            .map(Self)
            .ok_or_else(|| Error::internal("the server made no request"))
    }
}

impl Drop for NewRequest {
    fn drop(&mut self) {
        // SAFETY: never sent, so ours.
        unsafe { delete_request(self.0) };
    }
}

/// # Safety
/// `request` is ours and not used after this.
pub(super) unsafe fn delete_request(request: NonNull<sys::TRITONSERVER_InferenceRequest>) {
    // SAFETY: the caller's promise.
    if let Err(error) = unsafe { check(sys::TRITONSERVER_InferenceRequestDelete(request.as_ptr())) }
    {
        crate::error!("a call's request could not be deleted: {error}");
    }
}

impl CallInput {
    /// # Safety
    /// `request` is live, and `self` outlives it.
    pub(super) unsafe fn add_to(
        &self,
        request: *mut sys::TRITONSERVER_InferenceRequest,
    ) -> Result<(), Error> {
        let name = c_string(&self.name);
        // SAFETY: the caller's promise; name and shape are copied by the server.
        unsafe {
            check(sys::TRITONSERVER_InferenceRequestAddInput(
                request,
                name.as_ptr(),
                self.data_type.to_raw(),
                self.shape.as_ptr(),
                self.shape.len() as u64,
            ))?;
            for data in &self.data {
                let Chunk { start, size, gpu } = data.chunk();
                check(sys::TRITONSERVER_InferenceRequestAppendInputData(
                    request,
                    name.as_ptr(),
                    start,
                    size,
                    gpu.map_or(sys::MEMORY_CPU, |_| sys::MEMORY_GPU),
                    gpu.map_or(0, i64::from),
                ))?;
            }
        }
        Ok(())
    }
}

/// # Safety
/// `request` is live.
pub(super) unsafe fn set_sequence(
    request: *mut sys::TRITONSERVER_InferenceRequest,
    sequence: &Sequence,
) -> Result<(), Error> {
    use crate::CorrelationId::{Number, Text};
    // SAFETY: the caller's promise; the text is copied by the server.
    unsafe {
        match &sequence.id {
            Number(id) => check(sys::TRITONSERVER_InferenceRequestSetCorrelationId(
                request, *id,
            ))?,
            Text(id) => {
                check(sys::TRITONSERVER_InferenceRequestSetCorrelationIdString(
                    request,
                    id.as_ptr(),
                ))?;
            }
        }
        check(sys::TRITONSERVER_InferenceRequestSetFlags(
            request,
            sequence.flags(),
        ))
    }
}
