//! A tritonserver on 127.0.0.1: started, waited for, and stopped again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::console::{self, STRONG};
use crate::http::Client;
use crate::process::{self, Running};

/// Loading a real model from a slow disk takes minutes; more than this is mostly a fault.
const LOADING: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_millis(20);
/// What a server that is told to end takes beside the time that it gives to requests under way.
const ENDING: Duration = Duration::from_secs(20);
/// How often other free ports are tried when another program took one in between.
const ATTEMPTS: usize = 3;

/// Ports a person may want to fix.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct PortOptions {
    /// Port of the HTTP API [default: a free one]
    #[arg(long, value_name = "N")]
    http_port: Option<u16>,
    /// Port of the gRPC API [default: a free one]
    #[arg(long, value_name = "N")]
    grpc_port: Option<u16>,
    /// Port of the Prometheus metrics [default: a free one]
    #[arg(long, value_name = "N")]
    metrics_port: Option<u16>,
}

impl PortOptions {
    fn all_fixed(self) -> bool {
        self.http_port.is_some() && self.grpc_port.is_some() && self.metrics_port.is_some()
    }
}

/// The ports of a server.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    http: u16,
    grpc: u16,
    metrics: u16,
}

impl Ports {
    /// The fixed ports, if they are free, and free ones for the rest.
    ///
    /// # Errors
    /// If a fixed one is taken, or none is free.
    pub fn choose(options: PortOptions) -> Result<Self> {
        // All listeners live until all ports are known: no port is given out twice.
        let http = listener("--http-port", options.http_port)?;
        let grpc = listener("--grpc-port", options.grpc_port)?;
        let metrics = listener("--metrics-port", options.metrics_port)?;
        Ok(Self {
            http: http.local_addr()?.port(),
            grpc: grpc.local_addr()?.port(),
            metrics: metrics.local_addr()?.port(),
        })
    }

    /// Base of the HTTP API's addresses.
    pub fn http_url(self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Host and port of the HTTP API, as tritonclient wants them.
    pub fn http_address(self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    /// Host and port of the gRPC API, as tritonclient wants them.
    pub fn grpc_address(self) -> String {
        format!("127.0.0.1:{}", self.grpc)
    }

    /// Host and port of the Prometheus metrics.
    pub fn metrics_address(self) -> String {
        format!("127.0.0.1:{}", self.metrics)
    }

    /// Tells a person where to reach the server.
    pub fn announce(self) {
        let Self {
            http,
            grpc,
            metrics,
        } = self;
        anstream::eprintln!("     {STRONG}HTTP{STRONG:#}     http://127.0.0.1:{http}");
        anstream::eprintln!("     {STRONG}gRPC{STRONG:#}     127.0.0.1:{grpc}");
        anstream::eprintln!("     {STRONG}metrics{STRONG:#}  http://127.0.0.1:{metrics}/metrics");
    }

    /// What tells tritonserver to listen there, on 127.0.0.1 alone.
    pub fn arguments(self) -> [String; 6] {
        [
            "--http-address=127.0.0.1".to_owned(),
            format!("--http-port={}", self.http),
            "--grpc-address=127.0.0.1".to_owned(),
            format!("--grpc-port={}", self.grpc),
            "--metrics-address=127.0.0.1".to_owned(),
            format!("--metrics-port={}", self.metrics),
        ]
    }
}

fn listener(option: &str, port: Option<u16>) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).with_context(|| match port {
        Some(port) => format!("{option} {port} cannot be used on 127.0.0.1"),
        None => "no free port on 127.0.0.1".to_owned(),
    })
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server's executable.
    pub tritonserver: PathBuf,
    /// `--backend-directory`.
    pub backends: PathBuf,
    /// `--model-repository`, each.
    pub repositories: Vec<PathBuf>,
    /// What else the server is told.
    pub extra: Vec<OsString>,
    /// Variables that the server has beside this program's.
    pub environment: Vec<(OsString, OsString)>,
    /// Ports that are fixed.
    pub ports: PortOptions,
    /// Where the server's log goes; to the terminal if nowhere.
    pub log: Option<PathBuf>,
    /// The server may outlive this program (see [`Server::leave`]).
    pub detached: bool,
    /// A server that is not ready for long goes on loading; else it is stopped.
    pub patient: bool,
}

