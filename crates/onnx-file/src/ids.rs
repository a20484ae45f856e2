//! Ids in place of scores: a model that says itself which unit of its vocabulary is the best of each frame.
//!
//! Scores are large, and of each frame's only the largest is wanted: SenseVoice has 25055, 100 kB for 60 ms of audio, which a server
//! copies from step to step, from a GPU's memory perhaps. The edit lets the model find the largest where the scores are computed,
//! and hand out two numbers a frame in their place:
//!
//! - [`TOKEN_IDS`], the place of the largest score. Of equal ones the first counts, as ONNX has it and NumPy does.
//! - [`TOKEN_LOG_PROBS`], the logarithm of its probability by the softmax of the frame's scores, in single precision whatever the
//!   model's is. Scores that are logarithms of probabilities already give the same. It is NaN where a score of the frame is NaN, where
//!   one is positive infinity, and where none is finite: so a broken model stays recognisable, though `ArgMax` names a unit then too.
//!
//! The logarithm comes from `LogSoftmax` and not from `ReduceLogSumExp`, which would need no second tensor of the scores' size: on CPUs ONNX
//! Runtime 1.32 takes several times as long for that, one exponential after the other.

use std::io::{Read, Seek};

use crate::edit::Edit;
use crate::error::{OnnxError, Result};
use crate::graph::Graph;
use crate::interface::{Element, Interface, Tensor};
use crate::nodes::{integer, integers, operation, value};
use crate::proto::{graph, shape, value_info};
use crate::wire::{Walker, named, write_bytes, write_number};

/// INT32 `[batch, frames]`: the best unit of each frame.
pub const TOKEN_IDS: &str = "token_ids";
/// FP32 `[batch, frames]`: the logarithm of its probability.
pub const TOKEN_LOG_PROBS: &str = "token_log_probs";

/// Whether a model can hand out ids in place of scores.
#[derive(Debug)]
pub enum Ids {
    /// With this edit it does.
    Edit(Edit),
    /// It cannot; why.
    Unknown(String),
}

/// In front of the names of values that the edit adds within the graph.
const ADDED: &str = "ids_of_scores/";
/// Before this version no operator counts axes from the last one.
const OLDEST_OPSET: i64 = 11;
/// From this version on reductions take their axes as an input.
const AXES_ARE_AN_INPUT: i64 = 18;

/// How to let a model, an ONNX file of `length` bytes, hand out [`TOKEN_IDS`] and [`TOKEN_LOG_PROBS`] in place of its output `scores`
/// `[batch, frames, vocabulary]`.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn keep_ids(
    mut reader: impl Read + Seek,
    length: u64,
    scores: &str,
) -> std::result::Result<Ids, OnnxError> {
    let graph = Graph::read(&mut reader, length)?;
    if graph.opset < OLDEST_OPSET {
        let reason = format!("its operators are older than version {OLDEST_OPSET}");
        return Ok(Ids::Unknown(reason));
    }
    let added = |name: &&str| graph.knows(name) || graph.outputs.iter().any(|other| other == name);
    if let Some(name) = [TOKEN_IDS, TOKEN_LOG_PROBS].iter().find(|name| added(name)) {
        return Ok(Ids::Unknown(format!("it has a value {name} already")));
    }
    let mut walker = Walker::new(reader)?;
    walker.go_to(graph.place.body.start)?;
    let mut found = None;
    while let Some(field) = walker.field(graph.place.body.end)? {
        if field.is(graph::OUTPUT) {
            let info = walker.bytes(&field)?;
            let output = Tensor::decode(&info)?;
            if output.name == scores {
                found = Some((field.span(), info, output));
            }
        }
        walker.skip(&field)?;
    }
    let Some((span, info, output)) = found else {
        return Ok(Ids::Unknown(format!("it has no output {scores}")));
    };
    if let Some(reason) = unfit(&output) {
        return Ok(Ids::Unknown(reason));
    }
    let single = output.element == Some(Element::FP32);
    let outputs = [
        (TOKEN_IDS, Element::INT32),
        (TOKEN_LOG_PROBS, Element::FP32),
    ]
    .map(|(name, element)| {
        Ok(write_bytes(
            graph::OUTPUT,
            &per_frame(&info, name, element)?,
        ))
    });
    let outputs = outputs.into_iter().collect::<Result<Vec<_>>>()?;
    // Nodes stand after those whose outputs they take.
    let end = graph.place.body.end;
    let splices = vec![
        (span, outputs.concat()),
        (end..end, nodes(scores, single, graph.opset)),
    ];
    Ok(Ids::Edit(Edit::new(graph.place, length, splices)))
}

