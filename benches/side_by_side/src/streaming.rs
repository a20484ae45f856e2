//! How many live streams a server holds: each sends a chunk of 600 ms every 600 ms, and hears from it before the next.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::Pace;
use super::cases::{CHUNK, next_id};
use super::ensembles::FORMS;
use super::load::Connection;
use super::message::{Message, Tensor, outputs_in, with_tensors};
use super::models::TOP;
use super::report::{Chart, Section, Table, short};
use super::stats::{percentile, sorted};
use crate::http::Sequence;
use crate::plot::{Axis, Series};

pub(super) const PERIOD: Duration = Duration::from_millis(600);
/// Chunks at a stream's beginning that do not count.
pub(super) const WARM_UP: usize = 2;
/// The most streams tried: what the configs let in at a time.
const MOST: usize = 1024;
/// The share of chunks that may come late.
pub(super) const LATE: f64 = 0.01;

/// What a search found: the most streams that were held, and every number that was tried, in ascending order.
pub(super) type Found = (usize, Vec<(usize, Held)>);

/// How a number of streams went.
pub(super) struct Held {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// The chunks of an endless stream.
pub(super) fn chunks(speech: &[f32]) -> Vec<[Tensor; 2]> {
    speech.chunks_exact(CHUNK).map(tensors).collect()
}

/// A chunk as a request has it.
pub(super) fn tensors(chunk: &[f32]) -> [Tensor; 2] {
    [
        Tensor::floats("WAV", &[1, chunk.len()], chunk),
        Tensor::numbers("WAV_LENS", &[chunk.len() as i32]),
    ]
}

/// The requests of a whole stream, each made when it is asked for.
pub(super) fn requests(model: &str, chunks: &[[Tensor; 2]]) -> impl Iterator<Item = Message> {
    let id = next_id();
    chunks.iter().enumerate().map(move |(at, inputs)| {
        let sequence = Sequence {
            id,
            start: at == 0,
            end: at + 1 == chunks.len(),
        };
        with_tensors(model, inputs, &["TRANSCRIPTS"], Some(sequence))
    })
}

/// Holds so many streams for so long. A latency is from the time a chunk is due to its answer: a late answer delays the next chunk,
/// which then counts as late too. Ends sooner when more came late than may.
pub(super) fn hold(
    address: SocketAddr,
    model: &str,
    streams: usize,
    duration: Duration,
    chunks: &[[Tensor; 2]],
) -> Result<Held> {
    let count = (duration.as_secs_f64() / PERIOD.as_secs_f64()).ceil() as usize + WARM_UP;
    let allowed = (LATE * (streams * (count - WARM_UP)) as f64).ceil() as usize;
    let late = AtomicUsize::new(0);
    let start = Instant::now() + Duration::from_millis(200);
    let stream = |at: usize| -> Result<Vec<f64>> {
        let mut connection = Connection::open(address)?;
        let start = start + PERIOD.mul_f64(at as f64 / streams as f64);
        let id = next_id();
        let mut latencies = Vec::new();
        for number in 0..count {
            let due = start + PERIOD * number as u32;
            let hopeless = late.load(Ordering::Relaxed) > allowed;
            let sequence = Sequence {
                id,
                start: number == 0,
                end: number + 1 == count || hopeless,
            };
            // Streams are at different places of the same audio.
            let inputs = &chunks[(number + at) % chunks.len()];
            let message = with_tensors(model, inputs, &["TRANSCRIPTS"], Some(sequence));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            connection.exchange(&message)?;
            let latency = due.elapsed();
            if number >= WARM_UP {
                late.fetch_add(usize::from(latency > PERIOD), Ordering::Relaxed);
                latencies.push(latency.as_secs_f64() * 1000.0);
            }
            if hopeless {
                break;
            }
        }
        Ok(latencies)
    };
    let results: Vec<Result<Vec<f64>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..streams)
            .map(|at| scope.spawn(move || stream(at)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a stream panicked"))?)
            .collect()
    });
    let mut latencies = Vec::new();
    for result in results {
        latencies.extend(result?);
    }
    let latencies = sorted(&latencies);
    Ok(Held {
        p50: percentile(&latencies, 0.5),
        p99: percentile(&latencies, 0.99),
    })
}

/// Tries numbers of streams: doubled until it is too many, then halved in between.
pub(super) fn search(
    mut try_out: impl FnMut(usize) -> Result<Held>,
    steps: usize,
) -> Result<Found> {
    let mut tried = Vec::new();
    let mut works = |streams: usize| -> Result<bool> {
        let held = try_out(streams)?;
        let works = held.p99 <= PERIOD.as_secs_f64() * 1000.0;
        tried.push((streams, held));
        Ok(works)
    };
    let (mut good, mut bad) = (0, 32);
    while bad <= MOST && works(bad)? {
        good = bad;
        bad *= 2;
    }
    if bad <= MOST {
        for _ in 0..steps {
            let middle = usize::midpoint(good, bad);
            if middle == good {
                break;
            }
            match works(middle)? {
                true => good = middle,
                false => bad = middle,
            }
        }
    }
    tried.sort_by_key(|&(streams, _)| streams);
    Ok((good, tried))
}

