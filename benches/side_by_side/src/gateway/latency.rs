//! What the gateway adds to a request: the same audio through it and past it, in pairs, one right after the other.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;

use super::direct::Direct;
use super::front::Front;
use super::material::{RECORDING_SECONDS, Speech};
use super::requests::{chunk, form, recording, text};
use super::websocket::Speaking;
use crate::Pace;
use crate::cases::next_id;
use crate::http::Sequence;
use crate::load::Connection;
use crate::report::{Section, Table, Target, Wanted, short};
use crate::stats::{percentile, sorted};

/// Pairs that do not count.
const WARM_UP: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);
/// A chunk of which nothing is told is given this time, before the next one comes.
const UNTOLD: Duration = Duration::from_millis(20);
const CAPTION: &str = "ms, p50 / p99:";
/// Who answers.
const STAND_IN: &str = "stand-in";
const SERVER: &str = "tritonserver";

pub(super) fn section() -> Section {
    let mut section = Section::new(
        "Added latency",
        format!(
            "The same audio through the gateway and past it, by one client with one connection of each kind, in pairs: one right after the \
             other, and in each pair the other one first. *HTTP* is a recording of {RECORDING_SECONDS} s as a file to `/v1/audio/transcriptions`; \
             *WebSocket* is a chunk of 600 ms in FunASR's protocol, mode `online`; beside both, the gRPC request that the gateway makes \
             of it. *Added* is the difference within a pair; its p99 has in it whatever befell one of the two alone, the server's work too, on a \
             machine that client, gateway and server share. *By percentile* is by how much the p99 of all that went through is larger than of all that \
             went past. *{STAND_IN}* answers at once: there nothing but the gateway is measured. *{SERVER}* has the demo's models as \
             pipelines."
        ),
    );
    let head = [
        "server",
        "",
        "pairs",
        "past it",
        "through it",
        "added",
        "by percentile",
    ];
    section.tables.push(Table::new(CAPTION, &head));
    section
}

pub(super) fn at_stand_in(
    grpc: SocketAddr,
    front: &Front,
    speech: &Speech,
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    both(STAND_IN, grpc, front, speech, pace, section)
}

pub(super) fn at_server(
    grpc: SocketAddr,
    front: &Front,
    speech: &Speech,
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    both(SERVER, grpc, front, speech, pace, section)
}

fn both(
    server: &str,
    grpc: SocketAddr,
    front: &Front,
    speech: &Speech,
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let count = pace.pick(2000, 300);
    pace.tell(&format!("{server}: added latency, HTTP"));
    let pairs = recordings(grpc, front.address, &speech.file, count)?;
    told(server, "HTTP", &pairs, section);
    pace.tell(&format!("{server}: added latency, WebSocket"));
    let pairs = chunks(grpc, front.address, &speech.chunks, count)?;
    told(server, "WebSocket", &pairs, section);
    Ok(())
}

/// Milliseconds past the gateway and through it.
type Pair = [f64; 2];

fn told(server: &str, api: &str, pairs: &[Pair], section: &mut Section) {
    let of = |value: &dyn Fn(&Pair) -> f64| sorted(&pairs.iter().map(value).collect::<Vec<_>>());
    let sides = [of(&|pair| pair[0]), of(&|pair| pair[1])];
    let added = of(&|pair| pair[1] - pair[0]);
    let grown = percentile(&sides[1], 0.99) - percentile(&sides[0], 0.99);
    let shares = |values: &[f64]| {
        [0.5, 0.99]
            .map(|share| short(percentile(values, share)))
            .join(" / ")
    };
    if let Some(table) = section.tables.first_mut() {
        table.rows.push(vec![
            server.to_owned(),
            api.to_owned(),
            pairs.len().to_string(),
            shares(&sides[0]),
            shares(&sides[1]),
            shares(&added),
            short(grown),
        ]);
    }
    for (what, limit, measured) in [
        ("p50 of what the gateway adds", 1.0, percentile(&added, 0.5)),
        ("what the gateway adds to the p99", 5.0, grown),
    ] {
        section.targets.push(Target {
            what: format!("{server}, {api}: {what} (ms)"),
            wanted: Wanted::AtMost(limit),
            measured,
            why: "Client, gateway and server share the processors: what interrupts one of them is in the difference.",
        });
    }
}

