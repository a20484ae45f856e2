//! What a called model answered.

use std::borrow::Cow;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};

use std::sync::Arc;

use super::allocator::Allocator;
use crate::element::{Element, element_count};
use crate::error::{Error, check};
use crate::input::split_string;
use crate::memory::with_room;
use crate::{DataType, cuda, sys};

/// What a model answered.
#[derive(Debug)]
pub struct Reply {
    pub(super) response: NonNull<sys::TRITONSERVER_InferenceResponse>,
    /// What the response's memory goes back to.
    pub(super) _allocator: Arc<Allocator>,
}

// SAFETY: a response is the server's object without thread affinity, used through one owner at a time.
unsafe impl Send for Reply {}
/// An output of a [`Reply`].
#[derive(Clone, Debug)]
pub struct ReplyOutput<'r> {
    /// Its name.
    pub name: &'r str,
    /// The type of its elements.
    pub data_type: DataType,
    /// Its shape, batch dimension included.
    pub shape: &'r [i64],
    pub(super) base: *const c_void,
    byte_size: usize,
    /// The GPU whose memory it is in.
    pub(super) gpu: Option<i32>,
}

impl Reply {
    /// The output called `name`.
    ///
    /// # Errors
    /// If the model did not answer it.
    pub fn output(&self, name: &str) -> Result<ReplyOutput<'_>, Error> {
        let mut count = 0_u32;
        // SAFETY: a live response and a valid out pointer.
        unsafe {
            check(sys::TRITONSERVER_InferenceResponseOutputCount(
                self.response.as_ptr(),
                &mut count,
            ))?
        };
        for index in 0..count {
            let output = self.output_at(index)?;
            if output.name == name {
                return Ok(output);
            }
        }
        Err(Error::internal(format!(
            "the called model answered no output '{name}'"
        )))
    }

    fn output_at(&self, index: u32) -> Result<ReplyOutput<'_>, Error> {
        let mut name = ptr::null();
        let mut data_type: c_int = 0;
        let mut shape = ptr::null();
        let mut rank = 0_u64;
        let mut base = ptr::null();
        let mut byte_size = 0_usize;
        let mut memory_type: c_int = 0;
        let mut memory_type_id = 0_i64;
        let mut userp = ptr::null_mut();
        // SAFETY: a live response and valid out pointers; what they receive lives as long as the response.
        unsafe {
            check(sys::TRITONSERVER_InferenceResponseOutput(
                self.response.as_ptr(),
                index,
                &mut name,
                &mut data_type,
                &mut shape,
                &mut rank,
                &mut base,
                &mut byte_size,
                &mut memory_type,
                &mut memory_type_id,
                &mut userp,
            ))?;
            let name = CStr::from_ptr(name).to_str().unwrap_or("");
            let data_type = DataType::from_raw(data_type).ok_or_else(|| {
                Error::internal(format!("output '{name}' has unknown data type {data_type}"))
            })?;
            let rank = usize::try_from(rank).unwrap_or(0);
            let shape = if rank == 0 {
                &[][..]
            } else {
                std::slice::from_raw_parts(shape, rank)
            };
            let gpu = match memory_type {
                sys::MEMORY_GPU => Some(cuda::device(memory_type_id)?),
                _ => None,
            };
            Ok(ReplyOutput {
                name,
                data_type,
                shape,
                base,
                byte_size,
                gpu,
            })
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // SAFETY: ours since the callback.
        if let Err(error) = unsafe {
            check(sys::TRITONSERVER_InferenceResponseDelete(
                self.response.as_ptr(),
            ))
        } {
            crate::error!("an answer could not be deleted: {error}");
        }
    }
}

impl<'r> ReplyOutput<'r> {
    /// The number of elements, as the shape and the bytes say.
    pub(super) fn count<T: Element>(&self) -> Result<usize, Error> {
        let Self {
            name,
            data_type,
            shape,
            byte_size,
            ..
        } = self;
        if *data_type != T::DATA_TYPE {
            let message = format!(
                "output '{name}' of the called model is {data_type}, expected {}",
                T::DATA_TYPE
            );
            return Err(Error::internal(message));
        }
        element_count(shape)
            .filter(|count| count.checked_mul(size_of::<T>()) == Some(*byte_size))
            .ok_or_else(|| {
                Error::internal(format!(
                    "output '{name}' of the called model has {byte_size} bytes, but shape {shape:?}"
                ))
            })
    }

    /// The elements of a string output.
    ///
    /// # Errors
    /// If the output holds no strings, their lengths do not add up, it is in GPU memory that cannot be copied, or there is no memory for it.
    pub fn strings(&self) -> Result<Vec<Vec<u8>>, Error> {
        let Self {
            name, data_type, ..
        } = self;
        let bytes = ReplyOutput {
            data_type: DataType::Uint8,
            shape: &[i64::try_from(self.byte_size).unwrap_or(i64::MAX)],
            ..self.clone()
        };
        if *data_type != DataType::String {
            let message =
                format!("output '{name}' of the called model is {data_type}, expected BYTES");
            return Err(Error::internal(message));
        }
        let bytes = bytes.read::<u8>()?;
        let mut rest = &*bytes;
        let mut strings = Vec::new();
        while !rest.is_empty() {
            let (string, others) = split_string(rest).ok_or_else(|| {
                Error::internal(format!(
                    "the string lengths of output '{name}' of the called model do not add up"
                ))
            })?;
            strings.push(string.to_vec());
            rest = others;
        }
        Ok(strings)
    }

    /// The elements.
    ///
    /// # Errors
    /// If the output is not of type `T`, its bytes are not what its shape says, GPU memory cannot be copied, or there is no
    /// memory for a copy.
    pub fn read<T: Element>(&self) -> Result<Cow<'r, [T]>, Error> {
        let count = self.count::<T>()?;
        let Self {
            name, byte_size, ..
        } = self;
        if count == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        if self.gpu.is_none() && self.base.cast::<T>().is_aligned() {
            // SAFETY: aligned, of `count` elements, alive as long as the reply; every bit pattern is a `T`.
            let values = unsafe { std::slice::from_raw_parts(self.base.cast::<T>(), count) };
            return Ok(Cow::Borrowed(values));
        }
        let what = format_args!("output '{name}' of the called model");
        let mut values = with_room::<T>(count, what)?;
        // SAFETY: room for `count` elements, all of which are copied before the length is set.
        unsafe {
            match self.gpu {
                Some(device) => cuda::copy(&[cuda::Copy {
                    to: values.as_mut_ptr().cast(),
                    from: self.base,
                    size: *byte_size,
                    device,
                }])
                .map_err(|error| error.context(what))?,
                None => ptr::copy_nonoverlapping(
                    self.base.cast::<u8>(),
                    values.as_mut_ptr().cast(),
                    *byte_size,
                ),
            }
            values.set_len(count);
        }
        Ok(Cow::Owned(values))
    }
}
