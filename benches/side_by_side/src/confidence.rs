//! How well a model's confidence ranks what it got wrong.

mod alignment;
mod noise;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use transcripts::Heard;

use super::Pace;
use super::report::{Section, Table};
use super::stats::area_under_curve;
use super::tools::Tools;
use crate::demo;
use crate::http::{Client, Input};
use crate::recording::Recording;
use crate::repo::Kind;
use crate::requests::{self, AUTO, WITHOUT_ITN};

/// Decibels by which the noise is below the speech: from hardly any to as loud.
const SNRS: [f64; 6] = [30.0, 20.0, 15.0, 10.0, 5.0, 0.0];
/// A stream's correlation id; each is ended before the next one begins.
const STREAM: u64 = 1;
/// Words are counted by their confidence, from these on.
const LEVELS: [f64; 5] = [0.95, 0.9, 0.8, 0.5, 0.0];

/// A recording and what is said in it.
struct Said {
    samples: Vec<f32>,
    words: Vec<String>,
}

/// How sure a model was, of what it got right and of what it got wrong.
#[derive(Default)]
struct Sure {
    right: Vec<f64>,
    wrong: Vec<f64>,
}

impl Sure {
    fn add(&mut self, confidence: f64, is_right: bool) {
        let group = match is_right {
            true => &mut self.right,
            false => &mut self.wrong,
        };
        group.push(confidence);
    }

    fn cells(&self) -> [String; 3] {
        let (right, wrong) = (self.right.len(), self.wrong.len());
        let area = area_under_curve(&self.right, &self.wrong);
        let area = if area.is_nan() {
            "–".to_owned()
        } else {
            format!("{area:.3}")
        };
        [(right + wrong).to_string(), wrong.to_string(), area]
    }

    /// How many have a confidence of `from` up to `to`, and which share of them is right.
    fn between(&self, from: f64, to: f64) -> String {
        let count = |group: &[f64]| {
            let inside = group
                .iter()
                .filter(|&&confidence| (from..to).contains(&confidence));
            inside.count()
        };
        let (right, wrong) = (count(&self.right), count(&self.wrong));
        match right + wrong {
            0 => "–".to_owned(),
            all => format!("{:.0} % of {all}", 100.0 * right as f64 / all as f64),
        }
    }
}

/// What came of a model.
#[derive(Default)]
struct Outcome {
    words: Sure,
    recordings: Sure,
    /// Words that were said and not heard, nor anything in their place.
    missed: usize,
}

/// Measures all models.
pub(super) fn run(tools: &Tools, pace: Pace) -> Result<Section> {
    let seeds = pace.pick(5, 2);
    let mut section = Section::new(
        "Confidence",
        format!(
            "How well the confidences of words, and the output `CONFIDENCE` of whole recordings, rank what a model got wrong: the demo's \
             recordings with white noise of {seeds} seeds, {} dB below the speech, sent to the pipelines. Words are compared with what is said by \
             an alignment with the fewest edits. The area under the ROC curve is the probability that of a right and a wrong word the right one \
             has the higher confidence: 1 is a perfect ranking, 0.5 none. The demo's models know few words: the figures are theirs, not those of \
             the published models.",
            SNRS.map(|snr| snr.to_string()).join(", ")
        ),
    );
    let repository = tools.directory.join("confidence");
    demo::assemble_telling(&tools.layout, &Kind::ALL, &repository)?;
    pace.tell("starting tritonserver with models that tell how sure they are");
    let server = tools.serve(&repository, &["--model-config-name=pipeline"])?;
    let recordings = said(&tools.layout.project)?;
    let outcomes = measure(&server.ports().http_url(), &recordings, seeds, pace)?;
    section.tables = tables(&outcomes);
    Ok(section)
}

/// What comes of each model, by the server at `url`.
fn measure(url: &str, recordings: &[Said], seeds: u64, pace: Pace) -> Result<Vec<(Kind, Outcome)>> {
    let client = Client::new(url);
    let mut outcomes = Vec::new();
    for kind in Kind::ALL {
        let mut outcome = Outcome::default();
        for snr in SNRS {
            pace.tell(&format!("{}: {snr} dB", requests::model(kind)));
            for seed in 0..seeds {
                for (place, recording) in (0..).zip(recordings) {
                    let noisy = noise::with_noise(&recording.samples, snr, 1000 * seed + place);
                    let heard = hear(&client, kind, &noisy)?;
                    compare(recording, &heard, &mut outcome)?;
                }
            }
        }
        outcomes.push((kind, outcome));
    }
    Ok(outcomes)
}

fn tables(outcomes: &[(Kind, Outcome)]) -> Vec<Table> {
    let mut areas = Table::new(
        "Area under the ROC curve, right against wrong:",
        &[
            "",
            "words heard",
            "wrong",
            "area",
            "words missed",
            "recordings",
            "not all right",
            "area",
        ],
    );
    let mut levels = Table::new("Words that are right, by their confidence:", &[""]);
    let mut above = f64::INFINITY;
    for from in LEVELS {
        let head = match above.is_finite() {
            true => format!("{from} to {above}"),
            false => format!("from {from}"),
        };
        levels.head.push(head);
        above = from;
    }
    for (kind, outcome) in outcomes {
        let name = format!("`{}`", requests::model(*kind));
        let mut row = vec![name.clone()];
        row.extend(outcome.words.cells());
        row.push(outcome.missed.to_string());
        row.extend(outcome.recordings.cells());
        areas.rows.push(row);
        let mut row = vec![name];
        let mut above = f64::INFINITY;
        for from in LEVELS {
            row.push(outcome.words.between(from, above));
            above = from;
        }
        levels.rows.push(row);
    }
    vec![areas, levels]
}