/// A running server. Dropped, it is stopped.
#[derive(Debug)]
pub struct Server {
    running: Running,
    ports: Ports,
    log: Option<PathBuf>,
}

impl Server {
    /// Starts a server and waits until all its models are ready.
    pub fn start(plan: &Plan) -> Result<Self> {
        for _ in 1..ATTEMPTS {
            let mut server = Self::spawn(plan)?;
            match server.wait_until_ready(plan.patient) {
                Err(_) if !plan.ports.all_fixed() && server.lost_a_port() => {
                    console::warn("another program took a port meanwhile: trying others");
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
        let mut server = Self::spawn(plan)?;
        server.wait_until_ready(plan.patient)?;
        Ok(server)
    }

    fn spawn(plan: &Plan) -> Result<Self> {
        let ports = Ports::choose(plan.ports)?;
        let mut command = if plan.detached {
            process::detached(&plan.tritonserver)
        } else {
            process::tied(&plan.tritonserver, Signal::SIGTERM)
        };
        command
            .args(
                plan.repositories
                    .iter()
                    .map(|path| option("--model-repository=", path)),
            )
            .arg(option("--backend-directory=", &plan.backends))
            .args(ports.arguments())
            .args(&plan.extra)
            .envs(plan.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        if let Some(path) = &plan.log {
            // A server that was left running goes on with the former file.
            drop(fs::remove_file(path));
            let file =
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        let running = if plan.detached {
            Running::start_detached(&mut command)?
        } else {
            Running::start_apart(&mut command, Signal::SIGTERM)?
        };
        Ok(Self {
            running: running.with_grace(exit_timeout(&plan.extra).saturating_add(ENDING)),
            ports,
            log: plan.log.clone(),
        })
    }

    fn wait_until_ready(&mut self, patient: bool) -> Result<()> {
        // With the log on the same terminal a spinner would only be torn to pieces.
        let spinner = self
            .log
            .is_some()
            .then(|| console::spinner("for tritonserver to load its models"));
        let client = Client::new(&self.ports.http_url());
        let mut limit = Limit {
            rest: Some(LOADING),
            patient,
        };
        let started = Instant::now();
        let outcome = loop {
            if let Some(status) = self.running.poll()? {
                break Err(self.died(status));
            }
            if client.ready() {
                break Ok(());
            }
            if let Err(error) = limit.pass(started.elapsed()) {
                break Err(error);
            }
            sleep(POLL);
        };
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        outcome
    }

    /// The error for a server that ended before it was ready, with its own words.
    fn died(&self, status: ExitStatus) -> anyhow::Error {
        match &self.log {
            None => anyhow::anyhow!(
                "tritonserver did not start ({status}); the reason is in its log above"
            ),
            Some(path) => {
                let log = fs::read(path).unwrap_or_default();
                let reasons = reasons_in(&String::from_utf8_lossy(&log));
                anyhow::anyhow!(
                    "tritonserver did not start ({status}):\n{reasons}\nThe whole log: {}",
                    path.display()
                )
            }
        }
    }

    fn lost_a_port(&self) -> bool {
        let log = self.log.as_ref().and_then(|path| fs::read(path).ok());
        log.is_some_and(|log| String::from_utf8_lossy(&log).contains("' already in use"))
    }

    /// Where the server listens.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The server's process.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Waits for the server to end by itself.
    pub fn wait(self) -> Result<()> {
        let status = self.running.wait()?;
        if !status.success() {
            bail!("tritonserver ended with {status}");
        }
        Ok(())
    }

    /// Leaves the server running after this program.
    pub fn leave(self) {
        self.running.leave();
    }
}

/// How long a server may load.
struct Limit {
    /// `None` once it was passed.
    rest: Option<Duration>,
    patient: bool,
}

impl Limit {
    /// Says once that it takes long; an error if that is not to be borne.
    fn pass(&mut self, elapsed: Duration) -> Result<()> {
        let Some(limit) = self.rest.take_if(|limit| elapsed > *limit) else {
            return Ok(());
        };
        let message = format!("tritonserver is not ready after {} s", limit.as_secs());
        if !self.patient {
            bail!(message);
        }
        console::warn(format!("{message}; it goes on loading, Ctrl-C stops it"));
        Ok(())
    }
}

/// Variables that have memory come back to the system, as docs/operations.md says, but for what somebody has set.
///
/// By default glibc keeps what was freed in eight heaps per processor, each as large as its busiest moment, and puts ever larger blocks into
/// them, between which small ones stay that live long.
pub fn allocator(is_set: impl Fn(&str) -> bool) -> Vec<(OsString, OsString)> {
    let settings = [
        ("MALLOC_ARENA_MAX", "2"),
        ("MALLOC_MMAP_THRESHOLD_", "131072"),
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
    ];
    let unset = settings.into_iter().filter(|(name, _)| !is_set(name));
    unset
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// How long a server gives requests under way when it is told to end.
fn exit_timeout(arguments: &[OsString]) -> Duration {
    const OPTION: &str = "--exit-timeout-secs";
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
    let mut seconds = None;
    while let Some(argument) = arguments.next() {
        let value = match argument.split_once('=') {
            Some((OPTION, value)) => Some(value.to_owned()),
            None if argument == OPTION => arguments.next().map(|value| value.into_owned()),
            _ => None,
        };
        seconds = value.and_then(|value| value.parse().ok()).or(seconds);
    }
    Duration::from_secs(seconds.unwrap_or(30))
}

fn option(name: &str, path: &Path) -> OsString {
    let mut text = OsString::from(name);
    text.push(path);
    text
}

/// What of a failed server's log says why: its error lines, or else its last ones.
fn reasons_in(log: &str) -> String {
    const LAST: usize = 20;
    // Said on every machine without a GPU.
    const HARMLESS: &str = "CudaDriverHelper has not been initialized";
    let is_error = |line: &&str| {
        let mut characters = line.chars();
        let glog_error = characters.next() == Some('E')
            && characters.next().is_some_and(|next| next.is_ascii_digit());
        (glog_error && !line.contains(HARMLESS)) || line.starts_with("error:")
    };
    let mut errors: Vec<_> = log.lines().filter(is_error).collect();
    errors.dedup();
    if errors.is_empty() {
        let lines: Vec<_> = log.lines().collect();
        errors = lines[lines.len().saturating_sub(LAST)..].to_vec();
    }
    errors
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_a_taken_one_is_refused() {
        let ports = Ports::choose(PortOptions::default()).unwrap();
        assert!(
            ports.http != ports.grpc && ports.grpc != ports.metrics && ports.http != ports.metrics
        );
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let options = PortOptions {
            http_port: Some(port),
            ..PortOptions::default()
        };
        let error = Ports::choose(options).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("--http-port {port} cannot be used on 127.0.0.1")
        );
    }

    #[test]
    fn the_allocator_is_told_what_nobody_has_set() {
        let names = |set: &'static str| -> Vec<OsString> {
            let told = allocator(|name| name == set);
            told.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("").len(), 3);
        assert_eq!(
            names("MALLOC_ARENA_MAX"),
            ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"]
        );
    }

    #[test]
    fn a_server_has_the_time_that_it_gives_its_requests() {
        let of = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            exit_timeout(&arguments).as_secs()
        };
        assert_eq!(of(&["--log-verbose=1"]), 30);
        assert_eq!(of(&["--exit-timeout-secs=60", "--log-verbose=1"]), 60);
        assert_eq!(of(&["--exit-timeout-secs", "7"]), 7);
        assert_eq!(of(&["--exit-timeout-secs", "soon"]), 30);
    }

    #[test]
    fn only_an_impatient_wait_has_an_end() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(3));
        let limit = |patient| Limit {
            rest: Some(Duration::from_secs(2)),
            patient,
        };
        let error = limit(false).pass(long).unwrap_err().to_string();
        assert_eq!(error, "tritonserver is not ready after 2 s");
        limit(false).pass(short).unwrap();
        let mut patient = limit(true);
        patient.pass(short).unwrap();
        assert!(patient.rest.is_some());
        patient.pass(long).unwrap();
        // It is said once.
        assert_eq!(patient.rest, None);
    }

    #[test]
    fn the_log_is_reduced_to_its_errors() {
        let log = "I1123 04:00:00 server.cc:1] fine\nE1123 04:00:00 server.cc:241] \"CudaDriverHelper has not been initialized.\"\nE1123 04:00:01 model.cc:2] bad am.mvn\nEnd\nerror: creating server\n";
        assert_eq!(
            reasons_in(log),
            "  E1123 04:00:01 model.cc:2] bad am.mvn\n  error: creating server"
        );
        assert_eq!(reasons_in("Segmentation fault\n"), "  Segmentation fault");
    }
}
