//! Which processors there are files for.

use anyhow::{Result, bail};

/// The architectures that tritonserver is published for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Architecture {
    /// x86-64
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit ARM
    #[value(name = "aarch64")]
    Aarch64,
}

impl Architecture {
    /// As files, wheels and Rust's targets name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// That of this machine.
    pub(super) fn own() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            other => {
                bail!("there is no tritonserver for {other}; name an architecture with --arch")
            }
        }
    }
}
