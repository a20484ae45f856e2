//! Where a model's weights are in its file, and a model that says so in place of holding them.

use std::collections::HashSet;
use std::io::{Read, Seek};
use std::ops::Range;

use crate::edit::{Edit, find_graph};
use crate::error::{OnnxError, Result};
use crate::interface::{Element, Tensor};
use crate::proto::{entry, graph, tensor};
use crate::wire::{Field, Walker, packed, text, write_bytes, write_number};

/// A weight whose values stand in the file as they stand in memory: little-endian, the last dimension the innermost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weight {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub element: Element,
    /// Its dimensions.
    pub dims: Vec<i64>,
    /// Where its values are, in bytes from the file's beginning.
    pub place: Range<u64>,
}

/// The weights of the graph in the `length` bytes of an ONNX file that have at least `smallest` bytes, without reading them. Those
/// that are elsewhere, in other files or in fields of single numbers, are left out, and so are inputs' default values.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn weights(
    reader: impl Read + Seek,
    length: u64,
    smallest: u64,
) -> std::result::Result<Vec<Weight>, OnnxError> {
    let mut walker = Walker::new(reader)?;
    let place = find_graph(&mut walker, length)?;
    let found = find(&mut walker, &place)?;
    let weights = found.into_iter().map(|(weight, _)| weight);
    Ok(weights.filter(|weight| weight.size() >= smallest).collect())
}

/// An edit of the ONNX file of `length` bytes after which the weights that `choose` picks are where they are now: in that file, called
/// `file`, which is to be beside the edited one. What the edit writes is as much smaller.
///
/// # Errors
/// If the file cannot be read or is not ONNX.
pub fn refer_to_weights(
    reader: impl Read + Seek,
    length: u64,
    file: &str,
    choose: impl Fn(&Weight) -> bool,
) -> std::result::Result<Edit, OnnxError> {
    let mut walker = Walker::new(reader)?;
    let place = find_graph(&mut walker, length)?;
    let found = find(&mut walker, &place)?;
    let chosen = found.into_iter().filter(|(weight, _)| choose(weight));
    let splices = chosen.map(|(weight, span)| {
        let reference = write_bytes(graph::INITIALIZER, &weight.reference(file));
        (span, reference)
    });
    Ok(Edit::new(place, length, splices.collect()))
}

/// The weights of a graph that are no input's default value, and where they are described.
fn find(walker: &mut Walker<impl Read + Seek>, place: &Field) -> Result<Vec<(Weight, Range<u64>)>> {
    let mut weights = Vec::new();
    let mut inputs = HashSet::new();
    while let Some(field) = walker.field(place.body.end)? {
        if field.is(graph::INITIALIZER) {
            let weight = Weight::read(walker, &field)?;
            weights.extend(weight.map(|weight| (weight, field.span())));
        } else if field.is(graph::INPUT) {
            inputs.insert(Tensor::decode(&walker.bytes(&field)?)?.name);
        } else {
            walker.skip(&field)?;
        }
    }
    weights.retain(|(weight, _)| !inputs.contains(&weight.name));
    Ok(weights)
}

impl Weight {
    fn size(&self) -> u64 {
        self.place.end - self.place.start
    }

    /// An initializer whose values are in a file.
    fn reference(&self, file: &str) -> Vec<u8> {
        /// `TensorProto.DataLocation`
        const EXTERNAL: u64 = 1;
        let mut bytes = Vec::new();
        for dim in &self.dims {
            bytes.extend(write_number(tensor::DIMS, dim.cast_unsigned()));
        }
        let element = u64::from(self.element.0.cast_unsigned());
        bytes.extend(write_number(tensor::DATA_TYPE, element));
        bytes.extend(write_bytes(tensor::NAME, self.name.as_bytes()));
        let (offset, length) = (self.place.start.to_string(), self.size().to_string());
        for (key, value) in [("location", file), ("offset", &offset), ("length", &length)] {
            let mut pair = write_bytes(entry::KEY, key.as_bytes());
            pair.extend(write_bytes(entry::VALUE, value.as_bytes()));
            bytes.extend(write_bytes(tensor::EXTERNAL_DATA, &pair));
        }
        bytes.extend(write_number(tensor::DATA_LOCATION, EXTERNAL));
        bytes
    }

