//! `cargo xtask bench`: how fast the project is, beside what it takes the place of, on the machine it runs on.

#![forbid(unsafe_code)]

mod arrivals;
mod bare;
mod cases;
mod confidence;
mod ensembles;
mod gateway;
pub mod gpu;
mod guard;
mod kernels;
mod load;
mod machine;
mod message;
mod models;
mod partner;
mod real_size;
mod report;
mod resources;
mod scaling;
mod shared;
mod speech;
mod stats;
mod steps;
mod streaming;
mod tools;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use triton_funasr_cli::{
    console, files, http, prerequisites, process, recording, repo, requests, server, wheels,
};
use xtask::{backends, demo, golden, layout, plot, python};

use self::cases::Case;
use self::load::Window;
use self::models::Models;
use self::report::Section;
use self::tools::{Tools, address_of};
use crate::layout::Layout;
use crate::repo::Kind;
use crate::server::Server;

/// The document, and what the guard compares with.
const DOCUMENT: &str = "docs/benchmarks.md";
const RATIOS: &str = "benches/ratios.json";
/// The longest stretch of speech that is cut from.
const SPEECH_SECONDS: usize = 60;
/// What the largest request may take of the free shared memory, in which the Python backend also puts its batches.
const REQUESTS_IN_MEMORY: usize = 40;

/// Enough for the most streams that are tried.
const FILES: u64 = 16_384;

/// Measure the project beside what it takes the place of, and write docs/benchmarks.md
#[derive(Debug, clap::Parser)]
#[command(bin_name = "cargo xtask bench", after_help = EXAMPLES)]
struct Bench {
    /// Measure these parts alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Fewer lengths and rounds: minutes instead of half an hour
    #[arg(long)]
    quick: bool,
    /// A quick run that fails when a ratio fell far below the committed one
    #[arg(long)]
    check: bool,
    /// Measure models of the published sizes instead, beside ONNX Runtime alone; the first time they are made
    #[arg(long, conflicts_with_all = ["only", "check"])]
    real_size: bool,
    /// Of these measure some alone
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "MODELS",
        requires = "real_size"
    )]
    models: Vec<Kind>,
    /// Measure the gateway instead, beside clients that ask the server themselves
    #[arg(long, conflicts_with_all = ["only", "check", "real_size"])]
    gateway: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench --only kernels,steps
  cargo xtask bench --quick
  cargo xtask bench --check
  cargo xtask bench --real-size --quick
  cargo xtask bench --real-size --models paraformer-online
  cargo xtask bench --gateway

A whole run takes up to half an hour on two processors that have nothing else to do. Parts of it and quick ones write their
document under target/xtask/bench; --real-size and --gateway write their own, docs/benchmarks/real_size.md and
docs/benchmarks/gateway.md. --check fails when a ratio fell far below the one in benches/ratios.json.";

/// The program behind `cargo xtask bench`.
pub fn main() -> ExitCode {
    process::main(|| bench(&Layout::find()?, &Bench::parse()))
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Features and argmax by themselves
    Kernels,
    /// Each step in a server, and what the steps take of memory and time to load
    Steps,
    /// Whole ensembles and pipelines
    Ensembles,
    /// Ensembles and pipelines when requests come at random, up to twice what the server can do
    Arrivals,
    /// How many live streams hold
    Streaming,
    /// How cost grows
    Scaling,
    /// How well confidences rank what models get wrong
    Confidence,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Kernels,
        Self::Steps,
        Self::Ensembles,
        Self::Arrivals,
        Self::Streaming,
        Self::Scaling,
        Self::Confidence,
    ];
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Pace<'a> {
    quick: bool,
    window: Window,
    /// Windows of each kind.
    rounds: usize,
    concurrencies: &'static [usize],
    /// How long streams are held.
    hold: Duration,
    bar: &'a ProgressBar,
}

impl<'a> Pace<'a> {
    fn new(quick: bool, bar: &'a ProgressBar) -> Self {
        let milliseconds = Duration::from_millis;
        let pace = Self {
            quick,
            window: Window {
                warm_up: milliseconds(200),
                measured: milliseconds(800),
            },
            rounds: 3,
            concurrencies: &[1, 4, 16],
            hold: Duration::from_secs(8),
            bar,
        };
        if !quick {
            return pace;
        }
        Self {
            window: Window {
                warm_up: milliseconds(150),
                measured: milliseconds(500),
            },
            rounds: 2,
            concurrencies: &[1, 16],
            hold: Duration::from_secs(5),
            ..pace
        }
    }

    /// Each turn is all recordings once: windows have no meaning.
    fn of_real_size(quick: bool, bar: &'a ProgressBar) -> Self {
        let pace = Self::new(quick, bar);
        Self {
            rounds: pace.pick(3, 2),
            concurrencies: &[1, 4, 16],
            ..pace
        }
    }

    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Shows what is being measured.
    fn tell(&self, what: &str) {
        if self.bar.is_hidden() {
            console::step("Measuring", what);
        }
        self.bar.set_message(what.to_owned());
    }
}

