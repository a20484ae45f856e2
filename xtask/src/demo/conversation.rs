//! The long recording: five people talk for two minutes, and the server makes sentences with times of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::samples::Score;
use crate::console::{self, BAD, GOOD, STRONG};
use crate::http::{Client, Input};
use crate::layout::Layout;
use crate::requests::{self, AUDIO, AUTO, WITHOUT_ITN};

/// The model for recordings of any length.
pub(super) const MODEL: &str = "transcribe";
/// The recording, and who says what and when in it.
pub(super) const SENTENCES: &str = "demo/conversation/sentences.tsv";
const RECORDING: &str = "demo/conversation/conversation.ogg";
const RESULT: &str = "RESULT_JSON";
/// How far off a sentence may begin, and end: SenseVoice hears a word soon after it begins, and seldom until its sound is over.
const TOLERANCE_MS: (i64, i64) = (300, 600);

/// A sentence as it was spoken, or as it was understood.
#[derive(Debug, PartialEq, Eq)]
struct Sentence {
    begin_ms: i64,
    end_ms: i64,
    text: String,
}

impl Sentence {
    /// For how long both are said at the same time, in ms; negative: how far they are apart.
    fn overlap(&self, other: &Self) -> i64 {
        self.end_ms.min(other.end_ms) - self.begin_ms.max(other.begin_ms)
    }

    /// By how much this one begins and ends later, in ms.
    fn later(&self, other: &Self) -> (i64, i64) {
        (self.begin_ms - other.begin_ms, self.end_ms - other.end_ms)
    }
}

pub(super) fn recording_path(layout: &Layout) -> PathBuf {
    layout.project.join(RECORDING)
}

/// Sends the recording as the file it is, and shows what comes back beside what was spoken.
pub(super) fn try_out(layout: &Layout, client: &Client) -> Result<Score> {
    let spoken = read(&layout.project.join(SENTENCES))?;
    let path = recording_path(layout);
    let file = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    console::step(
        "Long",
        format!("{RECORDING}, {} kB, by {MODEL}", file.len() / 1000),
    );
    let [language, norm] = requests::prompt(&AUTO, &WITHOUT_ITN);
    let inputs = [Input::bytes(AUDIO, &file), language, norm];
    let started = Instant::now();
    let answer = client.infer(MODEL, &inputs, &[RESULT], None)?;
    let seconds = started.elapsed().as_secs_f64();
    let document: Value = serde_json::from_str(&answer.string(RESULT)?)?;
    let understood = sentences(&document)?;
    anstream::println!(
        "{STRONG}{:>8} {:>8} {:>12}    text{STRONG:#}",
        "begin",
        "end",
        "off"
    );
    let mut score = Score::default();
    for sentence in &understood {
        score.count(line(sentence, &spoken));
    }
    for missed in spoken
        .iter()
        .filter(|said| nearest(said, &understood).is_none())
    {
        anstream::println!(
            "{:>8} {:>8} {:>12}  {BAD}✗{BAD:#} not heard: {}",
            seconds_of(missed.begin_ms),
            seconds_of(missed.end_ms),
            "",
            missed.text
        );
        score.count(false);
    }
    let audio = document["audio_ms"].as_f64().unwrap_or_default() / 1000.0;
    anstream::println!(
        "{audio:.0} s of audio in {seconds:.2} s, RTF {:.4}",
        seconds / audio.max(f64::EPSILON)
    );
    Ok(score)
}

/// Prints a sentence; returns whether it was spoken so, and then.
fn line(sentence: &Sentence, spoken: &[Sentence]) -> bool {
    let said = nearest(sentence, spoken);
    let right = said.is_some_and(|said| {
        let (begins, ends) = sentence.later(said);
        let in_time = begins.abs() <= TOLERANCE_MS.0 && ends.abs() <= TOLERANCE_MS.1;
        said.text == sentence.text && in_time
    });
    let off = said.map(|said| sentence.later(said));
    let off = off.map(|(begins, ends)| format!("{begins:+} {ends:+} ms"));
    let (mark, style) = if right { ("✓", GOOD) } else { ("✗", BAD) };
    anstream::println!(
        "{:>8} {:>8} {:>12}  {style}{mark}{style:#} {}",
        seconds_of(sentence.begin_ms),
        seconds_of(sentence.end_ms),
        off.unwrap_or_default(),
        sentence.text
    );
    if let Some(said) = said.filter(|_| !right) {
        anstream::println!(
            "{:>8} {:>8} {:>14} spoken {}",
            seconds_of(said.begin_ms),
            seconds_of(said.end_ms),
            "",
            said.text
        );
    }
    right
}

