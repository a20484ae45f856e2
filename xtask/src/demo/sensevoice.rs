//! SenseVoice: every recording with both text norms.

use anyhow::{Context, Result};

use super::samples::{Samples, Score};
use super::table;
use crate::console;
use crate::golden::text_norms;
use crate::http::Client;
use crate::recording::Recording;
use crate::repo::Kind;
use crate::requests::{self, AUTO, WITH_ITN, WITHOUT_ITN, model};

/// Sends every recording with both text norms.
pub(super) fn try_out(client: &Client, samples: &Samples) -> Result<Score> {
    // The first request pays for what later ones find ready.
    if let Some((_, recording)) = samples.recordings.first() {
        transcribe(client, recording, &WITH_ITN)?;
    }
    console::step(
        "SenseVoice",
        "each recording, padded to 10 s as clients do, after one warm-up request",
    );
    table::heading("recording        ITN");
    let mut score = Score::default();
    for (golden, recording) in &samples.recordings {
        let name = &golden.recording;
        let (without, with) = text_norms(&golden.answer).with_context(|| name.clone())?;
        for (label, norm, expected) in [
            ("without", &WITHOUT_ITN, without),
            ("with", &WITH_ITN, with),
        ] {
            let answer = transcribe(client, recording, norm).with_context(|| name.clone())?;
            let first = format!("{name:<16} {label}");
            score.count(table::line(&first, recording, &answer, expected));
        }
    }
    Ok(score)
}

fn transcribe(client: &Client, recording: &Recording, norm: &[i32; 1]) -> Result<table::Answer> {
    let length = recording.length()?;
    let samples = recording.padded();
    let inputs = requests::sensevoice(&samples, &length, &AUTO, norm);
    table::ask(client, model(Kind::Sensevoice), &inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json_request;
    use serde_json::json;

    #[test]
    fn the_request_carries_the_true_length_of_padded_audio() {
        let recording = Recording {
            samples: vec![0.5; 16_000],
        };
        let length = recording.length().unwrap();
        let samples = recording.padded();
        let inputs = requests::sensevoice(&samples, &length, &AUTO, &WITH_ITN);
        let request = json_request(&inputs, None);
        assert_eq!(request["inputs"][0]["shape"], json!([1, 160_000]));
        assert_eq!(request["inputs"][1]["data"], json!([16_000]));
        assert_eq!(request["inputs"][3]["data"], json!([14]));
    }
}
