//! `triton-funasr serve`: the server on any repository, in the foreground.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use triton_funasr_gateway::Options as GatewayOptions;

use crate::console::STRONG;
use crate::programs::Programs;
use crate::server::{Plan, PortOptions, Server, allocator};
use crate::{console, gateway};

/// What to serve.
#[derive(Debug, clap::Args)]
// The program's variant that flattens it has a group of this name.
#[group(skip)]
pub struct Serve {
    /// The model repository; several may be given
    #[arg(long = "repo", value_name = "REPO", required = true)]
    repositories: Vec<PathBuf>,
    #[command(flatten)]
    ports: PortOptions,
    /// A gateway beside it, with OpenAI's API; options of the gateway need this one
    #[arg(long)]
    gateway: bool,
    #[command(flatten)]
    front: GatewayOptions,
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
    refuse_own(&options.extra)?;
    if !options.gateway && options.front != GatewayOptions::default() {
        bail!("options of the gateway are for a server with --gateway");
    }
    let programs = programs()?;
    // Its ports are taken before the models are loaded, which may take minutes.
    let front = options
        .gateway
        .then(|| gateway::bind(&options.front))
        .transpose()?;
    let plan = Plan {
        tritonserver: programs.tritonserver,
        backends: programs.backends,
        repositories,
        extra: options.extra,
        environment: allocator(|name| std::env::var_os(name).is_some()),
        ports: options.ports,
        log: None,
        detached: false,
        patient: true,
    };
    console::step("Starting", "tritonserver; its log follows");
    let server = Server::start(&plan)?;
    console::step("Serving", "until Ctrl-C");
    server.ports().announce();
    if let Some(front) = front {
        anstream::eprintln!("     {STRONG}gateway{STRONG:#}  {}", front.url()?);
        gateway::beside(front, server.ports().grpc_address())?;
    }
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

/// What the tool itself tells tritonserver, or counts on. Said twice, the tool would wait for a server that is elsewhere.
fn refuse_own(extra: &[OsString]) -> Result<()> {
    const OWN: [(&str, &str); 4] = [
        ("--http-port", "give --http-port N in front of it"),
        ("--grpc-port", "give --grpc-port N in front of it"),
        ("--metrics-port", "give --metrics-port N in front of it"),
        (
            "--allow-http",
            "leave it away: by HTTP it is found out whether the models are ready",
        ),
    ];
    for argument in extra {
        let argument = argument.to_string_lossy();
        let name = argument
            .split_once('=')
            .map_or(&*argument, |(name, _)| name);
        if let Some((name, remedy)) = OWN.iter().find(|(own, _)| *own == name) {
            bail!(
                "{name} cannot stand behind `--`, where tritonserver's own options are: {remedy}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_behind_the_dashes_are_refused() {
        let refuse = |arguments: &[&str]| {
            let extra: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            refuse_own(&extra).map_err(|error| error.to_string())
        };
        assert_eq!(
            refuse(&["--log-verbose=1", "--http-port=9000"]),
            Err("--http-port cannot stand behind `--`, where tritonserver's own options are: give --http-port N in front of it".to_owned())
        );
        for argument in ["--grpc-port", "--metrics-port=1", "--allow-http=false"] {
            assert!(refuse(&[argument, "1"]).is_err(), "{argument}");
        }
        assert_eq!(
            refuse(&["--model-config-name=pipeline", "--http-port-of-mine=1"]),
            Ok(())
        );
    }
}
