//! Nodes to add to a graph.

use crate::proto::{attribute, graph, node, tensor};
use crate::wire::{write_bytes, write_number};

/// A node's field. It is named for `added`, what all names of an edit's own begin with, and for what it does.
pub(crate) fn operation(
    added: &str,
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    operation_of_several(added, operator, inputs, &[output], attributes)
}

/// The same with several outputs.
pub(crate) fn operation_of_several(
    added: &str,
    operator: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let mut node = Vec::new();
    for (number, names) in [(node::INPUT, inputs), (node::OUTPUT, outputs)] {
        for name in names {
            node.extend(write_bytes(number, name.as_bytes()));
        }
    }
    let first = outputs.first().copied().unwrap_or_default();
    node.extend(write_bytes(
        node::NAME,
        format!("{added}{operator}/{first}").as_bytes(),
    ));
    node.extend(write_bytes(node::OP_TYPE, operator.as_bytes()));
    for attribute in attributes {
        node.extend(write_bytes(node::ATTRIBUTE, attribute));
    }
    write_bytes(graph::NODE, &node)
}

/// An attribute that is a number.
pub(crate) fn integer(name: &str, value: i64) -> Vec<u8> {
    [
        write_bytes(attribute::NAME, name.as_bytes()),
        write_number(attribute::INT, value.cast_unsigned()),
        write_number(attribute::TYPE, attribute::TYPE_INT),
    ]
    .concat()
}

/// An attribute that is a list of one number.
pub(crate) fn integers(name: &str, value: i64) -> Vec<u8> {
    [
        write_bytes(attribute::NAME, name.as_bytes()),
        write_number(attribute::INTS, value.cast_unsigned()),
        write_number(attribute::TYPE, attribute::TYPE_INTS),
    ]
    .concat()
}

/// The attribute of a node `Constant`: a tensor with these dimensions and bytes.
pub(crate) fn value(data_type: i32, dims: &[u64], bytes: &[u8]) -> Vec<u8> {
    let mut value: Vec<u8> = dims
        .iter()
        .flat_map(|dim| write_number(tensor::DIMS, *dim))
        .collect();
    value.extend(write_number(
        tensor::DATA_TYPE,
        u64::from(data_type.cast_unsigned()),
    ));
    value.extend(write_bytes(tensor::RAW_DATA, bytes));
    [
        write_bytes(attribute::NAME, b"value"),
        write_bytes(attribute::TENSOR, &value),
        write_number(attribute::TYPE, attribute::TYPE_TENSOR),
    ]
    .concat()
}
