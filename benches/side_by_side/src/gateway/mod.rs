//! `cargo xtask bench --gateway`: what the gateway adds to a request, and how many live streams it holds.

mod direct;
mod front;
mod latency;
mod material;
mod requests;
mod stand_in;
mod streams;
mod websocket;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use self::front::Front;
use self::material::Speech;
use self::stand_in::StandIn;
use super::Pace;
use super::report::{self, Section};
use super::speech;
use super::tools::Tools;
use crate::layout::Layout;
use crate::repo::{self, Kind};
use crate::server::Server;
use crate::{backends, console, machine};

const TITLE: &str = "Benchmarks of the gateway";
const DOCUMENT: &str = "docs/benchmarks/gateway.md";
/// The demo's exports of both.
const EXPORTS: [(Kind, &str); 2] = [
    (Kind::Sensevoice, "demo/sensevoice"),
    (Kind::ParaformerOnline, "demo/paraformer_online"),
];
/// Measures, prints, and writes a document.
pub(super) fn bench(layout: &Layout, quick: bool, command: &str) -> Result<()> {
    let tools = Tools::without_python_steps(layout)?;
    console::step("Building", "the gateway");
    let built = backends::artifacts(layout, ["--package", "triton-funasr-cli"])?;
    let tool = backends::named(&built, "triton-funasr")?;
    let head = machine::head(&tools, command);
    let bar = console::spinner_of("Measuring");
    let pace = Pace::new(quick, &bar);
    let speech = Speech::of(&speech::recordings(&tools)?);
    let log = tools.directory.join("gateway.log");

    let stand_in = StandIn::start()?;
    let front = Front::start(tool, &stand_in.address.to_string(), &log)?;
    let mut latency = latency::section();
    latency::at_stand_in(stand_in.address, &front, &speech, pace, &mut latency)?;
    drop(front);
    let mut live = streams::section(pace);
    let front = Front::start(tool, &stand_in.address.to_string(), &log)?;
    streams::at_stand_in(&front, &speech, pace, &mut live)?;
    drop((front, stand_in));

    pace.tell("starting tritonserver");
    let server = serve(&tools)?;
    let front = Front::start(tool, &server.ports().grpc_address(), &log)?;
    let grpc = server.ports().grpc_address().parse()?;
    latency::at_server(grpc, &front, &speech, pace, &mut latency)?;
    drop(front);
    let front = Front::start(tool, &server.ports().grpc_address(), &log)?;
    streams::at_server(&server, &front, &speech, pace, &mut live)?;
    bar.finish_and_clear();
    write(layout, &tools, pace, &head, &[latency, live])
}

fn write(
    layout: &Layout,
    tools: &Tools,
    pace: Pace,
    head: &str,
    sections: &[Section],
) -> Result<()> {
    sections.iter().for_each(Section::print);
    let directory = pace.pick(&layout.project, &tools.directory);
    let document = directory.join(DOCUMENT);
    if let Some(parent) = document.parent() {
        fs::create_dir_all(parent)?;
    }
    report::write_as(TITLE, &document, head, sections)?;
    console::step("Wrote", document.display());
    Ok(())
}

/// A server with both models, as pipelines.
fn serve(tools: &Tools) -> Result<Server> {
    let target: PathBuf = tools.directory.join("gateway-models");
    let project = &tools.layout.project;
    let from = EXPORTS.map(|(kind, place)| (kind, project.join(place)));
    repo::assemble_all(&repo::AllOptions {
        from: from.to_vec(),
        vad: None,
        punc: None,
        common: repo::Common {
            audio: true,
            force: true,
            ..repo::Common::new(target.clone())
        },
    })?;
    tools.serve(&target, &["--model-config-name=pipeline"])
}
