use std::io::Cursor;
use std::path::Path;

use super::*;
use crate::graph::Node;
use crate::proto::{model, opset};
use crate::{Silence, guard_silence};

fn demo(name: &str) -> Vec<u8> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    std::fs::read(demo.join(name)).unwrap()
}

fn ids(model: &[u8], scores: &str) -> Ids {
    keep_ids(Cursor::new(model), model.len() as u64, scores).unwrap()
}

fn edit(model: &[u8], scores: &str) -> Edit {
    match ids(model, scores) {
        Ids::Edit(edit) => edit,
        Ids::Unknown(reason) => panic!("{reason}"),
    }
}

fn reason(model: &[u8], scores: &str) -> String {
    match ids(model, scores) {
        Ids::Unknown(reason) => reason,
        Ids::Edit(_) => panic!("an edit"),
    }
}

fn written(model: &[u8], edit: &Edit) -> Vec<u8> {
    let mut written = Vec::new();
    edit.write(Cursor::new(model), &mut written).unwrap();
    written
}

fn interface(model: &[u8]) -> Interface {
    Interface::read_from(Cursor::new(model), model.len() as u64).unwrap()
}

fn graph(model: &[u8]) -> Graph {
    Graph::read(Cursor::new(model), model.len() as u64).unwrap()
}

fn line(node: &Node) -> String {
    let operator = node.operator.as_deref().unwrap_or("?");
    format!("{operator} {:?} -> {:?}", node.inputs, node.outputs)
}

/// The nodes of the edited model that come after those it had, which stay.
fn added(model: &[u8], scores: &str) -> Vec<String> {
    let lines = |model: &[u8]| graph(model).nodes.iter().map(line).collect::<Vec<_>>();
    let (before, mut after) = (lines(model), lines(&written(model, &edit(model, scores))));
    let added = after.split_off(before.len());
    assert_eq!(after, before);
    added
}

/// A model that gives what it takes as the output `scores`, of a type and dimensions; a name is a symbol, a number a size.
fn tiny(version: u64, element: Element, dims: &[&str]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|dim| {
        let size = match dim.parse() {
            Ok(size) => write_number(shape::DIM_VALUE, size),
            Err(_) => write_bytes(2, dim.as_bytes()),
        };
        write_bytes(shape::DIM, &size)
    });
    let tensor = [
        write_number(shape::ELEM_TYPE, u64::from(element.0.cast_unsigned())),
        write_bytes(shape::SHAPE, &dims.collect::<Vec<_>>()),
    ];
    let kind = write_bytes(shape::TENSOR_TYPE, &tensor.concat());
    let info = |name: &str| {
        [
            write_bytes(value_info::NAME, name.as_bytes()),
            write_bytes(value_info::TYPE, &kind),
        ]
        .concat()
    };
    let graph = [
        // An output in front of the nodes: new nodes have to come behind all of them.
        write_bytes(graph::OUTPUT, &info("scores")),
        operation("", "Identity", &["x"], "scores", &[]),
        write_bytes(graph::INPUT, &info("x")),
    ];
    let import = [
        write_bytes(opset::DOMAIN, b""),
        write_number(opset::VERSION, version),
    ];
    [
        write_number(1, 8),
        write_bytes(model::OPSET_IMPORT, &import.concat()),
        write_bytes(model::GRAPH, &graph.concat()),
    ]
    .concat()
}

#[test]
fn the_demos_models_give_ids() {
    for (name, scores) in [
        ("sensevoice/model.onnx", "ctc_logits"),
        ("sensevoice/model_quant.onnx", "ctc_logits"),
        ("paraformer/model.onnx", "logits"),
        ("paraformer_online/decoder.onnx", "logits"),
    ] {
        let model = demo(name);
        let edited = written(&model, &edit(&model, scores));
        let (before, after) = (interface(&model), interface(&edited));
        assert_eq!(after, before.clone().with_ids(scores));
        assert_eq!(after.inputs, before.inputs);
        assert_eq!(after.outputs.len(), before.outputs.len() + 1);
        let [first, second] = &after.outputs[..2] else {
            panic!("{after:?}");
        };
        assert_eq!(
            (first.name.as_str(), first.element),
            (TOKEN_IDS, Some(Element::INT32))
        );
        assert_eq!(
            (second.name.as_str(), second.element),
            (TOKEN_LOG_PROBS, Some(Element::FP32))
        );
        assert_eq!(first.dims, Some(vec![None, None]));
        assert_eq!(second.dims, first.dims);
        assert_eq!(after.outputs[2..], before.outputs[1..]);
        assert_eq!(added(&model, scores).len(), 4, "{name}");
        assert_eq!(reason(&edited, scores), "it has a value token_ids already");
    }
}

