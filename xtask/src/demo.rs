//! `cargo xtask demo`: the demo recordings through a real tritonserver.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::console::{self, BAD, GOOD, STRONG};
use crate::golden::{self, Golden};
use crate::http::{Client, Data, Input, json_request};
use crate::layout::Layout;
use crate::recording::Recording;
use crate::server::{Plan, PortOptions, Server};
use crate::wheels::Wheels;
use crate::{backends, prerequisites, python, repo};

/// LANGUAGE: let the model find out.
const AUTO: i32 = 0;
/// TEXT_NORM with and without inverse text normalisation.
const WITH_ITN: i32 = 14;
const WITHOUT_ITN: i32 = 15;

/// How to run the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Leave the server running, and print how to reach and how to stop it
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    ports: PortOptions,
}

/// Builds, fetches, serves, asks, compares.
pub(crate) fn demo(layout: &Layout, options: &Demo) -> Result<()> {
    prerequisites::check_server()?;
    let wheels = Wheels::get(layout)?;
    let backends = backends::build(layout, &wheels)?;
    let packages = options.keep.then(|| python::packages(layout)).transpose()?;
    let work = layout.work_directory("demo")?;
    let repository = repository(layout)?;
    console::step(
        "Starting",
        format!("tritonserver on {}", repository.display()),
    );
    let server = Server::start(&Plan {
        tritonserver: wheels.tritonserver(),
        backends,
        repositories: vec![repository],
        extra: Vec::new(),
        ports: options.ports,
        log: Some(work.join("tritonserver.log")),
        detached: options.keep,
    })?;
    server.ports().announce();
    let wrong = transcribe_all(layout, &Client::new(&server.ports().http_url()))?;
    if wrong > 0 {
        bail!("{wrong} texts differ from demo/sensevoice/golden.tsv");
    }
    match packages {
        Some(packages) => keep(layout, server, &work, &packages),
        None => {
            console::step("Stopping", "tritonserver");
            Ok(())
        }
    }
}

/// Assembles the demo's model repository under `target/xtask` and returns its path.
pub(crate) fn repository(layout: &Layout) -> Result<PathBuf> {
    let target = layout.work_directory("demo")?.join("model_repository");
    repo::assemble(
        layout,
        repo::Kind::Sensevoice,
        &repo::Options {
            from: layout.project.join("demo/sensevoice"),
            to: target.clone(),
            quantized: false,
            force: true,
        },
    )
    .context("the demo repository cannot be assembled")?;
    Ok(target)
}

