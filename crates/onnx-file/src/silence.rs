//! A guard for Paraformer: recordings in which it finds no token.
//!
//! As FunASR exports it, Paraformer cannot make nothing of a recording. Two things go wrong, both within the part that collects tokens
//! (continuous integrate-and-fire, CIF) and its length mask:
//!
//! - The token axis is as long as the most tokens of a row. If no row has any, it is empty, and ONNX Runtime fails at an operator that
//!   cannot take that. The guard makes it at least one long; `token_num` stays 0, so nobody reads what is there. Likewise the mask of
//!   frames, for one frame of rows that have none.
//! - All rows' tokens stand one behind the other while they are collected, and the places where the rows' begin are marked. If the
//!   last row has none, its place is behind the end, an index that ONNX Runtime refuses. The guard leaves such places out.
//!
//! Exports that collect tokens in loops have the first fault alone, and get the guard for their masks together with the edit of
//! [`collect_at_once`](crate::collect_at_once), without which it is of no use.
//!
//! Wherever the model did run without the guard, neither changes a number. Known are exports by FunASR 1.2 and later; since some version
//! they have a branch for batches without any token, which falls for the empty axis as the rest does.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use crate::cif::Loops;
use crate::edit::Edit;
use crate::error::{OnnxError, Result};
use crate::graph::{Graph, Node};
use crate::interface::Element;
use crate::nodes;
use crate::proto::{attribute, graph, node};
use crate::wire::{Walker, fields, named, part, write_bytes};

/// Whether a model can be given recordings without a token.
#[derive(Debug)]
pub enum Silence {
    /// With this edit it can.
    Guard(Edit),
    /// It can, having been given the guard before.
    Guarded,
    /// Its graph is not that of the exports for which the guard was made; why.
    Unknown(&'static str),
}

/// In front of the names of values that the guard adds.
const ADDED: &str = "guard_of_silence/";

/// How the guard changes the node that makes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// The value, a single number of that type, is at least 1.
    AtLeastOne(Element),
    /// The value, places, has those alone that are less than the sum of these counts.
    Within {
        /// How many there are of each row.
        counts: String,
    },
}

/// How to let a Paraformer, an ONNX file of `length` bytes, run on recordings without a token.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn guard_silence(
    mut reader: impl Read + Seek,
    length: u64,
) -> std::result::Result<Silence, OnnxError> {
    let graph = Graph::read(&mut reader, length)?;
    let names = || graph.nodes.iter().flat_map(|node| &node.outputs);
    if names().any(|name| name.starts_with(ADDED)) {
        return Ok(Silence::Guarded);
    }
    let changes = match changes(&graph) {
        Ok(changes) => changes,
        Err(reason) => return Ok(Silence::Unknown(reason)),
    };
    let mut walker = Walker::new(reader)?;
    let mut splices = Vec::new();
    for start in graph.nodes.iter().filter_map(|node| node.start) {
        walker.go_to(start)?;
        if let Some(field) = walker.field(graph.place.body.end)? {
            let node = walker.bytes(&field)?;
            if let Some(nodes) = changed(&node, &changes)? {
                splices.push((field.span(), nodes));
            }
        }
    }
    Ok(Silence::Guard(Edit::new(graph.place, length, splices)))
}

/// The values to change, by name, or what of the known exports the graph lacks.
fn changes(graph: &Graph) -> std::result::Result<BTreeMap<String, Change>, &'static str> {
    // Max of integers came with this version.
    if graph.opset < 12 {
        return Err("its operators are older than version 12");
    }
    if !graph.names_are_unique() {
        return Err("several of its values have one name");
    }
    // Where loops collect the tokens, `cif` takes their place and makes the axis long enough.
    let in_loops = Loops::find(graph).is_some();
    let places = match in_loops {
        true => None,
        false => Some(places(graph)?),
    };
    let within = |places: Places| {
        let counts = places.counts;
        (places.name, Change::Within { counts })
    };
    let mut changes: BTreeMap<_, _> = places.map(within).into_iter().collect();
    for size in sizes(graph, in_loops)? {
        let bounded = at_least_one(graph, size)
            .ok_or("the number of tokens of the longest row is used in another way")?;
        changes.extend(bounded);
    }
    for frames in maxima(graph, |value| {
        graph.origin(value, &SAME_NUMBER) == "speech_lengths"
    }) {
        changes.extend(at_least_one(graph, frames).into_iter().flatten());
    }
    Ok(changes)
}

