//! Inputs of a request.

use std::borrow::Cow;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use crate::element::{Element, element_count};
use crate::error::{Error, check};
use crate::excerpt::shape_excerpt;
use crate::memory::with_room;
use crate::{DataType, cuda, sys};

/// One input tensor of a request.
#[derive(Clone)]
pub struct Input<'r> {
    raw: *mut sys::TRITONBACKEND_Input,
    name: &'r str,
    data_type: DataType,
    shape: &'r [i64],
    byte_size: usize,
    buffers: u32,
    /// Where copies from GPU memory stay, to be read as long as the request lives.
    staging: &'r cuda::Staging,
}

/// The elements of a string tensor, borrowed where the server has them in one piece.
#[derive(Debug)]
pub struct Strings<'r> {
    bytes: Cow<'r, [u8]>,
    count: usize,
}

impl Strings<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.bytes;
        std::iter::from_fn(move || {
            let (string, others) = split_string(rest)?;
            rest = others;
            Some(string)
        })
    }
}

struct Buffer {
    base: *const c_void,
    size: usize,
    /// The GPU whose memory it is in.
    gpu: Option<i32>,
}

impl<'r> Input<'r> {
    /// # Safety
    /// `raw` is an input of a request that is not released during `'r`, and `staging` is that request's.
    pub(crate) unsafe fn new(
        raw: *mut sys::TRITONBACKEND_Input,
        staging: &'r cuda::Staging,
    ) -> Result<Self, Error> {
        let mut name = ptr::null();
        let mut data_type: c_int = 0;
        let mut shape = ptr::null();
        let mut rank = 0_u32;
        let mut byte_size = 0_u64;
        let mut buffers = 0_u32;
        // SAFETY: valid out pointers; what they receive belongs to the request and lives as long.
        unsafe {
            check(sys::TRITONBACKEND_InputProperties(
                raw,
                &mut name,
                &mut data_type,
                &mut shape,
                &mut rank,
                &mut byte_size,
                &mut buffers,
            ))?;
            let name = CStr::from_ptr(name)
                .to_str()
                .map_err(|_| Error::invalid("an input's name is not UTF-8"))?;
            let data_type = DataType::from_raw(data_type)
                .ok_or_else(|| Error::input(name, format!("has unknown data type {data_type}")))?;
            let shape = match rank {
                0 => &[][..],
                _ => std::slice::from_raw_parts(shape, rank as usize),
            };
            let byte_size = usize::try_from(byte_size)
                .map_err(|_| Error::input(name, "is larger than the address space"))?;
            Ok(Self {
                raw,
                name,
                data_type,
                shape,
                byte_size,
                buffers,
                staging,
            })
        }
    }