/// The time that it takes, in milliseconds, and what comes of it.
fn timed<T>(what: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let began = Instant::now();
    let came = what()?;
    Ok((began.elapsed().as_secs_f64() * 1000.0, came))
}

fn recordings(
    grpc: SocketAddr,
    gateway: SocketAddr,
    file: &[u8],
    count: usize,
) -> Result<Vec<Pair>> {
    let mut direct = Direct::open(grpc)?;
    let mut connection = Connection::open(gateway)?;
    let (request, form) = (recording(file), form(file));
    let mut pairs = Vec::new();
    for number in 0..WARM_UP + count {
        let mut past = || {
            let request = request.clone();
            timed(|| Ok(text(&direct.infer(request)?)))
        };
        let mut through = || timed(|| Ok(connection.exchange(&form)?.to_vec()));
        let ((past, expected), (through, answer)) = in_turn(number, &mut past, &mut through)?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        let heard = answer["text"].as_str().unwrap_or_default();
        if heard.is_empty() || !expected.ends_with(heard) {
            bail!("\"{expected}\" past the gateway and \"{heard}\" through it");
        }
        if number >= WARM_UP {
            pairs.push([past, through]);
        }
    }
    Ok(pairs)
}

/// Both, in each pair the other one first.
fn in_turn<A, B>(
    number: usize,
    first: &mut impl FnMut() -> Result<A>,
    second: &mut impl FnMut() -> Result<B>,
) -> Result<(A, B)> {
    if number.is_multiple_of(2) {
        let first = first()?;
        Ok((first, second()?))
    } else {
        let second = second()?;
        Ok((first()?, second))
    }
}

/// The texts of a stream's chunks, of which the gateway tells those that are not empty.
pub(super) fn texts(direct: &mut Direct, chunks: &[Bytes]) -> Result<Vec<String>> {
    let id = next_id();
    let places = chunks.iter().enumerate();
    let mut texts = Vec::new();
    for (at, pcm) in places {
        let place = Sequence {
            id,
            start: at == 0,
            end: at + 1 == chunks.len(),
        };
        texts.push(text(&direct.infer(chunk(pcm, place))?));
    }
    Ok(texts)
}

fn chunks(
    grpc: SocketAddr,
    gateway: SocketAddr,
    pcm: &[Vec<u8>],
    count: usize,
) -> Result<Vec<Pair>> {
    let mut direct = Direct::open(grpc)?;
    let pcm: Vec<_> = pcm.iter().cloned().map(Bytes::from).collect();
    let expected = texts(&mut direct, &pcm)?;
    if expected.iter().all(String::is_empty) {
        bail!("nothing is heard in the stream");
    }
    let mut pairs = Vec::new();
    let mut seen = 0;
    while pairs.len() < count {
        let mut speaking = Speaking::open(gateway, PATIENCE)?;
        let id = next_id();
        // The last one is told with the stream's end.
        for (at, text) in expected.iter().enumerate().take(pcm.len() - 1) {
            let place = Sequence {
                id,
                start: at == 0,
                end: at + 2 == pcm.len(),
            };
            let request = chunk(&pcm[at], place);
            let mut past = || {
                let request = request.clone();
                timed(|| direct.infer(request))
            };
            let mut through = || {
                timed(|| {
                    speaking.say(&pcm[at])?;
                    match text.is_empty() {
                        true => Ok(Some(String::new())),
                        false => speaking.hear(),
                    }
                })
            };
            let ((past, _), (through, heard)) = in_turn(seen, &mut past, &mut through)?;
            if heard.as_ref() != Some(text) {
                bail!("\"{text}\" past the gateway and {heard:?} through it");
            }
            if text.is_empty() {
                thread::sleep(UNTOLD);
                continue;
            }
            seen += 1;
            if seen > WARM_UP {
                pairs.push([past, through]);
            }
        }
        speaking.end()?;
    }
    Ok(pairs)
}