#[test]
fn nodes_are_those_of_the_files_operators() {
    let dims = ["batch", "frames", "7"];
    let (place, logs) = ("ids_of_scores/scores/place", "ids_of_scores/scores/logs");
    let common = [
        format!("ArgMax [\"scores\"] -> [{place:?}]"),
        format!("Cast [{place:?}] -> [\"token_ids\"]"),
        format!("LogSoftmax [\"scores\"] -> [{logs:?}]"),
    ];
    for version in [11, 13, 17] {
        let lines = added(&tiny(version, Element::FP32, &dims), "scores");
        assert_eq!(lines[..3], common);
        assert_eq!(
            lines[3..],
            [format!("ReduceMax [{logs:?}] -> [\"token_log_probs\"]")]
        );
    }
    let axes = "ids_of_scores/scores/axes";
    for version in [18, 21] {
        let lines = added(&tiny(version, Element::FP32, &dims), "scores");
        assert_eq!(lines[..3], common);
        assert_eq!(
            lines[3..],
            [
                format!("Constant [] -> [{axes:?}]"),
                format!("ReduceMax [{logs:?}, {axes:?}] -> [\"token_log_probs\"]"),
            ]
        );
    }
    let single = "ids_of_scores/scores/single";
    let lines = added(&tiny(17, Element::FP16, &dims), "scores");
    assert_eq!(lines[0], format!("Cast [\"scores\"] -> [{single:?}]"));
    assert_eq!(lines[1], format!("ArgMax [{single:?}] -> [{place:?}]"));
    assert_eq!(lines[3], format!("LogSoftmax [{single:?}] -> [{logs:?}]"));
    assert_eq!(lines.len(), 5);
}

#[test]
fn dimensions_stay_but_for_the_vocabulary() {
    let model = tiny(17, Element::FP32, &["batch", "12", "7"]);
    let edited = written(&model, &edit(&model, "scores"));
    let outputs = interface(&edited).outputs;
    assert_eq!(outputs[0].dims, Some(vec![None, Some(12)]));
    assert_eq!(outputs[1].dims, Some(vec![None, Some(12)]));
    // The symbol, too: a backend may look for it.
    let symbols = |bytes: &[u8]| bytes.windows(5).filter(|part| part == b"batch").count();
    assert_eq!((symbols(&model), symbols(&edited)), (2, 3));
}

#[test]
fn what_cannot_be_edited_is_told() {
    let dims = ["batch", "frames", "7"];
    let reason_of =
        |version, element, dims: &[&str]| reason(&tiny(version, element, dims), "scores");
    assert_eq!(
        reason_of(10, Element::FP32, &dims),
        "its operators are older than version 11"
    );
    assert_eq!(
        reason_of(17, Element::INT32, &dims),
        "its output scores is INT32, not FP32 or FP16"
    );
    assert_eq!(
        reason_of(17, Element::FP32, &dims[1..]),
        "its output scores has 2 dimensions, not 3 (batch, frames, vocabulary)"
    );
    assert_eq!(
        reason(&tiny(17, Element::FP32, &dims), "logits"),
        "it has no output logits"
    );
}

#[test]
fn the_guard_of_silence_and_ids_go_together() {
    let model = demo("paraformer/model.onnx");
    let guard = || match guard_silence(Cursor::new(&model), model.len() as u64).unwrap() {
        Silence::Guard(edit) => edit,
        other => panic!("{other:?}"),
    };
    let both = guard().and(edit(&model, "logits")).unwrap();
    let together = written(&model, &both);
    // The same as one after the other, in either order.
    let guarded = written(&model, &guard());
    assert_eq!(together, written(&guarded, &edit(&guarded, "logits")));
    let length = together.len() as u64;
    let silence = guard_silence(Cursor::new(&together), length).unwrap();
    assert!(matches!(silence, Silence::Guarded));
    let twice = guard().and(guard()).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "two of its edits change the same part of it"
    );
    let other = tiny(17, Element::FP32, &["1", "2", "3"]);
    let alien = guard().and(edit(&other, "scores")).unwrap_err();
    assert_eq!(
        alien.to_string(),
        "two of its edits are for different files"
    );
}

#[test]
fn other_files_are_refused() {
    let model = demo("sensevoice/model.onnx");
    for bytes in [
        &b""[..],
        b"these are not the bytes of a model",
        &model[..1000],
    ] {
        assert!(keep_ids(Cursor::new(bytes), bytes.len() as u64, "ctc_logits").is_err());
    }
}
