//! The nodes of a model, those within branches and loops too, and the sizes of its weights.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek};

use crate::edit::find_graph;
use crate::error::{Result, not_onnx};
use crate::interface::{Element, Initializer, Tensor};
use crate::proto::{DEEPEST, attribute, graph, model, node, opset, tensor};
use crate::wire::{Field, Walker, fields, named, number, part, string, text};

/// What a model computes.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Where it is in the file.
    pub(crate) place: Field,
    /// The version of ONNX's own operators.
    pub(crate) opset: i64,
    pub(crate) outputs: Vec<String>,
    /// The dimensions of weights.
    pub(crate) initializers: HashMap<String, Vec<i64>>,
    /// All nodes, each before those of the graphs that it runs.
    pub(crate) nodes: Vec<Node>,
    /// Who makes a value, by its name; `None` for names that several nodes use.
    producers: HashMap<String, Option<usize>>,
    /// Who takes a value.
    consumers: HashMap<String, Vec<usize>>,
    /// What a graph hands out: the outputs of the model's own graph and of those that nodes run.
    results: HashSet<String>,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    /// The operator, if it is one of ONNX's own.
    pub(crate) operator: Option<String>,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    /// The node that runs it, and the attribute of that node which holds it; `None` in the model's own graph.
    pub(crate) within: Option<(usize, String)>,
    /// The attribute `to`.
    pub(crate) to: Option<i64>,
    /// The number that a `Constant` makes, if it is a single one in single precision.
    pub(crate) number: Option<f32>,
    /// Where it is in the file, if it is in the model's own graph.
    pub(crate) start: Option<u64>,
}

impl Graph {
    /// Reads the graph in the `length` bytes of an ONNX file.
    pub(crate) fn read(reader: impl Read + Seek, length: u64) -> Result<Self> {
        let mut walker = Walker::new(reader)?;
        let opset = opset_version(&mut walker, length)?;
        walker.go_to(0)?;
        let place = find_graph(&mut walker, length)?;
        let mut read = Self {
            place: place.clone(),
            opset,
            outputs: Vec::new(),
            initializers: HashMap::new(),
            nodes: Vec::new(),
            producers: HashMap::new(),
            consumers: HashMap::new(),
            results: HashSet::new(),
        };
        while let Some(field) = walker.field(place.body.end)? {
            if field.is(graph::NODE) {
                let node = walker.bytes(&field)?;
                read.add(&node, None, Some(field.start), DEEPEST)?;
            } else if field.is(graph::INITIALIZER) {
                let initializer = Initializer::read(&mut walker, &field)?;
                read.initializers.insert(initializer.name, initializer.dims);
            } else if field.is(graph::OUTPUT) {
                let output = Tensor::decode(&walker.bytes(&field)?)?;
                read.results.insert(output.name.clone());
                read.outputs.push(output.name);
            }
            walker.skip(&field)?;
        }
        Ok(read)
    }

    /// Adds a node and what it runs.
    fn add(
        &mut self,
        bytes: &[u8],
        within: Option<(usize, String)>,
        start: Option<u64>,
        depth: usize,
    ) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return not_onnx("its graphs are nested too deep");
        };
        let names = |number| named(bytes, number).map(|name| name.map(text));
        let domain = string(bytes, node::DOMAIN)?.unwrap_or_default();
        let number = self.nodes.len();
        let node = Node {
            operator: string(bytes, node::OP_TYPE)?.filter(|_| matches!(&*domain, "" | "ai.onnx")),
            inputs: names(node::INPUT).collect::<Result<_>>()?,
            outputs: names(node::OUTPUT).collect::<Result<_>>()?,
            within,
            to: to(bytes)?,
            number: constant(bytes)?,
            start,
        };
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            let producer = self.producers.entry(name.clone());
            producer
                .and_modify(|other| *other = None)
                .or_insert(Some(number));
        }
        for name in &node.inputs {
            self.consumers.entry(name.clone()).or_default().push(number);
        }
        self.nodes.push(node);
        for attribute in named(bytes, node::ATTRIBUTE) {
            let attribute = attribute?;
            let name = string(attribute, attribute::NAME)?.unwrap_or_default();
            for field in fields(attribute) {
                let field = field?;
                if field.is(attribute::GRAPH) || field.is(attribute::GRAPHS) {
                    let graph = part(attribute, field.body)?;
                    for inner in named(graph, graph::NODE) {
                        self.add(inner?, Some((number, name.clone())), None, depth)?;
                    }
                    for output in named(graph, graph::OUTPUT) {
                        self.results.insert(Tensor::decode(output?)?.name);
                    }
                }
            }
        }
        Ok(())
    }

    /// The nodes of the graphs that the node of that number runs itself.
    pub(crate) fn run_by(&self, number: usize) -> impl Iterator<Item = &Node> {
        let within = move |node: &&Node| node.within.as_ref().is_some_and(|(by, _)| *by == number);
        self.nodes.iter().skip(number).filter(within)
    }

    /// What a node of the model's own graph takes, itself or in what it runs.
    pub(crate) fn taken(&self, number: usize) -> impl Iterator<Item = &str> {
        let inner = self.nodes.iter().skip(number + 1);
        let inner = inner.take_while(|node| node.within.is_some());
        let all = self.nodes.get(number).into_iter().chain(inner);
        let inputs = all.flat_map(|node| &node.inputs);
        inputs.chain(&self.results).map(String::as_str)
    }

    /// The node that makes a value, if there is exactly one.
    pub(crate) fn producer(&self, value: &str) -> Option<&Node> {
        self.nodes.get((*self.producers.get(value)?)?)
    }

    /// Whether a node or a weight has a value of this name.
    pub(crate) fn knows(&self, value: &str) -> bool {
        self.producers.contains_key(value)
            || self.consumers.contains_key(value)
            || self.initializers.contains_key(value)
    }

    /// The nodes that take a value.
    pub(crate) fn consumers(&self, value: &str) -> impl Iterator<Item = &Node> {
        let numbers = self.consumers.get(value).into_iter().flatten();
        numbers.filter_map(|number| self.nodes.get(*number))
    }

    /// Whether a graph hands the value out, so that more than its consumers have it.
    pub(crate) fn is_result(&self, value: &str) -> bool {
        self.results.contains(value)
    }

    /// The value at the end of a chain of nodes that leave a tensor's meaning as it is, going up from `value`.
    pub(crate) fn origin<'a>(&'a self, value: &'a str, passing: &[&str]) -> &'a str {
        let mut value = value;
        // A file may go round in circles.
        for _ in 0..self.nodes.len() {
            match self.producer(value) {
                Some(node) if node.is_any(passing) => match node.inputs.first() {
                    Some(input) => value = input,
                    None => break,
                },
                _ => break,
            }
        }
        value
    }

    /// Whether each value has a name of its own, wherever it is made.
    pub(crate) fn names_are_unique(&self) -> bool {
        self.producers.values().all(Option::is_some)
    }
}

