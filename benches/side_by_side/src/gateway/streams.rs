//! Live streams through the gateway: each sends a chunk of 600 ms every 600 ms and hears of it before the next.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;

use super::direct::Direct;
use super::front::Front;
use super::latency::texts;
use super::material::{STREAMS, Speech};
use super::websocket::Speaking;
use crate::Pace;
use crate::report::{Section, Table, Target, Wanted, short};
use crate::server::Server;
use crate::stats::{percentile, sorted};
use crate::streaming::{self, Held, LATE, PERIOD, WARM_UP};
use crate::tools::address_of;

/// As many as are to be held.
const MANY: usize = 1000;
/// An answer that does not come for so long is as late.
const PATIENCE: Duration = Duration::from_secs(5);
/// A thousand threads that do little.
const STACK: usize = 256 << 10;
/// How long connecting is spread over.
const CONNECTING: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a number of streams took.
struct Load {
    held: Held,
    /// The share of chunks that were answered after the next was due.
    late: f64,
    /// kB of the gateway's memory, each, beyond what it had before the first of them.
    memory: f64,
    /// Milliseconds of the gateway's processor time in a second, each.
    time: f64,
}

pub(super) fn section(pace: Pace) -> Section {
    let mut section = Section::new(
        "Live streams",
        format!(
            "WebSockets in FunASR's protocol, mode `online`: each sends a chunk of 600 ms every 600 ms and hears of it. A latency counts from the time \
             at which a chunk is due; late is what is answered after the next one is due. Held for {} s. Memory is the gateway's proportional set size \
             at its largest, beyond what it was before, and processor time the gateway's alone, user and kernel, each by stream. The \
             *stand-in* answers at once with a text for each chunk, since the demo's models would need more processors than this machine has; \
             with *tritonserver* it is the largest number of which 99 % of the chunks are answered in 600 ms. Clients, gateway and server \
             share the processors.",
            pace.hold.as_secs()
        ),
    );
    section.tables.push(Table::new(
        format!("`{STREAMS}`:"),
        &[
            "server",
            "streams",
            "p50 / p99, ms",
            "late",
            "memory a stream, kB",
            "processor time a stream, ms/s",
        ],
    ));
    section
}

/// Without a model's work.
pub(super) fn at_stand_in(
    front: &Front,
    speech: &Speech,
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    pace.tell(&format!("stand-in: {MANY} streams"));
    let chunks = shared(speech);
    // Every chunk is told, wherever a stream begins.
    let expected = vec![vec![true; chunks.len()]; chunks.len()];
    warm_up(front, &chunks, &expected)?;
    let load = hold(front, MANY, pace.hold, &chunks, &expected)?;
    let why = "Clients and stand-in share the processors with the gateway.";
    let targets = [
        ("p99 of a chunk (ms)", load.held.p99, 600.0),
        ("share of late chunks", load.late, LATE),
    ];
    for (what, measured, limit) in targets {
        section.targets.push(Target {
            what: format!("{MANY} live WebSocket streams: {what}"),
            wanted: Wanted::AtMost(limit),
            measured,
            why,
        });
    }
    row(section, "stand-in", MANY, Some(&load));
    Ok(())
}

/// As many as the server's models can do, through the gateway and past it.
pub(super) fn at_server(
    server: &Server,
    front: &Front,
    speech: &Speech,
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let chunks = shared(speech);
    let expected = told(server, &chunks)?;
    let mut loads: Vec<(usize, Load)> = Vec::new();
    let through = |streams: usize| {
        pace.tell(&format!(
            "tritonserver: {streams} streams through the gateway"
        ));
        let load = hold(front, streams, pace.hold, &chunks, &expected)?;
        let held = Held {
            p50: load.held.p50,
            p99: load.held.p99,
        };
        loads.push((streams, load));
        Ok(held)
    };
    let (most, _) = streaming::search(through, pace.pick(3, 1))?;
    let load = loads.iter().find(|(streams, _)| *streams == most);
    row(section, "tritonserver", most, load.map(|(_, load)| load));
    let address = address_of(server)?;
    let tensors = tensors(&chunks);
    let past = |streams| {
        pace.tell(&format!("tritonserver: {streams} streams past the gateway"));
        streaming::hold(address, STREAMS, streams, pace.hold, &tensors)
    };
    let (most, tried) = streaming::search(past, pace.pick(3, 1))?;
    let held = tried.into_iter().find(|(streams, _)| *streams == most);
    let (p50, p99) = held.map_or((f64::NAN, f64::NAN), |(_, held)| (held.p50, held.p99));
    if let Some(table) = section.tables.first_mut() {
        table.rows.push(vec![
            "tritonserver, past the gateway (HTTP)".to_owned(),
            most.to_string(),
            format!("{} / {}", short(p50), short(p99)),
            "–".to_owned(),
            "–".to_owned(),
            "–".to_owned(),
        ]);
    }
    Ok(())
}

fn row(section: &mut Section, server: &str, streams: usize, load: Option<&Load>) {
    let figure =
        |value: &dyn Fn(&Load) -> f64| load.map_or("–".to_owned(), |load| short(value(load)));
    let Some(table) = section.tables.first_mut() else {
        return;
    };
    table.rows.push(vec![
        server.to_owned(),
        streams.to_string(),
        format!(
            "{} / {}",
            figure(&|load| load.held.p50),
            figure(&|load| load.held.p99)
        ),
        load.map_or("–".to_owned(), |load| {
            format!("{:.2} %", load.late * 100.0)
        }),
        figure(&|load| load.memory),
        figure(&|load| load.time),
    ]);
}

fn shared(speech: &Speech) -> Vec<Bytes> {
    speech.chunks.iter().cloned().map(Bytes::from).collect()
}

