//! What a person says of all parts of the check.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::repo;

/// The report's name; its pictures lie in a directory of this name without the ending.
pub(super) const DOCUMENT: &str = "gpu_check.md";

/// Where and how much.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Where the models run that are checked
    #[arg(long, value_enum, default_value_t = Device::Cuda)]
    pub(super) device: Device,
    /// Fewer numbers of requests and rounds
    #[arg(long)]
    pub(super) quick: bool,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) out: PathBuf,
}

/// What models run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Device {
    /// The processor: to try the tool itself
    Cpu,
    /// The GPU
    Cuda,
}

impl Device {
    pub(super) fn of_repository(self) -> repo::Device {
        match self {
            Self::Cpu => repo::Device::Cpu,
            Self::Cuda => repo::Device::Cuda,
        }
    }
}