impl Interface {
    /// What the model takes and gives with the edit of [`keep_ids`].
    #[must_use]
    pub fn with_ids(mut self, scores: &str) -> Self {
        let Some(place) = self.outputs.iter().position(|output| output.name == scores) else {
            return self;
        };
        let per_frame = |name: &str, element| Tensor {
            name: name.to_owned(),
            element: Some(element),
            dims: self.outputs[place]
                .dims
                .as_deref()
                .and_then(|dims| Some(dims.split_last()?.1.to_vec())),
        };
        let both = [
            per_frame(TOKEN_IDS, Element::INT32),
            per_frame(TOKEN_LOG_PROBS, Element::FP32),
        ];
        self.outputs.splice(place..=place, both);
        self
    }
}

/// Why an output is no scores of frames.
fn unfit(output: &Tensor) -> Option<String> {
    let Tensor {
        name,
        element,
        dims,
    } = output;
    let Some(element) = element else {
        return Some(format!("its output {name} is no tensor"));
    };
    if ![Element::FP32, Element::FP16].contains(element) {
        return Some(format!("its output {name} is {element}, not FP32 or FP16"));
    }
    let rank = dims.as_ref()?.len();
    (rank != 3).then(|| {
        format!("its output {name} has {rank} dimensions, not 3 (batch, frames, vocabulary)")
    })
}

/// The `ValueInfoProto` of an output that has a number where the one described by `info` has a vocabulary.
fn per_frame(info: &[u8], name: &str, element: Element) -> Result<Vec<u8>> {
    let mut dims: Option<Vec<Vec<u8>>> = None;
    for kind in named(info, value_info::TYPE) {
        for tensor in named(kind?, shape::TENSOR_TYPE) {
            for shape in named(tensor?, shape::SHAPE) {
                let sizes = named(shape?, shape::DIM).map(|dim| Ok(write_bytes(shape::DIM, dim?)));
                dims = Some(sizes.collect::<Result<_>>()?);
            }
        }
    }
    let mut tensor = write_number(shape::ELEM_TYPE, u64::from(element.0.cast_unsigned()));
    if let Some((_, frames)) = dims.as_deref().and_then(<[_]>::split_last) {
        tensor.extend(write_bytes(shape::SHAPE, &frames.concat()));
    }
    let kind = write_bytes(shape::TENSOR_TYPE, &tensor);
    Ok([
        write_bytes(value_info::NAME, name.as_bytes()),
        write_bytes(value_info::TYPE, &kind),
    ]
    .concat())
}

/// The fields of the nodes that make ids and logarithms of `scores`, which are in single precision or half.
fn nodes(scores: &str, single: bool, opset: i64) -> Vec<u8> {
    let inner = |what: &str| format!("{ADDED}{scores}/{what}");
    let [exact, place, logs, axes] = ["single", "place", "logs", "axes"].map(inner);
    let to = |element: Element| [integer("to", element.0.into())];
    let last = || integer("axis", -1);
    let flat = || integer("keepdims", 0);
    let add = |operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]| {
        operation(ADDED, operator, inputs, output, attributes)
    };
    let mut nodes = Vec::new();
    let scores = match single {
        true => scores,
        false => {
            nodes.extend(add("Cast", &[scores], &exact, &to(Element::FP32)));
            &exact
        }
    };
    nodes.extend(add("ArgMax", &[scores], &place, &[last(), flat()]));
    nodes.extend(add("Cast", &[&place], TOKEN_IDS, &to(Element::INT32)));
    nodes.extend(add("LogSoftmax", &[scores], &logs, &[last()]));
    if opset < AXES_ARE_AN_INPUT {
        let attributes = [integers("axes", -1), flat()];
        nodes.extend(add("ReduceMax", &[&logs], TOKEN_LOG_PROBS, &attributes));
    } else {
        let minus_one = value(Element::INT64.0, &[1], &(-1_i64).to_le_bytes());
        nodes.extend(add("Constant", &[], &axes, &[minus_one]));
        nodes.extend(add(
            "ReduceMax",
            &[&logs, &axes],
            TOKEN_LOG_PROBS,
            &[flat()],
        ));
    }
    nodes
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
