//! A gateway in a process of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::load::Connection;
use crate::message::plain;
use crate::process::{self, Running};
use crate::resources;

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// The unit in which Linux tells a process's time, on every architecture that tritonserver is published for.
const TICKS_PER_SECOND: f64 = 100.0;
/// What is written before the address.
const SERVING: &str = "http://";

/// Stopped when it is dropped.
pub(super) struct Front {
    process: Running,
    pub(super) address: SocketAddr,
}

impl Front {
    /// Starts it, and waits until its server is ready.
    pub(super) fn start(tool: &Path, server: &str, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        let mut command = process::tied(tool, Signal::SIGTERM);
        command
            .args(["gateway", "--listen", "127.0.0.1:0", "--triton", server])
            .args(["--max-streams", "4096", "--drain", "1"])
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut process = Running::start(&mut command)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(address) = address_in(&fs::read_to_string(log)?)
                && is_ready(address)
            {
                return Ok(Self { process, address });
            }
            if process.poll()?.is_some() || Instant::now() > deadline {
                bail!(
                    "the gateway does not get ready; its log is {}",
                    log.display()
                );
            }
            std::thread::sleep(POLL);
        }
    }

    /// Its memory in MB.
    pub(super) fn memory(&self) -> Result<f64> {
        resources::memory(self.process.id())
    }

    /// Seconds of processor time that it has used so far.
    pub(super) fn processor_time(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        processor_time_in(&stat)
            .context("the system does not say how much processor time the gateway used")
    }
}

/// The time in user mode and in the kernel.
fn processor_time_in(stat: &str) -> Option<f64> {
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

fn address_in(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(SERVING)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))?;
    rest[..end].parse().ok()
}

fn is_ready(address: SocketAddr) -> bool {
    let asked = Connection::open(address)
        .and_then(|mut connection| Ok(connection.ask(&plain("GET", "/health/ready", None))?.0));
    asked.is_ok_and(|status| status == 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_time_are_found() {
        let log = "     Serving http://127.0.0.1:40123, until Ctrl-C\n";
        assert_eq!(address_in(log), "127.0.0.1:40123".parse().ok());
        assert_eq!(address_in("     Serving"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 100";
        assert_eq!(processor_time_in(stat), Some(2.0));
    }
}