/// The demo's recordings in which something is said.
fn said(project: &Path) -> Result<Vec<Said>> {
    let directory = project.join("demo/recordings");
    let path = directory.join("text.tsv");
    let context = || format!("cannot read {}", path.display());
    let text = fs::read_to_string(&path).with_context(context)?;
    let mut recordings = Vec::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [file, _language, said] = columns[..] else {
            bail!("{}: {line:?} has no three columns", path.display());
        };
        let words = alignment::words(said);
        if !words.is_empty() {
            recordings.push(Said {
                samples: Recording::read(&directory.join(file))?.samples,
                words,
            });
        }
    }
    Ok(recordings)
}

/// All that a model says of a recording.
fn hear(client: &Client, kind: Kind, samples: &[f32]) -> Result<Heard> {
    const OUTPUT: &str = "RESULT_JSON";
    let ask = |inputs: &[Input<'_>], sequence| -> Result<Heard> {
        let answer = client.infer(requests::model(kind), inputs, &[OUTPUT], sequence)?;
        Ok(Heard::parse(&answer.string(OUTPUT)?)?)
    };
    let length = [i32::try_from(samples.len())?];
    match kind {
        Kind::Sensevoice => ask(
            &requests::sensevoice(samples, &length, &AUTO, &WITHOUT_ITN),
            None,
        ),
        Kind::Paraformer => ask(&requests::audio(samples, &length), None),
        Kind::ParaformerOnline => {
            let chunks = requests::chunks(samples, STREAM).map(|(chunk, sequence)| {
                let length = [i32::try_from(chunk.len())?];
                ask(&requests::audio(chunk, &length), Some(sequence))
            });
            Ok(Heard::of_stream(chunks.collect::<Result<_>>()?))
        }
    }
}

/// Adds what came of a recording.
fn compare(recording: &Said, heard: &Heard, outcome: &mut Outcome) -> Result<()> {
    let mut words = Vec::new();
    let mut confidences = Vec::new();
    for word in &heard.words {
        let confidence = word
            .confidence
            .with_context(|| format!("the model does not say how sure it is of {}", word.text))?;
        for part in alignment::words(&word.text) {
            words.push(part);
            confidences.push(confidence);
        }
    }
    let aligned = alignment::align(&recording.words, &words);
    for (&confidence, &is_right) in confidences.iter().zip(&aligned.right) {
        outcome.words.add(confidence, is_right);
    }
    outcome.missed += aligned.missed;
    let whole = heard
        .confidence
        .context("the model does not say how sure it is")?;
    outcome.recordings.add(whole, words == recording.words);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use transcripts::Timed;

    fn heard(words: &[(&str, f64)], confidence: f64) -> Heard {
        let timed = |&(text, confidence): &(&str, f64)| Timed {
            text: text.to_owned(),
            confidence: Some(confidence),
            ..Timed::default()
        };
        Heard {
            words: words.iter().map(timed).collect(),
            confidence: Some(confidence),
            ..Heard::default()
        }
    }

    #[test]
    fn words_and_recordings_are_counted_by_what_is_right() {
        let recording = Said {
            samples: Vec::new(),
            words: alignment::words("good day"),
        };
        let mut outcome = Outcome::default();
        compare(
            &recording,
            &heard(&[("Good", 0.9), ("day.", 0.96)], 0.93),
            &mut outcome,
        )
        .unwrap();
        compare(
            &recording,
            &heard(&[("good", 0.95), ("boy", 0.5)], 0.7),
            &mut outcome,
        )
        .unwrap();
        compare(&recording, &heard(&[], 0.0), &mut outcome).unwrap();
        assert_eq!(outcome.words.right, [0.9, 0.96, 0.95]);
        assert_eq!(outcome.words.wrong, [0.5]);
        assert_eq!(
            (&outcome.recordings.right, &outcome.recordings.wrong),
            (&vec![0.93], &vec![0.7, 0.0])
        );
        assert_eq!(outcome.missed, 2);
        let [areas, levels] = &tables(&[(Kind::Sensevoice, outcome)])[..] else {
            panic!("two tables");
        };
        assert_eq!(
            areas.rows,
            [["`sensevoice`", "4", "1", "1.000", "2", "3", "2", "1.000"]]
        );
        assert_eq!(
            levels.head,
            [
                "",
                "from 0.95",
                "0.9 to 0.95",
                "0.8 to 0.9",
                "0.5 to 0.8",
                "0 to 0.5"
            ]
        );
        assert_eq!(
            levels.rows,
            [[
                "`sensevoice`",
                "100 % of 2",
                "100 % of 1",
                "–",
                "0 % of 1",
                "–"
            ]]
        );
    }

    #[test]
    fn a_word_without_confidence_is_an_error() {
        let recording = Said {
            samples: Vec::new(),
            words: Vec::new(),
        };
        let mut silent = heard(&[("good", 0.5)], 0.5);
        silent.words[0].confidence = None;
        let error = compare(&recording, &silent, &mut Outcome::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model does not say how sure it is of good"
        );
    }
}
