//! `gpu-check`: whether and how fast the models run on the GPU of a machine, from a kit that holds everything it needs.
//!
//! `cargo xtask gpu-check --kit DIR` makes the kit. The machine needs CUDA 13 and cuDNN 9, and neither cargo nor a network.

mod bare;
mod kit;
mod machine;
mod speed;
mod streams;
mod texts;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};

use self::kit::Kit;
use super::report::{self, Section};
use crate::repo;
use crate::{console, process};

/// The report's name; its pictures lie in a directory of this name without the ending.
const DOCUMENT: &str = "gpu_check.md";

/// Check that the models of this kit say the same on the GPU as on the processor, and measure them there.
#[derive(Debug, Parser)]
#[command(name = "gpu-check", after_help = EXAMPLES)]
struct Options {
    /// Where the models run that are checked
    #[arg(long, value_enum, default_value_t = Device::Cuda)]
    device: Device,
    /// These parts alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Fewer numbers of requests and rounds
    #[arg(long)]
    quick: bool,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
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

/// What models run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    /// The processor: to try the tool itself
    Cpu,
    /// The GPU
    Cuda,
}

impl Device {
    fn of_repository(self) -> repo::Device {
        match self {
            Self::Cpu => repo::Device::Cpu,
            Self::Cuda => repo::Device::Cuda,
        }
    }
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
        let options = Options::parse();
        match options.inner {
            Some(Inner::Bare(job)) => job.run(),
            None => check(&options),
        }
    })
}

fn check(options: &Options) -> Result<()> {
    let began = Instant::now();
    let kit = Kit::find()?;
    let mut sections = Vec::new();
    let mut failed = Vec::new();
    for part in Part::value_variants() {
        if !options.only.is_empty() && !options.only.contains(part) {
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
