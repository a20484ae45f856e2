//! Streams: the same recordings, sent chunk by chunk, the next when the one before is answered.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use super::compared::{Compared, Form, Forms};
use super::forms::{counts, sherpa};
use super::model::Model;
use super::recordings::seconds;
use super::repository::{self, PIPELINE};
use crate::Pace;
use crate::cases::{CHUNK, next_id};
use crate::http::Sequence;
use crate::load::Connection;
use crate::message::{Tensor, with_tensors};
use crate::partner::Turn;
use crate::stats::sorted;
use crate::streaming::text;
use crate::tools::{Tools, address_of};

const FORMS: Forms<'_> = &[
    (Form::Served(""), "ensemble"),
    (Form::Served(PIPELINE), "pipeline"),
    (Form::Sherpa(1), "sherpa-onnx"),
];

/// A recording as its requests' tensors.
type Chunks = Vec<[Tensor; 2]>;

/// Measures a streaming model in all forms; also returns sherpa-onnx's version.
pub(super) fn measure(
    tools: &Tools,
    exports: &Path,
    model: &Model,
    recordings: &[Vec<f32>],
    pace: Pace<'_>,
) -> Result<(Compared, String)> {
    pace.tell(&format!("{}: the repository", model.export));
    let repository = repository::assemble_streams(tools, exports, model)?;
    pace.tell(&format!("{}: loading", model.export));
    let mut sherpa = sherpa(tools, exports, model, recordings)?;
    let server = tools.serve(&repository, &[])?;
    let address = address_of(&server)?;
    let all: Vec<Chunks> = recordings.iter().map(|each| chunks(each)).collect();
    let name = |prefix: &str| format!("{prefix}{}", model.top);
    check(address, &all, name)?;
    let compared = Compared::by_turns(
        model.export,
        seconds(recordings),
        FORMS,
        pace,
        |form| counts(address, form),
        |form, at_a_time| match form {
            Form::Served(prefix) => turn(address, &name(prefix), &all, at_a_time),
            _ => sherpa.turn(&json!({ "at_a_time": at_a_time, "rows": 1 })),
        },
    )?;
    Ok((compared, sherpa.version))
}

fn chunks(samples: &[f32]) -> Chunks {
    let chunk = |chunk: &[f32]| {
        [
            Tensor::floats("WAV", &[1, chunk.len()], chunk),
            Tensor::numbers("WAV_LENS", &[chunk.len() as i32]),
        ]
    };
    samples.chunks(CHUNK).map(chunk).collect()
}

/// Both forms say something, before they are timed. The last words may differ: a pipeline hears some silence behind the end.
fn check(address: SocketAddr, all: &[Chunks], name: impl Fn(&str) -> String) -> Result<()> {
    for prefix in ["", PIPELINE] {
        let said = all.iter().take(4);
        let said = said.map(|chunks| text(address, &name(prefix), chunks));
        if said.collect::<Result<String>>()?.is_empty() {
            bail!("{} says nothing", name(prefix));
        }
    }
    Ok(())
}

/// Sends each recording once, on so many connections. A latency is a chunk's.
fn turn(address: SocketAddr, model: &str, all: &[Chunks], at_a_time: usize) -> Result<Turn> {
    let next = AtomicUsize::new(0);
    let caller = || -> Result<Vec<f64>> {
        let mut connection = Connection::open(address)?;
        let mut latencies = Vec::new();
        while let Some(chunks) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let id = next_id();
            for (at, inputs) in chunks.iter().enumerate() {
                let sequence = Sequence {
                    id,
                    start: at == 0,
                    end: at + 1 == chunks.len(),
                };
                let message = with_tensors(model, inputs, &["TRANSCRIPTS"], Some(sequence));
                let began = Instant::now();
                connection.exchange(&message)?;
                latencies.push(began.elapsed().as_secs_f64() * 1000.0);
            }
        }
        Ok(latencies)
    };
    let began = Instant::now();
    let results: Vec<Result<Vec<f64>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..at_a_time).map(|_| scope.spawn(caller)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a stream panicked"))?)
            .collect()
    });
    let took = began.elapsed();
    let mut latencies = Vec::new();
    for result in results {
        latencies.extend(result?);
    }
    Ok(Turn {
        took,
        latencies: sorted(&latencies),
        bytes: None,
    })
}