/// The changes that make a maximum at least 1, where it is cast to a type that is known; `None` if it is used otherwise, or not at all.
fn at_least_one(graph: &Graph, maximum: &Node) -> Option<Vec<(String, Change)>> {
    let bounded = |cast: &Node| {
        let element = Element(i32::try_from(cast.to.filter(|_| cast.is("Cast"))?).ok()?);
        one(element)?;
        Some((cast.output()?.to_owned(), Change::AtLeastOne(element)))
    };
    let value = maximum.output().filter(|value| !graph.is_result(value))?;
    let changes: Option<Vec<_>> = graph.consumers(value).map(bounded).collect();
    changes.filter(|changes| !changes.is_empty())
}

/// The nodes that take the maximum of a value that is meant.
fn maxima(graph: &Graph, meant: impl Fn(&str) -> bool) -> Vec<&Node> {
    let nodes = graph.nodes.iter().filter(|node| node.is("ReduceMax"));
    nodes
        .filter(|node| node.input(0).is_some_and(&meant))
        .collect()
}

/// What leaves the number of tokens what it is.
const SAME_NUMBER: [&str; 4] = ["Cast", "Floor", "Round", "Identity"];

/// The nodes that take the maximum of the rows' numbers of tokens: one for the decoder's mask, and one for the collection, in each of
/// its branches if it has any, and unless loops do it.
fn sizes(graph: &Graph, in_loops: bool) -> std::result::Result<Vec<&Node>, &'static str> {
    // token_num is the sum of the weights of a row's frames.
    let weights = |value: &str| {
        let sum = graph.producer(graph.origin(value, &SAME_NUMBER))?;
        sum.input(0)
            .filter(|_| sum.is("ReduceSum"))
            .map(str::to_owned)
    };
    let token_num = graph.outputs.iter().find(|name| *name == "token_num");
    let Some(weighed) = token_num.and_then(|name| weights(name)) else {
        return Err("its output token_num is no sum");
    };
    let maxima = maxima(graph, |value| weights(value).as_ref() == Some(&weighed));
    let of = |branch: Option<&str>| {
        let within = |node: &&&Node| node.within.as_ref().map(|(_, name)| name.as_str()) == branch;
        maxima.iter().filter(within).count()
    };
    let branches = of(Some("then_branch")) > 0 && of(Some("else_branch")) > 0;
    if of(None) > 1 || (of(None) == 1 && (branches || in_loops)) {
        Ok(maxima)
    } else {
        Err(
            "nothing in it takes the number of tokens of the longest row where the known exports do",
        )
    }
}

/// Where the tokens of each row begin while all rows' stand one behind the other.
struct Places {
    name: String,
    /// The value with how many tokens each row has.
    counts: String,
}

/// Finds the places: the sums of the rows' counts, moved on by one row, and the first one set to 0. They are marked in two lists.
fn places(graph: &Graph) -> std::result::Result<Places, &'static str> {
    // The only operator, if it is, that takes a value.
    let next = |value: &str, operator: &str| {
        if graph.is_result(value) {
            return None;
        }
        let mut takers = graph.consumers(value).peekable();
        let node = *takers.peek()?;
        takers
            .all(|node| node.is(operator))
            .then_some(node)?
            .output()
    };
    let mut found = graph.nodes.iter().filter_map(|sums| {
        let counts = sums.input(0).filter(|_| sums.is("CumSum"))?;
        let counted = graph.producer(counts).filter(|node| node.is("ReduceSum"))?;
        let frames = graph
            .producer(counted.input(0)?)
            .filter(|node| node.is("Cast"))?;
        let moved = next(next(sums.output()?, "Slice")?, "Concat")?;
        let set = graph.consumers(moved).find(|node| node.is("ScatterND"))?;
        let name = set.output().filter(|name| !graph.is_result(name))?;
        if set.input(0) != Some(moved) {
            return None;
        }
        let marks = graph.consumers(name).filter(|node| !node.is("Shape"));
        let marked: Option<Vec<_>> = marks
            .map(|node| next(node.output().filter(|_| node.is("Unsqueeze"))?, "ScatterND"))
            .collect();
        (frames.to == Some(i64::from(Element::INT64.0)) && marked?.len() == 2).then(|| Places {
            name: name.to_owned(),
            counts: counts.to_owned(),
        })
    });
    match (found.next(), found.next()) {
        (Some(places), None) => Ok(places),
        _ => Err("it does not collect tokens as the known exports do"),
    }
}

