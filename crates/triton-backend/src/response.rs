//! The response to a request: outputs written straight into the server's buffers.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use crate::element::{Element, element_count};
use crate::error::{Error, c_string, check};
use crate::{DataType, cuda, sys, zeroed};

/// A response under construction. [`Request::finish`](crate::Request::finish) sends it.
pub struct Response {
    raw: NonNull<sys::TRITONBACKEND_Response>,
    staged: Vec<Staged>,
}

// SAFETY: a response is the server's object without thread affinity, used through one owner at a time.
unsafe impl Send for Response {}

/// Output data on its way to memory that Rust cannot write: on a GPU, or not aligned for the type.
struct Staged {
    data: Data,
    size: usize,
    target: *mut c_void,
    /// The GPU whose memory the target is in.
    gpu: Option<i32>,
}

/// Memory of ours, aligned for any element type, that stays where it is when its owner moves.
enum Data {
    /// Page-locked, for a GPU.
    Pinned(cuda::Piece),
    Ordinary(Vec<u64>),
}

impl Data {
    fn new(size: usize, gpu: Option<i32>, name: &str) -> Result<Self, Error> {
        if let Some(device) = gpu
            && let Some(memory) = cuda::Kind::PageLocked.take(size, device)
        {
            return Ok(Self::Pinned(memory));
        }
        let words = size.div_ceil(size_of::<u64>());
        zeroed(words, format_args!("output '{name}'")).map(Self::Ordinary)
    }

    fn start(&mut self) -> *mut u8 {
        match self {
            Self::Pinned(memory) => memory.start(),
            Self::Ordinary(words) => words.as_mut_ptr().cast(),
        }
    }
}

impl Response {
    /// # Safety
    /// `raw` is null or a response that the server has just made, and nothing else sends or deletes it.
    pub(crate) unsafe fn from_raw(raw: *mut sys::TRITONBACKEND_Response) -> Result<Self, Error> {
        NonNull::new(raw)
            .map(|raw| Self {
                raw,
                staged: Vec::new(),
            })
            .ok_or_else(|| Error::internal("the server made no response"))
    }

    /// Adds an output of `shape` (batch dimension included) and returns its elements to be written, all of them: the
    /// memory is the server's and holds whatever it held before.
    ///
    /// # Errors
    /// If the shape is impossible or the server refuses the output or has no memory for it.
    pub fn output<T: Element>(&mut self, name: &str, shape: &[i64]) -> Result<&mut [T], Error> {
        let count = element_count(shape);
        let size = count.and_then(|count| count.checked_mul(size_of::<T>()));
        let (Some(count), Some(size)) = (count, size) else {
            let message = format!("output '{name}' of impossible shape {shape:?}");
            return Err(Error::internal(message));
        };
        let bytes = self.raw_output(name, T::DATA_TYPE, shape, size, align_of::<T>())?;
        // SAFETY: `raw_output` returns aligned memory of that many bytes, borrowed from `self`; every bit pattern is a
        // `T`.
        Ok(unsafe { std::slice::from_raw_parts_mut(bytes.cast(), count) })
    }

    /// Adds an output of any type as bytes to be written, all of them.
    ///
    /// # Errors
    /// As [`Response::output`].
    pub fn output_bytes(
        &mut self,
        name: &str,
        data_type: DataType,
        shape: &[i64],
        byte_size: usize,
    ) -> Result<&mut [u8], Error> {
        let bytes = self.raw_output(name, data_type, shape, byte_size, 1)?;
        // SAFETY: as in `output`.
        Ok(unsafe { std::slice::from_raw_parts_mut(bytes, byte_size) })
    }

    /// Adds a string output.
    ///
    /// # Errors
    /// As [`Response::output`], or if `strings` are not as many as `shape` says, or one is longer than 4 GiB.
    pub fn output_strings<S: AsRef<[u8]>>(
        &mut self,
        name: &str,
        shape: &[i64],
        strings: &[S],
    ) -> Result<(), Error> {
        if element_count(shape) != Some(strings.len()) {
            let message = format!(
                "output '{name}' of shape {shape:?} got {} strings",
                strings.len()
            );
            return Err(Error::internal(message));
        }
        let size = strings.iter().map(|string| 4 + string.as_ref().len()).sum();
        let mut rest = self.output_bytes(name, DataType::String, shape, size)?;
        for string in strings {
            let string = string.as_ref();
            let length = u32::try_from(string.len())
                .map_err(|_| Error::internal(format!("output '{name}' has a string over 4 GiB")))?;
            let (head, tail) = rest.split_at_mut(4 + string.len());
            head[..4].copy_from_slice(&length.to_le_bytes());
            head[4..].copy_from_slice(string);
            rest = tail;
        }
        Ok(())
    }

