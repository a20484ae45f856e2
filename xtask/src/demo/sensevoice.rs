//! SenseVoice: every recording with both text norms.

use anyhow::{Context, Result};

use super::{Samples, Score, table};
use crate::console;
use crate::golden::text_norms;
use crate::http::{Client, Input};
use crate::recording::Recording;

/// The model that clients call.
pub(super) const MODEL: &str = "sensevoice";
/// LANGUAGE: let the model find out.
const AUTO: [i32; 1] = [0];
/// TEXT_NORM with and without inverse text normalisation.
pub(super) const WITH_ITN: [i32; 1] = [14];
const WITHOUT_ITN: [i32; 1] = [15];

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
    table::ask(client, MODEL, &inputs(&recording.padded(), &length, norm))
}

/// What the model takes.
pub(super) fn inputs<'a>(
    samples: &'a [f32],
    length: &'a [i32; 1],
    norm: &'a [i32; 1],
) -> [Input<'a>; 4] {
    [
        Input::row("WAV", samples),
        Input::number("WAV_LENS", length),
        Input::number("LANGUAGE", &AUTO),
        Input::number("TEXT_NORM", norm),
    ]
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
        let request = json_request(&inputs(&recording.padded(), &length, &WITH_ITN), None);
        assert_eq!(request["inputs"][0]["shape"], json!([1, 160_000]));
        assert_eq!(request["inputs"][1]["data"], json!([16_000]));
        assert_eq!(request["inputs"][3]["data"], json!([14]));
    }
}