/// The one of `sentences` that is said at the same time for longest.
fn nearest<'a>(sentence: &Sentence, sentences: &'a [Sentence]) -> Option<&'a Sentence> {
    let overlapping = sentences.iter().filter(|other| sentence.overlap(other) > 0);
    overlapping.max_by_key(|other| sentence.overlap(other))
}

/// Minutes, seconds and hundredths.
fn seconds_of(ms: i64) -> String {
    format!(
        "{}:{:02}.{:02}",
        ms / 60_000,
        ms / 1000 % 60,
        ms % 1000 / 10
    )
}

/// The sentences of a document of `transcribe`.
fn sentences(document: &Value) -> Result<Vec<Sentence>> {
    let listed = document["sentences"].as_array();
    let listed = listed.with_context(|| format!("{RESULT} has no sentences: {document}"))?;
    let one = |sentence: &Value| {
        Some(Sentence {
            begin_ms: sentence["start_ms"].as_i64()?,
            end_ms: sentence["end_ms"].as_i64()?,
            text: sentence["text"].as_str()?.trim().to_owned(),
        })
    };
    let each = listed.iter().map(|sentence| {
        one(sentence).with_context(|| format!("no sentence with times: {sentence}"))
    });
    each.collect()
}

/// Reads a table of sentences: a heading, then per line begin and end in ms, speaker and text, separated by tabs.
fn read(path: &Path) -> Result<Vec<Sentence>> {
    fs::read_to_string(path)
        .map_err(anyhow::Error::from)
        .and_then(|text| {
            let lines = text.lines().enumerate().skip(1);
            lines
                .map(|(index, line)| {
                    parse_line(line).with_context(|| format!("line {}", index + 1))
                })
                .collect()
        })
        .with_context(|| format!("cannot read {}", path.display()))
}

fn parse_line(line: &str) -> Result<Sentence> {
    let columns: Vec<_> = line.split('\t').collect();
    let [begin, end, _speaker, text] = columns[..] else {
        bail!("{} columns instead of 4", columns.len());
    };
    Ok(Sentence {
        begin_ms: begin.parse().context("begin_ms")?,
        end_ms: end.parse().context("end_ms")?,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sentence(begin_ms: i64, end_ms: i64, text: &str) -> Sentence {
        Sentence {
            begin_ms,
            end_ms,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_sentence_is_right_when_it_was_spoken_so_and_then() {
        let spoken = [
            sentence(1000, 2000, "你好。"),
            sentence(3000, 4000, "再见。"),
        ];
        assert!(line(&sentence(1100, 1900, "你好。"), &spoken));
        assert!(!line(&sentence(1100, 1900, "再见。"), &spoken), "words");
        assert!(
            !line(
                &sentence(1100, 2000 + TOLERANCE_MS.1 + 1, "你好。"),
                &spoken
            ),
            "time"
        );
        assert!(!line(&sentence(5000, 6000, "再见。"), &spoken), "nobody");
    }

    #[test]
    fn tables_and_documents_are_read() {
        let document = json!({"sentences": [{"start_ms": 1, "end_ms": 20, "text": " hello。"}]});
        let read = sentences(&document).unwrap();
        assert_eq!(read, [sentence(1, 20, "hello。")]);
        assert!(sentences(&json!({})).is_err());
        assert!(sentences(&json!({"sentences": [{"text": "hello。"}]})).is_err());
        assert_eq!(parse_line("1\t20\tA\thello。").unwrap(), read[0]);
        assert!(parse_line("1\t20\thello。").is_err());
        assert_eq!(seconds_of(61_230), "1:01.23");
    }
}
