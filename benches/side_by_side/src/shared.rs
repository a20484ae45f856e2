//! System shared memory: where the next step of an ensemble finds its inputs, and a client on the server's machine may put them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;

use super::load::Connection;
use super::message::{Span, Tensor, plain};

const DIRECTORY: &str = "/dev/shm";
const PREFIX: &str = "xtask-bench-";

/// A region that the server knows. Dropped, it is taken away.
#[derive(Debug)]
pub(super) struct Region {
    address: SocketAddr,
    name: String,
    path: PathBuf,
}

impl Region {
    /// A region with these bytes.
    pub(super) fn new(address: SocketAddr, bytes: &[u8]) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let region = Self {
            address,
            path: PathBuf::from(DIRECTORY).join(&name),
            name,
        };
        fs::write(&region.path, bytes)
            .with_context(|| format!("cannot write {}", region.path.display()))?;
        let what =
            json!({ "key": format!("/{}", region.name), "offset": 0, "byte_size": bytes.len() });
        region.tell("register", &what)?;
        Ok(region)
    }

    fn tell(&self, what: &str, body: &serde_json::Value) -> Result<()> {
        let path = format!("/v2/systemsharedmemory/region/{}/{what}", self.name);
        Connection::open(self.address)?.exchange(&plain("POST", &path, Some(body)))?;
        Ok(())
    }

    /// Part of it.
    pub(super) fn span(&self, offset: usize, size: usize) -> Span {
        Span {
            region: self.name.clone(),
            offset,
            size,
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // A server that is gone knows no regions.
        let _ = self.tell("unregister", &json!({}));
        let _ = fs::remove_file(&self.path);
    }
}

/// Puts tensors behind each other into one region.
pub(super) fn lay_out(
    address: SocketAddr,
    tensors: &[Tensor],
) -> Result<(Region, Vec<(Tensor, Span)>)> {
    let bytes: Vec<u8> = tensors
        .iter()
        .flat_map(|tensor| &tensor.bytes)
        .copied()
        .collect();
    let region = Region::new(address, &bytes)?;
    let mut offset = 0;
    let placed = tensors
        .iter()
        .map(|tensor| {
            let span = region.span(offset, tensor.bytes.len());
            offset += tensor.bytes.len();
            let described = Tensor {
                bytes: Vec::new(),
                ..tensor.clone()
            };
            (described, span)
        })
        .collect();
    Ok((region, placed))
}

/// Removes what an interrupted bench left behind.
pub(super) fn sweep() {
    for entry in fs::read_dir(DIRECTORY).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-')?.0.parse().ok());
        if owner.is_some_and(|id| kill(Pid::from_raw(id), None).is_err()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
