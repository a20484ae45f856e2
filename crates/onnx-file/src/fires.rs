//! Where a Paraformer collects tokens row by row: BiCifParaformer and SeACo-Paraformer.
//!
//! Their exports sum up the weights of frames in a loop, and in a second one take of each row the frames in which a sum reached the threshold.
//! Of a row in which none did, the second loop would take nothing, and ONNX Runtime fails as it gives that nothing a shape. So the first
//! frame of such a row is taken, as if a token had been found in it. A row's number of tokens is counted elsewhere and stays 0, so nobody
//! reads what comes of it; rows with tokens keep theirs.

use crate::graph::Graph;
use crate::interface::Element;
use crate::nodes::{integer, operation, value};

/// The value that says of each row and frame whether a token ends in it, BOOL `[rows, frames]`, if the graph collects tokens so.
pub(crate) fn find(graph: &Graph) -> Option<&str> {
    let mut found = graph.nodes.iter().filter_map(|compared| {
        let fires = compared.output().filter(|_| {
            compared.is("GreaterOrEqual")
                && compared.within.is_none()
                && compared.start.is_some()
                && is_summed_in_a_loop(graph, compared.input(0))
        })?;
        (!graph.is_result(fires) && rows_are_taken_in_a_loop(graph, fires)).then_some(fires)
    });
    found.next().filter(|_| found.next().is_none())
}

/// Whether the value is a list, one entry for each time that a loop ran.
fn is_summed_in_a_loop(graph: &Graph, value: Option<&str>) -> bool {
    let made = |value: Option<&str>| graph.producer(value?);
    made(value)
        .filter(|node| node.is("ConcatFromSequence"))
        .and_then(|node| made(node.input(0)))
        .is_some_and(|node| node.is("Loop"))
}

/// Whether nothing but rows are taken of the value, at least one of them within a loop, and the places in which it is true looked up.
fn rows_are_taken_in_a_loop(graph: &Graph, value: &str) -> bool {
    let looked_up = |row: &str| {
        let mut takers = graph.consumers(row).peekable();
        takers.peek().is_some() && takers.all(|node| node.is("NonZero")) && !graph.is_result(row)
    };
    let mut in_a_loop = false;
    let rows = graph.consumers(value).all(|node| {
        let runs = node
            .within
            .as_ref()
            .and_then(|(by, _)| graph.nodes.get(*by));
        in_a_loop |= runs.is_some_and(|node| node.is("Loop"));
        node.is("Gather") && node.input(0) == Some(value) && node.output().is_some_and(looked_up)
    });
    rows && in_a_loop
}

/// A node's operator, inputs, output and attributes.
type AddedNode<'a> = (&'a str, &'a [&'a str], &'a str, Vec<Vec<u8>>);

/// The nodes that make `name` of `before`: the same, and true in the first frame of each row that has it nowhere. All other names begin
/// with `added`.
pub(crate) fn at_least_one(before: &str, name: &str, added: &str) -> Vec<u8> {
    let of = |what: &str| format!("{added}{name}/{what}");
    let (axis, one, cast) = (of("axis"), of("one"), of("counted"));
    let (shape, ones, place) = (of("shape"), of("ones"), of("place"));
    let (left, both, first) = (of("left"), of("both"), of("first"));
    let number = |dims: &[u64]| value(Element::INT32.0, dims, &1_i32.to_le_bytes());
    let nodes: [AddedNode<'_>; 10] = [
        ("Constant", &[], &axis, vec![number(&[])]),
        ("Constant", &[], &one, vec![number(&[])]),
        // How often it is true from each frame on.
        (
            "Cast",
            &[before],
            &cast,
            vec![integer("to", i64::from(Element::INT32.0))],
        ),
        (
            "CumSum",
            &[&cast, &axis],
            &left,
            vec![integer("reverse", 1)],
        ),
        // Which frame it is, from 1 on.
        ("Shape", &[before], &shape, vec![]),
        ("ConstantOfShape", &[&shape], &ones, vec![number(&[1])]),
        ("CumSum", &[&ones, &axis], &place, vec![]),
        // Only the first frame of a row without any adds up to 1.
        ("Add", &[&left, &place], &both, vec![]),
        ("Equal", &[&both, &one], &first, vec![]),
        ("Or", &[before, &first], name, vec![]),
    ];
    nodes
        .iter()
        .flat_map(|(operator, inputs, output, attributes)| {
            operation(added, operator, inputs, output, attributes)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;
    use crate::{Silence, guard_silence};

    fn demo(name: &str) -> Vec<u8> {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        std::fs::read(demo.join(name)).unwrap()
    }

    fn graph(model: &[u8]) -> Graph {
        Graph::read(Cursor::new(model), model.len() as u64).unwrap()
    }

    #[test]
    fn models_that_collect_row_by_row_are_known() {
        for name in ["paraformer_bicif/model.onnx", "seaco/model.onnx"] {
            assert_eq!(find(&graph(&demo(name))), Some("fire_idxs"), "{name}");
        }
        for name in ["paraformer/model.onnx", "sensevoice/model.onnx"] {
            assert_eq!(find(&graph(&demo(name))), None, "{name}");
        }
    }

    #[test]
    fn the_first_frame_of_a_row_without_tokens_is_taken() {
        for (name, maxima) in [("paraformer_bicif", 4), ("seaco", 7)] {
            let model = demo(&format!("{name}/model.onnx"));
            let guard = guard_silence(Cursor::new(&model), model.len() as u64).unwrap();
            let Silence::Guard(edit) = guard else {
                panic!("{name}: {guard:?}");
            };
            let mut written = Vec::new();
            edit.write(Cursor::new(&model), &mut written).unwrap();
            let read = graph(&written);
            let of = |operator: &str, inputs: &[&str]| {
                let inputs: Vec<String> = inputs
                    .iter()
                    .map(|input| format!("guard_of_silence/fire_idxs/{input}"))
                    .collect();
                let mut found = read
                    .nodes
                    .iter()
                    .filter(|node| node.is(operator) && node.inputs == inputs);
                let output = found.next().and_then(|node| node.output());
                output.unwrap_or_else(|| panic!("{name}: {operator} {inputs:?}"))
            };
            let added = |name: &str| format!("guard_of_silence/fire_idxs/{name}");
            assert_eq!(of("Or", &["before", "first"]), "fire_idxs");
            assert_eq!(of("Equal", &["both", "one"]), added("first"));
            assert_eq!(of("Add", &["left", "place"]), added("both"));
            assert_eq!(of("CumSum", &["counted", "axis"]), added("left"));
            assert_eq!(of("CumSum", &["ones", "axis"]), added("place"));
            assert_eq!(of("Cast", &["before"]), added("counted"));
            // The masks of frames and of tokens.
            let before = graph(&model);
            let of_max = |graph: &Graph| graph.nodes.iter().filter(|node| node.is("Max")).count();
            assert_eq!(of_max(&read) - of_max(&before), maxima, "{name}");
            assert!(read.names_are_unique());
        }
    }

    #[test]
    fn a_value_that_others_use_is_left_alone() {
        let mut read = graph(&demo("paraformer_bicif/model.onnx"));
        let looks_up = read.nodes.iter_mut().find(|node| node.is("NonZero"));
        looks_up.unwrap().operator = Some("Cast".to_owned());
        assert_eq!(find(&read), None);
    }
}
