#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod file;
pub mod yaml;

pub use file::read;
