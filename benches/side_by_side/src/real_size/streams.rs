//! Streams: the same recordings, sent chunk by chunk, the next when the one before is answered.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;

use super::compared::{Compared, Form, Forms};
use super::forms::{counts, sherpa};
use super::model::Model;
use super::recordings::{each_once, seconds};
use super::repository::{self, PIPELINE};
use crate::Pace;
use crate::cases::CHUNK;
use crate::message::Tensor;
use crate::streaming::{requests, tensors, text};
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
    let chunks = |samples: &Vec<f32>| samples.chunks(CHUNK).map(tensors).collect();
    let all: Vec<Chunks> = recordings.iter().map(chunks).collect();
    let name = |prefix: &str| format!("{prefix}{}", model.top);
    check(address, &all, name)?;
    let compared = Compared::by_turns(
        model.export,
        seconds(recordings),
        FORMS,
        pace,
        |form| counts(address, form),
        |form, at_a_time| match form {
            // A latency is a chunk's.
            Form::Served(prefix) => {
                let name = name(prefix);
                each_once(address, &all, at_a_time, |chunks| requests(&name, chunks))
            }
            _ => sherpa.turn(&json!({ "at_a_time": at_a_time, "rows": 1 })),
        },
    )?;
    Ok((compared, sherpa.version))
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