/// Sends every recording with both text norms; returns how many texts are not the expected ones.
fn transcribe_all(layout: &Layout, client: &Client) -> Result<usize> {
    let path = layout.project.join("demo/sensevoice/golden.tsv");
    let golden = fs::read_to_string(&path)
        .map_err(anyhow::Error::from)
        .and_then(|text| golden::parse(&text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let recordings = golden
        .iter()
        .map(|golden| Recording::read(&recording_path(layout, &golden.recording)))
        .collect::<Result<Vec<_>>>()?;
    // The first request pays for what later ones find ready.
    if let Some(recording) = recordings.first() {
        transcribe(client, recording, WITH_ITN)?;
    }
    console::step(
        "Sending",
        "each recording, padded to 10 s as clients do, after one warm-up request",
    );
    anstream::println!(
        "{STRONG}{:<16} {:<6} {:>7} {:>9} {:>7}    text{STRONG:#}",
        "recording",
        "ITN",
        "audio",
        "latency",
        "RTF"
    );
    let mut wrong = 0;
    for (golden, recording) in golden.iter().zip(&recordings) {
        wrong += usize::from(!transcribe_and_print(
            client,
            golden,
            recording,
            WITHOUT_ITN,
        )?);
        wrong += usize::from(!transcribe_and_print(client, golden, recording, WITH_ITN)?);
    }
    let texts = 2 * golden.len();
    anstream::println!(
        "{} of {texts} texts are those of demo/sensevoice/golden.tsv",
        texts - wrong
    );
    Ok(wrong)
}

/// Prints one line of the table; returns whether the text is the expected one.
fn transcribe_and_print(
    client: &Client,
    golden: &Golden,
    recording: &Recording,
    norm: i32,
) -> Result<bool> {
    let answer = transcribe(client, recording, norm).with_context(|| golden.recording.clone())?;
    let (label, expected) = match norm {
        WITH_ITN => ("with", &golden.with_itn),
        _ => ("without", &golden.without_itn),
    };
    let right = answer.text == *expected;
    let audio = recording.duration().as_secs_f64();
    let latency = answer.latency.as_secs_f64();
    let (mark, style) = if right { ("✓", GOOD) } else { ("✗", BAD) };
    anstream::println!(
        "{:<16} {label:<7} {audio:>5.2} s {:>6.1} ms {:>7.4}  {style}{mark}{style:#} {}",
        golden.recording,
        latency * 1000.0,
        latency / audio,
        answer.text
    );
    if !right {
        anstream::println!("{:>49}expected {expected}", "");
    }
    Ok(right)
}

struct Answer {
    text: String,
    latency: Duration,
}

fn transcribe(client: &Client, recording: &Recording, norm: i32) -> Result<Answer> {
    let samples = recording.padded();
    let length = samples_of(recording)?;
    let inputs = inputs(
        &samples,
        &length,
        &[AUTO],
        match norm {
            WITH_ITN => &[WITH_ITN],
            _ => &[WITHOUT_ITN],
        },
    );
    let started = Instant::now();
    let texts = client.infer("sensevoice", &inputs, "TRANSCRIPTS")?;
    let latency = started.elapsed();
    match <[String; 1]>::try_from(texts) {
        Ok([text]) => Ok(Answer { text, latency }),
        Err(texts) => bail!("{} transcripts for one recording", texts.len()),
    }
}

fn samples_of(recording: &Recording) -> Result<[i32; 1]> {
    Ok([i32::try_from(recording.samples.len())?])
}

fn inputs<'a>(
    samples: &'a [f32],
    length: &'a [i32; 1],
    language: &'a [i32; 1],
    norm: &'a [i32; 1],
) -> [Input<'a>; 4] {
    let scalar = |name, value: &'a [i32; 1]| Input {
        name,
        shape: [1, 1],
        data: Data::I32(value),
    };
    [
        Input {
            name: "WAV",
            shape: [1, samples.len()],
            data: Data::F32(samples),
        },
        scalar("WAV_LENS", length),
        scalar("LANGUAGE", language),
        scalar("TEXT_NORM", norm),
    ]
}

fn recording_path(layout: &Layout, name: &str) -> PathBuf {
    layout.project.join("demo/recordings").join(name)
}

/// The recording of the printed client lines: a short one, with digits to normalise.
const EXAMPLE: &str = "03_zh.wav";

/// Leaves the server running and says how to use and how to stop it.
fn keep(layout: &Layout, server: Server, work: &Path, packages: &Path) -> Result<()> {
    let example = recording_path(layout, EXAMPLE);
    let recording = Recording::read(&example)?;
    let request = work.join("request.json");
    // Unpadded: a short body, and the same text.
    let length = samples_of(&recording)?;
    let body = json_request(&inputs(&recording.samples, &length, &[AUTO], &[WITH_ITN]));
    fs::write(&request, body.to_string())
        .with_context(|| format!("cannot write {}", request.display()))?;
    let ports = server.ports();
    let client = layout.project.join("demo/client.py");
    let pid = server.id();
    server.leave();
    anstream::println!(
        "\n{STRONG}The server stays{STRONG:#}, process {pid}. Stop it with\n  kill {pid}\n"
    );
    anstream::println!(
        "{STRONG}curl{STRONG:#}\n  curl -s {}/v2/models/sensevoice/infer -H 'Content-Type: application/json' -d @{}\n",
        ports.http_url(),
        quoted(&request)
    );
    anstream::println!(
        "{STRONG}Python{STRONG:#} (tritonclient)\n  PYTHONPATH={} python3 {} --url {} {}",
        quoted(packages),
        quoted(&client),
        ports.http_address(),
        quoted(&example)
    );
    Ok(())
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
    fn the_request_carries_the_true_length_of_padded_audio() {
        let recording = Recording {
            samples: vec![0.5; 16_000],
        };
        let samples = recording.padded();
        let length = samples_of(&recording).unwrap();
        let request = json_request(&inputs(&samples, &length, &[AUTO], &[WITH_ITN]));
        assert_eq!(
            request["inputs"][0]["shape"],
            serde_json::json!([1, 160_000])
        );
        assert_eq!(request["inputs"][1]["data"], serde_json::json!([16_000]));
        assert_eq!(request["inputs"][3]["data"], serde_json::json!([14]));
    }
}
