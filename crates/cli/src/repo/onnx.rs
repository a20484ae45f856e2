//! The inputs and outputs of an ONNX file, read without its weights.
//!
//! Real files hold a gigabyte of weights. The reader walks over the file's protobuf fields, takes the few it wants and
//! seeks over the rest. Field numbers are those of onnx.proto (`ModelProto`, `GraphProto`, `TensorProto`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use prost::Message;

/// Descriptions of a tensor's type or of one external file are a few dozen bytes; this is ample.
const LARGEST_MESSAGE: u64 = 1 << 20;

/// A file that is not ONNX, or not readable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OnnxError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are not a protobuf message of the expected kind.
    #[error("it is not an ONNX file: {0}")]
    NotOnnx(String),
}

impl From<prost::DecodeError> for OnnxError {
    fn from(error: prost::DecodeError) -> Self {
        Self::NotOnnx(error.to_string())
    }
}

fn not_onnx<T>(reason: impl Into<String>) -> Result<T, OnnxError> {
    Err(OnnxError::NotOnnx(reason.into()))
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Signature {
    /// Inputs that a request must fill: those without a default value.
    pub(crate) inputs: Vec<Tensor>,
    /// Outputs.
    pub(crate) outputs: Vec<Tensor>,
    /// Files beside the model that hold weights, relative to its directory.
    pub(crate) external_files: BTreeSet<String>,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// Its name.
    pub(crate) name: String,
    /// Type of its elements; `None` for sequences, maps and optional tensors.
    pub(crate) element: Option<Element>,
    /// Its dimensions, `None` where the file leaves the size open; `None` if it leaves the rank open too.
    pub(crate) dims: Option<Vec<Option<i64>>>,
}

/// Types of elements, numbered as in `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element(pub(crate) i32);

impl Element {
    /// float
    pub(crate) const FP32: Self = Self(1);
    /// int32
    pub(crate) const INT32: Self = Self(6);
    /// int64
    pub(crate) const INT64: Self = Self(7);
}

impl std::fmt::Display for Element {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: [&str; 17] = [
            "undefined",
            "FP32",
            "UINT8",
            "INT8",
            "UINT16",
            "INT16",
            "INT32",
            "INT64",
            "STRING",
            "BOOL",
            "FP16",
            "FP64",
            "UINT32",
            "UINT64",
            "COMPLEX64",
            "COMPLEX128",
            "BF16",
        ];
        let name = usize::try_from(self.0)
            .ok()
            .and_then(|number| NAMES.get(number));
        match name {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "element type {}", self.0),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Message)]
struct Kind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorKind>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorKind {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dims: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
}

/// `StringStringEntryProto`
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl From<ValueInfo> for Tensor {
    fn from(info: ValueInfo) -> Self {
        let tensor = info.kind.and_then(|kind| kind.tensor);
        Self {
            name: info.name,
            element: tensor.as_ref().map(|tensor| Element(tensor.element)),
            dims: tensor
                .and_then(|tensor| tensor.shape)
                .map(|shape| shape.dims.into_iter().map(|dim| dim.value).collect()),
        }
    }
}

/// Reads the signature of the ONNX file at `path`.
pub(crate) fn read(path: &Path) -> Result<Signature, OnnxError> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    read_from(BufReader::new(file), length)
}

fn read_from(reader: impl Read + Seek, length: u64) -> Result<Signature, OnnxError> {
    const GRAPH: u64 = 7;
    let mut walker = Walker {
        reader,
        position: 0,
    };
    let mut graph = None;
    while walker.position < length {
        match walker.field(length)? {
            (GRAPH, Value::Bytes(end)) => graph = Some(read_graph(&mut walker, end)?),
            (_, value) => walker.skip(&value)?,
        }
    }
    match graph {
        Some(graph) => Ok(graph),
        None => not_onnx("it holds no graph"),
    }
}

fn read_graph(walker: &mut Walker<impl Read + Seek>, end: u64) -> Result<Signature, OnnxError> {
    const INITIALIZER: u64 = 5;
    const INPUT: u64 = 11;
    const OUTPUT: u64 = 12;
    let mut signature = Signature::default();
    let mut initialized = BTreeSet::new();
    while walker.position < end {
        match walker.field(end)? {
            (INITIALIZER, Value::Bytes(end)) => {
                let initializer = read_initializer(walker, end)?;
                initialized.insert(initializer.name);
                signature.external_files.extend(initializer.file);
            }
            (INPUT, Value::Bytes(end)) => signature
                .inputs
                .push(walker.message::<ValueInfo>(end)?.into()),
            (OUTPUT, Value::Bytes(end)) => signature
                .outputs
                .push(walker.message::<ValueInfo>(end)?.into()),
            (_, value) => walker.skip(&value)?,
        }
    }
    signature
        .inputs
        .retain(|input| !initialized.contains(&input.name));
    Ok(signature)
}

struct Initializer {
    name: String,
    file: Option<String>,
}

fn read_initializer(
    walker: &mut Walker<impl Read + Seek>,
    end: u64,
) -> Result<Initializer, OnnxError> {
    const NAME: u64 = 8;
    const EXTERNAL_DATA: u64 = 13;
    let mut initializer = Initializer {
        name: String::new(),
        file: None,
    };
    while walker.position < end {
        match walker.field(end)? {
            (NAME, Value::Bytes(end)) => {
                initializer.name = String::from_utf8_lossy(&walker.bytes(end)?).into_owned();
            }
            (EXTERNAL_DATA, Value::Bytes(end)) => {
                let entry: Entry = walker.message(end)?;
                if entry.key == "location" {
                    initializer.file = Some(entry.value);
                }
            }
            (_, value) => walker.skip(&value)?,
        }
    }
    Ok(initializer)
}

