//! Where this machine has a tritonserver, the backends, and a place to keep what is fetched.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files::{install, remove};
use crate::prerequisites;
use crate::wheels::Wheels;

/// Where NVIDIA's images have Triton.
pub const TRITON: &str = "/opt/tritonserver";
/// The library of this project's backend.
pub const FUNASR: &str = "libtriton_funasr.so";
/// The library of this project's ONNX Runtime backend.
pub const ONNXRUNTIME: &str = "libtriton_onnxruntime.so";

/// The programs that serve.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The server's executable.
    pub tritonserver: PathBuf,
    /// `--backend-directory`.
    pub backends: PathBuf,
}

/// Which programs a person wants.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ProgramOptions {
    /// The server's executable [default: tritonserver of the path, or of /opt/tritonserver, or a pinned one for CPUs that is
    /// fetched once]
    #[arg(long, value_name = "FILE")]
    tritonserver: Option<PathBuf>,
    /// The backend directory [default: the installed server's, if this backend is in it, else one of our own]
    #[arg(long, value_name = "DIR")]
    backends: Option<PathBuf>,
}

impl ProgramOptions {
    /// Finds them, or fetches and lays out what is missing.
    pub fn find(&self) -> Result<Programs> {
        let installed = self.tritonserver.clone().or_else(installed_server);
        if let (Some(tritonserver), Some(backends)) = (&installed, &self.backends) {
            return Ok(Programs {
                tritonserver: tritonserver.clone(),
                backends: backends.clone(),
            });
        }
        match installed {
            Some(tritonserver) => Ok(Programs {
                backends: backends_of(&tritonserver)?,
                tritonserver,
            }),
            None => {
                // What a machine's own server needs, that machine has.
                prerequisites::check_server()?;
                let wheels = Wheels::get(&cache()?)?;
                let backends = match &self.backends {
                    Some(backends) => backends.clone(),
                    None => {
                        let onnxruntime = wheels.onnxruntime()?;
                        own_backends(OnnxRuntime::Ours(onnxruntime))?
                    }
                };
                Ok(Programs {
                    tritonserver: wheels.tritonserver(),
                    backends,
                })
            }
        }
    }
}

/// A tritonserver of this machine.
fn installed_server() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    places.push(Path::new(TRITON).join("bin"));
    places
        .into_iter()
        .map(|place| place.join("tritonserver"))
        .find(|file| file.is_file())
}

/// The backend directory for an installed server: its own, or ours with its ONNX Runtime backend.
fn backends_of(tritonserver: &Path) -> Result<PathBuf> {
    let beside = tritonserver
        .canonicalize()
        .ok()
        .and_then(|file| Some(file.parent()?.parent()?.join("backends")));
    let own = [beside, Some(Path::new(TRITON).join("backends"))]
        .into_iter()
        .flatten()
        .find(|directory| directory.is_dir());
    let Some(own) = own else {
        bail!(
            "{} has no backend directory beside it; name one with --backends",
            tritonserver.display()
        );
    };
    if own.join("funasr").join(FUNASR).is_file() {
        return Ok(own);
    }
    let official = own.join("onnxruntime");
    if !official.is_dir() {
        bail!(
            "{} has neither this backend nor an ONNX Runtime backend; `triton-funasr install --onnxruntime` puts both there",
            own.display()
        );
    }
    own_backends(OnnxRuntime::Installed(official))
}

/// What runs ONNX models.
enum OnnxRuntime {
    /// The directory of an installed backend.
    Installed(PathBuf),
    /// Our own, with this library of ONNX Runtime.
    Ours(PathBuf),
}

/// A backend directory of our own, with the libraries that lie beside this program.
fn own_backends(onnxruntime: OnnxRuntime) -> Result<PathBuf> {
    let directory = cache()?.join("backends");
    install(&library(FUNASR)?, &directory.join("funasr").join(FUNASR))?;
    let target = directory.join("onnxruntime");
    match onnxruntime {
        OnnxRuntime::Installed(official) => {
            if target.is_symlink() {
                fs::remove_file(&target)?;
            } else {
                remove(&target)?;
            }
            symlink(&official, &target)
                .with_context(|| format!("cannot link {}", target.display()))?;
        }
        OnnxRuntime::Ours(runtime) => {
            if target.is_symlink() {
                fs::remove_file(&target)?;
            }
            install(&library(ONNXRUNTIME)?, &target.join(ONNXRUNTIME))?;
            install(&runtime, &target.join("libonnxruntime.so.1"))?;
        }
    }
    Ok(directory)
}

/// A library that was built or shipped with this program: beside it, or in a `lib` beside its `bin`.
pub fn library(name: &str) -> Result<PathBuf> {
    let program = env::current_exe().context("cannot find this program")?;
    let beside = program.parent().unwrap_or(Path::new("."));
    let places = ["", "../lib", "../lib/triton-funasr"].map(|place| beside.join(place).join(name));
    match places.iter().find(|place| place.is_file()) {
        Some(place) => Ok(place.clone()),
        None => bail!(
            "{name} is neither beside this program ({}) nor in a `lib` beside its directory; `cargo build --release` makes all three",
            program.display()
        ),
    }
}

/// Where what is fetched is kept.
pub fn cache() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    let cache = base
        .context("neither XDG_CACHE_HOME nor HOME says where to keep files")?
        .join("triton-funasr");
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    Ok(cache)
}
