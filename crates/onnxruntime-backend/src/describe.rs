//! A request's inputs in words, for error messages.

use std::fmt::Display;

use bytemuck::AnyBitPattern;
use half::{bf16, f16};
use triton_backend::DataType;

use crate::signature::shape_text;
use crate::tensor::Data;

/// Values longer than this are left out: a message is read by people.
const LONGEST_VALUES: usize = 100;

/// `language INT32[1] = [99]`, the values only if they are few.
pub(crate) fn input(name: &str, data_type: DataType, shape: &[i64], data: &Data<'_>) -> String {
    let head = format!("{name} {data_type}{}", shape_text(shape));
    match values(data_type, data) {
        Some(values) => format!("{head} = {values}"),
        None => head,
    }
}

fn values(data_type: DataType, data: &Data<'_>) -> Option<String> {
    let text = match data {
        Data::Strings(strings) => {
            let size: usize = strings.iter().map(String::len).sum();
            (size <= LONGEST_VALUES).then(|| format!("{strings:?}"))?
        }
        // An element takes at least two characters.
        Data::Bytes(bytes) => {
            let count = bytes.len() / data_type.byte_size().max(1);
            (count <= LONGEST_VALUES / 2).then(|| numbers(data_type, bytes))?
        }
    };
    (text.len() <= LONGEST_VALUES).then_some(text)
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
            input("language", DataType::Int32, &[1], &data),
            "language INT32[1] = [99]"
        );
        let half = f16::from_f32(-1.5).to_le_bytes();
        let data = Data::Bytes(Cow::Borrowed(&half));
        assert_eq!(
            input("x", DataType::Fp16, &[1, 1], &data),
            "x FP16[1,1] = [-1.5]"
        );
        let strings = Data::Strings(vec!["a".to_owned(), "\"é\n".to_owned()]);
        assert_eq!(
            input("t", DataType::String, &[2], &strings),
            r#"t BYTES[2] = ["a", "\"é\n"]"#
        );
    }

    #[test]
    fn many_values_are_not() {
        let bytes = vec![0_u8; 4 * 560];
        let data = Data::Bytes(Cow::Owned(bytes));
        assert_eq!(
            input("speech", DataType::Fp32, &[1, 1, 560], &data),
            "speech FP32[1,1,560]"
        );
        let long = Data::Strings(vec!["x".repeat(200)]);
        assert_eq!(input("t", DataType::String, &[1], &long), "t BYTES[1]");
    }

    #[test]
    fn empty_tensors_are_shown_as_such() {
        let data = Data::Bytes(Cow::Borrowed(&[]));
        assert_eq!(
            input("x", DataType::Fp32, &[0, 3], &data),
            "x FP32[0,3] = []"
        );
    }
}
