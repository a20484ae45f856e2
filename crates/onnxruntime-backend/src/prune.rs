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
        if field.end() > graph.end() {
            return Err(malformed());
        }
        if field.is(OUTPUT) {
            // Not sized in advance: a file that is no ONNX may claim any size.
            let mut message = Vec::new();
            file.take(field.size).read_to_end(&mut message)?;
            names.push(String::from_utf8_lossy(name_of(&message)?).into_owned());
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
    let place = find_graph(&mut Cursor::new(model))?;
    let graph = place.bytes(model)?;
    let mut needed: HashSet<&[u8]> = HashSet::new();
    let mut dropped: Vec<Range<u64>> = Vec::new();
    let mut nodes: Vec<u64> = Vec::new();
    for field in fields(graph) {
        let field = field?;
        if field.is(NODE) {
            nodes.push(field.start);
        } else if field.is(OUTPUT) {
            let name = name_of(field.bytes(graph)?)?;
            if keep(&String::from_utf8_lossy(name)) {
                needed.insert(name);
            } else {
                add(&mut dropped, field.start..field.end());
            }
        }
    }
    // Nodes stand after those whose outputs they take.
    for &start in nodes.iter().rev() {
        let mut cursor = Cursor::new(graph);
        cursor.set_position(start);
        let field = Field::read(&mut cursor)?.ok_or_else(malformed)?;
        let node = field.bytes(graph)?;
        let mut wanted = false;
        for name in named(node, NODE_OUTPUT) {
            wanted |= needed.contains(name?);
        }
        if wanted {
            references(node, &mut needed, DEEPEST)?;
        } else {
            add(&mut dropped, field.start..field.end());
        }
    }
    dropped.sort_by_key(|range| range.start);
    cut(model, &place, &dropped)
}

/// Adds a range to others, to its neighbour if it has one: millions of tiny nodes shall not take a multiple of the file.
fn add(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        Some(last) if last.start == range.end => last.start = range.start,
        _ => ranges.push(range),
    }
}

/// How deep graphs may be nested, as far as the parsers of protobuf go.
const DEEPEST: usize = 100;

/// Adds the names that a node takes, itself or in the graphs it runs.
fn references<'m>(node: &'m [u8], names: &mut HashSet<&'m [u8]>, depth: usize) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(malformed)?;
    for name in named(node, NODE_INPUT) {
        let name = name?;
        // An optional input that is left out has no name.
        if !name.is_empty() {
            names.insert(name);
        }
    }
    for attribute in named(node, NODE_ATTRIBUTE) {
        let attribute = attribute?;
        for number in SUBGRAPHS {
            for graph in named(attribute, number) {
                let graph = graph?;
                for inner in named(graph, NODE) {
                    references(inner?, names, depth)?;
                }
                for output in named(graph, OUTPUT) {
                    names.insert(name_of(output?)?);
                }
            }
        }
    }
    Ok(())
}

/// The model without some ranges of its graph.
fn cut(model: &[u8], place: &Field, dropped: &[Range<u64>]) -> io::Result<Vec<u8>> {
    let graph = place.bytes(model)?;
    let size: u64 = dropped.iter().map(|range| range.end - range.start).sum();
    let mut rest = Vec::with_capacity(model.len());
    rest.extend_from_slice(part(model, 0..place.length_start)?);
    write_varint(
        &mut rest,
        place.size.checked_sub(size).ok_or_else(malformed)?,
    );
    let mut position = 0;
    for range in dropped {
        rest.extend_from_slice(part(graph, position..range.start)?);
        position = range.end;
    }
    rest.extend_from_slice(part(graph, position..place.size)?);
    let end = u64::try_from(model.len()).map_err(|_| malformed())?;
    rest.extend_from_slice(part(model, place.end()..end)?);
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

/// The fields of a message, one after the other. What follows the first error means nothing.
fn fields(message: &[u8]) -> impl Iterator<Item = io::Result<Field>> {
    let mut cursor = Cursor::new(message);
    std::iter::from_fn(move || next_field(&mut cursor).transpose())
}

fn next_field(cursor: &mut Cursor<&[u8]>) -> io::Result<Option<Field>> {
    let Some(field) = Field::read(cursor)? else {
        return Ok(None);
    };
    part(cursor.get_ref(), field.body..field.end())?;
    skip(cursor, field.size)?;
    Ok(Some(field))
}

/// The bodies of a message's fields of one number: messages or strings.
fn named(message: &[u8], number: u64) -> impl Iterator<Item = io::Result<&[u8]>> {
    fields(message).filter_map(move |field| match field {
        Ok(field) => field.is(number).then(|| field.bytes(message)),
        Err(error) => Some(Err(error)),
    })
}

/// The name of a graph's output. Of a field that is there twice the last one counts.
fn name_of(output: &[u8]) -> io::Result<&[u8]> {
    let name = named(output, NAME).try_fold(None, |_, name| name.map(Some));
    name?.ok_or_else(malformed)
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
        let number = key >> 3;
        // No field has the number 0: what is there is no message, but an endless file of zeros, for one.
        if number == 0 || body.checked_add(size).is_none() {
            return Err(malformed());
        }
        Ok(Some(Self {
            number,
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
    use proptest::prelude::*;

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
    fn fields_that_reach_beyond_the_graph_are_refused() {
        let long = [vec![0x0a, 200, 1], vec![b'x'; 200]].concat();
        let graph = [output("y"), long[..20].to_vec()].concat();
        let whole = [field(GRAPH, &graph), long].concat();
        assert!(output_names(&mut Cursor::new(&whole)).is_err());
        for keep in [true, false] {
            assert!(keep_outputs(&whole, |_| keep).is_err());
        }
    }

    #[test]
    fn of_two_names_the_last_one_counts() {
        let both = [field(NAME, b"first"), field(NAME, b"last")].concat();
        let whole = model(&[node(&["x"], &["last"], &[])], &[]);
        let whole = [
            whole[..2].to_vec(),
            field(
                GRAPH,
                &[node(&["x"], &["last"], &[]), field(OUTPUT, &both)].concat(),
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
            fn seek(&mut self, _: io::SeekFrom) -> io::Result<u64> {
                Ok(self.0)
            }
        }
        assert!(output_names(&mut io::BufReader::new(Zeros(0))).is_err());
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