    /// Reads an initializer of the graph, passing over its values; `None` if they are elsewhere.
    fn read(walker: &mut Walker<impl Read + Seek>, place: &Field) -> Result<Option<Self>> {
        let mut weight = Self::default();
        let mut here = false;
        while let Some(field) = walker.field(place.body.end)? {
            if let Some(dim) = field.number(tensor::DIMS) {
                weight.dims.push(dim.cast_signed());
            } else if let Some(number) = field.number(tensor::DATA_TYPE) {
                weight.element = Element(i32::try_from(number).unwrap_or_default());
            } else if field.is(tensor::DIMS) {
                weight.dims.extend(packed(&walker.bytes(&field)?)?);
            } else if field.is(tensor::NAME) {
                weight.name = text(&walker.bytes(&field)?);
            } else {
                if field.is(tensor::RAW_DATA) {
                    weight.place = field.body.clone();
                    here = true;
                }
                walker.skip(&field)?;
            }
        }
        Ok(here.then_some(weight))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufReader, Cursor, SeekFrom};
    use std::path::Path;

    use super::*;
    use crate::Interface;

    fn demo(name: &str) -> (BufReader<File>, u64) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        let file = File::open(path.join(name)).unwrap();
        let length = file.metadata().unwrap().len();
        (BufReader::new(file), length)
    }

    #[test]
    fn weights_are_as_long_as_their_dimensions_say() {
        let (reader, length) = demo("sensevoice/model.onnx");
        let found = weights(reader, length, 4096).unwrap();
        assert!(found.len() > 10, "{}", found.len());
        for weight in &found {
            assert_eq!(weight.element, Element::FP32, "{}", weight.name);
            let count: i64 = weight.dims.iter().product();
            assert_eq!(weight.size(), 4 * u64::try_from(count).unwrap());
            assert!(weight.size() >= 4096);
        }
        // Nearly all of the file.
        let total: u64 = found.iter().map(Weight::size).sum();
        assert!(total > length * 9 / 10, "{total} of {length} bytes");
    }

    #[test]
    fn what_is_there_are_the_values() {
        let (mut reader, length) = demo("sensevoice/model.onnx");
        let found = weights(&mut reader, length, 4096).unwrap();
        let weight = &found[0];
        reader.seek(SeekFrom::Start(weight.place.start)).unwrap();
        let mut bytes = vec![0; usize::try_from(weight.size()).unwrap()];
        reader.read_exact(&mut bytes).unwrap();
        let values = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .copied()
            .map(f32::from_le_bytes);
        // Trained weights: small numbers, not all the same.
        let largest = values.map(f32::abs).fold(0.0, f32::max);
        assert!(largest > 1e-3 && largest < 100.0, "{largest}");
    }

    #[test]
    fn what_refers_to_weights_holds_none() {
        let (mut reader, length) = demo("sensevoice/model.onnx");
        let found = weights(&mut reader, length, 4096).unwrap();
        let chosen = |weight: &Weight| found.contains(weight);
        let edit = refer_to_weights(&mut reader, length, "model.onnx", chosen).unwrap();
        let mut smaller = Vec::new();
        edit.write(&mut reader, &mut smaller).unwrap();
        let total: u64 = found.iter().map(Weight::size).sum();
        let size = smaller.len() as u64;
        assert!(
            size < length - total + 200 * found.len() as u64,
            "{size} bytes"
        );
        // It takes and gives the same, and names the file.
        let after = Interface::read_from(Cursor::new(&smaller), size).unwrap();
        let before = Interface::read_from(&mut reader, length).unwrap();
        assert_eq!(after.external_files, ["model.onnx".to_owned()].into());
        assert_eq!(
            (after.inputs, after.outputs),
            (before.inputs, before.outputs)
        );
        assert!(
            weights(Cursor::new(&smaller), size, 4096)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_reference_is_as_onnx_has_it() {
        let weight = Weight {
            name: "w".to_owned(),
            element: Element::FP32,
            dims: vec![2, 3],
            place: 100..124,
        };
        let entry = |key: &[u8], value: &[u8]| {
            let pair = [write_bytes(1, key), write_bytes(2, value)].concat();
            write_bytes(13, &pair)
        };
        let expected = [
            vec![8, 2, 8, 3, 16, 1],
            write_bytes(8, b"w"),
            entry(b"location", b"m.onnx"),
            entry(b"offset", b"100"),
            entry(b"length", b"24"),
            vec![14 << 3, 1],
        ];
        assert_eq!(weight.reference("m.onnx"), expected.concat());
    }

    #[test]
    fn small_ones_are_left_out() {
        let (reader, length) = demo("sensevoice/model.onnx");
        assert!(weights(reader, length, length).unwrap().is_empty());
    }
}
