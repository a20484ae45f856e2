//! Taking outputs out of an ONNX file that the config does not list.
//!
//! ONNX Runtime runs all nodes of a graph in every run, whatever outputs are asked for. So outputs that nobody can ask for
//! are taken out before it sees the file, with the nodes that lead to nothing else.
//!
//! An ONNX file is a protobuf message. Only the fields of onnx.proto named below are looked at; everything else stays as it
//! is, byte by byte.

use std::collections::HashSet;
use std::io::{self, BufRead, Cursor, Read, Seek};
use std::ops::Range;

/// `ModelProto.graph`
const GRAPH: u64 = 7;
/// `GraphProto.node`
const NODE: u64 = 1;
/// `GraphProto.output`
const OUTPUT: u64 = 12;
/// `ValueInfoProto.name`
const NAME: u64 = 1;
/// `NodeProto.input`
const NODE_INPUT: u64 = 1;
/// `NodeProto.output`
const NODE_OUTPUT: u64 = 2;
/// `NodeProto.attribute`
const NODE_ATTRIBUTE: u64 = 5;
/// `AttributeProto.g` and `AttributeProto.graphs`: the bodies of loops and branches.
const SUBGRAPHS: [u64; 2] = [6, 11];

/// The names of the outputs of an ONNX file.
///
/// # Errors
/// If the file cannot be read or is not a protobuf message with a graph.
pub(crate) fn output_names(file: &mut (impl BufRead + Seek)) -> io::Result<Vec<String>> {
    let graph = find_graph(file)?;
    let mut names = Vec::new();
    while file.stream_position()? < graph.end() {
        let field = Field::read(file)?.ok_or_else(malformed)?;
        if field.is(OUTPUT) {
            // Not sized in advance: a file that is no ONNX may claim any size.
            let mut message = Vec::new();
            file.take(field.size).read_to_end(&mut message)?;
            let name = named(&message, NAME)?.pop().ok_or_else(malformed)?;
            names.push(String::from_utf8_lossy(name).into_owned());
        } else {
            skip(file, field.size)?;
        }
    }
    Ok(names)
}

/// An ONNX file without the outputs that are not to be kept, and without the nodes that only they needed.
///
/// # Errors
/// If `model` is not an ONNX file.
pub(crate) fn keep_outputs(model: &[u8], keep: impl Fn(&str) -> bool) -> io::Result<Vec<u8>> {
    let graph = find_graph(&mut Cursor::new(model))?;
    let fields = fields(model, graph.body..graph.end())?;
    let mut needed: HashSet<&[u8]> = HashSet::new();
    let mut dropped: Vec<Range<u64>> = Vec::new();
    for field in fields.iter().filter(|field| field.is(OUTPUT)) {
        let names = named(field.bytes(model)?, NAME)?;
        let name = names.first().copied().ok_or_else(malformed)?;
        if keep(&String::from_utf8_lossy(name)) {
            needed.insert(name);
        } else {
            dropped.push(field.start..field.end());
        }
    }
    // Nodes stand after those whose outputs they take.
    for field in fields.iter().rev().filter(|field| field.is(NODE)) {
        let node = field.bytes(model)?;
        let mut outputs = named(node, NODE_OUTPUT)?.into_iter();
        if outputs.any(|name| needed.contains(name)) {
            references(node, &mut needed, DEEPEST)?;
        } else {
            dropped.push(field.start..field.end());
        }
    }
    dropped.sort_by_key(|range| range.start);
    cut(model, &graph, &dropped)
}

/// How deep graphs may be nested, as far as the parsers of protobuf go.
const DEEPEST: usize = 100;

/// Adds the names that a node takes, itself or in the graphs it runs.
fn references<'m>(node: &'m [u8], names: &mut HashSet<&'m [u8]>, depth: usize) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(malformed)?;
    for name in named(node, NODE_INPUT)? {
        // An optional input that is left out has no name.
        if !name.is_empty() {
            names.insert(name);
        }
    }
    for attribute in named(node, NODE_ATTRIBUTE)? {
        for number in SUBGRAPHS {
            for graph in named(attribute, number)? {
                for inner in named(graph, NODE)? {
                    references(inner, names, depth)?;
                }
                for output in named(graph, OUTPUT)? {
                    names.extend(named(output, NAME)?);
                }
            }
        }
    }
    Ok(())
}

/// The model without some ranges of its graph.
fn cut(model: &[u8], graph: &Field, dropped: &[Range<u64>]) -> io::Result<Vec<u8>> {
    let size: u64 = dropped.iter().map(|range| range.end - range.start).sum();
    let mut rest = Vec::with_capacity(model.len());
    rest.extend_from_slice(part(model, 0..graph.length_start)?);
    write_varint(&mut rest, graph.size - size);
    let mut position = graph.body;
    for range in dropped {
        rest.extend_from_slice(part(model, position..range.start)?);
        position = range.end;
    }
    let end = u64::try_from(model.len()).map_err(|_| malformed())?;
    rest.extend_from_slice(part(model, position..end)?);
    Ok(rest)
}

