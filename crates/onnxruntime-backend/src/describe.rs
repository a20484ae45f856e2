//! A request's inputs in words, for error messages.

use std::fmt::Display;

use bytemuck::AnyBitPattern;
use half::{bf16, f16};
use triton_backend::DataType;

use crate::tensor::Data;
use crate::types::shape_text;

/// How much of what the client sent a message may still repeat, in bytes: people read it, and it is passed on.
pub(crate) struct Room(usize);

impl Room {
    /// The room of a message.
    pub(crate) fn new() -> Self {
        Self(100)
    }

    /// Takes the room that `text` needs, if there is as much.
    fn take(&mut self, text: String) -> Option<String> {
        self.0 = self.0.checked_sub(text.len())?;
        Some(text)
    }
}

/// `language INT32[1] = [99]`, shape and values only if there is room for them.
pub(crate) fn input(
    name: &str,
    data_type: DataType,
    shape: &[i64],
    data: &Data<'_>,
    room: &mut Room,
) -> String {
    let Some(shape) = room.take(shape_text(shape)) else {
        return format!("{name} {data_type}");
    };
    let values = values(data_type, data, room.0).and_then(|values| room.take(values));
    match values {
        Some(values) => format!("{name} {data_type}{shape} = {values}"),
        None => format!("{name} {data_type}{shape}"),
    }
}

/// The values, if they can fit into `room` bytes.
fn values(data_type: DataType, data: &Data<'_>, room: usize) -> Option<String> {
    match data {
        Data::Strings(strings) => {
            let size: usize = strings.iter().map(String::len).sum();
            (size <= room).then(|| format!("{strings:?}"))
        }
        // An element takes at least two characters.
        Data::Bytes(bytes) => {
            let count = bytes.len() / data_type.byte_size().max(1);
            (count <= room / 2).then(|| numbers(data_type, bytes))
        }
    }
}

fn numbers(data_type: DataType, bytes: &[u8]) -> String {
    let numbers: Vec<String> = match data_type {
        DataType::Bool => bytes.iter().map(|byte| (*byte != 0).to_string()).collect(),
        DataType::Uint8 => list::<u8>(bytes),
        DataType::Uint16 => list::<u16>(bytes),
        DataType::Uint32 => list::<u32>(bytes),
        DataType::Uint64 => list::<u64>(bytes),
        DataType::Int8 => list::<i8>(bytes),
        DataType::Int16 => list::<i16>(bytes),
        DataType::Int32 => list::<i32>(bytes),
        DataType::Int64 => list::<i64>(bytes),
        DataType::Fp16 => list::<f16>(bytes),
        DataType::Bf16 => list::<bf16>(bytes),
        DataType::Fp32 => list::<f32>(bytes),
        DataType::Fp64 => list::<f64>(bytes),
        _ => Vec::new(),
    };
    format!("[{}]", numbers.join(", "))
}

fn list<T: AnyBitPattern + Display>(bytes: &[u8]) -> Vec<String> {
    bytes
        .chunks_exact(size_of::<T>())
        .map(|chunk| bytemuck::pod_read_unaligned::<T>(chunk).to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn few_values_are_shown() {
        let bytes = 99_i32.to_le_bytes();
        let data = Data::Bytes(Cow::Borrowed(&bytes));
        assert_eq!(
            input("language", DataType::Int32, &[1], &data, &mut Room::new()),
            "language INT32[1] = [99]"
        );
        let half = f16::from_f32(-1.5).to_le_bytes();
        let data = Data::Bytes(Cow::Borrowed(&half));
        assert_eq!(
            input("x", DataType::Fp16, &[1, 1], &data, &mut Room::new()),
            "x FP16[1,1] = [-1.5]"
        );
        let strings = Data::Strings(vec!["a".to_owned(), "\"é\n".to_owned()]);
        assert_eq!(
            input("t", DataType::String, &[2], &strings, &mut Room::new()),
            r#"t BYTES[2] = ["a", "\"é\n"]"#
        );
    }

    #[test]
    fn many_values_are_not() {
        let bytes = vec![0_u8; 4 * 560];
        let data = Data::Bytes(Cow::Owned(bytes));
        assert_eq!(
            input(
                "speech",
                DataType::Fp32,
                &[1, 1, 560],
                &data,
                &mut Room::new()
            ),
            "speech FP32[1,1,560]"
        );
        let long = Data::Strings(vec!["x".repeat(200)]);
        assert_eq!(
            input("t", DataType::String, &[1], &long, &mut Room::new()),
            "t BYTES[1]"
        );
    }

    #[test]
    fn empty_tensors_are_shown_as_such() {
        let data = Data::Bytes(Cow::Borrowed(&[]));
        assert_eq!(
            input("x", DataType::Fp32, &[0, 3], &data, &mut Room::new()),
            "x FP32[0,3] = []"
        );
    }

    #[test]
    fn all_inputs_of_a_message_share_its_room() {
        let bytes: Vec<u8> = (100_000..100_010_i32).flat_map(i32::to_le_bytes).collect();
        let data = Data::Bytes(Cow::Borrowed(&bytes));
        let mut room = Room::new();
        let mut next = || input("x", DataType::Int32, &[10, 1], &data, &mut room);
        assert!(next().ends_with("100008, 100009]"));
        // What is left is enough for the shapes of two more.
        assert_eq!(next(), "x INT32[10,1]");
        assert_eq!(next(), "x INT32[10,1]");
        assert_eq!(next(), "x INT32");
    }
}
