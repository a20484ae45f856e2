//! Silero's voice activity detection, whose model takes one window a call.
//!
//! `silero_vad.onnx` makes of a window of samples and the state before it a probability and the state behind it. An hour of audio has
//! 112,500 windows, each a call. Here the model becomes the body of a `Scan`, which goes over all windows of a call, with the tensors of
//! `silero_vad_16k_sequence.onnx`, which newer versions of the package `silero-vad` have beside it: windows `input` `[windows, 576]`, state
//! `h` and `c` `[1, rows, 128]` in; `speech_probs` `[windows]`, and the state `hn` and `cn` out.
//!
//! Two things are less plain than they could be, for ONNX Runtime's sake. That there is one row is not said but reckoned: the body asks for
//! the number of its rows, and where that is known beforehand ONNX Runtime (1.23 to 1.32) infers shapes of a branch that is never
//! taken, and refuses the model. And the rate is reckoned too: where it is a constant, the folding of the branches for other rates ends
//! the process.

use std::io::{Read, Seek};

use crate::edit::{Edit, find_graph};
use crate::error::{OnnxError, Result, not_onnx};
use crate::interface::{Element, Interface};
use crate::nodes::{integer, operation, operation_of_several, value};
use crate::proto::{DEEPEST, attribute, graph, node, shape, value_info};
use crate::wire::{Walker, fields, part, string, write_bytes, write_number};

/// In front of the names of values that the edit adds.
const ADDED: &str = "scan/";
/// What the model's input is called within the body: its own name is that of all windows then.
const WINDOW: &str = "scan/window";
/// Larger graphs are not Silero's, which has 2.3 MB.
const LARGEST: u64 = 64 << 20;
/// Samples of a window and those before it.
const SAMPLES: i64 = 576;
/// Values of the state.
const STATE: i64 = 128;
/// Samples per second.
const RATE: i64 = 16_000;

/// How to let Silero's model, an ONNX file of `length` bytes, go over many windows in one call; `None` if it is not one that takes `input`,
/// `state` and `sr`, and answers `output` and `stateN`.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn scan_windows(
    mut reader: impl Read + Seek,
    length: u64,
) -> std::result::Result<Option<Edit>, OnnxError> {
    let interface = Interface::read_from(&mut reader, length)?;
    let has = |tensors: &[crate::Tensor], names: &[&str]| {
        tensors.len() == names.len()
            && names
                .iter()
                .all(|name| tensors.iter().any(|tensor| tensor.name == *name))
    };
    if !has(&interface.inputs, &["input", "state", "sr"])
        || !has(&interface.outputs, &["output", "stateN"])
    {
        return Ok(None);
    }
    let mut walker = Walker::new(reader)?;
    let place = find_graph(&mut walker, length)?;
    if place.body.end - place.body.start > LARGEST {
        return not_onnx("its graph is too large for Silero's");
    }
    let bytes = walker.bytes(&place)?;
    let body = body(&bytes)?;
    let range = place.body.clone();
    Ok(Some(Edit::new(
        place,
        length,
        vec![(range, scanned(&body))],
    )))
}

/// How to let Silero's model for sequences say of the state `hn` and `cn` behind a call that it has the dimensions of `h` and `c` before it;
/// `None` if it does. The published file leaves one open, which ONNX Runtime finds out and configurations are compared with.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn name_state_dims(
    mut reader: impl Read + Seek,
    length: u64,
) -> std::result::Result<Option<Edit>, OnnxError> {
    let interface = Interface::read_from(&mut reader, length)?;
    let of = |tensors: &[crate::Tensor], name: &str| {
        let tensor = tensors.iter().find(|tensor| tensor.name == name)?;
        tensor.dims.clone()
    };
    let mut wanted = Vec::new();
    for (before, behind) in [("h", "hn"), ("c", "cn")] {
        let dims = of(&interface.inputs, before);
        let known = of(&interface.outputs, behind);
        if let (Some(dims), Some(known)) = (dims, known)
            && dims != known
        {
            wanted.push((behind, dims));
        }
    }
    let mut walker = Walker::new(reader)?;
    let place = find_graph(&mut walker, length)?;
    let mut splices = Vec::new();
    while let Some(field) = walker.field(place.body.end)? {
        if !field.is(graph::OUTPUT) {
            walker.skip(&field)?;
            continue;
        }
        let name = string(&walker.bytes(&field)?, value_info::NAME)?.unwrap_or_default();
        if let Some((name, dims)) = wanted.iter().find(|(behind, _)| *behind == name) {
            let output = write_bytes(graph::OUTPUT, &tensor(name, dims));
            splices.push((field.span(), output));
        }
    }
    let edit = Edit::new(place, length, splices);
    Ok((!edit.is_empty()).then_some(edit))
}

