#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod channels;
mod decode;
mod error;
mod format;
mod options;
mod opus;
mod packets;
mod rates;
pub mod resample;
mod samples;
mod sink;
mod sniff;
mod wav;

pub use channels::Channel;
pub use decode::{Decoded, decode, decode_each, decode_windows};
pub use error::AudioError;
pub use format::Format;
pub use options::Options;
pub use rates::{HIGHEST_RATE, LOWEST_RATE};
pub use samples::{Encoding, from_i16};
