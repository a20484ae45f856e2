#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod batch;
mod cmvn;
mod dither;
mod error;
mod fbank;
mod fft;
mod frontend;
mod kernel;
mod lanes;
pub mod lfr_cmvn_pe;
mod mel;
pub mod online;
mod options;
mod positions;
mod queue;
mod scratch;
mod simd_path;
pub mod stream;
pub mod windows;
pub mod yaml;

pub use batch::Row;
pub use cmvn::Cmvn;
pub use error::{CmvnError, FrontendError, OptionsError};
pub use fbank::Fbank;
pub use frontend::Frontend;
pub use kernel::Workspace;
pub use options::{FrontendOptions, Window};
pub use simd_path::SimdPath;