/// Whether something is told of each chunk, by the chunk that a stream begins with.
fn told(server: &Server, chunks: &[Bytes]) -> Result<Vec<Vec<bool>>> {
    let mut direct = Direct::open(server.ports().grpc_address().parse()?)?;
    let beginnings = 0..chunks.len();
    let all = beginnings.map(|first| {
        let mut own = chunks.to_vec();
        own.rotate_left(first);
        // A stream is longer than the audio.
        let own: Vec<_> = own.iter().cycle().take(2 * chunks.len()).cloned().collect();
        let texts = texts(&mut direct, &own)?;
        Ok(texts.iter().map(|text| !text.is_empty()).collect())
    });
    all.collect()
}

/// The chunks as a client that asks the server itself sends them.
fn tensors(chunks: &[Bytes]) -> Vec<[crate::message::Tensor; 2]> {
    let samples = chunks.iter().flat_map(|chunk| chunk.as_chunks::<2>().0);
    let samples: Vec<f32> = samples
        .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32768.0)
        .collect();
    streaming::chunks(&samples)
}

/// What a gateway takes once is no stream's memory.
fn warm_up(front: &Front, chunks: &[Bytes], expected: &[Vec<bool>]) -> Result<()> {
    hold(front, 8, PERIOD, chunks, expected).map(drop)
}

/// Holds so many streams for so long. Ends sooner when more came late than may.
fn hold(
    front: &Front,
    streams: usize,
    duration: Duration,
    chunks: &[Bytes],
    expected: &[Vec<bool>],
) -> Result<Load> {
    let count = (duration.as_secs_f64() / PERIOD.as_secs_f64()).ceil() as usize + WARM_UP;
    let allowed = (LATE * (streams * (count - WARM_UP)) as f64).ceil() as usize;
    let late = AtomicUsize::new(0);
    let all_ended = AtomicBool::new(false);
    let before = front.memory()?;
    let start = Instant::now() + CONNECTING;
    let stream = |at: usize| -> Result<Vec<f64>> {
        let begin = CONNECTING.mul_f64(0.8 * at as f64 / streams as f64);
        thread::sleep((start - CONNECTING + begin).saturating_duration_since(Instant::now()));
        let start = start + PERIOD.mul_f64(at as f64 / streams as f64);
        talk(
            front.address,
            at,
            count,
            start,
            chunks,
            expected,
            &late,
            allowed,
        )
        .with_context(|| format!("stream {at} of {streams}"))
    };
    let (stream, ended) = (&stream, &all_ended);
    thread::scope(|scope| {
        let watched = scope.spawn(|| watch(front, start, ended));
        let threads: Result<Vec<_>, _> = (0..streams)
            .map(|at| {
                let builder = thread::Builder::new().stack_size(STACK);
                builder.spawn_scoped(scope, move || stream(at))
            })
            .collect();
        let mut latencies = Vec::new();
        let mut outcome = Ok(());
        for thread in threads? {
            match thread.join().map_err(|_| anyhow!("a stream panicked")) {
                Ok(Ok(own)) => latencies.extend(own),
                Ok(Err(error)) | Err(error) => outcome = Err(error),
            }
        }
        all_ended.store(true, Ordering::Relaxed);
        let watched = watched
            .join()
            .map_err(|_| anyhow!("the watch panicked"))??;
        outcome?;
        let period = PERIOD.as_secs_f64() * 1000.0;
        let too_late = latencies
            .iter()
            .filter(|&&latency| latency > period)
            .count();
        let sorted = sorted(&latencies);
        Ok(Load {
            held: Held {
                p50: percentile(&sorted, 0.5),
                p99: percentile(&sorted, 0.99),
            },
            late: too_late as f64 / latencies.len().max(1) as f64,
            memory: (watched.memory - before) * 1000.0 / streams as f64,
            time: watched.time * 1000.0 / streams as f64,
        })
    })
}

/// What a gateway took while streams were live.
#[derive(Default)]
struct Watched {
    /// MB, at its largest.
    memory: f64,
    /// Seconds of processor time in a second.
    time: f64,
}

fn watch(front: &Front, start: Instant, ended: &AtomicBool) -> Result<Watched> {
    thread::sleep(start.saturating_duration_since(Instant::now()));
    let (began, used) = (Instant::now(), front.processor_time()?);
    let mut watched = Watched::default();
    while !ended.load(Ordering::Relaxed) {
        watched.memory = watched.memory.max(front.memory()?);
        thread::sleep(LOOK_EVERY);
        watched.time = (front.processor_time()? - used) / began.elapsed().as_secs_f64();
    }
    Ok(watched)
}

/// One stream: the milliseconds from when each chunk was due to when it was heard of.
#[expect(
    clippy::too_many_arguments,
    reason = "what the closure around it knows"
)]
fn talk(
    address: SocketAddr,
    at: usize,
    count: usize,
    start: Instant,
    chunks: &[Bytes],
    expected: &[Vec<bool>],
    late: &AtomicUsize,
    allowed: usize,
) -> Result<Vec<f64>> {
    let mut speaking = Speaking::open(address, PATIENCE)?;
    let first = at % chunks.len();
    let mut latencies = Vec::new();
    for number in 0..count {
        let due = start + PERIOD * u32::try_from(number)?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        speaking.say(&chunks[(first + number) % chunks.len()])?;
        let told = &expected[first];
        if told[number % told.len()] {
            speaking.hear()?;
            let latency = due.elapsed();
            if number >= WARM_UP {
                let missed = late.fetch_add(usize::from(latency > PERIOD), Ordering::Relaxed);
                latencies.push(latency.as_secs_f64() * 1000.0);
                if missed > allowed {
                    break;
                }
            }
        }
    }
    speaking.end()?;
    Ok(latencies)
}