/// Measures, prints, and writes the document or compares with it.
fn bench(layout: &Layout, options: &Bench) -> Result<()> {
    let started = Instant::now();
    let committed = options
        .check
        .then(|| guard::read(&layout.project.join(RATIOS)))
        .transpose()?;
    let quick = options.quick || options.check;
    if options.real_size {
        return real_size::bench(layout, quick, &options.models, &command(options));
    }
    raise_file_limit();
    if options.gateway {
        return gateway::bench(layout, quick, &command(options));
    }
    shared::sweep();
    let tools = Tools::prepare(layout)?;
    let head = machine::head(&tools, &command(options));
    let bar = console::spinner_of("Measuring");
    let pace = Pace::new(quick, &bar);
    let parts: Vec<_> = Part::ALL
        .into_iter()
        .filter(|part| options.only.is_empty() || options.only.contains(part))
        .collect();
    let run = Run::new(&tools, pace)?;
    let mut sections = Vec::new();
    for part in &parts {
        let section = run.part(*part)?;
        bar.suspend(|| section.print());
        sections.push(section);
    }
    bar.finish_and_clear();
    drop(run);
    let ratios: BTreeMap<_, _> = sections
        .iter()
        .flat_map(|section| section.ratios.clone())
        .collect();
    if let Some(committed) = committed {
        return guard::check(&committed, &ratios);
    }
    // What a part of the bench or a quick one says must not take the place of what the whole said.
    let whole = parts.len() == Part::ALL.len() && !quick;
    let directory = if whole {
        &layout.project
    } else {
        &tools.directory
    };
    let document = directory.join(DOCUMENT);
    if let Some(parent) = document.parent() {
        std::fs::create_dir_all(parent)?;
    }
    report::write(&document, &head, &sections)?;
    if whole {
        guard::write(&directory.join(RATIOS), &ratios)?;
    }
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    console::step(
        "Wrote",
        format!("{} after {minutes:.1} minutes", document.display()),
    );
    Ok(())
}

/// The command as a person would repeat it.
fn command(options: &Bench) -> String {
    let mut command = "cargo xtask bench".to_owned();
    if !options.only.is_empty() {
        command = format!("{command} --only {}", names(&options.only));
    }
    if options.real_size {
        command.push_str(" --real-size");
    }
    if !options.models.is_empty() {
        command = format!("{command} --models {}", names(&options.models));
    }
    if options.gateway {
        command.push_str(" --gateway");
    }
    if options.quick {
        command.push_str(" --quick");
    }
    command
}

/// Values as they are given on a command line.
fn names(values: &[impl ValueEnum]) -> String {
    let names = values
        .iter()
        .filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
    names.collect::<Vec<_>>().join(",")
}

/// What the parts share: the audio, and a server that is started for the first part that needs it.
struct Run<'a> {
    tools: &'a Tools,
    pace: Pace<'a>,
    recordings: Vec<Vec<f32>>,
    cases: Vec<Case>,
    models: OnceCell<Models>,
    server: OnceCell<Server>,
}

impl<'a> Run<'a> {
    fn new(tools: &'a Tools, pace: Pace<'a>) -> Result<Self> {
        let recordings = speech::recordings(tools)?;
        let speech = speech::of_seconds(&recordings, SPEECH_SECONDS);
        let mut cases = cases::all(pace.pick(&[2, 10, 60][..], &[10][..]), &speech);
        let free = free_shared_memory().unwrap_or(usize::MAX);
        cases.retain(|case| {
            let fits = case.input_size().saturating_mul(REQUESTS_IN_MEMORY) <= free;
            if !fits {
                console::warn(format!(
                    "{} of {} is left out: /dev/shm is too small for it",
                    case.step, case.label
                ));
            }
            fits
        });
        Ok(Self {
            tools,
            pace,
            recordings,
            cases,
            models: OnceCell::new(),
            server: OnceCell::new(),
        })
    }

    fn part(&self, part: Part) -> Result<Section> {
        match part {
            Part::Kernels => kernels::run(self.tools, self.pace),
            Part::Steps => {
                let mut section = steps::run(self.address()?, &self.cases, self.pace)?;
                let models = self.models()?;
                resources::run(self.tools, models, &self.cases, self.pace, &mut section)?;
                Ok(section)
            }
            Part::Ensembles => ensembles::run(self.address()?, &self.recordings, self.pace),
            Part::Arrivals => arrivals::run(self.server()?, &self.recordings, self.pace),
            Part::Streaming => {
                let speech = speech::of_seconds(&self.recordings, 12);
                streaming::run(self.address()?, &speech, self.pace)
            }
            Part::Scaling => scaling::run(self.address()?, &self.recordings, self.pace),
            Part::Confidence => confidence::run(self.tools, self.pace),
        }
    }

    fn models(&self) -> Result<&Models> {
        if self.models.get().is_none() {
            let models = Models::write(self.tools)?;
            for case in &self.cases {
                models.add_transport(&case.transport(), case.model, &case.answer())?;
            }
            let _ = self.models.set(models);
        }
        self.models.get().ok_or_else(|| anyhow!("no models"))
    }

    /// Where the server with all models listens.
    fn address(&self) -> Result<SocketAddr> {
        address_of(self.server()?)
    }

    /// The server with all models.
    fn server(&self) -> Result<&Server> {
        if self.server.get().is_none() {
            let models = self.models()?;
            self.pace.tell("starting tritonserver with all models");
            let _ = self.server.set(self.tools.serve(&models.all, &[])?);
        }
        self.server.get().ok_or_else(|| anyhow!("no server"))
    }
}

/// A connection is a file, to the server too, which inherits the limit.
fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(FILES);
        if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_err() {
            console::warn(format!(
                "no more than {soft} files may be open: many streams may fail"
            ));
        }
    }
}

/// Bytes free in `/dev/shm`.
fn free_shared_memory() -> Option<usize> {
    let mut command = std::process::Command::new("df");
    command.args(["-k", "--output=avail", "/dev/shm"]);
    let text = process::output_of(&mut command).ok()?;
    let kilobytes: usize = text.lines().nth(1)?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
