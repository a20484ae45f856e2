#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod backends;
mod capacity;
pub mod demo;
mod deny;
mod deploy_check;
mod dist;
mod docs;
mod fuzz;
pub mod golden;
mod gpu_check;
pub mod layout;
mod nightly;
mod notices;
pub mod plot;
pub mod python;
pub mod real_size;
mod sanitize;
mod soak;
mod test;
mod versions;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use triton_funasr_cli::{
    console, files, http, prerequisites, process, programs, recording, repo, requests, serve,
    server, wheels,
};

use crate::layout::{Layout, cargo};
use crate::serve::Serve;
use crate::wheels::Wheels;

/// What a person runs
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
#[command(after_help = EXAMPLES)]
struct Options {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                    the demo recordings through a real server
  cargo xtask demo --keep             the same, and the server stays
  cargo xtask demo --web              a web page to speak to and to drop recordings on
  cargo xtask test                    everything that proves the project
  cargo xtask test --only fmt,clippy  parts of it
  cargo xtask repo sensevoice --from ~/SenseVoiceSmall --to ~/models
  cargo xtask serve --repo ~/models --http-port 8000";

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the backends, serve the demo models, and transcribe the demo recordings
    #[command(after_help = "\
Examples:
  cargo xtask demo
  cargo xtask demo --only paraformer-online
  cargo xtask demo --pipeline
  cargo xtask demo --web
  cargo xtask demo --keep --http-port 8000

The exit code is 1 when a text differs from golden.tsv in the model's directory under demo/.")]
    Demo(demo::Demo),
    /// Run everything that proves the project: formatting, lints, dependencies, unit and doc tests, and the real server
    #[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test --only fmt,clippy,unit
  cargo xtask test --only server -- -k batch -x
  cargo xtask test --only server -- tests/pipelines
  cargo xtask test --only server --server 2.28.0 --onnxruntime 1.20.0 -- tests/test_texts.py
  cargo xtask test --only versions

`versions` and `arm` run only where they are named.")]
    Test(test::Test),
    /// Serve any model repository in the foreground, on 127.0.0.1
    #[command(after_help = "\
Examples:
  cargo xtask serve --repo ~/models
  cargo xtask serve --repo ~/models --http-port 8000 --grpc-port 8001 --metrics-port 8002
  cargo xtask serve --repo ~/models -- --log-verbose=1")]
    Serve(Box<Serve>),
    /// Assemble a model repository from an exported model
    #[command(after_help = "\
Examples:
  cargo xtask repo sensevoice --from ~/SenseVoiceSmall --to ~/models
  cargo xtask repo sensevoice --from ~/SenseVoiceSmall --to ~/models --quantized --force
  cargo xtask repo paraformer --from ~/paraformer-large --to ~/models
  cargo xtask repo paraformer-online --from ~/paraformer-large-online --to ~/models
  cargo xtask repo all --from sensevoice=~/SenseVoiceSmall --from paraformer=~/paraformer-large --to ~/models

Several repositories in one server, as ensembles alone:
  cargo xtask serve --repo ~/models/a --repo ~/models/b -- --model-namespacing=true")]
    Repo {
        #[command(subcommand)]
        task: repo::Task,
    },
    /// Make what is given to those who do not build: an archive, a Python wheel and a Debian package for each architecture, with checksums
    #[command(after_help = "\
Examples:
  cargo xtask dist
  cargo xtask dist --arch x86_64 --arch aarch64 --out release
  cargo xtask dist --twice
  cargo xtask dist --native

It compiles everything anew for glibc 2.28, by zig, in some ten minutes. The exit code is 1 when a second build differs from the first.")]
    Dist(dist::Dist),
    /// Say how many streams a machine holds and how many machines many streams need, from what a chunk costs; writes docs/scaling.md
    #[command(after_help = "\
Examples:
  cargo xtask capacity
  cargo xtask capacity --check
  cargo xtask capacity --figures mine.json --streams 3000

tests/load/measure_capacity.py measures what a chunk costs on a machine, in the form of benches/capacity/figures.json.")]
    Capacity(capacity::Capacity),
    /// Build the images of deploy/docker on plain Debian without a container engine, run them, and let a recording become text
    #[command(after_help = "\
Examples:
  cargo xtask deploy-check
  cargo xtask deploy-check --dist release

It needs root, buildah and mmdebstrap, 4 GB of disk for a while, and some minutes.")]
    DeployCheck(deploy_check::DeployCheck),
    /// Make the documents into a site that can be read and searched without a network, and check every link
    #[command(after_help = "\
Examples:
  cargo xtask docs
  cargo xtask docs --check
  cargo xtask docs --out ~/site

It builds mdBook once, in some minutes. The exit code is 1 when a link leads nowhere, in the repository or in the site.")]
    Docs(docs::Docs),
    /// Write THIRD-PARTY-NOTICES: whose code is in the two libraries and the tool, and under which licences
    #[command(after_help = "\
Examples:
  cargo xtask notices
  cargo xtask notices --check

To be run after a change of dependencies; cargo xtask test fails where the file is not current.")]
    Notices(notices::Notices),
    /// Keep a thousand streams and mixed requests going, check every answer, and plot memory and latency
    #[command(after_help = "\
Examples:
  cargo xtask soak --minutes 20
  cargo xtask soak --minutes 20 --pipeline --out soaked
  cargo xtask soak --minutes 600 --streams 200 --interval 0.6

The exit code is 1 when an answer was wrong or lost, when memory grows by more than 1 MB per 10 000 requests after warm-up,
or when file descriptors grow.")]
    Soak(soak::Soak),
    /// Measure the project beside what it takes the place of, and write docs/benchmarks.md
    #[command(disable_help_flag = true)]
    Bench {
        /// See `cargo xtask bench --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check that the models say the same on a GPU as on the processor, and measure them there
    #[command(after_help = "\
Examples:
  cargo xtask gpu-check
  cargo xtask gpu-check --kit ~/kit        then, on a machine with a GPU and without cargo: ~/kit/gpu-check
  cargo xtask gpu-check --device cpu --demo-only

It takes under ten minutes once the models are made, and writes gpu_check.md with pictures beside it. The machine needs CUDA 13 and
cuDNN 9 where the loader finds them. The exit code is 1 when a text differs or a target is missed.")]
    GpuCheck(gpu_check::GpuCheck),
    /// Make models of the published sizes with random weights, to measure with
    #[command(after_help = "\
Examples:
  cargo xtask real-size
  cargo xtask real-size --only sensevoice --precision fp32
  cargo xtask real-size --python ~/.pyenv/versions/3.10.13/bin/python3.10

It takes some GB of memory and of disk, and a few minutes for each model. What is there already is left as it is.")]
    RealSize(real_size::RealSize),
    /// Fuzz the readers of files in fuzz/, with cargo-fuzz
    #[command(after_help = "\
Examples:
  cargo xtask fuzz
  cargo xtask fuzz sentencepiece --minutes 60

The exit code is 1 when an input was found on which a reader panics, hangs, or takes memory out of proportion.")]
    Fuzz(fuzz::Fuzz),
    /// Run the tests of the SDK, or a real server, under a sanitizer
    #[command(after_help = "\
Examples:
  cargo xtask sanitize asan
  cargo xtask sanitize memcheck
  cargo xtask sanitize server --only sensevoice,paraformer-online

The exit code is 1 when the tool found something.")]
    Sanitize(sanitize::Sanitize),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    process::main(|| run(Options::parse().task))
}

fn run(task: Task) -> Result<()> {
    let layout = Layout::find()?;
    match task {
        Task::Demo(options) => demo::demo(&layout, &options),
        Task::Test(options) => test::test(&layout, &options),
        Task::Serve(options) => serve::serve(*options, || {
            prerequisites::check_server()?;
            let wheels = Wheels::get(&layout.work)?;
            Ok(programs::Programs {
                tritonserver: wheels.tritonserver(),
                backends: backends::build(&layout, &wheels)?,
            })
        }),
        Task::Repo { task } => repo::repo(&task),
        Task::Dist(options) => dist::dist(&layout, &options),
        Task::Capacity(options) => capacity::capacity(&layout, &options),
        Task::DeployCheck(options) => deploy_check::deploy_check(&layout, &options),
        Task::Docs(options) => docs::docs(&layout, &options),
        Task::Notices(options) => notices::notices(&layout, &options),
        Task::Soak(options) => soak::soak(&layout, &options),
        Task::Bench { arguments } => bench(&layout, &arguments),
        Task::GpuCheck(options) => gpu_check::gpu_check(&layout, &options),
        Task::RealSize(options) => real_size::real_size(&layout, &options).map(drop),
        Task::Fuzz(options) => fuzz::fuzz(&layout, &options),
        Task::Sanitize(options) => sanitize::sanitize(&layout, &options),
    }
}

/// The benches are a crate of their own, which nobody builds who does not measure.
fn bench(layout: &Layout, arguments: &[OsString]) -> Result<()> {
    let mut command = cargo();
    command
        .current_dir(&layout.project)
        .args([
            "run",
            "--release",
            "--package",
            "side-by-side",
            "--bin",
            "side-by-side",
            "--",
        ])
        .args(arguments);
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("the bench ended with {status}");
    }
    Ok(())
}
