//! Paraformers that collect their tokens frame by frame.
//!
//! Continuous integrate-and-fire (CIF) adds up weights of frames, and makes a token of the frames since the last one whenever the sum
//! reaches 1. Exports of Paraformers with time stamps or hot words (BiCif, SeACo), and all exports before FunASR 1.1, do this in a
//! loop with a step for each frame, which keeps its values in lists, and in a second loop over rows, which gathers what became tokens.
//! A third loop does the same with finer frames, for time stamps. On a processor they take a third of the whole model's time; on a GPU a
//! step is some dozen kernels, 10 s for 30 s of audio, and a SeACo model found more tokens than there were and failed where these met the
//! mask (CUDA provider of ONNX Runtime 1.31; known to users of all tools that run these files).
//!
//! All of it can be said at once. With the sums `c` of a row's weights up to each frame, a frame lies between `c[t-1]` and `c[t]`, token
//! `k` between `k` and `k + 1`, and how much of a frame goes into a token is how much the two overlap: a matrix, by which the frames are
//! multiplied. What the third loop hands out, the sum since the last firing, is `c[t]` without the multiples of its threshold in
//! `c[t-1]`. The sums are taken in double precision, so that long recordings round no worse than the loop.
//!
//! One thing differs: a weight above the threshold would fire once in the loop, and as often as it reaches here. Weights are sigmoids,
//! and those of finer frames sum up to the number of tokens.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek};

use crate::edit::Edit;
use crate::error::OnnxError;
use crate::graph::{Graph, Node};
use crate::interface::Element;
use crate::nodes::{integer, operation, value};
use crate::wire::Walker;

/// In front of the names of values that the edit adds.
const ADDED: &str = "cif/";
/// What leaves the number of tokens what it is.
const SAME_NUMBER: [&str; 4] = ["Cast", "Floor", "Round", "Identity"];

/// The loops of a model.
#[derive(Debug)]
pub(crate) struct Loops<'g> {
    tokens: Tokens<'g>,
    peaks: Option<Peaks<'g>>,
}

/// The loops that collect tokens.
#[derive(Debug)]
struct Tokens<'g> {
    /// The weights `[rows, frames]`, and what is weighed, `[rows, frames, width]`.
    weights: &'g str,
    frames: &'g str,
    /// The sums of the rows' weights.
    sums: &'g str,
    /// What cuts the tokens `[rows, tokens, width]` to the longest row.
    cut: &'g Node,
}

/// The loop that adds up the weights of finer frames.
#[derive(Debug)]
struct Peaks<'g> {
    weights: &'g str,
    threshold: f32,
    /// What makes one tensor of its list.
    stack: &'g Node,
}

/// How to let a Paraformer, an ONNX file of `length` bytes, collect its tokens at once; `None` if it does so, or in a way of its own.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn collect_at_once(
    mut reader: impl Read + Seek,
    length: u64,
) -> std::result::Result<Option<Edit>, OnnxError> {
    let graph = Graph::read(&mut reader, length)?;
    let Some(loops) = Loops::find(&graph) else {
        return Ok(None);
    };
    let mut instead = HashMap::from([(start(loops.tokens.cut), loops.tokens.at_once())]);
    if let Some(peaks) = &loops.peaks {
        instead.insert(start(peaks.stack), peaks.at_once());
    }
    for node in loops.idle(&graph) {
        instead.entry(start(node)).or_default();
    }
    let mut walker = Walker::new(reader)?;
    let mut splices = Vec::new();
    for (start, nodes) in instead {
        walker.go_to(start)?;
        if let Some(field) = walker.field(graph.place.body.end)? {
            splices.push((field.span(), nodes));
        }
    }
    Ok(Some(Edit::new(graph.place, length, splices)))
}

/// Where a node of the model's own graph is; those alone are replaced.
fn start(node: &Node) -> u64 {
    node.start.unwrap_or_default()
}

impl<'g> Loops<'g> {
    /// The loops of the known exports.
    pub(crate) fn find(graph: &'g Graph) -> Option<Self> {
        // The added operators are those of this version and later ones.
        if graph.opset < 13 || !graph.names_are_unique() {
            return None;
        }
        let mut tokens = loops(graph).filter_map(|each| Tokens::find(graph, each));
        let found = tokens.next()?;
        let mut peaks = loops(graph).filter_map(|each| Peaks::find(graph, each));
        let loops = Self {
            tokens: found,
            peaks: peaks.next(),
        };
        (tokens.next().is_none() && peaks.next().is_none()).then_some(loops)
    }

