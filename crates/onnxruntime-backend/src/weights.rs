//! Weights that the instances of a model have in common.
//!
//! ONNX Runtime gives every session weights of its own: the values, and for the operators that compute faster with it a copy in
//! another order. If a session is handed its weights, and the container in which such copies are kept, it uses what is there.
//! Sessions on the CPU only: other providers bring weights to their device themselves.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytemuck::Pod;
use half::f16;
use onnx_file::{Element, Weight, weights};
use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};
use triton_backend::{Error, with_room};

/// What is smaller is not worth it, in bytes.
const SMALLEST: u64 = 16 << 10;

/// The weights of a model.
pub(crate) struct SharedWeights {
    values: Vec<(String, Arc<DynValue>)>,
    /// What ONNX Runtime makes of them.
    rearranged: PrepackedWeights,
}

impl SharedWeights {
    /// Reads the large weights of an ONNX file; what else it holds each session reads for itself.
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let cannot = |error: &dyn std::fmt::Display| {
            let file = file.display();
            Error::invalid(format!("cannot read the weights of '{file}': {error}"))
        };
        let mut source = BufReader::new(File::open(file).map_err(|error| cannot(&error))?);
        let length = source
            .get_ref()
            .metadata()
            .map_err(|error| cannot(&error))?;
        let found = weights(&mut source, length.len(), SMALLEST).map_err(|error| cannot(&error))?;
        let mut values = Vec::with_capacity(found.len());
        for weight in found {
            let value = match weight.element {
                Element::FP32 => value::<f32>(&mut source, &weight),
                Element::FP16 => value::<f16>(&mut source, &weight),
                Element::UINT8 => value::<u8>(&mut source, &weight),
                Element::INT8 => value::<i8>(&mut source, &weight),
                _ => continue,
            };
            let value = value.map_err(|error| cannot(&error))?;
            values.push((weight.name, Arc::new(value)));
        }
        Ok(Self {
            values,
            rearranged: PrepackedWeights::new(),
        })
    }

    /// Whether a weight of the file's is among them.
    pub(crate) fn holds(&self, weight: &Weight) -> bool {
        self.values.iter().any(|(name, _)| *name == weight.name)
    }

    /// Lets a session use them.
    pub(crate) fn give(&self, mut builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        for (name, value) in &self.values {
            builder = builder.with_initializer(name, Arc::clone(value))?;
        }
        Ok(builder.with_prepacked_weights(&self.rearranged)?)
    }
}

/// A weight's values.
fn value<T>(source: &mut (impl Read + Seek), weight: &Weight) -> Result<DynValue, Error>
where
    T: PrimitiveTensorElementType + Pod + std::fmt::Debug,
{
    let named =
        |error: &dyn std::fmt::Display| Error::invalid(format!("'{}': {error}", weight.name));
    let size = usize::try_from(weight.place.end - weight.place.start)
        .map_err(|_| named(&"it is larger than the address space"))?;
    if size % size_of::<T>() != 0 {
        return Err(named(&format_args!(
            "its {size} bytes are no whole number of elements"
        )));
    }
    let count = size / size_of::<T>();
    let mut values = with_room::<T>(count, format_args!("weight '{}'", weight.name))?;
    values.resize(count, T::zeroed());
    source
        .seek(SeekFrom::Start(weight.place.start))
        .and_then(|_| source.read_exact(bytemuck::cast_slice_mut(&mut values)))
        .map_err(|error| named(&error))?;
    let tensor = Tensor::from_array((weight.dims.as_slice(), values));
    // A tensor whose values are not as many as its dimensions say is refused here.
    Ok(tensor.map_err(|error| named(&error))?.into_dyn())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_is_no_whole_number_of_elements_is_named() {
        let weight = Weight {
            name: "w".to_owned(),
            element: Element::FP32,
            dims: vec![2],
            place: 0..7,
        };
        let error = value::<f32>(&mut Cursor::new([0; 8]), &weight).map(drop);
        let message = error.unwrap_err().to_string();
        assert_eq!(message, "'w': its 7 bytes are no whole number of elements");
    }
}
