//! `triton-funasr serve`: the server on any repository, in the foreground.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::programs::Programs;
use crate::server::{Plan, PortOptions, Server};
use crate::{console, prerequisites};

/// What to serve.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// The model repository; several may be given
    #[arg(long = "repo", value_name = "REPO", required = true)]
    repositories: Vec<PathBuf>,
    #[command(flatten)]
    ports: PortOptions,
    /// What else tritonserver is told
    #[arg(last = true, value_name = "TRITONSERVER_ARGS")]
    extra: Vec<OsString>,
}

/// Serves until Ctrl-C, or until the server ends by itself.
///
/// `programs` finds or makes what is needed, once it is clear that there is something to serve.
pub fn serve(options: Serve, programs: impl FnOnce() -> Result<Programs>) -> Result<()> {
    let repositories = options
        .repositories
        .iter()
        .map(|path| absolute(path))
        .collect::<Result<_>>()?;
    prerequisites::check_server()?;
    let programs = programs()?;
    let plan = Plan {
        tritonserver: programs.tritonserver,
        backends: programs.backends,
        repositories,
        extra: options.extra,
        environment: Vec::new(),
        ports: options.ports,
        log: None,
        detached: false,
    };
    console::step("Starting", "tritonserver; its log follows");
    let server = Server::start(&plan)?;
    console::step("Serving", "until Ctrl-C");
    server.ports().announce();
    server.wait()
}

fn absolute(path: &Path) -> Result<PathBuf> {
    let whole = path
        .canonicalize()
        .with_context(|| format!("cannot serve {}", path.display()))?;
    if !whole.is_dir() {
        bail!("cannot serve {}: it is not a directory", path.display());
    }
    Ok(whole)
}
