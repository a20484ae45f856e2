//! The load: threads with a connection each, which send ready-made requests one after the other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::message::{Message, plain};
use super::stats::{percentile, sorted};

/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Fewer answers are no measurement.
const FEWEST: usize = 10;
/// Longer windows are not tried.
const LONGEST: Duration = Duration::from_secs(8);

/// A connection that stays open.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: vec![0; 1 << 16],
        })
    }

    /// Sends a request and returns the body of its answer, which must be a good one.
    pub(super) fn exchange(&mut self, message: &[u8]) -> Result<&[u8]> {
        let (status, body) = self.ask(message)?;
        if status != 200 {
            bail!(
                "the server answered {status}: {}",
                String::from_utf8_lossy(body)
            );
        }
        Ok(body)
    }

    /// Sends a request and returns status and body of its answer.
    pub(super) fn ask(&mut self, message: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(message)?;
        let mut filled = 0;
        let (status, head, length) = loop {
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            let count = self.stream.read(&mut self.buffer[filled..])?;
            if count == 0 {
                bail!("the server closed the connection");
            }
            filled += count;
            if let Some(head) = head_of(&self.buffer[..filled])? {
                break head;
            }
        };
        let end = head + length;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        if filled < end {
            self.stream.read_exact(&mut self.buffer[filled..end])?;
        }
        Ok((status, &self.buffer[head..end]))
    }

    /// Asks for a text.
    pub(super) fn text(&mut self, path: &str) -> Result<String> {
        let body = self.exchange(&plain("GET", path, None))?;
        Ok(String::from_utf8_lossy(body).into_owned())
    }

    /// Asks for JSON.
    pub(super) fn json(&mut self, method: &str, path: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(
            self.exchange(&plain(method, path, None))?,
        )?)
    }
}

/// Status, length of the head and of the body, once the whole head is there.
fn head_of(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else {
        return Ok(None);
    };
    let status = response.code.context("an answer without a status")?;
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .context("an answer without a length")?;
    let length = std::str::from_utf8(length.value)?.trim().parse()?;
    Ok(Some((status, head, length)))
}

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

/// What a load found.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    /// Milliseconds, in ascending order.
    pub(super) latencies: Vec<f64>,
    /// Answers per second.
    pub(super) throughput: f64,
}

impl Measured {
    pub(super) fn percentile(&self, share: f64) -> f64 {
        percentile(&self.latencies, share)
    }
}

/// Sends each script on a connection of its own, over and over, for one window; for a longer one, where hardly an answer came. What
/// is begun is ended: a script that is a stream leaves nothing behind.
pub(super) fn drive(
    address: SocketAddr,
    scripts: &[Vec<Message>],
    mut window: Window,
) -> Result<Measured> {
    loop {
        let measured = drive_once(address, scripts, window)?;
        if measured.latencies.len() >= FEWEST || window.measured > LONGEST {
            return Ok(measured);
        }
        window.measured *= 3;
    }
}

fn drive_once(address: SocketAddr, scripts: &[Vec<Message>], window: Window) -> Result<Measured> {
    let barrier = Barrier::new(scripts.len());
    let results: Vec<Result<Vec<f64>>> = thread::scope(|scope| {
        let threads: Vec<_> = scripts
            .iter()
            .map(|script| scope.spawn(|| repeat(address, script, window, &barrier)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow!("a thread of the load panicked"))?
            })
            .collect()
    });
    let mut latencies = Vec::new();
    for result in results {
        latencies.extend(result?);
    }
    Ok(Measured {
        throughput: latencies.len() as f64 / window.measured.as_secs_f64(),
        latencies: sorted(&latencies),
    })
}

/// The latencies of answers that came within the window.
fn repeat(
    address: SocketAddr,
    script: &[Message],
    window: Window,
    barrier: &Barrier,
) -> Result<Vec<f64>> {
    let connection = Connection::open(address);
    // Also without a connection: the others wait here.
    barrier.wait();
    let mut connection = connection?;
    let begin = Instant::now() + window.warm_up;
    let end = begin + window.measured;
    let mut latencies = Vec::new();
    loop {
        for message in script {
            let sent = Instant::now();
            connection.exchange(message)?;
            let answered = Instant::now();
            if begin <= answered && answered < end {
                latencies.push((answered - sent).as_secs_f64() * 1000.0);
            }
        }
        if Instant::now() >= end {
            return Ok(latencies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_complete_or_waited_for() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\nContent-Length: 12\r\n\r\nbody";
        let end = answer.len() - 4;
        assert_eq!(head_of(answer).unwrap(), Some((200, end, 12)));
        assert_eq!(head_of(&answer[..end - 1]).unwrap(), None);
        assert!(head_of(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
