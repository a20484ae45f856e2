//! Convolutions over time, each channel by itself, for ONNX Runtime on GPUs.
//!
//! FunASR's encoders and decoders have one in each layer (FSMN memory blocks). cuDNN makes a plan for each of them whenever the lengths or
//! the number of rows differ from those of the call before, and ONNX Runtime keeps one plan alone: over a millisecond of the processor's
//! time for each, 70 of them in SenseVoice, in nearly every call. Said in other words there is nothing to plan: all stretches of a
//! kernel's length are gathered, multiplied by the kernel, and summed up.
//!
//! On a processor the convolution is faster, and TensorRT has plans of its own: it is for CUDA alone.

use std::io::{Read, Seek};
use std::ops::Range;

use crate::edit::Edit;
use crate::error::{OnnxError, Result};
use crate::graph::{Graph, Node};
use crate::interface::Element;
use crate::nodes::{integer, operation, value};
use crate::proto::{attribute, node};
use crate::wire::{Walker, fields, named, packed, part, string};

/// In front of the names of values that the edit adds.
const ADDED: &str = "depthwise/";

/// How to let a model, an ONNX file of `length` bytes, do its convolutions over time without cuDNN; `None` if it has none.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn unroll_convolutions(
    mut reader: impl Read + Seek,
    length: u64,
) -> std::result::Result<Option<Edit>, OnnxError> {
    let graph = Graph::read(&mut reader, length)?;
    // The axes of these operators are inputs from this version on.
    if graph.opset < 13 {
        return Ok(None);
    }
    let mut walker = Walker::new(reader)?;
    let mut splices: Vec<(Range<u64>, Vec<u8>)> = Vec::new();
    for node in graph.nodes.iter().filter(|node| node.is("Conv")) {
        let Some((convolution, start)) = Convolution::find(&graph, node).zip(node.start) else {
            continue;
        };
        walker.go_to(start)?;
        let Some(field) = walker.field(graph.place.body.end)? else {
            continue;
        };
        if convolution.is_plain(&walker.bytes(&field)?)? {
            splices.push((field.span(), convolution.unrolled()));
        }
    }
    let edit = Edit::new(graph.place, length, splices);
    Ok((!edit.is_empty()).then_some(edit))
}

/// A convolution of `[rows, channels, time]`.
struct Convolution<'g> {
    input: &'g str,
    /// `[channels, 1, taps]`
    kernel: &'g str,
    output: &'g str,
    channels: i64,
    taps: i64,
}

impl<'g> Convolution<'g> {
    fn find(graph: &Graph, node: &'g Node) -> Option<Self> {
        // A third input would be a bias.
        let [input, kernel] = &node.inputs[..] else {
            return None;
        };
        let [channels, 1, taps] = graph.initializers.get(kernel)?[..] else {
            return None;
        };
        Some(Self {
            input,
            kernel,
            output: node.output()?,
            channels,
            taps,
        })
    }

    /// Whether its attributes say no more than that each channel is by itself.
    fn is_plain(&self, bytes: &[u8]) -> Result<bool> {
        let mut group = 1;
        for attribute in named(bytes, node::ATTRIBUTE) {
            let attribute = attribute?;
            let numbers = numbers(attribute)?;
            let all = |wanted: i64| numbers.iter().all(|number| *number == wanted);
            match string(attribute, attribute::NAME)?.as_deref() {
                Some("group") => group = numbers.first().copied().unwrap_or(1),
                Some("pads") if all(0) => {}
                Some("strides" | "dilations") if all(1) => {}
                Some("kernel_shape") => {}
                _ => return Ok(false),
            }
        }
        Ok(group == self.channels)
    }

    fn unrolled(&self) -> Vec<u8> {
        let Self {
            input,
            kernel,
            output,
            taps,
            ..
        } = *self;
        let mut nodes = Vec::new();
        let mut make = |operator: &str, inputs: &[&str], name: &str, attributes: &[Vec<u8>]| {
            let name = format!("{ADDED}{output}/{name}");
            nodes.extend(operation(ADDED, operator, inputs, &name, attributes));
            name
        };
        let whole = |dims: &[u64], numbers: &[i64]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|each| each.to_le_bytes()).collect();
            [value(Element::INT64.0, dims, &bytes)]
        };
        let shape = make("Shape", &[input], "shape", &[]);
        let two = make("Constant", &[], "two", &whole(&[], &[2]));
        let time = make("Gather", &[&shape, &two], "time", &[integer("axis", 0)]);
        let lost = make("Constant", &[], "lost", &whole(&[], &[taps - 1]));
        let left = make("Sub", &[&time, &lost], "left", &[]);
        let zero = make("Constant", &[], "zero", &whole(&[], &[0]));
        let one = make("Constant", &[], "one", &whole(&[], &[1]));
        let begins = make("Range", &[&zero, &left, &one], "begins", &[]);
        let second = make("Constant", &[], "second", &whole(&[1], &[1]));
        let begins = make("Unsqueeze", &[&begins, &second], "begins_of_stretches", &[]);
        let steps: Vec<i64> = (0..taps).collect();
        let steps = make(
            "Constant",
            &[],
            "steps",
            &whole(&[1, taps.cast_unsigned()], &steps),
        );
        let places = make("Add", &[&begins, &steps], "places", &[]);
        let stretches = make(
            "Gather",
            &[input, &places],
            "stretches",
            &[integer("axis", 2)],
        );
        let weighed = make("Mul", &[&stretches, kernel], "weighed", &[]);
        let last = make("Constant", &[], "last", &whole(&[1], &[3]));
        nodes.extend(operation(
            ADDED,
            "ReduceSum",
            &[&weighed, &last],
            output,
            &[integer("keepdims", 0)],
        ));
        nodes
    }
}

/// An attribute's number or numbers.
fn numbers(attribute: &[u8]) -> Result<Vec<i64>> {
    let mut numbers = Vec::new();
    for field in fields(attribute) {
        let field = field?;
        if let Some(number) = field
            .number(attribute::INT)
            .or(field.number(attribute::INTS))
        {
            numbers.push(number.cast_signed());
        } else if field.is(attribute::INTS) {
            numbers.extend(packed(part(attribute, field.body)?)?);
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;

    fn operators(model: &[u8], operator: &str) -> usize {
        let graph = Graph::read(Cursor::new(model), model.len() as u64).unwrap();
        graph.nodes.iter().filter(|node| node.is(operator)).count()
    }

    #[test]
    fn no_convolution_of_single_channels_is_left() {
        // A predictor's convolution is one of all channels.
        for (name, left) in [
            ("sensevoice/model.onnx", 0),
            ("paraformer/model.onnx", 1),
            ("paraformer_online/model.onnx", 1),
            ("paraformer_online/decoder.onnx", 0),
        ] {
            let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
            let before = std::fs::read(demo.join(name)).unwrap();
            let edit = unroll_convolutions(Cursor::new(&before), before.len() as u64).unwrap();
            let mut after = Vec::new();
            let written = edit.unwrap().write(Cursor::new(&before), &mut after);
            written.unwrap();
            assert!(operators(&before, "Conv") > left, "{name}");
            assert_eq!(operators(&after, "Conv"), left, "{name}");
            let again = unroll_convolutions(Cursor::new(&after), after.len() as u64).unwrap();
            assert!(again.is_none(), "{name}");
        }
    }
}
