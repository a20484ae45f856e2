//! What a model takes and gives, and the files that hold its weights.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use crate::error::{OnnxError, Result, not_onnx};
use crate::proto::{DEEPEST, attribute, entry, graph, model, node, shape, tensor, value_info};
use crate::wire::{Field, Walker, fields, named, number, part, string};

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Inputs that a request must fill: those without a default value.
    pub inputs: Vec<Tensor>,
    /// Inputs that have a default value, which a request may leave out.
    pub optional_inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
    /// Files beside the model that hold weights, relative to its directory.
    pub external_files: BTreeSet<String>,
}

impl Interface {
    /// An output's dimensions as a config without a batcher writes them. Where every input has one row, a first dimension that the file
    /// leaves open is 1: exporters leave it open where they cannot follow it, and ONNX Runtime works it out when it loads the model.
    pub fn unbatched_dims(&self, output: &Tensor) -> Option<Vec<i64>> {
        let mut dims = output.config_dims()?;
        let one_row = |input: &Tensor| {
            let dims = input.dims.as_deref().unwrap_or_default();
            dims.first() == Some(&Some(1))
        };
        if let Some(first @ -1) = dims.first_mut()
            && !self.inputs.is_empty()
            && self.inputs.iter().all(one_row)
        {
            *first = 1;
        }
        Some(dims)
    }
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Type of its elements; `None` for sequences, maps and optional tensors.
    pub element: Option<Element>,
    /// Its dimensions, `None` where the file leaves the size open; `None` if it leaves the rank open too.
    pub dims: Option<Vec<Option<i64>>>,
}

impl Tensor {
    /// Its dimensions as a Triton config writes them, -1 where the file leaves the size open; `None` if it leaves the rank open.
    pub fn config_dims(&self) -> Option<Vec<i64>> {
        let dims = self.dims.as_deref()?;
        Some(dims.iter().map(|dim| dim.unwrap_or(-1)).collect())
    }
}

/// Whether the official ONNX Runtime backend takes a config's dimensions beside those of the file: an output's must be the
/// file's, an input's may be any number where the file leaves the size open.
pub fn config_fits(config: &[i64], file: &[i64], is_output: bool) -> bool {
    config.len() == file.len()
        && config
            .iter()
            .zip(file)
            .all(|(config, file)| config == file || (!is_output && *file == -1))
}

/// Types of elements, numbered as in `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element(pub i32);

impl Element {
    /// float
    pub const FP32: Self = Self(1);
    /// int32
    pub const INT32: Self = Self(6);
    /// int64
    pub const INT64: Self = Self(7);
    /// float16
    pub const FP16: Self = Self(10);
    /// double
    pub const FP64: Self = Self(11);
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Before this version of the format every weight was listed as an input, and none of them could be given.
const OVERRIDABLE: u64 = 4;

impl Interface {
    /// Reads the interface of the ONNX file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read or is not ONNX.
    pub fn read(path: &Path) -> std::result::Result<Self, OnnxError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Self::read_from(BufReader::new(file), length)
    }

    /// Reads it from the `length` bytes of an ONNX file.
    ///
    /// # Errors
    /// If it cannot be read or is not ONNX.
    pub fn read_from(
        reader: impl Read + Seek,
        length: u64,
    ) -> std::result::Result<Self, OnnxError> {
        let mut walker = Walker::new(reader)?;
        let mut interface = None;
        let mut version = 0;
        while let Some(field) = walker.field(length)? {
            if let Some(number) = field.number(model::IR_VERSION) {
                version = number;
            } else if field.is(model::GRAPH) {
                interface = Some(read_graph(&mut walker, &field)?);
            } else {
                walker.skip(&field)?;
            }
        }
        let Some(mut interface) = interface else {
            return not_onnx("it holds no graph");
        };
        if version < OVERRIDABLE {
            interface.optional_inputs.clear();
        }
        Ok(interface)
    }
}