impl Node {
    pub(crate) fn is(&self, operator: &str) -> bool {
        self.operator.as_deref() == Some(operator)
    }

    pub(crate) fn is_any(&self, operators: &[&str]) -> bool {
        operators.iter().any(|operator| self.is(operator))
    }

    pub(crate) fn input(&self, number: usize) -> Option<&str> {
        self.inputs.get(number).map(String::as_str)
    }

    pub(crate) fn output(&self) -> Option<&str> {
        self.outputs.first().map(String::as_str)
    }
}

/// A node's attribute `to`.
fn to(node: &[u8]) -> Result<Option<i64>> {
    for attribute in named(node, node::ATTRIBUTE) {
        let attribute = attribute?;
        if string(attribute, attribute::NAME)?.as_deref() == Some("to") {
            return number(attribute, attribute::INT);
        }
    }
    Ok(None)
}

/// The number in a node's attribute `value`.
fn constant(node: &[u8]) -> Result<Option<f32>> {
    for attribute in named(node, node::ATTRIBUTE) {
        for tensor in named(attribute?, attribute::TENSOR) {
            let tensor = tensor?;
            let single = number(tensor, tensor::DATA_TYPE)? == Some(Element::FP32.0.into());
            let data = named(tensor, tensor::RAW_DATA).next().transpose()?;
            let data = data
                .filter(|_| single)
                .and_then(|data| data.try_into().ok());
            if let Some(data) = data {
                return Ok(Some(f32::from_le_bytes(data)));
            }
        }
    }
    Ok(None)
}

fn opset_version(walker: &mut Walker<impl Read + Seek>, length: u64) -> Result<i64> {
    let mut version = 0;
    while let Some(field) = walker.field(length)? {
        if field.is(model::OPSET_IMPORT) {
            let import = walker.bytes(&field)?;
            let domain = string(&import, opset::DOMAIN)?.unwrap_or_default();
            if matches!(&*domain, "" | "ai.onnx") {
                version = number(&import, opset::VERSION)?.unwrap_or(0);
            }
        }
        walker.skip(&field)?;
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::proto::value_info;
    use crate::wire::write_bytes;

    #[test]
    fn what_graphs_hand_out_is_a_result() {
        let output = |name: &[u8]| write_bytes(graph::OUTPUT, &write_bytes(value_info::NAME, name));
        let branch = write_bytes(attribute::GRAPH, &output(b"inner"));
        let node = [
            write_bytes(node::OP_TYPE, b"If"),
            write_bytes(node::OUTPUT, b"made"),
            write_bytes(node::ATTRIBUTE, &branch),
        ];
        let graph = [write_bytes(graph::NODE, &node.concat()), output(b"outer")];
        let model = write_bytes(model::GRAPH, &graph.concat());
        let read = Graph::read(Cursor::new(&model), model.len() as u64).unwrap();
        assert!(read.is_result("inner") && read.is_result("outer"));
        assert!(!read.is_result("made"));
    }
}