    /// The input's name.
    pub fn name(&self) -> &'r str {
        self.name
    }

    /// The type of its elements.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Its shape, batch dimension first if the model has one.
    pub fn shape(&self) -> &'r [i64] {
        self.shape
    }

    /// The first dimension: the rows of this request, if the model has a batch dimension.
    pub fn batch_size(&self) -> Option<u64> {
        self.shape
            .first()
            .and_then(|&rows| u64::try_from(rows).ok())
    }

    /// Its size in bytes.
    pub fn byte_size(&self) -> usize {
        self.byte_size
    }

    /// The elements: borrowed where they stand if that is one properly aligned buffer in CPU memory, else gathered. What is in GPU
    /// memory is copied once, however often it is read.
    ///
    /// # Errors
    /// If the tensor is not of type `T`, its bytes are not what its shape says, GPU memory cannot be copied, or there is no
    /// memory for a copy.
    pub fn read<T: Element>(&self) -> Result<Cow<'r, [T]>, Error> {
        if self.data_type != T::DATA_TYPE {
            return Err(Error::DataType {
                name: self.name.to_owned(),
                got: self.data_type,
                expected: T::DATA_TYPE,
            });
        }
        let count = self.checked_count(size_of::<T>())?;
        if let Some(buffer) = self.only_buffer(count * size_of::<T>())?
            && buffer.base.cast::<T>().is_aligned()
        {
            // SAFETY: aligned, of `count` elements, in CPU memory, not written to while the request lives, and every
            // bit pattern is a `T`.
            let values = unsafe { std::slice::from_raw_parts(buffer.base.cast::<T>(), count) };
            return Ok(Cow::Borrowed(values));
        }
        if let Some(start) = self.staged(count * size_of::<T>())? {
            // SAFETY: `count` elements at the start of a page, which stay and are not written to while the request lives;
            // every bit pattern is a `T`.
            let values = unsafe { std::slice::from_raw_parts(start.cast::<T>(), count) };
            return Ok(Cow::Borrowed(values));
        }
        let mut values = with_room::<T>(count, self.place())?;
        // SAFETY: the capacity is what `gather` fills, every bit pattern is a `T`, and the length is set only after
        // the bytes are there.
        unsafe {
            self.gather(values.as_mut_ptr().cast(), count * size_of::<T>())?;
            values.set_len(count);
        }
        Ok(Cow::Owned(values))
    }

    /// The bytes as they stand, whatever the type.
    ///
    /// # Errors
    /// If GPU memory cannot be copied, there is no memory for a copy, or the buffers are not as large as declared.
    pub fn bytes(&self) -> Result<Cow<'r, [u8]>, Error> {
        if let Some(buffer) = self.only_buffer(self.byte_size)? {
            // SAFETY: `byte_size` bytes in CPU memory, not written to while the request lives.
            let bytes = unsafe { std::slice::from_raw_parts(buffer.base.cast(), self.byte_size) };
            return Ok(Cow::Borrowed(bytes));
        }
        if let Some(start) = self.staged(self.byte_size)? {
            // SAFETY: as in `read`.
            let bytes = unsafe { std::slice::from_raw_parts(start, self.byte_size) };
            return Ok(Cow::Borrowed(bytes));
        }
        let mut bytes = with_room(self.byte_size, self.place())?;
        // SAFETY: as in `read`.
        unsafe {
            self.gather(bytes.as_mut_ptr(), self.byte_size)?;
            bytes.set_len(self.byte_size);
        }
        Ok(Cow::Owned(bytes))
    }

    /// The elements of a string tensor.
    ///
    /// # Errors
    /// If the tensor holds no strings, their lengths do not add up to its size, or there is no memory for them.
    pub fn strings(&self) -> Result<Vec<Vec<u8>>, Error> {
        let slices = self.string_slices()?;
        let mut strings = with_room(slices.len(), self.place())?;
        for string in slices.iter() {
            let mut own = with_room(string.len(), self.place())?;
            own.extend_from_slice(string);
            strings.push(own);
        }
        Ok(strings)
    }

    /// The elements of a string tensor where they stand: for those that are large.
    ///
    /// # Errors
    /// As [`Input::strings`].
    pub fn string_slices(&self) -> Result<Strings<'r>, Error> {
        if self.data_type != DataType::String {
            return Err(Error::DataType {
                name: self.name.to_owned(),
                got: self.data_type,
                expected: DataType::String,
            });
        }
        let bytes = self.bytes()?;
        let count = strings_in(&bytes).ok_or_else(|| {
            Error::input(self.name, "its string lengths do not add up to its size")
        })?;
        if Some(count) != element_count(self.shape) {
            let message = format!(
                "holds {count} strings, but its shape is {}",
                shape_excerpt(self.shape)
            );
            return Err(Error::input(self.name, message));
        }
        Ok(Strings { bytes, count })
    }

    /// The input in messages.
    fn place(&self) -> String {
        format!("input '{}'", self.name)
    }

    fn checked_count(&self, element_size: usize) -> Result<usize, Error> {
        let count = element_count(self.shape);
        let expected = count.and_then(|count| count.checked_mul(element_size));
        match (count, expected) {
            (Some(count), Some(expected)) if expected == self.byte_size => Ok(count),
            _ => {
                let message = format!(
                    "has {} bytes, but shape {} of {}",
                    self.byte_size,
                    shape_excerpt(self.shape),
                    self.data_type
                );
                Err(Error::input(self.name, message))
            }
        }
    }

    fn buffer(&self, index: u32) -> Result<Buffer, Error> {
        let mut base = ptr::null();
        let mut size = 0_u64;
        // Asks for CPU memory; the answer says where the buffer is.
        let mut memory_type = sys::MEMORY_CPU;
        let mut memory_type_id = 0_i64;
        // SAFETY: valid out pointers.
        unsafe {
            check(sys::TRITONBACKEND_InputBuffer(
                self.raw,
                index,
                &mut base,
                &mut size,
                &mut memory_type,
                &mut memory_type_id,
            ))?;
        }
        let size = usize::try_from(size)
            .map_err(|_| Error::input(self.name, "is larger than the address space"))?;
        Ok(Buffer {
            base,
            size,
            gpu: match memory_type {
                sys::MEMORY_GPU => Some(cuda::device(memory_type_id)?),
                _ => None,
            },
        })
    }

    /// The tensor's one buffer, if it has one and it is in CPU memory.
    fn only_buffer(&self, byte_size: usize) -> Result<Option<Buffer>, Error> {
        if self.buffers != 1 || byte_size == 0 {
            return Ok(None);
        }
        let buffer = self.buffer(0)?;
        Ok((buffer.gpu.is_none() && buffer.size == byte_size).then_some(buffer))
    }

    /// Where the tensor begins in page-locked memory, if any of it is in GPU memory and there is such memory for it: copied
    /// there now, or when it was read before.
    fn staged(&self, byte_size: usize) -> Result<Option<*const u8>, Error> {
        if byte_size == 0 {
            return Ok(None);
        }
        let input = self.raw.addr();
        if let Some(start) = self.staging.find(input) {
            return Ok(Some(start));
        }
        for index in 0..self.buffers {
            let Some(device) = self.buffer(index)?.gpu else {
                continue;
            };
            let Some(memory) = cuda::Kind::PageLocked.take(byte_size, device) else {
                return Ok(None);
            };
            // SAFETY: at least `byte_size` bytes, and nobody else's yet.
            unsafe { self.gather(memory.start(), byte_size)? };
            return Ok(Some(self.staging.keep(input, memory)));
        }
        Ok(None)
    }

    /// Copies all buffers, one after the other, to `to`.
    ///
    /// # Safety
    /// `to` is valid for writing `byte_size` bytes. On `Ok` all of them are written.
    unsafe fn gather(&self, to: *mut u8, byte_size: usize) -> Result<(), Error> {
        let mut filled = 0_usize;
        let mut on_gpu = Vec::new();
        for index in 0..self.buffers {
            let buffer = self.buffer(index)?;
            if buffer.size > byte_size - filled {
                filled = filled.saturating_add(buffer.size);
                break;
            }
            if buffer.size == 0 {
                continue;
            }
            // SAFETY: the source has `size` bytes, and so much is left at the destination.
            unsafe {
                let to = to.add(filled);
                match buffer.gpu {
                    Some(device) => on_gpu.push(cuda::Copy {
                        to: to.cast(),
                        from: buffer.base,
                        size: buffer.size,
                        device,
                    }),
                    None => ptr::copy_nonoverlapping(buffer.base.cast(), to, buffer.size),
                }
            }
            filled += buffer.size;
        }
        if filled == byte_size {
            // SAFETY: as above. They are done before this returns.
            return unsafe { cuda::copy(&on_gpu) }.map_err(|error| error.context(self.place()));
        }
        let message = format!("its buffers hold {filled} bytes, expected {byte_size}");
        Err(Error::input(self.name, message))
    }
}

/// The number of strings in a string tensor's bytes; `None` if the lengths do not add up.
fn strings_in(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        bytes = split_string(bytes)?.1;
        count += 1;
    }
    Some(count)
}

/// The first string, and what is behind it.
pub(crate) fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}
