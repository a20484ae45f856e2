//! Taking outputs out of an ONNX file.
//!
//! ONNX Runtime runs all nodes of a graph in every run, whatever outputs are asked for. So outputs that nobody can ask for
//! are taken out before it sees the file, with the nodes that lead to nothing else.

use std::collections::HashSet;
use std::io::{Read, Seek};
use std::ops::Range;

use crate::edit::{Edit, find_graph};
use crate::error::{OnnxError, Result, not_onnx};
use crate::proto::{DEEPEST, attribute, graph, node, value_info};
use crate::wire::{Field, Walker, named, text};

/// The names of the outputs in the `length` bytes of an ONNX file.
///
/// # Errors
/// If the file cannot be read or has no graph.
pub fn output_names(
    reader: impl Read + Seek,
    length: u64,
) -> std::result::Result<Vec<String>, OnnxError> {
    let mut walker = Walker::new(reader)?;
    let place = find_graph(&mut walker, length)?;
    let mut names = Vec::new();
    while let Some(field) = walker.field(place.body.end)? {
        if field.is(graph::OUTPUT) {
            names.push(text(name_of(&walker.bytes(&field)?)?));
        } else {
            walker.skip(&field)?;
        }
    }
    Ok(names)
}

/// How to take the outputs that are not to be kept out of an ONNX file of `length` bytes, and the nodes that only they needed.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn keep_outputs(
    reader: impl Read + Seek,
    length: u64,
    keep: impl Fn(&str) -> bool,
) -> std::result::Result<Edit, OnnxError> {
    let mut walker = Walker::new(reader)?;
    let place = find_graph(&mut walker, length)?;
    let mut needed: HashSet<Vec<u8>> = HashSet::new();
    let mut dropped: Vec<Range<u64>> = Vec::new();
    // Those that are not known to be needed: where each begins.
    let mut nodes: Vec<u64> = Vec::new();
    while let Some(field) = walker.field(place.body.end)? {
        if field.is(graph::NODE) {
            nodes.push(field.start);
        } else if field.is(graph::OUTPUT) {
            let output = walker.bytes(&field)?;
            let name = name_of(&output)?;
            if keep(&text(name)) {
                needed.insert(name.to_vec());
            } else {
                add(&mut dropped, field.span());
            }
        }
        walker.skip(&field)?;
    }
    // Nodes should stand after those whose outputs they take, so that once backwards finds all that are needed. Converters to half precision
    // put theirs at the end, which takes another time for each that stands behind another one of them.
    for pass in 0.. {
        let (before, mut unneeded) = (nodes.len(), Vec::new());
        for &start in nodes.iter().rev() {
            walker.go_to(start)?;
            let field = node_at(&mut walker, place.body.end)?;
            let node = walker.bytes(&field)?;
            let mut wanted = false;
            for name in named(&node, node::OUTPUT) {
                wanted |= needed.contains(name?);
            }
            if wanted {
                references(&node, &mut needed, DEEPEST)?;
            } else {
                unneeded.push(start);
            }
        }
        unneeded.reverse();
        nodes = unneeded;
        if nodes.is_empty() || nodes.len() == before {
            break;
        }
        if pass == MOST_PASSES {
            return not_onnx("its nodes stand before those whose outputs they take");
        }
    }
    for &start in nodes.iter().rev() {
        walker.go_to(start)?;
        let field = node_at(&mut walker, place.body.end)?;
        add(&mut dropped, field.span());
    }
    let splices = dropped.into_iter().map(|range| (range, Vec::new()));
    Ok(Edit::new(place, length, splices.collect()))
}

/// Looking at a file's nodes this often is enough for those that converters make, and short for a hostile one.
const MOST_PASSES: usize = 32;

fn node_at(walker: &mut Walker<impl Read + Seek>, end: u64) -> Result<Field> {
    match walker.field(end)? {
        Some(field) => Ok(field),
        None => not_onnx("it changes"),
    }
}

/// Adds a range to others, to its neighbour if it has one: millions of tiny nodes shall not take a multiple of the file.
fn add(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        Some(last) if last.start == range.end => last.start = range.start,
        _ => ranges.push(range),
    }
}

/// Adds the names that a node takes, itself or in the graphs it runs.
fn references(node: &[u8], names: &mut HashSet<Vec<u8>>, depth: usize) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return not_onnx("its graphs are nested too deep");
    };
    for name in named(node, node::INPUT) {
        let name = name?;
        // An optional input that is left out has no name.
        if !name.is_empty() {
            names.insert(name.to_vec());
        }
    }
    for attribute in named(node, node::ATTRIBUTE) {
        let attribute = attribute?;
        for number in [attribute::GRAPH, attribute::GRAPHS] {
            for graph in named(attribute, number) {
                let graph = graph?;
                for inner in named(graph, graph::NODE) {
                    references(inner?, names, depth)?;
                }
                for output in named(graph, graph::OUTPUT) {
                    names.insert(name_of(output?)?.to_vec());
                }
            }
        }
    }
    Ok(())
}

