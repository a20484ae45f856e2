//! The recordings, and how they are sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

use crate::cases::RATE;
use crate::load::Connection;
use crate::message::Message;
use crate::partner::Turn;
use crate::speech;
use crate::stats::sorted;
use crate::tools::Tools;

/// Recordings last from one second to twenty, most of them few.
pub(super) const LEAST_SECONDS: f64 = 1.0;
pub(super) const MOST_SECONDS: f64 = 20.0;
/// With this their mean is 5 s.
const SCALE: f64 = 4.2;

/// Sends each message once, on so many connections.
pub(crate) fn turn(address: SocketAddr, messages: &[Message], at_a_time: usize) -> Result<Turn> {
    each_once(address, messages, at_a_time, |message| [message.clone()])
}

/// Sends the messages that `asked` makes of each item, one after the other, the items on so many connections.
pub(super) fn each_once<'i, T, M>(
    address: SocketAddr,
    items: &'i [T],
    at_a_time: usize,
    asked: impl Fn(&'i T) -> M + Sync,
) -> Result<Turn>
where
    T: Sync,
    M: IntoIterator<Item = Message>,
{
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let latencies = thread::scope(|scope| {
        let connections: Vec<_> = (0..at_a_time)
            .map(|_| scope.spawn(|| send(address, items, &next, &asked)))
            .collect();
        let mut all = Vec::new();
        for connection in connections {
            let own = connection.join();
            all.extend(own.map_err(|_| anyhow!("a thread of the load panicked"))??);
        }
        anyhow::Ok(all)
    })?;
    Ok(Turn {
        took: began.elapsed(),
        latencies: sorted(&latencies),
        bytes: None,
    })
}

/// What no other connection has sent yet; returns milliseconds.
fn send<'i, T, M: IntoIterator<Item = Message>>(
    address: SocketAddr,
    items: &'i [T],
    next: &AtomicUsize,
    asked: impl Fn(&'i T) -> M,
) -> Result<Vec<f64>> {
    let mut connection = Connection::open(address)?;
    let mut latencies = Vec::new();
    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
        for message in asked(item) {
            let began = Instant::now();
            connection.exchange(&message)?;
            latencies.push(began.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(latencies)
}

/// Cut from the demo's recordings.
pub(super) fn recordings(tools: &Tools, count: usize) -> Result<Vec<Vec<f32>>> {
    let all = speech::recordings(tools)?.concat();
    Ok(cut_from(&all, count))
}

/// So many recordings of all lengths, cut one behind the other.
pub(crate) fn cut_from(all: &[f32], count: usize) -> Vec<Vec<f32>> {
    let mut from = 0;
    let mut cut = |seconds: f64| {
        let count = (seconds * RATE as f64) as usize;
        let samples = all.iter().copied().cycle().skip(from).take(count).collect();
        from = (from + count) % all.len().max(1);
        samples
    };
    lengths(count).into_iter().map(&mut cut).collect()
}

/// Seconds of audio: exponential between the limits, spread so evenly that the first few are like all.
pub(crate) fn lengths(count: usize) -> Vec<f64> {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let cut = 1.0 - (-(MOST_SECONDS - LEAST_SECONDS) / SCALE).exp();
    let share = |number: usize| ((number as f64 + 0.5) * GOLDEN).fract();
    let length = |number| LEAST_SECONDS - SCALE * (1.0 - cut * share(number)).ln();
    (0..count).map(length).collect()
}

pub(crate) fn seconds(recordings: &[Vec<f32>]) -> f64 {
    recordings.iter().map(Vec::len).sum::<usize>() as f64 / RATE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_as_long_as_said() {
        for count in [24, 60, 1000] {
            let all = lengths(count);
            let mean = all.iter().sum::<f64>() / count as f64;
            assert!((mean - 5.0).abs() < 0.3, "{count}: {mean}");
            let range = LEAST_SECONDS..=MOST_SECONDS;
            assert!(all.iter().all(|each| range.contains(each)));
            assert!(all.iter().any(|&each| each > 12.0));
        }
    }
}
