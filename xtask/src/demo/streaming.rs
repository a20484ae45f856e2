//! Paraformer for streams: texts that grow chunk by chunk.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anstyle::Style;
use anyhow::{Context, Result, bail};
use asr_decode::vocabulary::Vocabulary;

use super::paraformer::inputs;
use super::{Samples, Score};
use crate::console::{self, BAD, GOOD, STRONG};
use crate::golden;
use crate::http::{Client, Sequence};
use crate::recording::Recording;

/// The model that clients call.
pub(super) const MODEL: &str = "streaming_paraformer";
/// Samples of a chunk: 600 ms.
const CHUNK: usize = 9600;
/// Samples of silence behind a recording. With fixed chunks the last 300 ms of a stream are never decoded.
const TAIL: usize = 5120;
/// A person who watches sees the text grow, ten times as fast as it was spoken.
const PACE: Duration = Duration::from_millis(60);
/// Stands for a chunk without new text.
const SILENT: &str = "·";
const DIM: Style = Style::new().dimmed();

/// Streams every recording.
pub(super) fn try_out(client: &Client, samples: &Samples) -> Result<Score> {
    let vocabulary = Vocabulary::from_file(samples.export.join("tokens.json"))?;
    // The first stream pays for what later ones find ready.
    if let Some((_, recording)) = samples.recordings.first() {
        stream(client, 1, recording, |_, _| Ok(()))?;
    }
    console::step(
        "Streaming",
        "each recording in chunks of 600 ms, and 320 ms of silence: a stream's last 300 ms are not decoded",
    );
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
            stream_and_print(client, id, (name, recording), &expected, pace)
                .with_context(|| name.clone())?,
        );
    }
    Ok(score)
}

/// Prints one line while it grows; returns whether each chunk's text is the expected one.
fn stream_and_print(
    client: &Client,
    id: u64,
    (name, recording): (&str, &Recording),
    expected: &[String],
    pace: Option<Duration>,
) -> Result<bool> {
    let mut out = anstream::stdout().lock();
    let audio = recording.duration().as_secs_f64();
    write!(out, "{name:<16} {audio:>5.2} s    ")?;
    let streamed = stream(client, id, recording, |index, delta| {
        if index > 0 {
            write!(out, "{DIM}|{DIM:#}")?;
        }
        match delta {
            "" => write!(out, "{DIM}{SILENT}{DIM:#}")?,
            text => write!(out, "{text}")?,
        }
        out.flush()?;
        pace.into_iter().for_each(sleep);
        Ok(())
    });
    let Streamed { deltas, took } = streamed.inspect_err(|_| drop(writeln!(out)))?;
    let right = deltas == expected;
    let (mark, style) = if right { ("✓", GOOD) } else { ("✗", BAD) };
    let each = took.as_secs_f64() * 1000.0 / deltas.len() as f64;
    writeln!(
        out,
        "  {style}{mark}{style:#} {} chunks, {each:.1} ms each",
        deltas.len()
    )?;
    if !right {
        writeln!(out, "{:>19}expected {}", "", expected.join("|"))?;
    }
    Ok(right)
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
    id: u64,
    recording: &Recording,
    mut tell: impl FnMut(usize, &str) -> Result<()>,
) -> Result<Streamed> {
    let samples = with_tail(recording);
    let mut streamed = Streamed {
        deltas: Vec::new(),
        took: Duration::ZERO,
    };
    for (index, (chunk, sequence)) in chunks(&samples, id).enumerate() {
        let length = [i32::try_from(chunk.len())?];
        let started = Instant::now();
        let texts = client.infer(
            MODEL,
            &inputs(chunk, &length),
            "TRANSCRIPTS",
            Some(sequence),
        )?;
        streamed.took += started.elapsed();
        let Ok([delta]) = <[String; 1]>::try_from(texts) else {
            bail!("several transcripts for one chunk");
        };
        tell(index, &delta)?;
        streamed.deltas.push(delta);
    }
    Ok(streamed)
}

/// A recording's samples, followed by what makes sure that the last of them is decoded.
pub(super) fn with_tail(recording: &Recording) -> Vec<f32> {
    let mut samples = recording.samples.clone();
    samples.resize(samples.len() + TAIL, 0.0);
    samples
}

/// The chunks of a stream, each with its place in the sequence. The last one may be shorter.
pub(super) fn chunks(samples: &[f32], id: u64) -> impl Iterator<Item = (&[f32], Sequence)> {
    let count = samples.len().div_ceil(CHUNK);
    samples
        .chunks(CHUNK)
        .enumerate()
        .map(move |(index, chunk)| {
            let sequence = Sequence {
                id,
                start: index == 0,
                end: index + 1 == count,
            };
            (chunk, sequence)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_starts_and_ends_once() {
        let samples = vec![0.0; 2 * CHUNK + 1];
        let flags = |samples| {
            chunks(samples, 7)
                .map(|(chunk, sequence)| (chunk.len(), sequence.start, sequence.end))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            flags(&samples),
            [
                (CHUNK, true, false),
                (CHUNK, false, false),
                (1, false, true)
            ]
        );
        assert_eq!(flags(&samples[..CHUNK]), [(CHUNK, true, true)]);
    }
}
