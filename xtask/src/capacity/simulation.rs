//! One machine with live streams, chunk by chunk.
//!
//! A server takes all chunks that wait into one call of its encoder, as the pipelines and sequence batchers do; whatever comes meanwhile waits
//! for the next. A call of `n` chunks takes the processors `call + n × chunk` milliseconds, which is what was measured for 1 to 64
//! chunks at a time. Clients send as those of `cargo xtask bench` do: a chunk each 600 ms, phases evenly spread, and no chunk before the one
//! before it is answered.

use std::collections::VecDeque;

/// Milliseconds between two chunks of a stream.
pub(super) const PERIOD: f64 = 600.0;
/// The most chunks in a call: `max_batch_size` of the models.
const MOST: usize = 128;
/// Calls differ by so much (the standard deviation of their logarithm), with texts and with what else the machine does.
const SPREAD: f64 = 0.3;
/// All runs of a number of streams together simulate so long.
const RUN_SECONDS: f64 = 120.0;
/// Chunks at a stream's beginning that do not count, as in the bench.
const WARM_UP: usize = 2;

/// What a machine's work costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Machine {
    pub(super) cores: f64,
    /// Processor milliseconds of a call, however many chunks are in it.
    pub(super) call: f64,
    /// Processor milliseconds of a chunk.
    pub(super) chunk: f64,
}

impl Machine {
    /// The streams whose chunks take all of the processors.
    pub(super) fn saturation(self) -> f64 {
        self.cores * PERIOD / self.chunk
    }

    /// The best fit to processor milliseconds a chunk, by chunks at a time.
    pub(super) fn fitted(cores: f64, measured: &[(f64, f64)]) -> Self {
        // Least squares of `call / n + chunk`, relative to what was measured.
        let (mut s, mut x, mut xx, mut y, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &(at_a_time, cost) in measured {
            let weight = 1.0 / (cost * cost);
            let inverse = 1.0 / at_a_time;
            s += weight;
            x += weight * inverse;
            xx += weight * inverse * inverse;
            y += weight * cost;
            xy += weight * inverse * cost;
        }
        let call = (s * xy - x * y) / (s * xx - x * x);
        Self {
            cores,
            call: call.max(0.0),
            chunk: (y - call * x) / s,
        }
    }
}

/// Latencies of chunks, in milliseconds from when they were due to their answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// The next chunk of a stream.
struct Chunk {
    comes: f64,
    due: f64,
    number: usize,
}

/// Holds so many streams for so many seconds: the median of some runs, more of them where they are short, and chance weighs more.
pub(super) fn hold(machine: Machine, streams: usize, seconds: f64) -> Latency {
    let runs = (RUN_SECONDS / seconds).ceil() as u64;
    let runs: Vec<_> = (1..=runs)
        .map(|seed| run(machine, streams, seconds, seed))
        .collect();
    let median = |of: fn(&Latency) -> f64| {
        let mut values: Vec<_> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Latency {
        p50: median(|run| run.p50),
        p99: median(|run| run.p99),
    }
}

fn run(machine: Machine, streams: usize, seconds: f64, seed: u64) -> Latency {
    let count = (seconds * 1000.0 / PERIOD).ceil() as usize + WARM_UP;
    // In the order in which they come: whoever is answered first has its next one due first, and sends it no later.
    let mut chunks: VecDeque<_> = (0..streams)
        .map(|at| PERIOD * at as f64 / streams as f64)
        .map(|due| Chunk {
            comes: due,
            due,
            number: 0,
        })
        .collect();
    let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut now = 0.0_f64;
    let mut latencies = Vec::with_capacity(streams * count);
    let mut call = Vec::with_capacity(MOST);
    while let Some(first) = chunks.front() {
        now = now.max(first.comes);
        while call.len() < MOST
            && chunks.front().is_some_and(|chunk| chunk.comes <= now)
            && let Some(chunk) = chunks.pop_front()
        {
            call.push(chunk);
        }
        let work = machine.call + machine.chunk * call.len() as f64;
        now += work / machine.cores * noise.factor();
        for chunk in call.drain(..) {
            if chunk.number >= WARM_UP {
                latencies.push(now - chunk.due);
            }
            if chunk.number + 1 < count {
                let due = chunk.due + PERIOD;
                chunks.push_back(Chunk {
                    comes: due.max(now),
                    due,
                    number: chunk.number + 1,
                });
            }
        }
    }
    latencies.sort_by(f64::total_cmp);
    let percentile = |share: f64| {
        let at = (share * latencies.len().saturating_sub(1) as f64).round() as usize;
        latencies.get(at).copied().unwrap_or_default()
    };
    Latency {
        p50: percentile(0.5),
        p99: percentile(0.99),
    }
}

/// The most streams whose p99 stays within a period.
pub(super) fn most(machine: Machine, seconds: f64) -> usize {
    let holds = |streams: usize| hold(machine, streams, seconds).p99 <= PERIOD;
    let (mut good, mut bad) = (0, (machine.saturation() * 2.0).ceil() as usize);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if holds(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

/// Factors around 1, always the same ones.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Log-normal, with mean 1.
    fn factor(&mut self) -> f64 {
        // The sum of four, with deviation 1, is near enough to normal.
        let normal = ((0..4).map(|_| self.uniform()).sum::<f64>() - 2.0) * 3.0_f64.sqrt();
        (normal * SPREAD - SPREAD * SPREAD / 2.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        cores: 2.0,
        call: 4.0,
        chunk: 3.0,
    };

    #[test]
    fn costs_are_found_again() {
        let measured: Vec<_> = [1.0, 4.0, 16.0, 64.0].map(|n| (n, 4.0 / n + 3.0)).to_vec();
        let found = Machine::fitted(2.0, &measured);
        assert!((found.call - 4.0).abs() < 1e-9 && (found.chunk - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_stream_alone_waits_for_its_own_work() {
        let alone = hold(MACHINE, 1, 60.0);
        // 7 ms of work on 2 cores, more or less.
        assert!((2.5..4.5).contains(&alone.p50), "{alone:?}");
        assert!(alone.p99 < 9.0, "{alone:?}");
    }

    #[test]
    fn the_knee_is_where_the_processors_are_full() {
        assert_eq!(MACHINE.saturation(), 400.0);
        assert!(hold(MACHINE, 300, 60.0).p99 < 100.0);
        assert!(hold(MACHINE, 440, 60.0).p99 > PERIOD);
        // What is a little too much is late only after a while.
        let (short, long) = (most(MACHINE, 8.0), most(MACHINE, 600.0));
        assert!(long <= 401 && short > long && short < 450, "{short} {long}");
    }
}
