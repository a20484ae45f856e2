//! Tensors on their way from the server's buffers into ONNX Runtime and back.

use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;

use bytemuck::{AnyBitPattern, NoUninit};
use half::{bf16, f16};
use ort::session::SessionInputValue;
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor, TensorRef, ValueType};
use triton_backend::{DataType, Error, Input, Request, Response, element_count, shape_excerpt};

use crate::types::{data_type, shape_text};

/// The elements of a request's input.
pub(crate) enum Data<'r> {
    /// Numbers as bytes, where the server has them if they stand in one buffer.
    Bytes(Cow<'r, [u8]>),
    Strings(Vec<String>),
}

impl<'r> Data<'r> {
    /// Reads an input and checks that it holds as much as its shape says.
    pub(crate) fn read(input: &Input<'r>) -> Result<Self, Error> {
        if input.data_type() == DataType::String {
            return Self::read_strings(input).map(Self::Strings);
        }
        let size = element_count(input.shape())
            .and_then(|count| count.checked_mul(input.data_type().byte_size()));
        if size != Some(input.byte_size()) {
            let message = format!(
                "has {} bytes, but its shape is {} of {}",
                input.byte_size(),
                shape_excerpt(input.shape()),
                input.data_type()
            );
            return Err(Error::input(input.name(), message));
        }
        Ok(Self::Bytes(input.bytes()?))
    }

    /// Zeros, or empty strings.
    pub(crate) fn zeros(data_type: DataType, shape: &[i64]) -> Self {
        let count = element_count(shape).unwrap_or(0);
        match data_type {
            DataType::String => Self::Strings(vec![String::new(); count]),
            other => Self::Bytes(Cow::Owned(vec![0; count * other.byte_size()])),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Strings(_) => &[],
        }
    }

    fn strings(&self) -> &[String] {
        match self {
            Self::Strings(strings) => strings,
            Self::Bytes(_) => &[],
        }
    }

    /// ONNX Runtime's strings end at a NUL, and its Rust interface wants UTF-8.
    fn read_strings(input: &Input<'_>) -> Result<Vec<String>, Error> {
        let strings = input.strings()?.into_iter().enumerate();
        strings
            .map(|(index, bytes)| {
                let problem = match String::from_utf8(bytes) {
                    Ok(text) if !text.contains('\0') => return Ok(text),
                    Ok(_) => "has a NUL byte",
                    Err(_) => "is not UTF-8",
                };
                let message =
                    format!("string {index} {problem}, which ONNX Runtime's tensors cannot carry");
                Err(Error::input(input.name(), message))
            })
            .collect()
    }
}

/// One tensor of all parts, one after the other. A single part of numbers is used where it stands.
pub(crate) fn join<'d>(
    data_type: DataType,
    shape: &[i64],
    parts: &[&'d Data<'_>],
) -> ort::Result<SessionInputValue<'d>> {
    if data_type == DataType::String {
        let strings: Vec<String> = parts
            .iter()
            .flat_map(|part| part.strings())
            .cloned()
            .collect();
        return Ok(Tensor::from_string_array((shape, strings.as_slice()))?.into());
    }
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.bytes()).collect();
    match data_type {
        DataType::Bool => {
            let values: Vec<bool> = parts
                .iter()
                .flat_map(|part| part.iter())
                .map(|byte| *byte != 0)
                .collect();
            Ok(Tensor::from_array((shape, values))?.into())
        }
        DataType::Uint8 => numbers::<u8>(shape, &parts),
        DataType::Uint16 => numbers::<u16>(shape, &parts),
        DataType::Uint32 => numbers::<u32>(shape, &parts),
        DataType::Uint64 => numbers::<u64>(shape, &parts),
        DataType::Int8 => numbers::<i8>(shape, &parts),
        DataType::Int16 => numbers::<i16>(shape, &parts),
        DataType::Int32 => numbers::<i32>(shape, &parts),
        DataType::Int64 => numbers::<i64>(shape, &parts),
        DataType::Fp16 => numbers::<f16>(shape, &parts),
        DataType::Bf16 => numbers::<bf16>(shape, &parts),
        DataType::Fp32 => numbers::<f32>(shape, &parts),
        DataType::Fp64 => numbers::<f64>(shape, &parts),
        other => Err(ort::Error::new(format!("no tensor of {other}"))),
    }
}

fn numbers<'d, T>(shape: &[i64], parts: &[&'d [u8]]) -> ort::Result<SessionInputValue<'d>>
where
    T: PrimitiveTensorElementType + AnyBitPattern + NoUninit + Debug,
{
    if let [only] = parts
        && let Ok(values) = bytemuck::try_cast_slice::<u8, T>(only)
    {
        return Ok(TensorRef::from_array_view((shape.to_vec(), values))?.into());
    }
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let mut values = Vec::<T>::with_capacity(size / size_of::<T>());
    for part in parts {
        match bytemuck::try_cast_slice(part) {
            Ok(part) => values.extend_from_slice(part),
            Err(_) => values.extend(
                part.chunks_exact(size_of::<T>())
                    .map(bytemuck::pod_read_unaligned::<T>),
            ),
        }
    }
    Ok(Tensor::from_array((shape, values))?.into())
}

