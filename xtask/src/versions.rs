//! Which tritonserver and which ONNX Runtime the server's tests run on: the pinned ones, or others that are fetched for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::files::{install, remove};
use crate::layout::Layout;
use crate::wheels::{self, Wheels};

/// A tritonserver of the package index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// Release 22.11, the oldest
    #[value(name = "2.28.0")]
    Oldest,
    /// Release 23.10
    #[value(name = "2.39.0")]
    Middle,
    /// Release 24.10, the newest, on which all tests run
    #[value(name = "2.51.0")]
    Newest,
}

/// An ONNX Runtime of the package index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// The oldest that the backend takes
    #[value(name = "1.20.0")]
    Oldest,
    /// One in the middle
    #[value(name = "1.26.0")]
    Middle,
    /// The newest, on which all tests run
    #[value(name = "1.32.0")]
    Newest,
}

/// On what to run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Versions {
    /// The tritonserver that the server's tests run on
    #[arg(long, value_enum, value_name = "VERSION", default_value = "2.51.0")]
    pub(crate) server: Server,
    /// The ONNX Runtime that the server's tests run on
    #[arg(long, value_enum, value_name = "VERSION", default_value = "1.32.0")]
    pub(crate) onnxruntime: Runtime,
}

impl Versions {
    /// Each version beside the pinned one of the other kind; the pinned pair last.
    pub(crate) const EACH: [Self; 5] = [
        Self::of(Server::Oldest, Runtime::Newest),
        Self::of(Server::Middle, Runtime::Newest),
        Self::of(Server::Newest, Runtime::Oldest),
        Self::of(Server::Newest, Runtime::Middle),
        Self::of(Server::Newest, Runtime::Newest),
    ];

    const fn of(server: Server, onnxruntime: Runtime) -> Self {
        Self {
            server,
            onnxruntime,
        }
    }

    /// On the oldest server, beside the pinned ONNX Runtime.
    pub(crate) const OLDEST_SERVER: Self = Self::of(Server::Oldest, Runtime::Newest);

    /// Their names.
    pub(crate) fn names(self) -> (String, String) {
        (name(self.server), name(self.onnxruntime))
    }

    /// The server's executable; fetched once.
    pub(crate) fn tritonserver(self, layout: &Layout, pinned: &Wheels) -> Result<PathBuf> {
        let pins = match self.server {
            Server::Oldest if cfg!(not(target_arch = "x86_64")) => {
                bail!("the package index has tritonserver 2.28.0 for x86_64 alone");
            }
            Server::Oldest => include_str!("../versions/tritonserver-2.28.0.txt"),
            Server::Middle => include_str!("../versions/tritonserver-2.39.0.txt"),
            Server::Newest => return Ok(pinned.tritonserver()),
        };
        let kept = ["pytriton/tritonserver/bin/", "nvidia_pytriton.libs/"];
        let name = format!("tritonserver-{}", name(self.server));
        let unpacked = wheels::unpacked(&layout.work, &name, pins, &kept)?;
        Ok(unpacked.join("pytriton/tritonserver/bin/tritonserver"))
    }

    /// The backend directory: that of the pinned ONNX Runtime, or a copy with another; fetched once.
    pub(crate) fn backends(self, layout: &Layout, pinned: PathBuf) -> Result<PathBuf> {
        let pins = match self.onnxruntime {
            Runtime::Oldest => include_str!("../versions/onnxruntime-1.20.0.txt"),
            Runtime::Middle => include_str!("../versions/onnxruntime-1.26.0.txt"),
            Runtime::Newest => return Ok(pinned),
        };
        let name = format!("onnxruntime-{}", name(self.onnxruntime));
        let kept = ["onnxruntime/capi/libonnxruntime.so."];
        let unpacked = wheels::unpacked(&layout.work, &name, pins, &kept)?;
        let library = only_file(&unpacked.join("onnxruntime/capi"))?;
        let directory = layout.work.join(format!("backends-{name}"));
        remove(&directory)?;
        for file in [
            "funasr/libtriton_funasr.so",
            "onnxruntime/libtriton_onnxruntime.so",
        ] {
            install(&pinned.join(file), &directory.join(file))?;
        }
        install(&library, &directory.join("onnxruntime/libonnxruntime.so.1"))?;
        Ok(directory)
    }
}

fn name(version: impl ValueEnum) -> String {
    let value = version.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn only_file(directory: &Path) -> Result<PathBuf> {
    let mut entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let first = entries.next().context("it is empty")?;
    Ok(first?.path())
}
