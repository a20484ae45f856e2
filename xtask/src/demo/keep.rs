//! A demo server that stays, and the lines to play with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::conversation::{self, MODEL};
use super::samples::{Form, recording_path};
use super::streaming;
use crate::console::STRONG;
use crate::http::json_request;
use crate::layout::Layout;
use crate::recording::Recording;
use crate::repo::Kind;
use crate::requests::{self, AUTO, WITH_ITN};
use crate::server::Server;

/// The recording of the printed client lines: a short one, with digits to normalise.
const EXAMPLE: &str = "03_zh.wav";
/// The correlation id of the printed stream; the demo's own ones are smaller.
const STREAM: u64 = 1000;

/// Leaves the server running and says how to use and how to stop it.
pub(super) fn keep(
    layout: &Layout,
    kinds: &[Kind],
    form: Form,
    server: Server,
    work: &Path,
    packages: &Path,
) -> Result<()> {
    let example = recording_path(layout, EXAMPLE);
    let recording = Recording::read(&example)?;
    let client = layout.project.join("demo/client.py");
    let ports = server.ports();
    let lines = kinds
        .iter()
        .map(|&kind| {
            let (model, curl) = curl(kind, form, &recording, work, &ports.http_url())?;
            let python = format!(
                "PYTHONPATH={} python3 {} --url {} --model {model} {}",
                quoted(packages),
                quoted(&client),
                ports.http_address(),
                quoted(&example)
            );
            Ok((model, curl, python))
        })
        .collect::<Result<Vec<_>>>()?;
    let pid = server.id();
    server.leave();
    anstream::println!(
        "{STRONG}The server stays{STRONG:#}, process {pid}. Stop it with\n  kill {pid}"
    );
    for (model, curl, python) in lines {
        anstream::println!(
            "\n{STRONG}{model}{STRONG:#}, with curl and with Python (tritonclient)\n  {curl}\n\n  {python}"
        );
    }
    Ok(())
}

/// Says how to transcribe the long recording, and others, with the operator's tool.
pub(super) fn long(layout: &Layout, tool: &Path, url: &str) {
    anstream::println!(
        "\n{STRONG}{MODEL}{STRONG:#}, as subtitles\n  {} transcribe --url {url} --model {MODEL} --kind sensevoice --no-itn --format srt {}",
        quoted(tool),
        quoted(&conversation::recording_path(layout))
    );
}

/// The model, and the line that calls it. The requests it sends are written to `work`.
fn curl(
    kind: Kind,
    form: Form,
    recording: &Recording,
    work: &Path,
    url: &str,
) -> Result<(&'static str, String)> {
    // Unpadded: a short body, and the same text.
    let samples = &recording.samples;
    let length = recording.length()?;
    let whole = |model, request: &Value| {
        let path = write(work.join(format!("{model}.json")), request)?;
        Ok((model, post(url, model, &quoted(&path))))
    };
    let model = requests::model(kind);
    match kind {
        Kind::Sensevoice => {
            let inputs = requests::sensevoice(samples, &length, &AUTO, &WITH_ITN);
            whole(model, &json_request(&inputs, None))
        }
        Kind::Paraformer => whole(
            model,
            &json_request(&requests::audio(samples, &length), None),
        ),
        Kind::ParaformerOnline => {
            let mut paths = Vec::new();
            for (index, (chunk, sequence)) in
                requests::chunks(&streaming::samples(recording, form), STREAM).enumerate()
            {
                let length = [i32::try_from(chunk.len())?];
                let request = json_request(&requests::audio(chunk, &length), Some(sequence));
                let name = format!("{model}.{index}.json");
                paths.push(quoted(&write(work.join(name), &request)?));
            }
            let post = post(url, model, "\"$chunk\"");
            let line = format!("for chunk in {}; do {post}; echo; done", paths.join(" "));
            Ok((model, line))
        }
    }
}

/// Sends the file `body`, a word of a shell's.
fn post(url: &str, model: &str, body: &str) -> String {
    format!("curl -s {url}/v2/models/{model}/infer -H 'Content-Type: application/json' -d @{body}")
}

fn write(path: PathBuf, request: &Value) -> Result<PathBuf> {
    fs::write(&path, request.to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+@:,%=".contains(character);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("/a/b-c.json")), "/a/b-c.json");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn a_stream_is_sent_chunk_by_chunk() {
        let directory = tempfile::tempdir().unwrap();
        let recording = Recording {
            samples: vec![0.0; 5_000],
        };
        let (model, line) = curl(
            Kind::ParaformerOnline,
            Form::Ensemble,
            &recording,
            directory.path(),
            "http://h:1",
        )
        .unwrap();
        let place = |index| {
            let name = format!("{model}.{index}.json");
            directory.path().join(name)
        };
        assert_eq!(
            line,
            format!(
                "for chunk in {} {}; do curl -s http://h:1/v2/models/streaming_paraformer/infer -H 'Content-Type: application/json' -d @\"$chunk\"; echo; done",
                quoted(&place(0)),
                quoted(&place(1))
            )
        );
        let last: Value = serde_json::from_slice(&fs::read(place(1)).unwrap()).unwrap();
        assert_eq!(last["parameters"]["sequence_end"], true);
        assert_eq!(last["parameters"]["sequence_start"], false);
        assert_eq!(last["inputs"][1]["data"], serde_json::json!([520]));
    }
}
