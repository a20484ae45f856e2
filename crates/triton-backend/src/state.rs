//! Implicit state: tensors that the server keeps between the requests of a sequence.
//!
//! The state of the request before arrives as an [`Input`](crate::Input) under the state's input name.

use std::ptr;

use crate::element::{Element, as_bytes};
use crate::error::{Error, c_string, check};
use crate::{DataType, Request, cuda, sys};

impl Request {
    /// Sets the state called `name` (its output name in the config) for the sequence's next request.
    ///
    /// Takes `&mut self`, because the server may keep the new state where the old one stands, which inputs of this
    /// request borrow.
    ///
    /// # Errors
    /// If the config has no such state, or the server has no memory for it.
    pub fn set_state<T: Element>(
        &mut self,
        name: &str,
        shape: &[i64],
        values: &[T],
    ) -> Result<(), Error> {
        self.set_state_bytes(name, T::DATA_TYPE, shape, as_bytes(values))
    }

    /// Sets a state of any type from its bytes.
    ///
    /// # Errors
    /// As [`Request::set_state`].
    pub fn set_state_bytes(
        &mut self,
        name: &str,
        data_type: DataType,
        shape: &[i64],
        bytes: &[u8],
    ) -> Result<(), Error> {
        let c_name = c_string(name);
        let rank = u32::try_from(shape.len())
            .map_err(|_| Error::internal(format!("state '{name}' has too many dimensions")))?;
        let mut state = ptr::null_mut();
        let mut buffer = ptr::null_mut();
        let mut memory_type = sys::MEMORY_CPU;
        let mut memory_type_id = 0_i64;
        // SAFETY: a live request, name and shape that outlive the call (the server copies them), valid out pointers. The
        // buffer has the size asked for, belongs to the state, and no input borrows it: those need `&self`.
        unsafe {
            check(sys::TRITONBACKEND_StateNew(
                &mut state,
                self.raw(),
                c_name.as_ptr(),
                data_type.to_raw(),
                shape.as_ptr(),
                rank,
            ))?;
            check(sys::TRITONBACKEND_StateBuffer(
                state,
                &mut buffer,
                bytes.len() as u64,
                &mut memory_type,
                &mut memory_type_id,
            ))?;
            if !bytes.is_empty() {
                if buffer.is_null() {
                    return Err(Error::internal(format!(
                        "the server gave no memory for state '{name}'"
                    )));
                }
                if memory_type == sys::MEMORY_GPU {
                    let copy = cuda::Copy {
                        to: buffer,
                        from: bytes.as_ptr().cast(),
                        size: bytes.len(),
                        device: cuda::device(memory_type_id)?,
                    };
                    cuda::copy(&[copy])
                        .map_err(|error| error.context(format_args!("state '{name}'")))?;
                } else {
                    ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len());
                }
            }
            check(sys::TRITONBACKEND_StateUpdate(state))
        }
    }
}