fn part(bytes: &[u8], range: Range<u64>) -> io::Result<&[u8]> {
    let start = usize::try_from(range.start).map_err(|_| malformed())?;
    let end = usize::try_from(range.end).map_err(|_| malformed())?;
    bytes.get(start..end).ok_or_else(malformed)
}

fn find_graph(file: &mut (impl BufRead + Seek)) -> io::Result<Field> {
    while let Some(field) = Field::read(file)? {
        if field.is(GRAPH) {
            return Ok(field);
        }
        skip(file, field.size)?;
    }
    Err(malformed())
}

/// The fields in part of a message.
fn fields(bytes: &[u8], range: Range<u64>) -> io::Result<Vec<Field>> {
    let mut cursor = Cursor::new(part(bytes, 0..range.end)?);
    cursor.set_position(range.start);
    let mut fields = Vec::new();
    while let Some(field) = Field::read(&mut cursor)? {
        skip(&mut cursor, field.size)?;
        fields.push(field);
    }
    Ok(fields)
}

/// The bodies of a message's fields of one number: messages or strings.
fn named(message: &[u8], number: u64) -> io::Result<Vec<&[u8]>> {
    let end = u64::try_from(message.len()).map_err(|_| malformed())?;
    fields(message, 0..end)?
        .iter()
        .filter(|field| field.is(number))
        .map(|field| field.bytes(message))
        .collect()
}

/// A protobuf field.
struct Field {
    number: u64,
    has_length: bool,
    start: u64,
    length_start: u64,
    body: u64,
    size: u64,
}

impl Field {
    /// Reads up to the field's body; `None` at the end.
    fn read(file: &mut (impl BufRead + Seek)) -> io::Result<Option<Self>> {
        if file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let start = file.stream_position()?;
        let key = read_varint(file)?;
        let length_start = file.stream_position()?;
        let (has_length, size) = match key & 7 {
            0 => {
                read_varint(file)?;
                (false, 0)
            }
            1 => (false, 8),
            2 => (true, read_varint(file)?),
            5 => (false, 4),
            _ => return Err(malformed()),
        };
        let body = file.stream_position()?;
        body.checked_add(size).ok_or_else(malformed)?;
        Ok(Some(Self {
            number: key >> 3,
            has_length,
            start,
            length_start,
            body,
            size,
        }))
    }

    /// Whether it is a message or string of that number.
    fn is(&self, number: u64) -> bool {
        self.number == number && self.has_length
    }

    fn end(&self) -> u64 {
        self.body + self.size
    }

    fn bytes<'m>(&self, message: &'m [u8]) -> io::Result<&'m [u8]> {
        part(message, self.body..self.end())
    }
}

fn skip(file: &mut (impl BufRead + Seek), size: u64) -> io::Result<()> {
    file.seek_relative(i64::try_from(size).map_err(|_| malformed())?)
}

fn read_varint(file: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok(value);
        }
    }
    Err(malformed())
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an ONNX file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_varint(&mut bytes, number << 3 | 2);
        write_varint(&mut bytes, body.len() as u64);
        bytes.extend_from_slice(body);
        bytes
    }

    fn node(inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
        let inputs = inputs
            .iter()
            .map(|name| field(NODE_INPUT, name.as_bytes()))
            .collect::<Vec<_>>()
            .concat();
        let outputs = outputs
            .iter()
            .map(|name| field(NODE_OUTPUT, name.as_bytes()))
            .collect::<Vec<_>>()
            .concat();
        let kind = field(4, b"Add");
        field(NODE, &[inputs, outputs, kind, attributes.concat()].concat())
    }

    fn output(name: &str) -> Vec<u8> {
        // A name, and after it a type with a number in it.
        let body = [field(NAME, name.as_bytes()), field(2, &[8, 1])].concat();
        field(OUTPUT, &body)
    }

    fn model(nodes: &[Vec<u8>], outputs: &[&str]) -> Vec<u8> {
        let outputs: Vec<u8> = outputs.iter().flat_map(|name| output(name)).collect();
        let weights = field(5, &[7; 300]);
        let graph = [nodes.concat(), field(2, b"name"), weights, outputs].concat();
        [vec![8, 9], field(GRAPH, &graph), field(8, b"opset")].concat()
    }

    fn names(model: &[u8]) -> Vec<String> {
        output_names(&mut Cursor::new(model)).unwrap()
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
    fn what_a_branch_takes_from_outside_stays() {
        let inner = [node(&["outside"], &["y"], &[]), output("passed")].concat();
        let attribute = field(NODE_ATTRIBUTE, &field(SUBGRAPHS[0], &inner));
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
    fn other_files_are_refused() {
        let whole = model(&[node(&["x"], &["sum"], &[])], &["sum"]);
        for bytes in [
            &b""[..],
            b"these are not the bytes of a model",
            &[0xff; 40],
            &whole[..100],
        ] {
            assert!(output_names(&mut Cursor::new(bytes)).is_err());
            assert!(keep_outputs(bytes, |_| true).is_err());
        }
    }
}