/// The model's graph as a body: state and window in, state and probability out.
fn body(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for field in fields(bytes) {
        let field = field?;
        let content = part(bytes, field.body.clone())?;
        let tensors = match field.number {
            graph::INPUT => &mut inputs,
            graph::OUTPUT => &mut outputs,
            graph::NODE => {
                body.extend(write_bytes(graph::NODE, &renamed_node(content, 0)?));
                continue;
            }
            _ => {
                body.extend_from_slice(part(bytes, field.span())?);
                continue;
            }
        };
        let name = string(content, value_info::NAME)?.unwrap_or_default();
        tensors.push((name, content));
    }
    for (number, tensors, names) in [
        (graph::INPUT, &inputs, ["state", "input"]),
        (graph::OUTPUT, &outputs, ["stateN", "output"]),
    ] {
        for wanted in names {
            let Some((_, content)) = tensors.iter().find(|(name, _)| name == wanted) else {
                return not_onnx(format!("its graph has no {wanted}"));
            };
            let content = replaced(content, value_info::NAME, |name| {
                (name == b"input").then(|| WINDOW.as_bytes().to_vec())
            })?;
            body.extend(write_bytes(number, &content));
        }
    }
    Ok(body)
}

/// A node that takes the window by its new name, as do those of the graphs that it runs.
fn renamed_node(bytes: &[u8], depth: usize) -> Result<Vec<u8>> {
    if depth > DEEPEST {
        return not_onnx("its graphs are nested too deeply");
    }
    let mut written = Vec::with_capacity(bytes.len() + WINDOW.len());
    for field in fields(bytes) {
        let field = field?;
        let content = part(bytes, field.body.clone())?;
        if field.is(node::INPUT) && content == b"input" {
            written.extend(write_bytes(node::INPUT, WINDOW.as_bytes()));
        } else if field.is(node::ATTRIBUTE) {
            let attribute = renamed_attribute(content, depth)?;
            written.extend(write_bytes(node::ATTRIBUTE, &attribute));
        } else {
            written.extend_from_slice(part(bytes, field.span())?);
        }
    }
    Ok(written)
}

fn renamed_attribute(bytes: &[u8], depth: usize) -> Result<Vec<u8>> {
    let mut written = Vec::with_capacity(bytes.len());
    for field in fields(bytes) {
        let field = field?;
        let whole = part(bytes, field.span())?;
        if !field.is(attribute::GRAPH) && !field.is(attribute::GRAPHS) {
            written.extend_from_slice(whole);
            continue;
        }
        let inner = part(bytes, field.body.clone())?;
        let mut graph = Vec::with_capacity(inner.len());
        for each in fields(inner) {
            let each = each?;
            if each.is(graph::NODE) {
                let node = renamed_node(part(inner, each.body.clone())?, depth + 1)?;
                graph.extend(write_bytes(graph::NODE, &node));
            } else {
                graph.extend_from_slice(part(inner, each.span())?);
            }
        }
        written.extend(write_bytes(field.number, &graph));
    }
    Ok(written)
}

