//! Values that go from one call's answer into later calls without anyone looking at them.

use std::ops::Range;
use std::sync::Arc;

use super::chunk::{Chunk, Data};
use super::reply::{Reply, ReplyOutput};
use crate::element::{Element, as_bytes};
use crate::memory::with_room;
use crate::{Error, cuda, zeroed};

/// A row of some outputs of an answer, to be given to later calls ([`Call::input_carried`](crate::Call::input_carried)): in GPU memory
/// if the callee left the outputs there ([`Call::output_carried`](crate::Call::output_carried)), else in the host's.
///
/// It is its own copy: it holds as much as it says, whatever becomes of the answer, and the callee may be unloaded.
#[derive(Debug)]
pub struct Carried<T>(Place<T>);

#[derive(Debug)]
enum Place<T> {
    Host(Vec<Box<[T]>>),
    Gpu {
        memory: cuda::Piece,
        /// Where each part is, in bytes.
        parts: Vec<Range<usize>>,
    },
}

/// Every GPU library may read tensors that begin at such an address.
const ALIGNED: usize = 256;

impl<T: Element> Carried<T> {
    /// One part of `count` zeros, in the host's memory.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn zeros(count: usize) -> Result<Self, Error> {
        let zeros = zeroed(count, "values of a call")?;
        Ok(Self(Place::Host(vec![zeros.into_boxed_slice()])))
    }

    /// Whether it is in GPU memory.
    pub fn is_on_gpu(&self) -> bool {
        matches!(self.0, Place::Gpu { .. })
    }

    /// Its parts that are in the host's memory: all or none.
    pub fn on_host(&self) -> &[Box<[T]>] {
        match &self.0 {
            Place::Host(parts) => parts,
            Place::Gpu { .. } => &[],
        }
    }
}

/// A part, as an input has it.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) of: Arc<Carried<T>>,
    pub(super) index: usize,
}

impl<T: Element + std::fmt::Debug> Data for Part<T> {
    fn chunk(&self) -> Chunk {
        match &self.of.0 {
            Place::Host(parts) => {
                let part = parts.get(self.index);
                Chunk::on_host(as_bytes(part.map_or(&[], |part| &**part)))
            }
            Place::Gpu { memory, parts } => {
                let Range { start, end } = parts.get(self.index).cloned().unwrap_or_default();
                Chunk {
                    start: memory.start().wrapping_add(start).cast(),
                    size: end - start,
                    gpu: Some(memory.device()),
                }
            }
        }
    }
}

impl Reply {
    /// Takes outputs apart: of each of `rows` rows, its `size` values of each of the outputs called `names`.
    ///
    /// # Errors
    /// If an output is not there, is not of type `T`, or has another number of values; if GPU memory cannot be copied, or there is no memory.
    pub fn carry<T: Element>(
        &self,
        names: &[String],
        rows: usize,
        size: usize,
    ) -> Result<Vec<Carried<T>>, Error> {
        let mut outputs = Vec::with_capacity(names.len());
        for name in names {
            let output = self.output(name)?;
            if size == 0 || output.count::<T>()? != rows.saturating_mul(size) {
                return Err(Error::internal(format!(
                    "the called model answered '{name}' of shape {:?}, expected {rows} rows of {size} values",
                    output.shape
                )));
            }
            outputs.push(output);
        }
        match on_gpu(&outputs, rows, size)? {
            Some(carried) => Ok(carried),
            None => on_host(&outputs, rows, size),
        }
    }
}

/// The rows in memory of the GPU whose memory all outputs are in; `None` if they are not, or it has no more.
fn on_gpu<T: Element>(
    outputs: &[ReplyOutput<'_>],
    rows: usize,
    size: usize,
) -> Result<Option<Vec<Carried<T>>>, Error> {
    let Some(device) = outputs.first().and_then(|output| output.gpu) else {
        return Ok(None);
    };
    if outputs.iter().any(|output| output.gpu != Some(device)) {
        return Ok(None);
    }
    let size = size * size_of::<T>();
    let pitch = size.next_multiple_of(ALIGNED);
    let memory: Option<Vec<_>> = (0..rows)
        .map(|_| cuda::Kind::Gpu.take(outputs.len() * pitch, device))
        .collect();
    let Some(memory) = memory else {
        return Ok(None);
    };
    let mut copies = Vec::with_capacity(rows * outputs.len());
    for (row, memory) in memory.iter().enumerate() {
        for (index, output) in outputs.iter().enumerate() {
            copies.push(cuda::Copy {
                to: memory.start().wrapping_add(index * pitch).cast(),
                from: output.base.wrapping_byte_add(row * size),
                size,
                device,
            });
        }
    }
    // SAFETY: each output has `rows` times `size` bytes (`carry` counted), each piece `pitch` for each output; the outputs live as long
    // as the reply, and nobody else has the pieces yet.
    unsafe { cuda::copy(&copies) }.map_err(|error| error.context("outputs of the called model"))?;
    let carried = memory.into_iter().map(|memory| {
        let parts = (0..outputs.len()).map(|index| index * pitch..index * pitch + size);
        Carried(Place::Gpu {
            memory,
            parts: parts.collect(),
        })
    });
    Ok(Some(carried.collect()))
}

fn on_host<T: Element>(
    outputs: &[ReplyOutput<'_>],
    rows: usize,
    size: usize,
) -> Result<Vec<Carried<T>>, Error> {
    let mut carried = Vec::with_capacity(rows);
    carried.resize_with(rows, || Vec::with_capacity(outputs.len()));
    for output in outputs {
        let values = output.read::<T>()?;
        for (row, part) in carried.iter_mut().zip(values.chunks_exact(size)) {
            let what = format_args!("output '{}' of the called model", output.name);
            let mut own = with_room(size, what)?;
            own.extend_from_slice(part);
            row.push(own.into_boxed_slice());
        }
    }
    let carried = carried.into_iter().map(|parts| Carried(Place::Host(parts)));
    Ok(carried.collect())
}