/// An output of a run, to be handed out row by row.
pub(crate) struct Output {
    name: String,
    data_type: DataType,
    shape: Vec<i64>,
    value: DynValue,
    /// Its strings, if it is of strings: read once for all requests.
    strings: Vec<String>,
}

/// Part of a tensor: the rows from `start` up to `end`, or all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows {
    All,
    Range { start: usize, end: usize },
}

impl Output {
    /// Takes an output of a run. If it is a batch of `rows`, its first dimension must be that.
    pub(crate) fn new(name: &str, value: DynValue, rows: Option<usize>) -> Result<Self, Error> {
        let (known, shape) = match value.dtype() {
            ValueType::Tensor { ty, shape, .. } => (data_type(*ty), shape.to_vec()),
            _ => (None, Vec::new()),
        };
        let Some(data_type) = known else {
            let message = format!(
                "output '{name}' is {}, not a tensor the server knows",
                value.dtype()
            );
            return Err(Error::internal(message));
        };
        if let Some(rows) = rows
            && shape.first().and_then(|&first| usize::try_from(first).ok()) != Some(rows)
        {
            return Err(Error::internal(format!(
                "output '{name}' has shape {}; its first dimension should be the batch, {rows}. The model does not keep requests \
                 apart: set max_batch_size: 0, or export it with a batch dimension in every output",
                shape_text(&shape)
            )));
        }
        let mut output = Self {
            name: name.to_owned(),
            data_type,
            shape,
            value,
            strings: Vec::new(),
        };
        if data_type == DataType::String {
            let strings = output.value.try_extract_strings();
            let (_, strings) = strings.map_err(|error| output.unreadable(&error))?;
            output.strings = strings;
        }
        Ok(output)
    }

    /// Gives a scalar the shape that the config has for it: the server has no scalars, a config says `[1]`.
    pub(crate) fn with_dims(mut self, dims: &[i64]) -> Self {
        if self.shape.is_empty() && dims.iter().all(|&dim| dim == 1 || dim == -1) {
            self.shape = vec![1; dims.len()];
        }
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Copies rows into a response.
    pub(crate) fn write(&self, response: &mut Response, rows: Rows) -> Result<(), Error> {
        let (shape, elements) = self.part(rows);
        if self.data_type == DataType::String {
            return response.output_strings(&self.name, &shape, &self.strings[elements]);
        }
        let bytes = self.bytes_of(elements)?;
        response
            .output_bytes(&self.name, self.data_type, &shape, bytes.len())?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Makes rows the state that the sequence's next request begins with.
    pub(crate) fn keep(&self, request: &mut Request, rows: Rows) -> Result<(), Error> {
        let (shape, elements) = self.part(rows);
        if self.data_type == DataType::String {
            let bytes = encode(&self.strings[elements]);
            return request.set_state_bytes(&self.name, self.data_type, &shape, &bytes);
        }
        let bytes = self.bytes_of(elements)?;
        request.set_state_bytes(&self.name, self.data_type, &shape, bytes)
    }

    /// The shape of some rows, and where their elements are.
    fn part(&self, rows: Rows) -> (Vec<i64>, Range<usize>) {
        let mut shape = self.shape.clone();
        match rows {
            Rows::All => {
                let count = element_count(&shape).unwrap_or(0);
                (shape, 0..count)
            }
            Rows::Range { start, end } => {
                let row = element_count(&shape[1..]).unwrap_or(0);
                shape[0] = i64::try_from(end - start).unwrap_or(i64::MAX);
                (shape, start * row..end * row)
            }
        }
    }

    fn bytes_of(&self, elements: Range<usize>) -> Result<&[u8], Error> {
        let size = self.data_type.byte_size();
        let bytes = self.bytes().map_err(|error| self.unreadable(&error))?;
        Ok(&bytes[elements.start * size..elements.end * size])
    }

    fn unreadable(&self, error: &ort::Error) -> Error {
        Error::internal(format!("output '{}': {error}", self.name))
    }

    fn bytes(&self) -> ort::Result<&[u8]> {
        match self.data_type {
            DataType::Bool => self.view::<bool>(),
            DataType::Uint8 => self.view::<u8>(),
            DataType::Uint16 => self.view::<u16>(),
            DataType::Uint32 => self.view::<u32>(),
            DataType::Uint64 => self.view::<u64>(),
            DataType::Int8 => self.view::<i8>(),
            DataType::Int16 => self.view::<i16>(),
            DataType::Int32 => self.view::<i32>(),
            DataType::Int64 => self.view::<i64>(),
            DataType::Fp16 => self.view::<f16>(),
            DataType::Bf16 => self.view::<bf16>(),
            DataType::Fp32 => self.view::<f32>(),
            DataType::Fp64 => self.view::<f64>(),
            other => Err(ort::Error::new(format!("no bytes of {other}"))),
        }
    }

    fn view<T: PrimitiveTensorElementType + NoUninit>(&self) -> ort::Result<&[u8]> {
        let (_, values) = self.value.try_extract_tensor::<T>()?;
        Ok(bytemuck::cast_slice(values))
    }
}

/// A string tensor's bytes as the server has them.
fn encode(strings: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for string in strings {
        // A longer string does not fit into the server's format, nor into any memory it would give.
        let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(string.as_bytes());
    }
    bytes
}
