//! `cargo xtask sanitize`: the SDK's fake-host tests, or a real server, under a tool that sees every access to memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::Client;
use crate::layout::{Layout, cargo};
use crate::nightly;
use crate::process;
use crate::repo::Kind;
use crate::server::{Plan, PortOptions, Server};
use crate::wheels::Wheels;
use crate::{backends, console, demo, prerequisites};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Sanitize {
    /// The tool
    #[arg(value_enum)]
    tool: Tool,
    /// The demo models that a server is tried with; each takes minutes under valgrind
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "MODELS",
        default_value = "sensevoice"
    )]
    only: Vec<Kind>,
}

/// A tool, and what it is let loose on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// AddressSanitizer over the fake-host tests: memory that is not ours, or not any more, and leaks
    Asan,
    /// ThreadSanitizer over the fake-host tests: data races (std is built with it)
    Tsan,
    /// Valgrind's memcheck over the fake-host tests: the same as asan, and values that were never written
    Memcheck,
    /// Memcheck over a real tritonserver that transcribes the demo recordings
    Server,
}

/// The package with the project's FFI, and those of its tests that drive it through the fake host.
const PACKAGE: [&str; 2] = ["--package", "triton-backend"];
const FAKE_HOST: [&str; 13] = [
    "arrays",
    "calls",
    "cancellation",
    "carried",
    "gpu_memory",
    "halves",
    "instances",
    "memory",
    "metrics",
    "ownership",
    "phases",
    "promises",
    "server",
];

/// How valgrind says that it found something.
const FOUND: i32 = 9;

/// Runs the tool; fails where it found something.
pub(crate) fn sanitize(layout: &Layout, options: &Sanitize) -> Result<()> {
    match options.tool {
        Tool::Asan => fake_host(layout, sanitizer(layout, "address", &[])),
        Tool::Tsan => {
            check_component("rust-src", "lib/rustlib/src/rust/library")?;
            let command = sanitizer(layout, "thread", &["-Zbuild-std"]);
            fake_host(layout, command)
        }
        Tool::Memcheck => {
            check_valgrind()?;
            fake_host(layout, memcheck())
        }
        Tool::Server => server(layout, &options.only),
    }
}

/// Runs the fake-host tests with a cargo that was told the tool.
fn fake_host(layout: &Layout, mut command: Command) -> Result<()> {
    console::step("Testing", "the SDK on its fake host");
    command.current_dir(&layout.project).args(PACKAGE);
    command.args(FAKE_HOST.iter().flat_map(|test| ["--test", test]));
    // A backtrace, of a test that panics on purpose, takes longer under these tools than the test has.
    command.env("RUST_BACKTRACE", "0");
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("something was found ({status}); it is told above");
    }
    console::step("Found", "nothing");
    Ok(())
}

fn sanitizer(layout: &Layout, name: &str, more: &[&str]) -> Command {
    let mut command = nightly::cargo();
    command
        .args(["test", "--target", &target()])
        .args(more)
        .env("RUSTFLAGS", format!("-Zsanitizer={name}"))
        .env(
            "CARGO_TARGET_DIR",
            layout.work.join(format!("sanitize/{name}")),
        );
    command
}

/// With a target named, build scripts and macros are built without the sanitizer.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn memcheck() -> Command {
    let mut command = cargo();
    let runner = format!(
        "target.'cfg(unix)'.runner=['valgrind', '--quiet', '--leak-check=full', \
         '--show-leak-kinds=definite,indirect', '--errors-for-leak-kinds=definite,indirect', \
         '--num-callers=30', '--error-exitcode={FOUND}']"
    );
    command.args(["test", "--config", &runner]);
    command
}

fn check_valgrind() -> Result<()> {
    let mut command = Command::new("valgrind");
    command.arg("--version").stdout(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        bail!(
            "this machine lacks valgrind; on Debian and Ubuntu: apt-get install valgrind libc6-dbg"
        );
    }
    Ok(())
}

/// Whether the nightly toolchain has a component, of which `file` is part.
fn check_component(name: &str, file: &str) -> Result<()> {
    let there = nightly::sysroot().is_some_and(|path| Path::new(&path).join(file).exists());
    if !there {
        bail!(
            "this machine lacks a nightly Rust with {name}: \
             rustup toolchain install nightly --profile minimal --component {name}"
        );
    }
    Ok(())
}