/// A field's value: read already, or still in the file.
enum Value {
    /// A number.
    Read,
    /// Bytes up to this position.
    Bytes(u64),
}

/// Walks over protobuf's wire format.
struct Walker<R> {
    reader: R,
    position: u64,
}

impl<R: Read + Seek> Walker<R> {
    /// The next field's number and value, which must lie before `end`.
    fn field(&mut self, end: u64) -> Result<(u64, Value), OnnxError> {
        const VARINT: u64 = 0;
        const FIXED64: u64 = 1;
        const LENGTH_DELIMITED: u64 = 2;
        const FIXED32: u64 = 5;
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => {
                self.varint()?;
                Value::Read
            }
            FIXED64 => Value::Bytes(self.position + 8),
            FIXED32 => Value::Bytes(self.position + 4),
            LENGTH_DELIMITED => {
                let length = self.varint()?;
                Value::Bytes(self.position.saturating_add(length))
            }
            other => return not_onnx(format!("wire type {other} at byte {}", self.position)),
        };
        let last = match value {
            Value::Bytes(last) => last,
            Value::Read => self.position,
        };
        if tag >> 3 == 0 || last > end {
            return not_onnx(format!(
                "a field at byte {} reaches beyond its message's end",
                self.position
            ));
        }
        Ok((tag >> 3, value))
    }

    fn varint(&mut self) -> Result<u64, OnnxError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            match self.reader.read_exact(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return not_onnx("it is cut off");
                }
                result => result?,
            }
            self.position += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        not_onnx(format!("a number before byte {} has no end", self.position))
    }

    fn skip(&mut self, value: &Value) -> Result<(), OnnxError> {
        if let Value::Bytes(end) = *value {
            // Short hops stay within the reader's buffer.
            let hop =
                i64::try_from(end - self.position).or_else(|_| not_onnx("a field is too long"))?;
            seek(&mut self.reader, hop)?;
            self.position = end;
        }
        Ok(())
    }

    fn bytes(&mut self, end: u64) -> Result<Vec<u8>, OnnxError> {
        let length = end - self.position;
        if length > LARGEST_MESSAGE {
            return not_onnx(format!(
                "a description of {length} bytes at byte {}",
                self.position
            ));
        }
        let mut bytes = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        self.position = end;
        Ok(bytes)
    }

    fn message<M: Message + Default>(&mut self, end: u64) -> Result<M, OnnxError> {
        Ok(M::decode(&self.bytes(end)?[..])?)
    }
}

fn seek(reader: &mut impl Seek, hop: i64) -> io::Result<()> {
    reader
        .seek_relative(hop)
        .or_else(|_| reader.seek(SeekFrom::Current(hop)).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn demo(name: &str) -> Signature {
        read(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../demo/sensevoice")
                .join(name),
        )
        .unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Signature, OnnxError> {
        read_from(Cursor::new(bytes), bytes.len() as u64)
    }

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut bytes);
        bytes.extend(content);
        bytes
    }

    #[test]
    fn the_demo_models_signature_is_read() {
        for name in ["model.onnx", "model_quant.onnx"] {
            let signature = demo(name);
            let names = |tensors: &[Tensor]| {
                tensors
                    .iter()
                    .map(|tensor| tensor.name.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                names(&signature.inputs),
                ["speech", "speech_lengths", "language", "textnorm"]
            );
            assert_eq!(
                names(&signature.outputs),
                ["ctc_logits", "encoder_out_lens"]
            );
            assert_eq!(signature.inputs[0].element, Some(Element::FP32));
            assert_eq!(signature.inputs[0].dims, Some(vec![None, None, Some(560)]));
            assert_eq!(signature.inputs[1].element, Some(Element::INT32));
            assert_eq!(signature.inputs[1].dims, Some(vec![None]));
            assert_eq!(signature.outputs[0].dims, Some(vec![None, None, Some(178)]));
            assert!(signature.external_files.is_empty());
        }
    }

    #[test]
    fn inputs_with_a_default_are_left_out_and_external_files_named() {
        let input = |name: &str| {
            field(
                11,
                &ValueInfo {
                    name: name.into(),
                    kind: None,
                }
                .encode_to_vec(),
            )
        };
        let location = Entry {
            key: "location".into(),
            value: "model.onnx.data".into(),
        }
        .encode_to_vec();
        let weights = [field(8, b"w"), field(9, &[7; 1000]), field(13, &location)].concat();
        let graph = [input("x"), input("w"), field(5, &weights)].concat();
        let model = [vec![8, 9], field(7, &graph)].concat();
        let signature = read_bytes(&model).unwrap();
        assert_eq!(signature.inputs.len(), 1);
        assert_eq!(signature.inputs[0].name, "x");
        assert_eq!(signature.inputs[0].dims, None);
        assert_eq!(
            signature.external_files,
            BTreeSet::from(["model.onnx.data".to_owned()])
        );
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let reason = |bytes: &[u8]| read_bytes(bytes).unwrap_err().to_string();
        assert_eq!(reason(b""), "it is not an ONNX file: it holds no graph");
        assert!(
            reason(b"version https://git-lfs.github.com/spec/v1")
                .starts_with("it is not an ONNX file: ")
        );
        let demo = std::fs::read(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/sensevoice/model.onnx"),
        )
        .unwrap();
        assert!(reason(&demo[..demo.len() / 2]).contains("beyond its message's end"));
        assert!(reason(&[0xff; 20]).contains("has no end"));
    }
}
