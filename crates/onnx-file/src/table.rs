//! Tables of weights from which inputs pick rows.

use std::io::{Read, Seek};

use crate::error::OnnxError;
use crate::graph::Graph;

/// What leaves an id what it is.
const SAME_ID: [&str; 6] = [
    "Cast",
    "Flatten",
    "Identity",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
];

/// How many rows the table has, a weight in an ONNX file of `length` bytes, from which the ids in an input pick: the smallest, if there
/// are several. `None` if the input picks from none.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn table_rows(
    reader: impl Read + Seek,
    length: u64,
    input: &str,
) -> std::result::Result<Option<u64>, OnnxError> {
    let graph = Graph::read(reader, length)?;
    let picked = graph.nodes.iter().filter(|node| {
        let ids = node.input(1).filter(|_| node.is("Gather"));
        ids.is_some_and(|ids| graph.origin(ids, &SAME_ID) == input)
    });
    let rows = picked.filter_map(|node| {
        let dims = graph.initializers.get(node.input(0)?)?;
        u64::try_from(*dims.first()?).ok()
    });
    Ok(rows.min())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::*;

    fn rows(name: &str, input: &str) -> Option<u64> {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        let file = File::open(demo.join(name)).unwrap();
        let length = file.metadata().unwrap().len();
        table_rows(std::io::BufReader::new(file), length, input).unwrap()
    }

    #[test]
    fn ids_pick_rows_of_the_embedding() {
        for name in ["sensevoice/model.onnx", "sensevoice/model_quant.onnx"] {
            assert_eq!(rows(name, "language"), Some(16));
            assert_eq!(rows(name, "textnorm"), Some(16));
            assert_eq!(rows(name, "speech_lengths"), None);
        }
        assert_eq!(rows("paraformer/model.onnx", "language"), None);
    }
}