    /// The nodes that nobody needs any more.
    fn idle(&self, graph: &'g Graph) -> Vec<&'g Node> {
        let Self { tokens, peaks } = self;
        let mut replaced: HashMap<u64, Vec<&str>> = HashMap::from([(
            start(tokens.cut),
            vec![tokens.weights, tokens.frames, tokens.sums],
        )]);
        if let Some(peaks) = peaks {
            replaced.insert(start(peaks.stack), vec![peaks.weights]);
        }
        let mut needed: HashSet<&str> = graph.outputs.iter().map(String::as_str).collect();
        let mut idle = Vec::new();
        // Nodes stand after those whose outputs they take.
        for (number, node) in graph.nodes.iter().enumerate().rev() {
            let Some(start) = node.start else { continue };
            if !node.outputs.iter().any(|output| needed.contains(&**output)) {
                idle.push(node);
            } else if let Some(inputs) = replaced.get(&start) {
                needed.extend(inputs);
            } else {
                needed.extend(graph.taken(number));
            }
        }
        idle
    }
}

/// A loop, and its number among the nodes.
type Numbered<'g> = (usize, &'g Node);

fn loops(graph: &Graph) -> impl Iterator<Item = Numbered<'_>> {
    let nodes = graph.nodes.iter().enumerate();
    nodes.filter(|(_, node)| node.is("Loop"))
}

/// Whether each of these operators is so often in what a loop runs, and no others are beside those in between.
fn runs(graph: &Graph, (number, _): Numbered<'_>, counts: &[(&str, usize)]) -> bool {
    const BETWEEN: [&str; 11] = [
        "Add",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Expand",
        "Identity",
        "Mul",
        "Shape",
        "Sub",
        "Tile",
        "Unsqueeze",
    ];
    let inner = || graph.run_by(number);
    let known =
        |node: &Node| node.is_any(&BETWEEN) || counts.iter().any(|(operator, _)| node.is(operator));
    let as_many = |(operator, count): &(&str, usize)| {
        inner().filter(|node| node.is(operator)).count() == *count
    };
    inner().all(known) && counts.iter().all(as_many)
}

/// The threshold that a loop compares its sums with.
fn threshold(graph: &Graph, (number, _): Numbered<'_>) -> Option<f32> {
    let compared = graph
        .run_by(number)
        .find(|node| node.is("GreaterOrEqual"))?;
    graph.producer(compared.input(1)?)?.number
}

/// What a loop takes a step's share of, by the order in which it does.
fn sliced<'g>(graph: &'g Graph, (number, _): Numbered<'g>) -> Vec<&'g str> {
    let gathers = graph.run_by(number).filter(|node| node.is("Gather"));
    let mut sliced: Vec<_> = gathers.filter_map(|node| node.input(0)).collect();
    sliced.dedup();
    sliced
}

/// What makes one tensor, with a second axis of steps, of the list that a loop hands out.
fn stack<'g>(graph: &'g Graph, list: &str) -> Option<&'g Node> {
    let mut takers = graph.consumers(list);
    let stack = takers
        .next()
        .filter(|node| node.is("ConcatFromSequence") && node.start.is_some())?;
    takers.next().is_none().then_some(stack)
}

/// The only node that takes a value, if it is one of these.
fn only<'g>(graph: &'g Graph, value: &str, operator: &str) -> Option<&'g Node> {
    let mut takers = graph.consumers(value);
    let taker = takers.next().filter(|node| node.is(operator))?;
    (takers.next().is_none() && !graph.is_result(value)).then_some(taker)
}

