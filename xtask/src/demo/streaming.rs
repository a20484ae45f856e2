//! Paraformer for streams: texts that grow chunk by chunk.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anstyle::Style;
use anyhow::{Context, Result};
use asr_decode::vocabulary::Vocabulary;

use super::samples::{Form, Samples, Score};
use crate::console::{self, BAD, GOOD, STRONG};
use crate::golden;
use crate::http::Client;
use crate::recording::Recording;
use crate::repo::Kind;
use crate::requests::{self, chunks, with_silence};

/// A person who watches sees the text grow, ten times as fast as it was spoken.
const PACE: Duration = Duration::from_millis(60);
/// Stands for a chunk without new text.
const SILENT: &str = "·";
const DIM: Style = Style::new().dimmed();

/// Streams every recording.
pub(super) fn try_out(client: &Client, samples: &Samples, form: Form) -> Result<Score> {
    let vocabulary = Vocabulary::from_file(samples.export.join("tokens.json"))?;
    // The first stream pays for what later ones find ready.
    if let Some((_, recording)) = samples.recordings.first() {
        stream(client, (1, form), recording, |_, _| Ok(()))?;
    }
    let how = match form {
        Form::Ensemble => {
            "each recording in chunks of 600 ms, and 320 ms of silence: a stream's last 300 ms are not decoded"
        }
        Form::Pipeline => "each recording in chunks of 600 ms",
    };
    console::step("Streaming", how);
    anstream::println!(
        "{STRONG}{:<16} {:>7}    text, chunk by chunk{STRONG:#} ({SILENT} nothing new)",
        "recording",
        "audio"
    );
    let pace = io::stdout().is_terminal().then_some(PACE);
    let mut score = Score::default();
    for (id, (golden, recording)) in (2..).zip(&samples.recordings) {
        let name = &golden.recording;
        let expected = golden::deltas(&vocabulary, &golden.answer).with_context(|| name.clone())?;
        score.count(
            stream_and_print(client, (id, form), (name, recording), &expected, pace)
                .with_context(|| name.clone())?,
        );
    }
    Ok(score)
}

/// Prints one line while it grows; returns whether the text is the expected one. An ensemble's chunks have one each; where the
/// silence behind the recording is not sent, the pipeline's last chunk has the text of what would have been sent with it.
fn stream_and_print(
    client: &Client,
    (id, form): (u64, Form),
    (name, recording): (&str, &Recording),
    expected: &[String],
    pace: Option<Duration>,
) -> Result<bool> {
    let mut out = anstream::stdout().lock();
    let audio = recording.duration().as_secs_f64();
    write!(out, "{name:<16} {audio:>5.2} s    ")?;
    let streamed = stream(client, (id, form), recording, |index, delta| {
        if index > 0 {
            write!(out, "{DIM}|{DIM:#}")?;
        }
        match shown(delta) {
            SILENT => write!(out, "{DIM}{SILENT}{DIM:#}")?,
            text => write!(out, "{text}")?,
        }
        out.flush()?;
        pace.into_iter().for_each(sleep);
        Ok(())
    });
    let Streamed { deltas, took } = streamed.inspect_err(|_| drop(writeln!(out)))?;
    let right = match form {
        Form::Ensemble => deltas == expected,
        Form::Pipeline => deltas.concat() == expected.concat(),
    };
    let (mark, style) = if right { ("✓", GOOD) } else { ("✗", BAD) };
    let each = took.as_secs_f64() * 1000.0 / deltas.len() as f64;
    writeln!(
        out,
        "  {style}{mark}{style:#} {} chunks, {each:.1} ms each",
        deltas.len()
    )?;
    if !right {
        let expected: Vec<_> = expected.iter().map(|delta| shown(delta)).collect();
        writeln!(out, "{:>19}expected {}", "", expected.join("|"))?;
    }
    Ok(right)
}

fn shown(delta: &str) -> &str {
    if delta.is_empty() { SILENT } else { delta }
}

/// What a stream was answered.
struct Streamed {
    /// The new text of each chunk.
    deltas: Vec<String>,
    /// Time spent waiting for answers.
    took: Duration,
}

/// Sends a recording as the sequence `id` and tells of each answer: the chunk's index and its text.
fn stream(
    client: &Client,
    (id, form): (u64, Form),
    recording: &Recording,
    mut tell: impl FnMut(usize, &str) -> Result<()>,
) -> Result<Streamed> {
    let samples = samples(recording, form);
    let mut streamed = Streamed {
        deltas: Vec::new(),
        took: Duration::ZERO,
    };
    for (index, (chunk, sequence)) in chunks(&samples, id).enumerate() {
        let length = [i32::try_from(chunk.len())?];
        let started = Instant::now();
        let model = requests::model(Kind::ParaformerOnline);
        let delta = client.text(model, &requests::audio(chunk, &length), Some(sequence))?;
        streamed.took += started.elapsed();
        tell(index, &delta)?;
        streamed.deltas.push(delta);
    }
    Ok(streamed)
}

/// A recording's samples, and for the ensemble what makes sure that the last of them is decoded.
pub(super) fn samples(recording: &Recording, form: Form) -> Vec<f32> {
    match form {
        Form::Ensemble => with_silence(&recording.samples),
        Form::Pipeline => recording.samples.clone(),
    }
}
