//! The demo's recordings as requests.

use anyhow::Result;

use super::cases::RATE;
use super::load::Connection;
use super::message::{Message, Tensor, outputs_in, with_tensors};
use super::tools::Tools;
use crate::golden;
use crate::recording::Recording;
use crate::repo::Kind;

/// SenseVoice's text norm without inverse text normalisation.
const WITHOUT_ITN: i32 = 15;
/// The recording in which nothing is said: Paraformer finds no token, which its ensemble refuses.
const SILENT: &str = "nospeech";

/// The recordings in which something is said.
pub(super) fn recordings(tools: &Tools) -> Result<Vec<Vec<f32>>> {
    let project = &tools.layout.project;
    let mut recordings = Vec::new();
    for golden in golden::read(&project.join("demo/sensevoice/golden.tsv"))? {
        if !golden.recording.contains(SILENT) {
            let path = project.join("demo/recordings").join(&golden.recording);
            recordings.push(Recording::read(&path)?.samples);
        }
    }
    Ok(recordings)
}

/// So many seconds of speech: recordings one after the other.
pub(super) fn of_seconds(recordings: &[Vec<f32>], seconds: usize) -> Vec<f32> {
    let all = recordings.iter().flatten().copied().cycle();
    all.take(seconds * RATE).collect()
}

/// A whole recording as clients send it.
pub(super) fn request(kind: Kind, model: &str, samples: &[f32]) -> Message {
    with_tensors(model, &tensors(kind, samples), &["TRANSCRIPTS"], None)
}

/// Its tensors.
pub(super) fn tensors(kind: Kind, samples: &[f32]) -> Vec<Tensor> {
    let mut inputs = vec![
        Tensor::floats("WAV", &[1, samples.len()], samples),
        Tensor::numbers("WAV_LENS", &[samples.len() as i32]),
    ];
    if kind == Kind::Sensevoice {
        inputs.push(Tensor::numbers("LANGUAGE", &[0]));
        inputs.push(Tensor::numbers("TEXT_NORM", &[WITHOUT_ITN]));
    }
    inputs
}

/// The transcript that a message is answered, without the bytes of its length.
pub(super) fn transcript(connection: &mut Connection, message: &[u8]) -> Result<String> {
    let outputs = outputs_in(connection.exchange(message)?)?;
    let bytes = outputs.get("TRANSCRIPTS").and_then(|bytes| bytes.get(4..));
    Ok(String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned())
}