impl<'g> Tokens<'g> {
    fn find(graph: &'g Graph, each: Numbered<'g>) -> Option<Self> {
        const STEP: [(&str, usize); 4] = [
            ("Gather", 3),
            ("SequenceInsert", 2),
            ("GreaterOrEqual", 1),
            ("Where", 3),
        ];
        if !runs(graph, each, &STEP) || threshold(graph, each) != Some(1.0) {
            return None;
        }
        let [weights, frames] = sliced(graph, each)[..] else {
            return None;
        };
        let [_, _, _, sums] = &each.1.outputs[..] else {
            return None;
        };
        let collected = stack(graph, sums)?.output()?;
        // The second loop takes a row of that, and puts what fired into its place.
        let gathers = |(number, _): &Numbered<'_>| {
            let mut inner = graph.run_by(*number);
            inner.any(|node| node.is("Gather") && node.input(0) == Some(collected))
                && graph.run_by(*number).any(|node| node.is("ScatterND"))
        };
        let (_, second) = loops(graph).find(gathers)?;
        let [_, tokens] = &second.outputs[..] else {
            return None;
        };
        let cut = only(graph, tokens, "Slice").filter(|node| node.start.is_some())?;
        let sums = graph.origin("token_num", &SAME_NUMBER);
        let sum = graph.producer(sums).filter(|node| node.is("ReduceSum"))?;
        (sum.start? < start(cut)).then_some(Self {
            weights,
            frames,
            sums,
            cut,
        })
    }

    /// The nodes that make the tokens.
    fn at_once(&self) -> Vec<u8> {
        let mut nodes = Nodes::new("tokens");
        let (begins, ends) = nodes.sums(self.weights);
        let (first, second) = (
            nodes.whole("first", &[1], 1),
            nodes.whole("second", &[1], 2),
        );
        let ends = nodes.make("Unsqueeze", &[&ends, &first], "ends_of_frames", &[]);
        let begins = nodes.make("Unsqueeze", &[&begins, &first], "begins_of_frames", &[]);
        // A row has as many tokens as token_num says, which has rounded the same sum.
        let counts = nodes.make("Floor", &[self.sums], "whole", &[]);
        let counts = nodes.cast(&counts, Element::INT64, "counts");
        let most = nodes.make("ReduceMax", &[&counts], "most", &[integer("keepdims", 0)]);
        // The decoder takes no empty axis; that a row has no token is known from its number.
        let one = nodes.whole("one", &[], 1);
        let longest = nodes.make("Max", &[&most, &one], "longest", &[]);
        let zero = nodes.whole("zero", &[], 0);
        let tokens = nodes.make("Range", &[&zero, &longest, &one], "numbers", &[]);
        let counts = nodes.make("Unsqueeze", &[&counts, &first], "counts_of_rows", &[]);
        let there = nodes.make("Less", &[&tokens, &counts], "there", &[]);
        let there = nodes.cast(&there, Element::FP64, "share_of_token");
        let there = nodes.make("Unsqueeze", &[&there, &second], "share_of_tokens", &[]);
        let from = nodes.cast(&tokens, Element::FP64, "from");
        let from = nodes.make("Unsqueeze", &[&from, &first], "from_tokens", &[]);
        let unit = nodes.real("unit", 1.0);
        let to = nodes.make("Add", &[&from, &unit], "to_tokens", &[]);
        let end = nodes.make("Min", &[&ends, &to], "end", &[]);
        let begin = nodes.make("Max", &[&begins, &from], "begin", &[]);
        let overlap = nodes.make("Sub", &[&end, &begin], "signed_overlap", &[]);
        let overlap = nodes.make("Relu", &[&overlap], "overlap", &[]);
        let shares = nodes.make("Mul", &[&overlap, &there], "shares_in_double", &[]);
        let shares = nodes.cast(&shares, Element::FP32, "shares");
        nodes.finish("MatMul", &[&shares, self.frames], self.cut, &[])
    }
}

impl<'g> Peaks<'g> {
    fn find(graph: &'g Graph, each: Numbered<'g>) -> Option<Self> {
        const STEP: [(&str, usize); 4] = [
            ("Gather", 1),
            ("SequenceInsert", 1),
            ("GreaterOrEqual", 1),
            ("Where", 1),
        ];
        if !runs(graph, each, &STEP) {
            return None;
        }
        let [weights] = sliced(graph, each)[..] else {
            return None;
        };
        let [_, sums] = &each.1.outputs[..] else {
            return None;
        };
        Some(Self {
            weights,
            threshold: threshold(graph, each)?,
            stack: stack(graph, sums)?,
        })
    }

