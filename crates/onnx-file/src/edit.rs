//! A file with some parts of its graph replaced, written without being held in memory.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use crate::error::{OnnxError, Result, not_onnx};
use crate::proto::model;
use crate::wire::{Field, Walker, write_varint};

/// Ranges of a file's graph, and what stands in their place. Everything else stays as it is, byte by byte.
#[derive(Debug)]
pub struct Edit {
    /// The graph's field.
    place: Field,
    /// The file's size.
    length: u64,
    /// In order, each within the graph's body.
    splices: Vec<(Range<u64>, Vec<u8>)>,
}

impl Edit {
    pub(crate) fn new(place: Field, length: u64, mut splices: Vec<(Range<u64>, Vec<u8>)>) -> Self {
        splices.sort_by_key(|(range, _)| range.start);
        Self {
            place,
            length,
            splices,
        }
    }

    /// This edit and another one of the same file.
    ///
    /// # Errors
    /// If they were not made for the same file, or change the same part of it.
    pub fn and(self, other: Self) -> std::result::Result<Self, OnnxError> {
        let body = |edit: &Self| edit.place.body.clone();
        if (self.length, body(&self)) != (other.length, body(&other)) {
            return Err(OnnxError::Conflict("are for different files"));
        }
        let splices = self.splices.into_iter().chain(other.splices).collect();
        let both = Self::new(self.place, self.length, splices);
        let mut pairs = both.splices.windows(2);
        if pairs.any(|pair| matches!(pair, [(first, _), (next, _)] if next.start < first.end)) {
            return Err(OnnxError::Conflict("change the same part of it"));
        }
        Ok(both)
    }

    /// Whether the file stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.splices.is_empty()
    }

    /// Copies the file that this edit was made for from `reader` to `writer`, with the edit made.
    ///
    /// # Errors
    /// If it cannot be read or written, or is another file by now.
    pub fn write(
        &self,
        mut reader: impl Read + Seek,
        writer: &mut impl Write,
    ) -> std::result::Result<(), OnnxError> {
        let (before, now) = (self.length, reader.seek(SeekFrom::End(0))?);
        if now != before {
            return Err(OnnxError::Changed { before, now });
        }
        let body = &self.place.body;
        copy(&mut reader, 0..self.place.length_start, writer)?;
        let mut size = Vec::new();
        write_varint(&mut size, self.graph_size()?);
        writer.write_all(&size)?;
        let mut position = body.start;
        for (range, bytes) in &self.splices {
            copy(&mut reader, position..range.start, writer)?;
            writer.write_all(bytes)?;
            position = range.end;
        }
        copy(&mut reader, position..self.length, writer)?;
        Ok(())
    }

    fn graph_size(&self) -> Result<u64> {
        let body = &self.place.body;
        let gone: u64 = self
            .splices
            .iter()
            .map(|(range, _)| range.end - range.start)
            .sum();
        let come: u64 = self
            .splices
            .iter()
            .map(|(_, bytes)| bytes.len() as u64)
            .sum();
        match (body.end - body.start).checked_sub(gone) {
            Some(rest) => Ok(rest + come),
            None => not_onnx("its parts overlap"),
        }
    }
}

/// The first graph of a file; the walker stands at its body then.
pub(crate) fn find_graph(walker: &mut Walker<impl Read + Seek>, length: u64) -> Result<Field> {
    while let Some(field) = walker.field(length)? {
        if field.is(model::GRAPH) {
            return Ok(field);
        }
        walker.skip(&field)?;
    }
    not_onnx("it holds no graph")
}

fn copy(
    reader: &mut (impl Read + Seek),
    range: Range<u64>,
    writer: &mut impl Write,
) -> io::Result<()> {
    let size = range.end.saturating_sub(range.start);
    reader.seek(SeekFrom::Start(range.start))?;
    match io::copy(&mut reader.take(size), writer)? {
        copied if copied == size => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::proto::{graph, value_info};
    use crate::wire::write_bytes;

    #[test]
    fn a_file_of_another_size_is_refused() {
        let info = write_bytes(value_info::NAME, b"y");
        let mut file = write_bytes(model::GRAPH, &write_bytes(graph::OUTPUT, &info));
        let length = file.len() as u64;
        let edit = crate::keep_outputs(Cursor::new(&file), length, |_| true).unwrap();
        let write = |file: &[u8]| edit.write(Cursor::new(file), &mut Vec::new());
        write(&file).unwrap();
        file.push(0);
        let error = write(&file).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "the file had {length} bytes when it was read, and has {} now",
                length + 1
            )),
            "{error}"
        );
        assert!(write(&file[..2]).is_err());
    }
}