/// A message with its strings of one number replaced where that says how.
fn replaced(bytes: &[u8], number: u64, new: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<Vec<u8>> {
    let mut written = Vec::with_capacity(bytes.len());
    for field in fields(bytes) {
        let field = field?;
        let content = part(bytes, field.body.clone())?;
        match new(content).filter(|_| field.is(number)) {
            Some(content) => written.extend(write_bytes(number, &content)),
            None => written.extend_from_slice(part(bytes, field.span())?),
        }
    }
    Ok(written)
}

/// The graph that scans with a body.
fn scanned(body: &[u8]) -> Vec<u8> {
    let mut graph = write_bytes(graph::NAME, b"silero_vad_sequence");
    let mut make = |operator: &str, inputs: &[&str], name: &str, attributes: &[Vec<u8>]| {
        let name = match name {
            "sr" | "speech_probs" => name.to_owned(),
            _ => format!("{ADDED}{name}"),
        };
        graph.extend(operation(ADDED, operator, inputs, &name, attributes));
        name
    };
    let whole = |dims: &[u64], numbers: &[i64]| {
        let bytes: Vec<u8> = numbers.iter().flat_map(|each| each.to_le_bytes()).collect();
        [value(Element::INT64.0, dims, &bytes)]
    };
    let state = make("Concat", &["h", "c"], "state", &[integer("axis", 0)]);
    // [windows, rows, samples]
    let one = make("Constant", &[], "one", &whole(&[1], &[1]));
    let two = make("Constant", &[], "two", &whole(&[1], &[2]));
    let shape = make("Shape", &["h"], "shape", &[]);
    let rows = make("Slice", &[&shape, &one, &two], "rows", &[]);
    let all = make("Constant", &[], "all", &whole(&[1], &[-1]));
    let samples = make("Constant", &[], "samples", &whole(&[1], &[SAMPLES]));
    let shape = make(
        "Concat",
        &[&all, &rows, &samples],
        "shape_of_windows",
        &[integer("axis", 0)],
    );
    let windows = make("Reshape", &["input", &shape], "windows", &[]);
    let zero = make("Constant", &[], "zero", &whole(&[], &[0]));
    let number = make(
        "Gather",
        &[&rows, &zero],
        "number_of_rows",
        &[integer("axis", 0)],
    );
    let nothing = make("Mul", &[&number, &zero], "nothing", &[]);
    let rate = make("Constant", &[], "rate", &whole(&[], &[RATE]));
    make("Add", &[&nothing, &rate], "sr", &[]);
    let attribute = [
        write_bytes(attribute::NAME, b"body"),
        write_bytes(attribute::GRAPH, body),
        write_number(attribute::TYPE, attribute::TYPE_GRAPH),
    ]
    .concat();
    let (last, each) = (
        format!("{ADDED}state_behind"),
        format!("{ADDED}probabilities"),
    );
    graph.extend(operation_of_several(
        ADDED,
        "Scan",
        &[&state, &windows],
        &[&last, &each],
        &[attribute, integer("num_scan_inputs", 1)],
    ));
    let constant = whole(&[1], &[-1]);
    graph.extend(operation(ADDED, "Constant", &[], "scan/flat", &constant));
    graph.extend(operation(
        ADDED,
        "Reshape",
        &[&each, "scan/flat"],
        "speech_probs",
        &[],
    ));
    let halves = whole(&[2], &[1, 1]);
    graph.extend(operation(ADDED, "Constant", &[], "scan/halves", &halves));
    graph.extend(operation_of_several(
        ADDED,
        "Split",
        &[&last, "scan/halves"],
        &["hn", "cn"],
        &[integer("axis", 0)],
    ));
    let state = [Some(1), None, Some(STATE)];
    for (number, name, dims) in [
        (graph::INPUT, "input", &[None, Some(SAMPLES)][..]),
        (graph::INPUT, "h", &state),
        (graph::INPUT, "c", &state),
        (graph::OUTPUT, "speech_probs", &[None]),
        (graph::OUTPUT, "hn", &state),
        (graph::OUTPUT, "cn", &state),
    ] {
        graph.extend(write_bytes(number, &tensor(name, dims)));
    }
    graph
}

/// What is said of a tensor of floats: its name and dimensions, `None` for one of any size.
fn tensor(name: &str, dims: &[Option<i64>]) -> Vec<u8> {
    let dim = |(index, size): (usize, &Option<i64>)| match size {
        Some(size) => write_number(shape::DIM_VALUE, size.cast_unsigned()),
        None => write_bytes(shape::DIM_PARAM, format!("{name}_{index}").as_bytes()),
    };
    let dims = dims.iter().enumerate().map(dim);
    let dims: Vec<u8> = dims.flat_map(|dim| write_bytes(shape::DIM, &dim)).collect();
    let tensor = [
        write_number(shape::ELEM_TYPE, u64::from(Element::FP32.0.cast_unsigned())),
        write_bytes(shape::SHAPE, &dims),
    ]
    .concat();
    [
        write_bytes(value_info::NAME, name.as_bytes()),
        write_bytes(value_info::TYPE, &write_bytes(shape::TENSOR_TYPE, &tensor)),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::graph::Graph;
    use crate::proto::model;

    /// A model with these inputs; a node takes the window, and so does one in a branch.
    fn small(inputs: &[&str]) -> Vec<u8> {
        let takes = |output: &str, attributes: &[Vec<u8>]| {
            operation("", "Pad", &["input", "state"], output, attributes)
        };
        let branch = [
            write_bytes(attribute::NAME, b"then_branch"),
            write_bytes(attribute::GRAPH, &takes("inner", &[])),
            write_number(attribute::TYPE, attribute::TYPE_GRAPH),
        ];
        let mut graph = write_bytes(graph::NAME, b"small");
        graph.extend(takes("output", &[branch.concat()]));
        graph.extend(takes("stateN", &[]));
        for name in inputs {
            graph.extend(write_bytes(graph::INPUT, &tensor(name, &[None, None])));
        }
        for name in ["output", "stateN"] {
            graph.extend(write_bytes(graph::OUTPUT, &tensor(name, &[None])));
        }
        let opset = write_number(crate::proto::opset::VERSION, 16);
        [
            write_number(model::IR_VERSION, 8),
            write_bytes(model::GRAPH, &graph),
            write_bytes(model::OPSET_IMPORT, &opset),
        ]
        .concat()
    }

    fn scan(model: &[u8]) -> Option<Vec<u8>> {
        let edit = scan_windows(Cursor::new(model), model.len() as u64).unwrap()?;
        let mut written = Vec::new();
        edit.write(Cursor::new(model), &mut written).unwrap();
        Some(written)
    }

    #[test]
    fn windows_are_gone_over_within_the_model() {
        let written = scan(&small(&["input", "state", "sr"])).unwrap();
        let length = written.len() as u64;
        let interface = Interface::read_from(Cursor::new(&written), length).unwrap();
        let of = |tensors: &[crate::Tensor]| -> Vec<(String, Option<Vec<i64>>)> {
            let each = tensors.iter();
            each.map(|tensor| (tensor.name.clone(), tensor.config_dims()))
                .collect()
        };
        let state = Some(vec![1, -1, 128]);
        assert_eq!(
            of(&interface.inputs),
            [
                ("input".to_owned(), Some(vec![-1, 576])),
                ("h".to_owned(), state.clone()),
                ("c".to_owned(), state.clone()),
            ]
        );
        assert_eq!(
            of(&interface.outputs),
            [
                ("speech_probs".to_owned(), Some(vec![-1])),
                ("hn".to_owned(), state.clone()),
                ("cn".to_owned(), state),
            ]
        );
        let graph = Graph::read(Cursor::new(&written), length).unwrap();
        assert!(graph.nodes.iter().any(|node| node.is("Scan")));
        let inner: Vec<_> = graph.nodes.iter().filter(|node| node.is("Pad")).collect();
        assert_eq!(inner.len(), 3, "the branch's too");
        for node in inner {
            assert_eq!(node.inputs, [WINDOW, "state"], "{:?}", node.outputs);
        }
    }

    #[test]
    fn the_state_behind_a_call_has_the_dimensions_of_that_before_it() {
        let state = [Some(1), Some(1), Some(STATE)];
        let mut graph = write_bytes(graph::NAME, b"sequence");
        for name in ["h", "c"] {
            graph.extend(write_bytes(graph::INPUT, &tensor(name, &state)));
        }
        for name in ["speech_probs", "hn", "cn"] {
            let open = [Some(1), None, Some(STATE)];
            graph.extend(write_bytes(graph::OUTPUT, &tensor(name, &open)));
        }
        let model = write_bytes(model::GRAPH, &graph);
        let edit = |model: &[u8]| name_state_dims(Cursor::new(model), model.len() as u64).unwrap();
        let mut written = Vec::new();
        let named = edit(&model).unwrap();
        named.write(Cursor::new(&model), &mut written).unwrap();
        let length = written.len() as u64;
        let outputs = Interface::read_from(Cursor::new(&written), length).unwrap();
        let dims: Vec<_> = outputs
            .outputs
            .iter()
            .map(crate::Tensor::config_dims)
            .collect();
        let (open, closed) = (Some(vec![1, -1, 128]), Some(vec![1, 1, 128]));
        assert_eq!(dims, [open, closed.clone(), closed]);
        assert!(edit(&written).is_none());
    }

    #[test]
    fn others_stay_as_they_are() {
        assert!(scan(&small(&["input", "state"])).is_none());
        assert!(scan(&small(&["input", "h", "c"])).is_none());
        assert!(scan(&scan(&small(&["sr", "input", "state"])).unwrap()).is_none());
    }
}