    fn raw_output(
        &mut self,
        name: &str,
        data_type: DataType,
        shape: &[i64],
        byte_size: usize,
        align: usize,
    ) -> Result<*mut u8, Error> {
        let c_name = c_string(name);
        let rank = u32::try_from(shape.len())
            .map_err(|_| Error::internal(format!("output '{name}' has too many dimensions")))?;
        let mut output = ptr::null_mut();
        let mut target = ptr::null_mut();
        let mut memory_type = sys::MEMORY_CPU;
        let mut memory_type_id = 0_i64;
        // SAFETY: a live response, strings and shape that outlive the calls (the server copies them), valid out
        // pointers.
        unsafe {
            check(sys::TRITONBACKEND_ResponseOutput(
                self.raw.as_ptr(),
                &mut output,
                c_name.as_ptr(),
                data_type.to_raw(),
                shape.as_ptr(),
                rank,
            ))?;
            check(sys::TRITONBACKEND_OutputBuffer(
                output,
                &mut target,
                byte_size as u64,
                &mut memory_type,
                &mut memory_type_id,
            ))?;
        }
        if byte_size == 0 {
            return Ok(NonNull::<u64>::dangling().as_ptr().cast());
        }
        if target.is_null() {
            let message =
                format!("the server gave no memory for output '{name}' ({byte_size} bytes)");
            return Err(Error::internal(message));
        }
        let gpu = match memory_type {
            sys::MEMORY_GPU => Some(cuda::device(memory_type_id)?),
            _ => None,
        };
        let target_bytes = target.cast::<u8>();
        if gpu.is_none() && target_bytes.align_offset(align) == 0 {
            return Ok(target_bytes);
        }
        let mut data = Data::new(byte_size, gpu, name)?;
        let start = data.start();
        self.staged.push(Staged {
            data,
            size: byte_size,
            target,
            gpu,
        });
        Ok(start)
    }

    /// Sends the response or, on a new one, the error. True if that was a response without an error, and it went out.
    pub(crate) fn send_outcome(
        outcome: Result<Self, Error>,
        new: impl FnOnce() -> Result<Self, Error>,
    ) -> bool {
        let (response, error) = match outcome {
            Ok(mut response) => {
                let staged = response.deliver_staged();
                (Ok(response), staged.err())
            }
            Err(error) => (new(), Some(error)),
        };
        let delivered = error.is_none();
        match response.and_then(|response| response.send(error, sys::RESPONSE_COMPLETE_FINAL)) {
            Ok(()) => delivered,
            Err(error) => {
                crate::error!("a response could not be sent: {error}");
                false
            }
        }
    }

    /// Sends the response as one that others follow.
    pub(crate) fn send_part(mut self) -> Result<(), Error> {
        self.deliver_staged()?;
        self.send(None, 0)
    }

    /// Sends the response, with `error` in place of the outputs if there is one.
    fn send(mut self, error: Option<Error>, flags: u32) -> Result<(), Error> {
        // All of it was delivered, or the error is sent in its place.
        drop(std::mem::take(&mut self.staged));
        let error = error.map_or(ptr::null_mut(), Error::into_raw);
        let raw = self.raw;
        std::mem::forget(self);
        // SAFETY: sending takes the response; `self` is forgotten, so it is not deleted as well. The error stays ours.
        unsafe {
            let sent = check(sys::TRITONBACKEND_ResponseSend(raw.as_ptr(), flags, error));
            if !error.is_null() {
                sys::TRITONSERVER_ErrorDelete(error);
            }
            sent
        }
    }

    fn deliver_staged(&mut self) -> Result<(), Error> {
        let mut staged = std::mem::take(&mut self.staged);
        let mut to_gpu = Vec::new();
        for Staged {
            data,
            size,
            target,
            gpu,
        } in &mut staged
        {
            let from = data.start();
            match *gpu {
                Some(device) => to_gpu.push(cuda::Copy {
                    to: *target,
                    from: from.cast(),
                    size: *size,
                    device,
                }),
                // SAFETY: both ranges have `size` bytes; the target is the server's and lives until the response is sent.
                None => unsafe { ptr::copy_nonoverlapping(from, target.cast(), *size) },
            }
        }
        // SAFETY: as above; what is copied from, `staged`, lives on until they are done.
        unsafe { cuda::copy(&to_gpu) }.map_err(|error| error.context("outputs"))
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        // SAFETY: not sent (sending forgets `self`), so it is ours to delete.
        let deleted = unsafe { check(sys::TRITONBACKEND_ResponseDelete(self.raw.as_ptr())) };
        if let Err(error) = deleted {
            crate::error!("a response could not be deleted: {error}");
        }
    }
}
