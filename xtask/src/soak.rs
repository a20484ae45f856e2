//! `cargo xtask soak`: mixed traffic and many streams for as long as one likes, with every answer checked.
//!
//! The traffic is that of `tests/load/soak.py`, which also watches the server; here the server is started, and drawn what was seen.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::layout::Layout;
use crate::plot::{Axis, Series, line_chart};
use crate::process::{self, Running};
use crate::repo::Kind;
use crate::server::{Plan, PortOptions, Server, allocator};
use crate::wheels::Wheels;
use crate::{backends, console, demo, prerequisites, python};

/// Beyond the open streams the server needs some slots for streams that end while others begin.
const SPARE_SLOTS: u64 = 24;
/// A request that waits for its turn on a busy machine is no idle stream. In configs as users get them it is 15 s. For as long the
/// server remembers the ids of streams that have ended, and the pipelines a minute longer: no longer than warm-up takes, or they look like a leak.
const IDLE_MICROSECONDS: u64 = 240_000_000;

/// How long and how much.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// How long the traffic lasts
    #[arg(long, value_name = "N", value_parser = positive)]
    minutes: f64,
    /// Streams open at a time
    #[arg(long, value_name = "N", default_value_t = 1000)]
    streams: u64,
    /// Seconds from a stream's chunk to its next, on average; a person speaks a chunk in about 0.6 s
    #[arg(long, value_name = "SECONDS", default_value = "8", value_parser = positive)]
    interval: f64,
    /// Serve the whole pipelines in place of the ensembles
    #[arg(long)]
    pipeline: bool,
    /// Where figures and plots go [default: target/xtask/soak]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && f64::is_finite(value) => Ok(value),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// Builds, serves, runs the traffic, draws; fails where an answer was wrong or lost, or memory or descriptors grow.
pub(crate) fn soak(layout: &Layout, options: &Soak) -> Result<()> {
    prerequisites::check_server()?;
    let wheels = Wheels::get(&layout.work)?;
    let backends = backends::build(layout, &wheels)?;
    let packages = python::packages(layout)?;
    let work = layout.work_directory("soak")?;
    let out = options.out.clone().unwrap_or(work);
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    // With the figures, so that soaks with places of their own can run side by side.
    let repository = repository(layout, &out, options.streams)?;
    console::step("Starting", "tritonserver on all of the demo's models");
    let (form, extra) = match options.pipeline {
        true => ("pipeline", vec!["--model-config-name=pipeline".into()]),
        false => ("ensemble", Vec::new()),
    };
    let server = Server::start(&Plan {
        tritonserver: wheels.tritonserver(),
        backends,
        repositories: vec![repository],
        extra,
        // Without it a plot shows how busy the server was, not what it holds.
        environment: allocator(|name| std::env::var_os(name).is_some()),
        ports: PortOptions::default(),
        log: Some(out.join("tritonserver.log")),
        detached: false,
        patient: false,
    })?;
    let mut traffic = process::tied("python3", Signal::SIGKILL);
    traffic
        .arg(layout.project.join("tests/load/soak.py"))
        .args(["--http", &server.ports().http_address()])
        .args(["--grpc", &server.ports().grpc_address()])
        .args(["--pid", &server.id().to_string()])
        .args(["--form", form])
        .args(["--minutes", &options.minutes.to_string()])
        .args(["--streams", &options.streams.to_string()])
        .args(["--interval", &options.interval.to_string()])
        .arg("--out")
        .arg(&out)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PROJECT_DIR", &layout.project);
    console::step("Soaking", format!("for {} minutes", options.minutes));
    let status = Running::start_apart(&mut traffic, Signal::SIGKILL)?.wait()?;
    let samples = Samples::read(&out.join("soak.csv"))?;
    draw(&samples, form, &out)?;
    console::step(
        "Wrote",
        format!("soak.json, soak.csv and plots to {}", out.display()),
    );
    if !status.success() {
        bail!(
            "the server did not stand it; the reasons are above, its log is {}",
            out.join("tritonserver.log").display()
        );
    }
    Ok(())
}