/// The text of one stream.
pub(super) fn text(address: SocketAddr, model: &str, chunks: &[[Tensor; 2]]) -> Result<String> {
    let mut connection = Connection::open(address)?;
    let mut text = String::new();
    for message in requests(model, chunks) {
        let outputs = outputs_in(connection.exchange(&message)?)?;
        let delta = outputs.get("TRANSCRIPTS").and_then(|bytes| bytes.get(4..));
        text.push_str(&String::from_utf8_lossy(delta.unwrap_or_default()));
    }
    Ok(text)
}

/// Measures the streams.
pub(super) fn run(address: SocketAddr, speech: &[f32], pace: Pace) -> Result<Section> {
    let model = TOP[2];
    let chunks = chunks(speech);
    let (native, python) = (
        text(address, model, &chunks)?,
        text(address, &format!("python_{model}"), &chunks)?,
    );
    if native != python || native.is_empty() {
        bail!("{model}: \"{native}\" natively and \"{python}\" in Python");
    }
    let mut section = Section::new(
        "Streams",
        format!(
            "How many live streams hold: each sends a chunk of 600 ms every 600 ms, and 99 % of the chunks are answered within 600 ms of \
             the time they were due. The number is doubled until it is too many, then halved in between; each is held for {} s. \
             The clients run on the same processors.",
            pace.hold.as_secs()
        ),
    );
    let mut table = Table::new(
        format!("`{model}`:"),
        &["form", "streams", "p50, ms", "p99, ms", "times Python's"],
    );
    let mut all = Vec::new();
    for (name, form) in FORMS {
        let model = format!("{form}{model}");
        let try_out = |streams| {
            pace.tell(&format!("{name}: {streams} streams"));
            hold(address, &model, streams, pace.hold, &chunks)
        };
        all.push((name, search(try_out, pace.pick(3, 1))?));
    }
    let python = all
        .last()
        .map_or(f64::NAN, |(_, (streams, _))| *streams as f64);
    for (name, (streams, tried)) in &all {
        let held = tried
            .iter()
            .find(|(number, _)| number == streams)
            .map(|(_, held)| held);
        let number = if *streams >= MOST {
            format!("{streams} or more")
        } else {
            streams.to_string()
        };
        let ratio = *streams as f64 / python;
        table.rows.push(vec![
            (*name).to_owned(),
            number,
            held.map_or("–".to_owned(), |held| short(held.p50)),
            held.map_or("–".to_owned(), |held| short(held.p99)),
            short(ratio),
        ]);
        if *streams as f64 != python {
            section
                .ratios
                .insert(format!("live streams: {name} / Python"), ratio);
        }
    }
    section.tables.push(table);
    section.charts.push(chart(&all));
    Ok(section)
}

/// The p99 of every number that was tried, by form, and the limit.
pub(super) fn chart(all: &[(&str, Found)]) -> Chart {
    let mut series: Vec<_> = all
        .iter()
        .map(|(name, (_, tried))| Series {
            name: (*name).to_owned(),
            points: tried
                .iter()
                .map(|(streams, held)| (*streams as f64, held.p99))
                .collect(),
        })
        .collect();
    let numbers = series.iter().flat_map(|each| &each.points);
    let most = numbers.map(|point| point.0).fold(0.0, f64::max);
    let limit = PERIOD.as_secs_f64() * 1000.0;
    series.push(Series {
        name: "limit".to_owned(),
        points: vec![(0.0, limit), (most, limit)],
    });
    Chart {
        file: "streams",
        title: "Live streams: p99 of a 600 ms chunk".to_owned(),
        axes: (Axis::linear("streams"), Axis::logarithmic("p99 (ms)")),
        series,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_close_to_the_limit() {
        let server_of = |limit: usize| {
            move |streams: usize| {
                Ok(Held {
                    p50: 1.0,
                    p99: if streams <= limit { 100.0 } else { 900.0 },
                })
            }
        };
        let (found, tried) = search(server_of(150), 3).unwrap();
        assert_eq!(found, 144);
        assert!(tried.is_sorted_by_key(|&(streams, _)| streams));
        assert_eq!(search(server_of(5000), 3).unwrap().0, 1024);
        assert_eq!(search(server_of(3), 3).unwrap().0, 0);
    }
}