/// Transcribes the demo recordings on a server under memcheck, stops it, and looks at what was said of our libraries.
fn server(layout: &Layout, kinds: &[Kind]) -> Result<()> {
    check_valgrind()?;
    prerequisites::check_server()?;
    let wheels = Wheels::get(&layout.work)?;
    let backends = backends::build(layout, &wheels)?;
    let work = layout.work_directory("sanitize")?;
    let mut found = Vec::new();
    for &kind in kinds {
        let repository = demo::repository(layout, kind)?;
        let report = work.join(format!("{}.xml", kind.name()));
        let log = work.join(format!("{}.log", kind.name()));
        console::step(
            "Starting",
            format!("tritonserver under valgrind, for {}", kind.name()),
        );
        let server = Server::start(&Plan {
            tritonserver: wrapper(&work, &wheels.tritonserver(), &report)?,
            backends: backends.clone(),
            repositories: vec![repository],
            extra: vec!["--exit-timeout-secs=600".into()],
            environment: Vec::new(),
            ports: PortOptions::default(),
            log: Some(log),
            detached: false,
            patient: false,
        })?;
        let client = Client::new(&server.ports().http_url());
        let wrong = demo::wrong_texts(layout, &client, kind)?;
        if wrong > 0 {
            found.push(format!("{}: {wrong} texts are wrong", kind.name()));
        }
        console::step("Stopping", "tritonserver");
        // Its leaks take longer to find than an interrupted server is given.
        kill(Pid::from_raw(server.id().cast_signed()), Signal::SIGTERM)?;
        server.wait()?;
        let text = fs::read_to_string(&report)
            .with_context(|| format!("valgrind left no {}", report.display()))?;
        let (all, ours) = reports(&text);
        console::step(
            "Found",
            format!(
                "{} reports, {} of them of our libraries; all are in {}",
                all,
                ours.len(),
                report.display()
            ),
        );
        found.extend(ours);
    }
    if !found.is_empty() {
        bail!("{}", found.join("\n\n"));
    }
    Ok(())
}

/// A program that is started as tritonserver and runs it under valgrind.
fn wrapper(work: &Path, tritonserver: &Path, report: &Path) -> Result<PathBuf> {
    let path = work.join("tritonserver");
    let script = format!(
        "#!/bin/sh\nexec valgrind --quiet --error-limit=no --num-callers=40 --leak-check=full \
         --show-leak-kinds=definite --xml=yes --xml-file='{}' '{}' \"$@\"\n",
        report.display(),
        tritonserver.display()
    );
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Where allocations and copies happen; whose they are, the frame above says.
const NEUTRAL: [&str; 5] = [
    "vgpreload_",
    "/libc.so",
    "/libc-",
    "/ld-linux",
    "/libstdc++.so",
];
const OURS: [&str; 2] = ["libtriton_funasr.so", "libtriton_onnxruntime.so"];

/// The number of valgrind's reports, and those in which one of our libraries did it, in a few lines each.
fn reports(xml: &str) -> (usize, Vec<String>) {
    let errors = elements(xml, "error");
    let ours = errors.iter().filter(|error| {
        // The first stack is where it happened; others tell where the memory came from.
        let stack = elements(error, "stack").into_iter().next();
        let objects = elements(stack.unwrap_or_default(), "obj");
        let neutral = |object: &&str| NEUTRAL.iter().any(|name| object.contains(name));
        let culprit = objects.into_iter().find(|object| !neutral(object));
        culprit.is_some_and(|object| OURS.iter().any(|name| object.ends_with(name)))
    });
    (errors.len(), ours.map(|error| summary(error)).collect())
}

fn summary(error: &str) -> String {
    let first = |name: &str| elements(error, name).into_iter().next();
    let what = first("what").or_else(|| first("text")).unwrap_or_default();
    let frames = elements(first("stack").unwrap_or_default(), "frame");
    let frames = frames.iter().take(12).map(|frame| {
        let part = |name| elements(frame, name).into_iter().next().unwrap_or("?");
        format!("\n    {} ({}:{})", part("fn"), part("file"), part("line"))
    });
    format!("{what}{}", frames.collect::<String>())
}

/// The contents of all elements `name`, which valgrind writes without attributes and never inside each other.
fn elements<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(&close)?.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: &str, objects: &[&str]) -> String {
        let frames: String = objects
            .iter()
            .map(|object| {
                format!(
                    "<frame><obj>{object}</obj><fn>f</fn><file>a.rs</file><line>7</line></frame>\n"
                )
            })
            .collect();
        format!(
            "<error>\n<kind>{kind}</kind><what>{kind} here</what><stack>\n{frames}</stack></error>\n"
        )
    }

    #[test]
    fn reports_are_sorted_by_who_did_it() {
        let preload = "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so";
        let ours = "/b/funasr/libtriton_funasr.so";
        let server = "/s/lib/libtritonserver.so";
        let xml = [
            error("InvalidRead", &[ours, server]),
            error(
                "Leak_DefinitelyLost",
                &[preload, "/lib/libstdc++.so.6", ours],
            ),
            error("UninitValue", &["/b/onnxruntime/libonnxruntime.so.1", ours]),
            error("Leak_DefinitelyLost", &[preload, server, ours]),
        ]
        .concat();
        let (all, ours) = reports(&format!("<valgrindoutput>{xml}</valgrindoutput>"));
        assert_eq!(all, 4);
        let frame = "\n    f (a.rs:7)";
        assert_eq!(
            ours,
            [
                format!("InvalidRead here{frame}{frame}"),
                format!("Leak_DefinitelyLost here{frame}{frame}{frame}")
            ]
        );
        assert_eq!(reports(""), (0, Vec::new()));
    }
}
