//! Paraformer for whole recordings.

use anyhow::{Context, Result};
use asr_decode::vocabulary::Vocabulary;

use super::samples::{Samples, Score};
use super::table;
use crate::console;
use crate::golden;
use crate::http::Client;
use crate::recording::Recording;
use crate::repo::Kind;
use crate::requests::{self, model};

/// Sends every recording.
pub(super) fn try_out(client: &Client, samples: &Samples) -> Result<Score> {
    let vocabulary = Vocabulary::from_file(samples.export.join("tokens.json"))?;
    // The first request pays for what later ones find ready.
    if let Some((_, recording)) = samples.recordings.first() {
        transcribe(client, recording)?;
    }
    console::step(
        "Paraformer",
        "each recording, padded to 10 s as clients do, after one warm-up request",
    );
    table::heading("recording");
    let mut score = Score::default();
    for (golden, recording) in &samples.recordings {
        let name = &golden.recording;
        let expected = golden::words(&vocabulary, &golden.answer).with_context(|| name.clone())?;
        let answer = transcribe(client, recording).with_context(|| name.clone())?;
        score.count(table::line(name, recording, &answer, &expected));
    }
    Ok(score)
}

fn transcribe(client: &Client, recording: &Recording) -> Result<table::Answer> {
    let length = recording.length()?;
    let samples = recording.padded();
    table::ask(
        client,
        model(Kind::Paraformer),
        &requests::audio(&samples, &length),
    )
}