fn read_graph(walker: &mut Walker<impl Read + Seek>, place: &Field) -> Result<Interface> {
    let mut interface = Interface::default();
    let mut initialized = HashSet::new();
    while let Some(field) = walker.field(place.body.end)? {
        if field.is(graph::INITIALIZER) {
            let initializer = Initializer::read(walker, &field)?;
            initialized.insert(initializer.name);
            interface.external_files.extend(initializer.location);
        } else if field.is(graph::NODE) {
            let node = walker.bytes(&field)?;
            external_files(&node, &mut interface.external_files, DEEPEST)?;
        } else if field.is(graph::INPUT) {
            interface
                .inputs
                .push(Tensor::decode(&walker.bytes(&field)?)?);
        } else if field.is(graph::OUTPUT) {
            interface
                .outputs
                .push(Tensor::decode(&walker.bytes(&field)?)?);
        } else {
            walker.skip(&field)?;
        }
    }
    let inputs = std::mem::take(&mut interface.inputs);
    (interface.optional_inputs, interface.inputs) = inputs
        .into_iter()
        .partition(|input| initialized.contains(&input.name));
    Ok(interface)
}

/// A weight: what is said of it.
#[derive(Debug, Default)]
pub(crate) struct Initializer {
    pub(crate) name: String,
    pub(crate) dims: Vec<i64>,
    /// The file that holds it.
    pub(crate) location: Option<String>,
}

impl Initializer {
    /// Reads an initializer of the graph, passing over its values.
    pub(crate) fn read(walker: &mut Walker<impl Read + Seek>, place: &Field) -> Result<Self> {
        let mut initializer = Self::default();
        while let Some(field) = walker.field(place.body.end)? {
            if let Some(dim) = field.number(tensor::DIMS) {
                initializer.dims.push(dim.cast_signed());
            } else if [tensor::DIMS, tensor::NAME, tensor::EXTERNAL_DATA]
                .iter()
                .any(|number| field.is(*number))
            {
                let body = walker.bytes(&field)?;
                initializer.take(&field, &body)?;
            } else {
                walker.skip(&field)?;
            }
        }
        Ok(initializer)
    }

    fn take(&mut self, field: &Field, body: &[u8]) -> Result<()> {
        if field.is(tensor::NAME) {
            self.name = crate::wire::text(body);
        } else if field.is(tensor::EXTERNAL_DATA) {
            self.location = location(body)?.or_else(|| self.location.take());
        } else {
            self.dims.extend(crate::wire::packed(body)?);
        }
        Ok(())
    }
}

/// The file's name, if this entry of a tensor's external data has it.
fn location(body: &[u8]) -> Result<Option<String>> {
    match string(body, entry::KEY)?.as_deref() {
        Some("location") => string(body, entry::VALUE),
        _ => Ok(None),
    }
}

/// Adds the files of tensors that a node's attributes hold, also in the graphs it runs.
fn external_files(node: &[u8], files: &mut BTreeSet<String>, depth: usize) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return not_onnx("its graphs are nested too deep");
    };
    let mut add = |tensor| -> Result<()> {
        for entry in named(tensor, tensor::EXTERNAL_DATA) {
            files.extend(location(entry?)?);
        }
        Ok(())
    };
    let mut graphs = Vec::new();
    for attribute in named(node, node::ATTRIBUTE) {
        let attribute = attribute?;
        for field in fields(attribute) {
            let field = field?;
            if field.is(attribute::TENSOR) || field.is(attribute::TENSORS) {
                add(part(attribute, field.body)?)?;
            } else if field.is(attribute::GRAPH) || field.is(attribute::GRAPHS) {
                graphs.push(part(attribute, field.body)?);
            }
        }
    }
    for graph in &graphs {
        for tensor in named(graph, graph::INITIALIZER) {
            add(tensor?)?;
        }
    }
    for graph in graphs {
        for node in named(graph, graph::NODE) {
            external_files(node?, files, depth)?;
        }
    }
    Ok(())
}

impl Tensor {
    /// Reads a `ValueInfoProto`.
    pub(crate) fn decode(info: &[u8]) -> Result<Self> {
        let mut element = None;
        let mut dims = None;
        for kind in named(info, value_info::TYPE) {
            for tensor in named(kind?, shape::TENSOR_TYPE) {
                let tensor = tensor?;
                let number = number(tensor, shape::ELEM_TYPE)?.unwrap_or(0);
                element = i32::try_from(number).ok().map(Element);
                for shape in named(tensor, shape::SHAPE) {
                    let sizes = named(shape?, shape::DIM).map(|dim| size(dim?));
                    dims = Some(sizes.collect::<Result<_>>()?);
                }
            }
        }
        Ok(Self {
            name: string(info, value_info::NAME)?.unwrap_or_default(),
            element,
            dims,
        })
    }
}

