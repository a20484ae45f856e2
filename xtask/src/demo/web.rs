//! `cargo xtask demo --web`: the gateway's page in front of the demo's models, for as long as a person looks at it.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use triton_funasr_cli::gateway::{self, Gateway, Options};

use super::samples::export;
use crate::console::{self, STRONG};
use crate::layout::Layout;
use crate::repo::{self, Kind};
use crate::server::{Plan, PortOptions, Server};
use crate::wheels::Wheels;
use crate::{backends, prerequisites};

fn front(listen: SocketAddr) -> Result<Gateway> {
    gateway::bind(&Options {
        listen,
        ..Options::default()
    })
}

/// Builds, fetches, and serves until Ctrl-C.
pub(super) fn serve(layout: &Layout, listen: Option<SocketAddr>, ports: PortOptions) -> Result<()> {
    prerequisites::check_server()?;
    let wheels = Wheels::get(&layout.work)?;
    let backends = backends::build(layout, &wheels)?;
    let repository = repository(layout)?;
    // An address that is taken is told before the server is started.
    let front = match listen {
        Some(listen) => front(listen)?,
        None => {
            let usual = Options::default().listen;
            front(usual).or_else(|_| front(SocketAddr::new(usual.ip(), 0)))?
        }
    };
    let address = front.url()?;
    let log = layout.work_directory("demo")?.join("tritonserver.log");
    console::step(
        "Starting",
        format!("tritonserver on {}", repository.display()),
    );
    let server = Server::start(&Plan {
        tritonserver: wheels.tritonserver(),
        backends,
        repositories: vec![repository],
        extra: vec!["--model-config-name=pipeline".into()],
        environment: Vec::new(),
        ports,
        log: Some(log),
        detached: false,
        patient: false,
    })?;
    server.ports().announce();
    gateway::beside(front, server.ports().grpc_address())?;
    anstream::println!(
        "\n{STRONG}Open {address}/{STRONG:#}   and speak, or drop recordings such as {}\nCtrl-C stops it.\n",
        layout
            .project
            .join("demo/conversation/conversation.ogg")
            .display()
    );
    server.wait()
}

/// Assembles what the page can show: recordings of any length, and streams in two passes, with all that the models tell.
fn repository(layout: &Layout) -> Result<PathBuf> {
    let target = layout.work_directory("demo")?.join("web");
    let kinds = [Kind::Sensevoice, Kind::ParaformerOnline];
    repo::assemble_all(&repo::AllOptions {
        vad: Some(layout.project.join("demo/vad")),
        punc: Some(layout.project.join("demo/punc")),
        from: kinds
            .map(|kind| (kind, layout.project.join(export(kind))))
            .into(),
        common: repo::Common {
            outputs: vec!["all".to_owned()],
            audio: true,
            force: true,
            ..repo::Common::new(target.clone())
        },
    })
    .context("the demo's models do not become a repository")?;
    Ok(target)
}