/// A node's field with the changes to it and to the nodes that it runs; `None` if there are none.
fn changed(node: &[u8], changes: &BTreeMap<String, Change>) -> Result<Option<Vec<u8>>> {
    let output = named(node, node::OUTPUT).next().transpose()?;
    let output = output.map(crate::wire::text);
    if let Some((name, change)) = output.as_ref().and_then(|name| changes.get_key_value(name)) {
        return change.apply(node, name).map(Some);
    }
    let inner = replaced(node, node::ATTRIBUTE, |attribute| {
        let graphs = replaced(attribute, attribute::GRAPH, |graph| {
            let nodes = replaced(graph, graph::NODE, |node| changed(node, changes))?;
            Ok(nodes.map(|graph| write_bytes(attribute::GRAPH, &graph)))
        })?;
        Ok(graphs.map(|attribute| write_bytes(node::ATTRIBUTE, &attribute)))
    })?;
    Ok(inner.map(|node| write_bytes(graph::NODE, &node)))
}

/// A message with what `replace` gives for its fields of one number in their place; `None` if it gives nothing for any.
fn replaced(
    message: &[u8],
    number: u64,
    mut replace: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<Option<Vec<u8>>> {
    let (mut bytes, mut any) = (Vec::with_capacity(message.len()), false);
    for field in fields(message) {
        let field = field?;
        let instead = match field.is(number) {
            true => replace(part(message, field.body.clone())?)?,
            false => None,
        };
        any |= instead.is_some();
        match instead {
            Some(instead) => bytes.extend(instead),
            None => bytes.extend_from_slice(part(message, field.span())?),
        }
    }
    Ok(any.then_some(bytes))
}

impl Change {
    /// The fields of the nodes that take the place of one that made the value `name`.
    fn apply(&self, node: &[u8], name: &str) -> Result<Vec<u8>> {
        let added = |what: &str| format!("{ADDED}{name}/{what}");
        let before = added("before");
        let renamed = replaced(node, node::OUTPUT, |output| {
            Ok((output == name.as_bytes()).then(|| write_bytes(node::OUTPUT, before.as_bytes())))
        })?;
        let mut nodes = write_bytes(graph::NODE, &renamed.unwrap_or_default());
        match self {
            Self::AtLeastOne(element) => {
                let bound = added("bound");
                nodes.extend(constant(*element, &bound));
                nodes.extend(operation("Max", &[&before, &bound], name, &[]));
            }
            Self::Within { counts } => {
                let (total, fit) = (added("total"), added("fit"));
                let scalar = [nodes::integer("keepdims", 0)];
                nodes.extend(operation("ReduceSum", &[counts], &total, &scalar));
                nodes.extend(operation("Less", &[&before, &total], &fit, &[]));
                nodes.extend(operation("Compress", &[&before, &fit], name, &[]));
            }
        }
        Ok(nodes)
    }
}

/// A node's field.
fn operation(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    nodes::operation(ADDED, operator, inputs, output, attributes)
}

/// The field of a node that makes the number 1.
fn constant(element: Element, output: &str) -> Vec<u8> {
    let value = nodes::value(element.0, &[], one(element).unwrap_or_default());
    operation("Constant", &[], output, &[value])
}

/// The bytes of the number 1.
fn one(element: Element) -> Option<&'static [u8]> {
    const FP32: [u8; 4] = 1_f32.to_le_bytes();
    const FP64: [u8; 8] = 1_f64.to_le_bytes();
    const INT32: [u8; 4] = 1_i32.to_le_bytes();
    const INT64: [u8; 8] = 1_i64.to_le_bytes();
    match element {
        Element::FP32 => Some(&FP32),
        Element::FP64 => Some(&FP64),
        Element::FP16 => Some(&[0x00, 0x3c]),
        Element::INT32 => Some(&INT32),
        Element::INT64 => Some(&INT64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;
    use crate::Interface;

    fn demo(name: &str) -> Vec<u8> {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        std::fs::read(demo.join(name)).unwrap()
    }

    fn guard(model: &[u8]) -> Silence {
        guard_silence(Cursor::new(model), model.len() as u64).unwrap()
    }

    fn guarded(model: &[u8]) -> Vec<u8> {
        let Silence::Guard(edit) = guard(model) else {
            panic!("no guard");
        };
        let mut written = Vec::new();
        edit.write(Cursor::new(model), &mut written).unwrap();
        written
    }

    fn reason(model: &[u8]) -> &'static str {
        match guard(model) {
            Silence::Unknown(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn graph(model: &[u8]) -> Graph {
        Graph::read(Cursor::new(model), model.len() as u64).unwrap()
    }

    /// A node as a line of text.
    fn line(node: &Node) -> String {
        let operator = node.operator.as_deref().unwrap_or("?");
        format!("{operator} {:?} -> {:?}", node.inputs, node.outputs)
    }

    /// The nodes of `after` that `before` has not.
    fn added(before: &[u8], after: &[u8]) -> Vec<String> {
        let before: Vec<String> = graph(before).nodes.iter().map(line).collect();
        let nodes = graph(after).nodes;
        let lines = nodes.iter().map(line);
        lines.filter(|line| !before.contains(line)).collect()
    }

    /// The model with another list of nodes: what `replace` gives for each, the field itself where it gives nothing.
    fn with_nodes(model: &[u8], replace: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
        let changed = replaced(model, crate::proto::model::GRAPH, |graph| {
            let nodes = replaced(graph, graph::NODE, |node| Ok(replace(node)))?;
            Ok(nodes.map(|graph| write_bytes(crate::proto::model::GRAPH, &graph)))
        });
        changed.unwrap().unwrap()
    }

    fn operator(node: &[u8]) -> String {
        crate::wire::string(node, node::OP_TYPE).unwrap().unwrap()
    }

    /// As exports before the branch for batches without a token have it: its other branch alone.
    fn without_branch(model: &[u8]) -> Vec<u8> {
        with_nodes(model, |node| {
            let branches = named(node, node::ATTRIBUTE).map(Result::unwrap);
            let name = |attribute| crate::wire::string(attribute, attribute::NAME).unwrap();
            let mut branches =
                branches.filter(|branch| name(branch).as_deref() == Some("else_branch"));
            let branch = named(branches.next()?, attribute::GRAPH).next()?.unwrap();
            let mut nodes: Vec<u8> = named(branch, graph::NODE)
                .flat_map(|node| write_bytes(graph::NODE, node.unwrap()))
                .collect();
            let outer = named(node, node::OUTPUT).next()?.unwrap();
            let inner =
                crate::interface::Tensor::decode(named(branch, graph::OUTPUT).next()?.unwrap());
            nodes.extend(operation(
                "Identity",
                &[&inner.unwrap().name],
                &crate::wire::text(outer),
                &[],
            ));
            Some(nodes)
        })
    }

    #[test]
    fn the_demos_paraformer_gets_the_guard() {
        let model = demo("paraformer/model.onnx");
        let written = guarded(&model);
        let before = "guard_of_silence/max_label_len/before";
        let lines = added(&model, &written);
        let at_least_one = [
            format!("Cast [\"1312\"] -> [{before:?}]"),
            "Constant [] -> [\"guard_of_silence/max_label_len/bound\"]".to_owned(),
            format!(
                "Max [{before:?}, \"guard_of_silence/max_label_len/bound\"] -> [\"max_label_len\"]"
            ),
        ];
        let at = lines
            .iter()
            .position(|line| *line == at_least_one[0])
            .unwrap();
        assert_eq!(lines[at..at + 3], at_least_one);
        let within = [
            "ScatterND [\"shift_batch_idxs\", \"1377\", \"1391\"] -> [\"guard_of_silence/1392/before\"]",
            "ReduceSum [\"batch_len\"] -> [\"guard_of_silence/1392/total\"]",
            "Less [\"guard_of_silence/1392/before\", \"guard_of_silence/1392/total\"] -> [\"guard_of_silence/1392/fit\"]",
            "Compress [\"guard_of_silence/1392/before\", \"guard_of_silence/1392/fit\"] -> [\"1392\"]",
        ];
        let at = lines.iter().position(|line| line == within[0]).unwrap();
        assert_eq!(lines[at..at + 4], within);
        let maxima = lines.iter().filter(|line| line.starts_with("Max "));
        // Two branches and the decoder's mask of tokens; the masks of frames of the encoder, the predictor and the decoder.
        assert_eq!((maxima.count(), lines.len()), (6, 22), "{lines:?}");
        assert!(matches!(guard(&written), Silence::Guarded));
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let model = demo("paraformer/model.onnx");
        let written = guarded(&model);
        let interface =
            |model: &[u8]| Interface::read_from(Cursor::new(model), model.len() as u64).unwrap();
        assert_eq!(interface(&written), interface(&model));
        // All but the nodes and the graph's own length: byte by byte.
        let rest = |model: &[u8]| {
            let without = with_nodes(model, |_| Some(Vec::new()));
            fields(&without)
                .map(Result::unwrap)
                .flat_map(|field| {
                    let skipped = field.is(crate::proto::model::GRAPH);
                    let range = if skipped { field.body } else { field.span() };
                    part(&without, range).unwrap().to_vec()
                })
                .collect::<Vec<u8>>()
        };
        assert!(rest(&written) == rest(&model));
        let lines = |model: &[u8]| graph(model).nodes.iter().map(line).collect::<Vec<_>>();
        let kept = lines(&written);
        let lost = lines(&model)
            .iter()
            .filter(|line| !kept.contains(line))
            .count();
        assert_eq!(lost, 7);
    }

    #[test]
    fn exports_without_a_branch_get_it_too() {
        let model = without_branch(&demo("paraformer/model.onnx"));
        let lines = added(&model, &guarded(&model));
        let maxima = lines.iter().filter(|line| line.starts_with("Max "));
        assert_eq!((maxima.count(), lines.len()), (5, 19), "{lines:?}");
    }

    #[test]
    fn other_graphs_are_left_alone() {
        assert_eq!(
            reason(&demo("sensevoice/model.onnx")),
            "it does not collect tokens as the known exports do"
        );
        assert_eq!(
            reason(&demo("paraformer_online/model.onnx")),
            "it does not collect tokens as the known exports do"
        );
        let model = demo("paraformer/model.onnx");
        let renamed = |from: &str, to: &'static str| {
            with_nodes(&without_branch(&model), |node| {
                (operator(node) == from).then(|| {
                    let node = replaced(node, node::OP_TYPE, |_| {
                        Ok(Some(write_bytes(node::OP_TYPE, to.as_bytes())))
                    });
                    write_bytes(graph::NODE, &node.unwrap().unwrap())
                })
            })
        };
        assert_eq!(
            reason(&renamed("ReduceSum", "ReduceMean")),
            "it does not collect tokens as the known exports do"
        );
        assert_eq!(
            reason(&renamed("ReduceMax", "ReduceMin")),
            "nothing in it takes the number of tokens of the longest row where the known exports do"
        );
    }

    /// The model with one more output.
    fn with_output(model: &[u8], name: &str) -> Vec<u8> {
        use crate::proto::value_info;
        let changed = replaced(model, crate::proto::model::GRAPH, |graph| {
            let info = write_bytes(value_info::NAME, name.as_bytes());
            let more = write_bytes(graph::OUTPUT, &info);
            let graph = [graph, &more].concat();
            Ok(Some(write_bytes(crate::proto::model::GRAPH, &graph)))
        });
        changed.unwrap().unwrap()
    }

    #[test]
    fn a_maximum_that_is_handed_out_or_unused_is_not_guarded() {
        let model = without_branch(&demo("paraformer/model.onnx"));
        let read = graph(&model);
        let sizes = sizes(&read, false).unwrap();
        let used_otherwise = "the number of tokens of the longest row is used in another way";
        for size in &sizes {
            let handed_out = with_output(&model, size.output().unwrap());
            assert_eq!(reason(&handed_out), used_otherwise);
            // Without the casts behind it.
            let unused = with_nodes(&model, |node| {
                let input = named(node, node::INPUT).next()?.unwrap();
                (operator(node) == "Cast" && Some(&*crate::wire::text(input)) == size.output())
                    .then(Vec::new)
            });
            assert_eq!(reason(&unused), used_otherwise);
        }
        let places = places(&read).unwrap().name;
        assert_eq!(
            reason(&with_output(&model, &places)),
            "it does not collect tokens as the known exports do"
        );
    }

    #[test]
    fn other_files_are_refused() {
        let model = demo("paraformer/model.onnx");
        for bytes in [
            &b""[..],
            b"these are not the bytes of a model",
            &model[..1000],
        ] {
            assert!(guard_silence(Cursor::new(bytes), bytes.len() as u64).is_err());
        }
    }
}