/// The size of a dimension; ONNX Runtime, too, takes a negative one as open.
fn size(dim: &[u8]) -> Result<Option<i64>> {
    Ok(number(dim, shape::DIM_VALUE)?.filter(|size| *size >= 0))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::wire::{write_bytes, write_number};

    fn demo(name: &str) -> Interface {
        Interface::read(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../demo/sensevoice")
                .join(name),
        )
        .unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Interface> {
        Interface::read_from(Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn the_demo_models_interface_is_read() {
        for name in ["model.onnx", "model_quant.onnx"] {
            let interface = demo(name);
            let names = |tensors: &[Tensor]| {
                tensors
                    .iter()
                    .map(|tensor| tensor.name.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                names(&interface.inputs),
                ["speech", "speech_lengths", "language", "textnorm"]
            );
            assert_eq!(
                names(&interface.outputs),
                ["ctc_logits", "encoder_out_lens"]
            );
            assert_eq!(interface.inputs[0].element, Some(Element::FP32));
            assert_eq!(interface.inputs[0].dims, Some(vec![None, None, Some(560)]));
            assert_eq!(interface.inputs[1].element, Some(Element::INT32));
            assert_eq!(interface.inputs[1].dims, Some(vec![None]));
            assert_eq!(interface.outputs[0].dims, Some(vec![None, None, Some(178)]));
            assert!(interface.external_files.is_empty());
        }
    }

    fn external(name: &str, file: &str) -> Vec<u8> {
        let entry = |key: &str, value: &str| {
            let entry = [
                write_bytes(entry::KEY, key.as_bytes()),
                write_bytes(entry::VALUE, value.as_bytes()),
            ];
            write_bytes(tensor::EXTERNAL_DATA, &entry.concat())
        };
        [
            write_bytes(tensor::NAME, name.as_bytes()),
            write_bytes(tensor::RAW_DATA, &[7; 1000]),
            entry("location", file),
            entry("offset", "4096"),
        ]
        .concat()
    }

    #[test]
    fn inputs_with_a_default_are_optional_and_external_files_named() {
        let input = |name: &str| {
            let info = write_bytes(value_info::NAME, name.as_bytes());
            write_bytes(graph::INPUT, &info)
        };
        let weights = external("w", "model.onnx.data");
        let inner = [
            write_bytes(graph::INITIALIZER, &external("v", "branch.data")),
            write_bytes(
                graph::NODE,
                &write_bytes(
                    node::ATTRIBUTE,
                    &write_bytes(attribute::TENSOR, &external("u", "constant.data")),
                ),
            ),
        ];
        let attribute = write_bytes(attribute::GRAPH, &inner.concat());
        let graph = [
            input("x"),
            input("w"),
            write_bytes(graph::INITIALIZER, &weights),
            write_bytes(graph::NODE, &write_bytes(node::ATTRIBUTE, &attribute)),
        ];
        let of_version = |version| {
            let model = [
                write_number(model::IR_VERSION, version),
                write_bytes(model::GRAPH, &graph.concat()),
            ];
            read_bytes(&model.concat()).unwrap()
        };
        let interface = of_version(9);
        let optional = interface.optional_inputs.iter();
        assert_eq!(
            optional.map(|input| &*input.name).collect::<Vec<_>>(),
            ["w"]
        );
        assert_eq!(of_version(3).optional_inputs, []);
        assert_eq!(of_version(3).inputs, interface.inputs);
        assert_eq!(interface.inputs.len(), 1);
        assert_eq!(interface.inputs[0].name, "x");
        assert_eq!(interface.inputs[0].dims, None);
        assert_eq!(
            interface.external_files,
            BTreeSet::from(["model.onnx.data", "branch.data", "constant.data"].map(str::to_owned))
        );
    }

    #[test]
    fn a_dimension_is_a_number_a_symbol_or_open() {
        let dims = [
            write_number(shape::DIM_VALUE, 4),
            write_bytes(2, b"batch"),
            write_number(shape::DIM_VALUE, (-1_i64).cast_unsigned()),
            Vec::new(),
        ];
        let dims: Vec<u8> = dims.iter().flat_map(|dim| write_bytes(1, dim)).collect();
        let tensor = [
            write_number(shape::ELEM_TYPE, 1),
            write_bytes(shape::SHAPE, &dims),
        ];
        let kind = write_bytes(shape::TENSOR_TYPE, &tensor.concat());
        let read = Tensor::decode(&write_bytes(value_info::TYPE, &kind)).unwrap();
        assert_eq!(read.dims, Some(vec![Some(4), None, None, None]));
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
