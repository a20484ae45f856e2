//! Protobuf's wire format, read field by field. What nobody asks for is never looked at.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::error::{OnnxError, Result, not_onnx};

/// A field of a message: where it is, and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its number in onnx.proto.
    pub(crate) number: u64,
    /// Where its key stands.
    pub(crate) start: u64,
    /// Where its length stands, if it has one.
    pub(crate) length_start: u64,
    /// Where its message or string is; empty for numbers.
    pub(crate) body: Range<u64>,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A number, read already.
    Number(u64),
    /// A number of four or eight bytes, not read.
    Fixed,
    /// A message, a string, or several numbers.
    Bytes,
}

impl Field {
    /// Whether it is a message or string of that number.
    pub(crate) fn is(&self, number: u64) -> bool {
        self.number == number && self.value == Value::Bytes
    }

    /// The number that it holds, if it is a field of that number.
    pub(crate) fn number(&self, number: u64) -> Option<u64> {
        match self.value {
            Value::Number(value) if self.number == number => Some(value),
            _ => None,
        }
    }

    /// The whole field.
    pub(crate) fn span(&self) -> Range<u64> {
        self.start..self.body.end
    }
}

/// Walks over the fields of a file.
#[derive(Debug)]
pub(crate) struct Walker<R> {
    reader: R,
    position: u64,
}

impl<R: Read + Seek> Walker<R> {
    /// A walker at the start of what `reader` reads.
    pub(crate) fn new(mut reader: R) -> Result<Self> {
        reader.seek(SeekFrom::Start(0))?;
        Ok(Self {
            reader,
            position: 0,
        })
    }

    /// The next field of a message that ends at `end`; the walker stands at the field's body then. `None` at the end.
    pub(crate) fn field(&mut self, end: u64) -> Result<Option<Field>> {
        const VARINT: u64 = 0;
        const FIXED64: u64 = 1;
        const LENGTH_DELIMITED: u64 = 2;
        const FIXED32: u64 = 5;
        if self.position >= end {
            return Ok(None);
        }
        let start = self.position;
        let key = self.varint()?;
        let length_start = self.position;
        let (value, length) = match key & 7 {
            VARINT => (Value::Number(self.varint()?), 0),
            FIXED64 => (Value::Fixed, 8),
            FIXED32 => (Value::Fixed, 4),
            LENGTH_DELIMITED => (Value::Bytes, self.varint()?),
            other => return not_onnx(format!("wire type {other} at byte {start}")),
        };
        let body = self.position..self.position.saturating_add(length);
        // No field has the number 0: what is there is no message, but an endless file of zeros, for one.
        if key >> 3 == 0 || body.end > end {
            return not_onnx(format!(
                "a field at byte {start} reaches beyond its message's end"
            ));
        }
        Ok(Some(Field {
            number: key >> 3,
            start,
            length_start,
            body,
            value,
        }))
    }

    /// Leaves out the rest of a field.
    pub(crate) fn skip(&mut self, field: &Field) -> Result<()> {
        self.go_to(field.body.end)
    }

    /// Goes to a place of the file.
    pub(crate) fn go_to(&mut self, position: u64) -> Result<()> {
        // Short hops stay within the buffer of a reader that has one.
        match i64::try_from(i128::from(position) - i128::from(self.position)) {
            Ok(0) => {}
            Ok(hop) => self.reader.seek_relative(hop)?,
            Err(_) => return not_onnx("a field is too long"),
        }
        self.position = position;
        Ok(())
    }

    /// The body of a field, at which the walker stands.
    pub(crate) fn bytes(&mut self, field: &Field) -> Result<Vec<u8>> {
        // Not sized in advance: what is no ONNX file may claim any size.
        let mut bytes = Vec::new();
        let length = field.body.end - field.body.start;
        let read = (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        self.position = field.body.end;
        if u64::try_from(read) == Ok(length) {
            Ok(bytes)
        } else {
            cut_off()
        }
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            match self.reader.read_exact(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return cut_off(),
                result => result?,
            }
            self.position += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        not_onnx(format!("a number before byte {} has no end", self.position))
    }
}

fn cut_off<T>() -> Result<T> {
    not_onnx("it is cut off")
}

/// The fields of a message, one after the other. What follows the first error means nothing.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field>> {
    let mut walker = Walker {
        reader: Cursor::new(message),
        position: 0,
    };
    let end = message.len() as u64;
    std::iter::from_fn(move || {
        let field = match walker.field(end).transpose()? {
            Ok(field) => field,
            Err(error) => return Some(Err(error)),
        };
        Some(walker.skip(&field).map(|()| field))
    })
}

/// The bodies of a message's fields of one number: messages or strings.
pub(crate) fn named(message: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8]>> {
    fields(message).filter_map(move |field| match field {
        Ok(field) => field.is(number).then(|| part(message, field.body)),
        Err(error) => Some(Err(error)),
    })
}

/// A string of a message. Of a field that is there twice the last one counts.
pub(crate) fn string(message: &[u8], number: u64) -> Result<Option<String>> {
    let last = named(message, number).try_fold(None, |_, body| body.map(Some))?;
    Ok(last.map(text))
}

/// A number of a message. Of a field that is there twice the last one counts.
pub(crate) fn number(message: &[u8], number: u64) -> Result<Option<i64>> {
    fields(message).try_fold(None, |last, field| {
        Ok(field?.number(number).map(u64::cast_signed).or(last))
    })
}

/// Several numbers in one field.
pub(crate) fn packed(mut body: &[u8]) -> Result<Vec<i64>> {
    let mut numbers = Vec::new();
    while !body.is_empty() {
        let mut walker = Walker {
            reader: Cursor::new(body),
            position: 0,
        };
        numbers.push(walker.varint()?.cast_signed());
        body = part(body, walker.position..body.len() as u64)?;
    }
    Ok(numbers)
}

/// Bytes as a name; ONNX's names are UTF-8.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A part of a message.
pub(crate) fn part(bytes: &[u8], range: Range<u64>) -> Result<&[u8]> {
    let place = |at: u64| usize::try_from(at).map_err(|_| beyond());
    let range = place(range.start)?..place(range.end)?;
    bytes.get(range).ok_or_else(beyond)
}

fn beyond() -> OnnxError {
    OnnxError::NotOnnx("a field reaches beyond its message's end".into())
}

/// Appends a number.
pub(crate) fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// A message or string as a field.
pub(crate) fn write_bytes(number: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 12);
    write_varint(&mut bytes, number << 3 | 2);
    write_varint(&mut bytes, body.len() as u64);
    bytes.extend_from_slice(body);
    bytes
}

/// A number as a field.
pub(crate) fn write_number(number: u64, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_varint(&mut bytes, number << 3);
    write_varint(&mut bytes, value);
    bytes
}
