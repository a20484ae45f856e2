//! Paraformer for whole recordings.

use anyhow::{Context, Result};
use asr_decode::vocabulary::Vocabulary;

use super::{Samples, Score, table};
use crate::console;
use crate::golden;
use crate::http::{Client, Input};
use crate::recording::Recording;

/// The model that clients call.
pub(super) const MODEL: &str = "infer_pipeline";

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
    table::ask(client, MODEL, &inputs(&recording.padded(), &length))
}

/// What the model takes, and what a chunk of a stream is as well.
pub(super) fn inputs<'a>(samples: &'a [f32], length: &'a [i32; 1]) -> [Input<'a>; 2] {
    [
        Input::row("WAV", samples),
        Input::number("WAV_LENS", length),
    ]
}