    /// The nodes that make the sums since the last firing.
    fn at_once(&self) -> Vec<u8> {
        let mut nodes = Nodes::new("peaks");
        let (begins, ends) = nodes.sums(self.weights);
        let threshold = nodes.real("threshold", f64::from(self.threshold));
        let firings = nodes.make("Div", &[&begins, &threshold], "firings", &[]);
        let firings = nodes.make("Floor", &[&firings], "whole_firings", &[]);
        let fired = nodes.make("Mul", &[&firings, &threshold], "fired", &[]);
        let since = nodes.make("Sub", &[&ends, &fired], "since", &[]);
        let to = integer("to", Element::FP32.0.into());
        nodes.finish("Cast", &[&since], self.stack, &[to])
    }
}

/// Nodes that are added together; those before `finish` have names within `part`.
struct Nodes {
    part: &'static str,
    bytes: Vec<u8>,
}

impl Nodes {
    fn new(part: &'static str) -> Self {
        Self {
            part,
            bytes: Vec::new(),
        }
    }

    fn name(&self, name: &str) -> String {
        format!("{ADDED}{}/{name}", self.part)
    }

    fn make(
        &mut self,
        operator: &str,
        inputs: &[&str],
        name: &str,
        attributes: &[Vec<u8>],
    ) -> String {
        let name = self.name(name);
        self.bytes
            .extend(operation(ADDED, operator, inputs, &name, attributes));
        name
    }

    fn cast(&mut self, input: &str, to: Element, name: &str) -> String {
        self.make("Cast", &[input], name, &[integer("to", to.0.into())])
    }

    fn whole(&mut self, name: &str, dims: &[u64], number: i64) -> String {
        let value = value(Element::INT64.0, dims, &number.to_le_bytes());
        self.make("Constant", &[], name, &[value])
    }

    fn real(&mut self, name: &str, number: f64) -> String {
        let value = value(Element::FP64.0, &[], &number.to_le_bytes());
        self.make("Constant", &[], name, &[value])
    }

    /// The sums of weights before each frame and with it, in double precision.
    fn sums(&mut self, weights: &str) -> (String, String) {
        let weights = self.cast(weights, Element::FP64, "weights");
        let axis = self.whole("axis", &[], 1);
        let ends = self.make("CumSum", &[&weights, &axis], "ends", &[]);
        let begins = self.make("Sub", &[&ends, &weights], "begins", &[]);
        (begins, ends)
    }

    /// The last node, which makes what `instead` made.
    fn finish(
        mut self,
        operator: &str,
        inputs: &[&str],
        instead: &Node,
        attributes: &[Vec<u8>],
    ) -> Vec<u8> {
        let output = instead.output().unwrap_or_default();
        self.bytes
            .extend(operation(ADDED, operator, inputs, output, attributes));
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;

    fn demo(name: &str) -> Vec<u8> {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        std::fs::read(demo.join(name)).unwrap()
    }

    fn at_once(model: &[u8]) -> Option<Vec<u8>> {
        let edit = collect_at_once(Cursor::new(model), model.len() as u64).unwrap()?;
        let mut written = Vec::new();
        edit.write(Cursor::new(model), &mut written).unwrap();
        Some(written)
    }

    fn operators(model: &[u8]) -> Vec<String> {
        let graph = Graph::read(Cursor::new(model), model.len() as u64).unwrap();
        graph
            .nodes
            .into_iter()
            .filter_map(|node| node.operator)
            .collect()
    }

    #[test]
    fn no_loop_is_left() {
        for name in ["paraformer_bicif", "seaco"] {
            let before = demo(&format!("{name}/model.onnx"));
            let after = at_once(&before).unwrap();
            for operator in [
                "Loop",
                "SequenceEmpty",
                "ConcatFromSequence",
                "ScatterND",
                "NonZero",
            ] {
                let count = |model| {
                    operators(model)
                        .iter()
                        .filter(|each| *each == operator)
                        .count()
                };
                assert!(count(&before) > 0, "{name}: {operator}");
                assert_eq!(count(&after), 0, "{name}: {operator}");
            }
            // What is left is not edited twice.
            assert!(at_once(&after).is_none(), "{name}");
            let size = |model: &[u8]| model.len() as u64;
            let interface = |model: &[u8]| {
                crate::Interface::read_from(Cursor::new(model), size(model)).unwrap()
            };
            assert_eq!(interface(&before).outputs, interface(&after).outputs);
        }
    }

    #[test]
    fn others_stay_as_they_are() {
        for name in ["paraformer", "sensevoice", "paraformer_online"] {
            assert!(
                at_once(&demo(&format!("{name}/model.onnx"))).is_none(),
                "{name}"
            );
        }
    }
}
