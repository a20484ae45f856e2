//! `gpu-check`: whether and how fast the models run on the GPU of a machine, from a kit that holds everything it needs.
//!
//! `cargo xtask gpu-check --kit DIR` makes the kit. The machine needs CUDA 13 and cuDNN 9, and neither cargo nor a network.

mod bare;
mod kit;
mod machine;
mod options;
mod speed;
mod streams;
mod texts;

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};

use self::kit::Kit;
use self::options::{DOCUMENT, Options};
use super::report::{self, Section};
use crate::{console, process};

/// Check that the models of this kit say the same on the GPU as on the processor, and measure them there.
#[derive(Debug, Parser)]
#[command(name = "gpu-check", after_help = EXAMPLES)]
struct Command {
    #[command(flatten)]
    options: Options,
    /// These parts alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    #[command(subcommand)]
    inner: Option<Inner>,
}

const EXAMPLES: &str = "\
Examples:
  ./gpu-check
  ./gpu-check --only texts
  ./gpu-check --device cpu --quick

It takes under ten minutes and writes gpu_check.md, with pictures beside it. The exit code is 1 when a text differs or a target is missed.";

#[derive(Debug, Subcommand)]
enum Inner {
    /// ONNX Runtime with nothing around it, in a process of its own
    #[command(hide = true)]
    Bare(bare::Job),
}

/// A part of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The demo's models say the same on both, alone and in company
    Texts,
    /// Models of the published sizes, by requests at a time, beside ONNX Runtime alone
    Speed,
    /// How many live streams the streaming model of the published size holds
    Streams,
}

impl Part {
    fn run(self, kit: &Kit, options: &Options) -> Result<Section> {
        match self {
            Self::Texts => texts::run(kit, options),
            Self::Speed => speed::run(kit, options),
            Self::Streams => streams::run(kit, options),
        }
    }
}

/// Checks, prints, writes the report.
pub fn main() -> ExitCode {
    process::main(|| {
        let command = Command::parse();
        match command.inner {
            Some(Inner::Bare(job)) => job.run(),
            None => check(&command.options, &command.only),
        }
    })
}

fn check(options: &Options, only: &[Part]) -> Result<()> {
    let began = Instant::now();
    let kit = Kit::find()?;
    let mut sections = Vec::new();
    let mut failed = Vec::new();
    for part in Part::value_variants() {
        if !only.is_empty() && !only.contains(part) {
            continue;
        }
        // What one part finds is worth having where another fails.
        match part.run(&kit, options) {
            Ok(section) => {
                section.print();
                sections.push(section);
            }
            Err(error) => {
                console::warn(format!("{part:?} failed: {error:#}"));
                failed.push(format!("{part:?}"));
            }
        }
    }
    fs::create_dir_all(&options.out)?;
    let document = options.out.join(DOCUMENT);
    let command: Vec<String> = std::env::args().skip(1).collect();
    let head = machine::head(&kit, &format!("gpu-check {}", command.join(" ")));
    report::write_as("GPU check", &document, &head, &sections)
        .with_context(|| format!("cannot write {}", document.display()))?;
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    console::step(
        "Wrote",
        format!("{} after {minutes:.1} minutes", document.display()),
    );
    let targets = sections.iter().flat_map(|section| &section.targets);
    let missed = targets.filter(|target| !target.met()).count();
    match (failed.is_empty(), missed) {
        (true, 0) => Ok(()),
        (true, _) => bail!("{missed} targets are missed"),
        (false, _) => bail!("not everything could be checked: {}", failed.join(", ")),
    }
}
