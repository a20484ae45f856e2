//! Whatever the bytes are: an answer or an error.

use std::io::Cursor;

use onnx_file::{Ids, Interface, OnnxError, Silence, guard_silence, keep_ids, table_rows};
use proptest::prelude::*;

/// Reads the bytes in all ways, and makes the edit that is offered.
fn read(bytes: &[u8]) -> Result<(), OnnxError> {
    let length = bytes.len() as u64;
    let reader = || Cursor::new(bytes);
    drop(Interface::read_from(reader(), length));
    drop(table_rows(reader(), length, "a"));
    if let Ok(Silence::Guard(edit)) = guard_silence(reader(), length) {
        edit.write(reader(), &mut Vec::new())?;
    }
    if let Ok(Ids::Edit(edit)) = keep_ids(reader(), length, "a") {
        edit.write(reader(), &mut Vec::new())?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        prop_assert!(read(&bytes).is_ok());
        // As a graph, and as a node.
        prop_assert!(read(&field(7, &bytes)).is_ok());
        prop_assert!(read(&field(7, &field(1, &bytes))).is_ok());
    }
}

/// A message as a field.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = body.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    [bytes, body.to_vec()].concat()
}

#[test]
fn graphs_nested_too_deep_are_refused() {
    // A graph with a node with an attribute with a graph, and so on.
    let graph = (0..150).fold(Vec::new(), |graph, _| {
        field(1, &field(5, &field(6, &graph)))
    });
    let file = field(7, &graph);
    let length = file.len() as u64;
    let error = Interface::read_from(Cursor::new(&file), length).unwrap_err();
    assert!(error.to_string().contains("nested too deep"), "{error}");
    assert!(guard_silence(Cursor::new(&file), length).is_err());
}