/// The demo's models in one repository, with room for so many streams.
fn repository(layout: &Layout, out: &Path, streams: u64) -> Result<PathBuf> {
    let target = out.join("repository");
    demo::assemble_common(layout, &Kind::ALL, &target)?;
    for model in fs::read_dir(&target)? {
        let model = model?.path();
        for config in ["config.pbtxt", "configs/pipeline.pbtxt"] {
            let path = model.join(config);
            if path.is_file() {
                let text = with_room(&fs::read_to_string(&path)?, streams);
                fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(target)
}

/// A config in which so many streams may be open at a time, and idle for [`IDLE_MICROSECONDS`] at least.
fn with_room(config: &str, streams: u64) -> String {
    let slots = streams.saturating_add(SPARE_SLOTS);
    let mut lines: Vec<_> = config.lines().map(str::to_owned).collect();
    for line in &mut lines {
        for (key, least) in [
            ("max_candidate_sequences:", slots),
            ("max_sequence_idle_microseconds:", IDLE_MICROSECONDS),
        ] {
            if let Some((before, value)) = line.split_once(key)
                && before.trim().is_empty()
                && let Ok(value) = value.trim().parse::<u64>()
            {
                *line = format!("{before}{key} {}", value.max(least));
            }
        }
    }
    lines.join("\n") + "\n"
}

/// The rows of soak.csv; what is not there is not a number.
struct Samples {
    columns: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Samples {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("the traffic left no {}", path.display()))?;
        let mut lines = text.lines();
        let columns = lines.next().unwrap_or_default();
        Ok(Self {
            columns: columns.split(',').map(str::to_owned).collect(),
            rows: lines
                .map(|line| {
                    let values = line.split(',').map(|value| value.parse());
                    values.map(|value| value.unwrap_or(f64::NAN)).collect()
                })
                .collect(),
        })
    }

    /// A column over minutes.
    fn series(&self, name: &str, column: &str) -> Series {
        let at = |wanted: &str| self.columns.iter().position(|each| each == wanted);
        let (seconds, values) = (at("seconds"), at(column));
        let value = |row: &Vec<f64>, at: Option<usize>| {
            at.and_then(|at| row.get(at)).copied().unwrap_or(f64::NAN)
        };
        Series {
            name: name.to_owned(),
            points: self
                .rows
                .iter()
                .map(|row| (value(row, seconds) / 60.0, value(row, values)))
                .collect(),
        }
    }
}

/// Draws memory, latency, and what the server holds open.
fn draw(samples: &Samples, form: &str, out: &Path) -> Result<()> {
    let minutes = Axis::linear("minutes");
    line_chart(
        &out.join("memory.svg"),
        &format!("Resident memory of the server, {form}s"),
        (minutes, Axis::linear("MB")),
        &[samples.series("memory", "resident_mb")],
    )?;
    let latencies = ["sensevoice", "infer_pipeline", "streaming_paraformer"]
        .into_iter()
        .flat_map(|model| [(model, "p50"), (model, "p99")])
        .map(|(model, percentile)| {
            let name = format!("{} {percentile}", model.split('_').next().unwrap_or(model));
            samples.series(&name, &format!("{model}_{percentile}_ms"))
        })
        .collect::<Vec<_>>();
    line_chart(
        &out.join("latency.svg"),
        &format!("Latency of requests and chunks, {form}s"),
        (minutes, Axis::logarithmic("ms")),
        &latencies,
    )?;
    line_chart(
        &out.join("descriptors.svg"),
        &format!("What the server holds open, {form}s"),
        (minutes, Axis::linear("count")),
        &[
            samples.series("streams", "open_streams"),
            samples.series("descriptors", "descriptors"),
            samples.series("threads", "threads"),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_get_room_and_keep_what_they_have() {
        let config = "# max_candidate_sequences: 7\n  max_sequence_idle_microseconds: 15000000\n    max_candidate_sequences: 1024\n";
        assert_eq!(
            with_room(config, 2000),
            "# max_candidate_sequences: 7\n  max_sequence_idle_microseconds: 240000000\n    max_candidate_sequences: 2024\n"
        );
        let roomy = "max_sequence_idle_microseconds: 3600000000\nmax_candidate_sequences: 4096\n";
        assert_eq!(with_room(roomy, 2000), roomy);
    }

    #[test]
    fn samples_become_lines_and_gaps_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("soak.csv");
        fs::write(
            &path,
            "seconds,resident_mb,descriptors,threads,open_streams,sensevoice_p50_ms\n30,100.5,9,3,1,\n60,101,9,3,1,2.5\n",
        )
        .unwrap();
        let samples = Samples::read(&path).unwrap();
        assert_eq!(
            samples.series("m", "resident_mb").points,
            [(0.5, 100.5), (1.0, 101.0)]
        );
        assert!(
            samples.series("l", "sensevoice_p50_ms").points[0]
                .1
                .is_nan()
        );
        draw(&samples, "pipeline", directory.path()).unwrap();
        for plot in ["memory.svg", "latency.svg", "descriptors.svg"] {
            assert!(directory.path().join(plot).is_file(), "{plot}");
        }
    }
}
