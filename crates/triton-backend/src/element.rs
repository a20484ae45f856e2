//! Data types of tensors, and the Rust types that stand for them.

use std::ffi::c_int;
use std::fmt;

/// Triton's tensor data types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    Uint8,
    /// Unsigned, 16 bits.
    Uint16,
    /// Unsigned, 32 bits.
    Uint32,
    /// Unsigned, 64 bits.
    Uint64,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// IEEE half precision.
    Fp16,
    /// IEEE single precision.
    Fp32,
    /// IEEE double precision.
    Fp64,
    /// Strings of bytes: each element a little-endian `u32` length and that many bytes.
    String,
    /// bfloat16.
    Bf16,
}

/// Every type with its number in the C API, its name in a protocol and the size of an element in bytes.
const TABLE: [(DataType, c_int, &str, usize); 14] = [
    (DataType::Bool, 1, "BOOL", 1),
    (DataType::Uint8, 2, "UINT8", 1),
    (DataType::Uint16, 3, "UINT16", 2),
    (DataType::Uint32, 4, "UINT32", 4),
    (DataType::Uint64, 5, "UINT64", 8),
    (DataType::Int8, 6, "INT8", 1),
    (DataType::Int16, 7, "INT16", 2),
    (DataType::Int32, 8, "INT32", 4),
    (DataType::Int64, 9, "INT64", 8),
    (DataType::Fp16, 10, "FP16", 2),
    (DataType::Fp32, 11, "FP32", 4),
    (DataType::Fp64, 12, "FP64", 8),
    (DataType::String, 13, "BYTES", 0),
    (DataType::Bf16, 14, "BF16", 2),
];

impl DataType {
    fn row(self) -> &'static (DataType, c_int, &'static str, usize) {
        // Every variant has a row; the first one is never what a missing row would fall back to.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[0])
    }

    pub(crate) fn to_raw(self) -> c_int {
        self.row().1
    }

    pub(crate) fn from_raw(raw: c_int) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == raw).map(|row| row.0)
    }

    /// The name that clients write: `FP32`, `INT32`, `BYTES`, …
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// The name that model configs write: `TYPE_FP32`, `TYPE_STRING`, …
    pub fn config_name(self) -> String {
        match self {
            Self::String => "TYPE_STRING".to_owned(),
            other => format!("TYPE_{}", other.name()),
        }
    }

    /// The type a model config names, e.g. `TYPE_FP32`.
    pub fn from_config_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .map(|row| row.0)
            .find(|data_type| data_type.config_name() == name)
    }

    /// Bytes of one element; 0 for strings, whose elements differ in size.
    pub fn byte_size(self) -> usize {
        self.row().3
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    /// # Safety
    /// Every bit pattern is a value of the type, and it has no padding.
    pub unsafe trait Plain: Copy + Send + Sync + 'static {}
}
pub(crate) use sealed::Plain;

/// A Rust type that a tensor's elements can be viewed as.
pub trait Element: Plain {
    /// The tensor type it stands for.
    const DATA_TYPE: DataType;
}

macro_rules! elements {
    ($($rust:ty => $triton:ident),* $(,)?) => {$(
        // SAFETY: a plain number.
        unsafe impl Plain for $rust {}
        impl Element for $rust {
            const DATA_TYPE: DataType = DataType::$triton;
        }
    )*};
}

elements! {
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    half::f16 => Fp16, half::bf16 => Bf16, f32 => Fp32, f64 => Fp64,
}

/// The number of elements of a shape, or `None` if a dimension is negative or the product overflows.
pub fn element_count(shape: &[i64]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &dim| {
        product.checked_mul(usize::try_from(dim).ok()?)
    })
}

/// The bytes of plain numbers.
pub(crate) fn as_bytes<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: plain numbers have no padding, and any byte is a `u8`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