/// The name of a graph's output. Of a field that is there twice the last one counts.
fn name_of(output: &[u8]) -> Result<&[u8]> {
    let name = named(output, value_info::NAME).try_fold(None, |_, name| name.map(Some))?;
    name.map_or_else(|| not_onnx("an output has no name"), Ok)
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Cursor, SeekFrom};

    use proptest::prelude::*;

    use super::*;
    use crate::proto::model::GRAPH;
    use crate::wire::write_bytes as field;

    fn node(inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
        let inputs = inputs
            .iter()
            .map(|name| field(node::INPUT, name.as_bytes()))
            .collect::<Vec<_>>()
            .concat();
        let outputs = outputs
            .iter()
            .map(|name| field(node::OUTPUT, name.as_bytes()))
            .collect::<Vec<_>>()
            .concat();
        let kind = field(4, b"Add");
        field(
            graph::NODE,
            &[inputs, outputs, kind, attributes.concat()].concat(),
        )
    }

    fn output(name: &str) -> Vec<u8> {
        // A name, and after it a type with a number in it.
        let body = [field(value_info::NAME, name.as_bytes()), field(2, &[8, 1])].concat();
        field(graph::OUTPUT, &body)
    }

    fn model(nodes: &[Vec<u8>], outputs: &[&str]) -> Vec<u8> {
        let outputs: Vec<u8> = outputs.iter().flat_map(|name| output(name)).collect();
        let weights = field(5, &[7; 300]);
        let graph = [nodes.concat(), field(2, b"name"), weights, outputs].concat();
        [vec![8, 9], field(GRAPH, &graph), field(8, b"opset")].concat()
    }

    fn read_names(model: &[u8]) -> Result<Vec<String>> {
        output_names(Cursor::new(model), model.len() as u64)
    }

    fn names(model: &[u8]) -> Vec<String> {
        read_names(model).unwrap()
    }

    fn keep_outputs(model: &[u8], keep: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
        let edit = super::keep_outputs(Cursor::new(model), model.len() as u64, keep)?;
        let mut pruned = Vec::new();
        edit.write(Cursor::new(model), &mut pruned)?;
        Ok(pruned)
    }

    #[test]
    fn dropped_outputs_take_along_what_only_they_need() {
        let shared = node(&["x", ""], &["h"], &[]);
        let kept = node(&["h", "x"], &["sum"], &[]);
        let lost = [
            node(&["h"], &["g"], &[]),
            node(&["g"], &["difference", "unused"], &[]),
        ];
        let whole = model(
            &[
                shared.clone(),
                lost[0].clone(),
                kept.clone(),
                lost[1].clone(),
            ],
            &["sum", "difference"],
        );
        assert_eq!(names(&whole), ["sum", "difference"]);
        assert_eq!(
            keep_outputs(&whole, |name| name == "sum").unwrap(),
            model(&[shared, kept], &["sum"])
        );
        assert_eq!(keep_outputs(&whole, |_| true).unwrap(), whole);
    }

    #[test]
    fn nodes_may_stand_before_those_whose_outputs_they_take() {
        let kept = [
            node(&["third"], &["sum"], &[]),
            node(&["second"], &["third"], &[]),
            node(&["first"], &["second"], &[]),
            node(&["x"], &["first"], &[]),
        ];
        let mut nodes = kept.to_vec();
        nodes.insert(1, node(&["lost"], &["other"], &[]));
        nodes.push(node(&["x"], &["lost"], &[]));
        let whole = model(&nodes, &["sum", "other"]);
        let pruned = keep_outputs(&whole, |name| name == "sum").unwrap();
        assert_eq!(pruned, model(&kept, &["sum"]));
        // A file of nothing else is read a number of times, and no more.
        let name = |number: usize| number.to_string();
        let link = |number: usize| node(&[&name(number + 1)], &[&name(number)], &[]);
        let chain: Vec<_> = (0..2 * MOST_PASSES).map(link).collect();
        assert!(keep_outputs(&model(&chain, &["0"]), |_| true).is_err());
    }

    #[test]
    fn what_a_branch_takes_from_outside_stays() {
        let inner = [node(&["outside"], &["y"], &[]), output("passed")].concat();
        let attribute = field(node::ATTRIBUTE, &field(attribute::GRAPH, &inner));
        let nodes = [
            node(&["x"], &["outside"], &[]),
            node(&["x"], &["passed"], &[]),
            node(&["x"], &["lost"], &[]),
            node(&["condition"], &["result"], &[attribute]),
        ];
        let whole = model(&nodes, &["result", "lost"]);
        let [first, second, _, last] = nodes;
        assert_eq!(
            keep_outputs(&whole, |name| name == "result").unwrap(),
            model(&[first, second, last], &["result"])
        );
    }

    #[test]
    fn fields_that_reach_beyond_the_graph_are_refused() {
        let long = [vec![0x0a, 200, 1], vec![b'x'; 200]].concat();
        let graph = [output("y"), long[..20].to_vec()].concat();
        let whole = [field(GRAPH, &graph), long].concat();
        assert!(read_names(&whole).is_err());
        for keep in [true, false] {
            assert!(keep_outputs(&whole, |_| keep).is_err());
        }
    }

    #[test]
    fn of_two_names_the_last_one_counts() {
        let both = [
            field(value_info::NAME, b"first"),
            field(value_info::NAME, b"last"),
        ]
        .concat();
        let whole = model(&[node(&["x"], &["last"], &[])], &[]);
        let whole = [
            whole[..2].to_vec(),
            field(
                GRAPH,
                &[node(&["x"], &["last"], &[]), field(graph::OUTPUT, &both)].concat(),
            ),
        ]
        .concat();
        assert_eq!(names(&whole), ["last"]);
        assert_eq!(keep_outputs(&whole, |name| name == "last").unwrap(), whole);
    }

    #[test]
    fn an_endless_file_ends() {
        struct Zeros(u64);
        impl Read for Zeros {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                assert!(self.0 < 1 << 20, "goes on reading");
                buffer.fill(0);
                self.0 += buffer.len() as u64;
                Ok(buffer.len())
            }
        }
        impl Seek for Zeros {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(self.0)
            }
        }
        assert!(output_names(BufReader::new(Zeros(0)), u64::MAX).is_err());
    }

    #[test]
    fn other_files_are_refused() {
        let whole = model(&[node(&["x"], &["sum"], &[])], &["sum"]);
        for bytes in [
            &b""[..],
            b"these are not the bytes of a model",
            &[0xff; 40],
            &whole[..100],
        ] {
            assert!(read_names(bytes).is_err());
            assert!(keep_outputs(bytes, |_| true).is_err());
        }
    }

    /// A graph of nodes that take and give names of a few letters, and some of these as outputs.
    fn graphs() -> impl Strategy<Value = Vec<u8>> {
        let name = || prop::sample::select(vec!["a", "b", "c", "d", "e", "f", ""]);
        let names = || prop::collection::vec(name(), 0..4);
        let nodes = prop::collection::vec((names(), names()), 0..8);
        (nodes, prop::collection::vec(name(), 0..5)).prop_map(|(nodes, outputs)| {
            let nodes: Vec<_> = nodes
                .iter()
                .map(|(inputs, outputs)| node(inputs, outputs, &[]))
                .collect();
            model(&nodes, &outputs)
        })
    }

    /// What is said of any bytes: an error, or a file whose outputs are those that were to stay, and stay.
    fn check_pruning(bytes: &[u8], keep: impl Fn(&str) -> bool) -> bool {
        let Ok(pruned) = keep_outputs(bytes, &keep) else {
            return false;
        };
        let expected: Vec<String> = names(bytes).into_iter().filter(|name| keep(name)).collect();
        assert_eq!(names(&pruned), expected);
        assert_eq!(keep_outputs(&pruned, &keep).unwrap(), pruned);
        true
    }

    proptest! {
        #[test]
        fn pruned_graphs_have_the_outputs_that_were_kept(
            graph in graphs(), keep in prop::sample::subsequence(vec!["a", "b", "c", "d", ""], 0..=5),
        ) {
            prop_assert!(check_pruning(&graph, |name| keep.contains(&name)));
        }

        #[test]
        fn mutated_files_are_pruned_soundly_or_refused(
            graph in graphs(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            end in any::<prop::sample::Index>(),
        ) {
            let mut bytes = graph;
            bytes.drain(..bytes.len() / 4 * usize::from(changes.len() == 5));
            for (index, byte) in changes {
                let place = index.index(bytes.len());
                bytes[place] = byte;
            }
            check_pruning(&bytes, |name| name < "c");
            check_pruning(&bytes[..end.index(bytes.len())], |name| name < "c");
        }

        #[test]
        fn any_bytes_are_pruned_soundly_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            check_pruning(&bytes, |name| name.is_empty());
            check_pruning(&field(GRAPH, &bytes), |name| name.is_empty());
        }
    }
}
