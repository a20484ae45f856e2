//! `triton-funasr transcribe`: recordings to a running server; texts, times or subtitles back.

mod format;
mod transcript;
mod wanted;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, bail};
use serde_json::json;

use self::format::Format;
use self::transcript::Transcript;
use self::wanted::Wanted;
use crate::console;
use crate::http::{Client, Input, Sequence};
use crate::recording::Recording;
use crate::repo::Kind;
use crate::requests::{self, AUTO, WITH_ITN, WITHOUT_ITN};
use transcripts::Heard;

/// What to transcribe.
#[derive(Debug, clap::Args)]
pub struct Transcribe {
    /// Audio files, or directories of them: WAV, FLAC, MP3, AAC, Ogg, Opus, M4A, WebM. Where the model has no input AUDIO: wav files of mono
    /// 16-bit PCM at 16 kHz
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The server's HTTP endpoint
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: String,
    /// The model [default: the first of sensevoice, infer_pipeline and streaming_paraformer that the server has]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What the model takes, where its name does not say it
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// SenseVoice: the language
    #[arg(long, value_enum, default_value = "auto")]
    language: Language,
    /// SenseVoice: words as they are spoken, without inverse text normalisation
    #[arg(long)]
    no_itn: bool,
    /// Words that a SeACo-Paraformer is to listen for, with blanks between them, in place of those of its config
    #[arg(long, value_name = "WORDS")]
    hotwords: Option<String>,
    /// How to write them
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// srt, vtt and tsv: a file for each recording in this directory, as in DIR/meeting.srt; several recordings need it
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Recordings under way at a time
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// Languages of SenseVoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    Auto,
    Zh,
    En,
    Yue,
    Ja,
    Ko,
    Nospeech,
}

impl Language {
    fn id(self) -> i32 {
        match self {
            Self::Auto => AUTO[0],
            Self::Zh => 3,
            Self::En => 4,
            Self::Yue => 7,
            Self::Ja => 11,
            Self::Ko => 12,
            Self::Nospeech => 13,
        }
    }
}

impl Transcribe {
    fn format(&self) -> Format {
        match self.json {
            true => Format::Json,
            false => self.format,
        }
    }
}

/// Whom to ask what.
struct Model {
    name: String,
    kind: Kind,
    wanted: Wanted,
    /// It takes files as they are.
    takes_files: bool,
}

/// Transcribes; results come in the order of the files. Fails at the end if one of them failed.
pub fn transcribe(options: &Transcribe) -> Result<()> {
    let format = options.format();
    let to = options.to.as_deref();
    // Whatever the model takes: what is wrong with the arguments is told before a server is asked.
    format.places(&recordings(&options.files, ENDINGS)?, to)?;
    let client = Client::new(options.url.trim_end_matches('/'));
    let model = model(options, &client)?;
    let endings = if model.takes_files { ENDINGS } else { WAV };
    let files = recordings(&options.files, endings)?;
    let places = format.places(&files, to)?;
    if let Some(directory) = &options.to {
        let context = || format!("cannot make {}", directory.display());
        fs::create_dir_all(directory).with_context(context)?;
    }
    let bar = console::count_bar("Transcribing", files.len() as u64);
    let next = AtomicUsize::new(0);
    let first_id = first_id();
    let (done, results) = channel();
    let mut out = io::stdout().lock();
    let failed = std::thread::scope(|scope| {
        for _ in 0..usize::from(options.jobs).min(files.len()) {
            let (done, next, files, client, model) = (done.clone(), &next, &files, &client, &model);
            scope.spawn(move || {
                while let Some((index, file)) = take(next, files) {
                    let id = first_id.wrapping_add(index as u64);
                    let result = one(options, client, model, file, id);
                    if done.send((index, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut due = 0;
        let mut failed = 0;
        for (index, result) in results {
            bar.inc(1);
            early.insert(index, result);
            while let Some(result) = early.remove(&due) {
                let (file, place) = (&files[due], places[due].as_deref());
                let written = bar.suspend(|| {
                    let text = result.and_then(|transcript| format.rendered(file, &transcript));
                    text.and_then(|text| deliver(&mut out, &text, place))
                        .inspect_err(|error| complain(format, &mut out, file, error))
                });
                failed += usize::from(written.is_err());
                due += 1;
            }
        }
        failed
    });
    bar.finish_and_clear();
    match failed {
        0 => Ok(()),
        failed => bail!("{failed} of {} recordings failed", files.len()),
    }
}

fn take<'f>(next: &AtomicUsize, files: &'f [PathBuf]) -> Option<(usize, &'f Path)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    files.get(index).map(|file| (index, file.as_path()))
}

/// Writes what is to be read of a recording to its file, or prints it.
fn deliver(out: &mut impl Write, text: &str, place: Option<&Path>) -> Result<()> {
    let Some(place) = place else {
        // A reader that has seen enough, as in `| head`, is no error.
        let _ = out.write_all(text.as_bytes());
        return Ok(());
    };
    fs::write(place, text).with_context(|| format!("cannot write {}", place.display()))?;
    console::step("Wrote", place.display());
    Ok(())
}

/// Says why there is nothing to be read of a recording.
fn complain(format: Format, out: &mut impl Write, file: &Path, error: &Error) {
    let name = file.display().to_string();
    if format == Format::Json {
        let line = json!({ "file": name, "error": format!("{error:#}") });
        let _ = writeln!(out, "{line}");
    } else {
        console::error(format!("{name}: {error:#}"));
    }
}

/// What the names of recordings in a directory end in; a file that is named itself may be called anything.
const ENDINGS: &[&str] = &[
    "wav", "flac", "mp3", "aac", "ogg", "oga", "opus", "m4a", "mp4", "webm", "mka", "mkv",
];
/// The same for models that take samples.
const WAV: &[&str] = &["wav"];

/// The files named, and of the directories named the files with one of these endings, by name.
fn recordings(named: &[PathBuf], endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let context = || format!("cannot read {}", path.display());
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).with_context(context)? {
            let file = entry.with_context(context)?.path();
            let fits = file.extension().is_some_and(|kind| {
                endings
                    .iter()
                    .any(|ending| kind.eq_ignore_ascii_case(ending))
            });
            if fits && file.is_file() {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            bail!("{} holds no .{} files", path.display(), endings.join(", ."));
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// The model, and what to ask it for.
fn model(options: &Transcribe, client: &Client) -> Result<Model> {
    let (name, kind) = chosen(options, client)?;
    let outputs = || client.outputs(&name);
    let wanted = match options.format() {
        Format::Text => Wanted::Transcript,
        Format::Json => Wanted::of(&outputs()?),
        Format::Srt | Format::Vtt | Format::Tsv => Wanted::with_times(&name, &outputs()?)?,
    };
    // Streams bring samples, whatever else the model takes.
    let takes_files = kind != Kind::ParaformerOnline && client.has_input(&name, requests::AUDIO)?;
    if options.hotwords.is_some() && !client.has_input(&name, requests::HOTWORDS)? {
        bail!(
            "{name} has no input HOTWORDS; models made from an export of SeACo-Paraformer have it"
        );
    }
    Ok(Model {
        name,
        kind,
        wanted,
        takes_files,
    })
}

/// The model to ask, and what it takes.
fn chosen(options: &Transcribe, client: &Client) -> Result<(String, Kind)> {
    let known = Kind::ALL.map(|kind| (requests::model(kind), kind));
    if let Some(name) = &options.model {
        let streams = [("two_pass", Kind::ParaformerOnline)];
        let mut all = known.into_iter().chain(streams);
        let by_name = all.find(|(model, _)| model == name);
        let Some(kind) = options.kind.or(by_name.map(|(_, kind)| kind)) else {
            bail!(
                "what does {name} take? --kind says it: sensevoice, paraformer or paraformer-online"
            );
        };
        return Ok((name.clone(), kind));
    }
    let wanted = known
        .into_iter()
        .filter(|(_, kind)| options.kind.is_none_or(|wanted| wanted == *kind));
    for (name, kind) in wanted {
        if client
            .model_ready(name)
            .with_context(|| format!("is there a server at {}?", options.url))?
        {
            return Ok((name.to_owned(), kind));
        }
    }
    bail!(
        "the server at {} has none of the models {}; --model names yours",
        options.url,
        known.map(|(name, _)| name).join(", ")
    )
}

/// Correlation ids that clients beside this one hardly have.
fn first_id() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // 0 is no id; the process tells apart what begins at the same time.
    ((now.as_micros() as u64) << 16 ^ u64::from(std::process::id())).max(1)
}

fn one(
    options: &Transcribe,
    client: &Client,
    model: &Model,
    file: &Path,
    id: u64,
) -> Result<Transcript> {
    let ask = |inputs: &[Input<'_>], sequence| {
        let outputs = model.wanted.names();
        let answer = client.infer(&model.name, inputs, outputs, sequence)?;
        model.wanted.read(&answer)
    };
    let language = [options.language.id()];
    let norm = if options.no_itn {
        WITHOUT_ITN
    } else {
        WITH_ITN
    };
    let hotwords = options.hotwords.as_deref();
    let hotwords = hotwords.map(|words| Input::bytes(requests::HOTWORDS, words.as_bytes()));
    if model.takes_files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut inputs = vec![Input::bytes(requests::AUDIO, &bytes)];
        if model.kind == Kind::Sensevoice {
            inputs.extend(requests::prompt(&language, &norm));
        }
        inputs.extend(hotwords);
        let started = Instant::now();
        let (text, heard) = ask(&inputs, None)?;
        return Ok(Transcript {
            text,
            heard,
            audio_seconds: None,
            latency_ms: started.elapsed().as_secs_f64() * 1000.0,
        });
    }
    let recording = Recording::read(file)?;
    let (samples, length) = (&recording.samples, recording.length()?);
    let started = Instant::now();
    let (text, heard) = match model.kind {
        Kind::Sensevoice => ask(
            &requests::sensevoice(samples, &length, &language, &norm),
            None,
        )?,
        Kind::Paraformer => {
            let mut inputs = requests::audio(samples, &length).to_vec();
            inputs.extend(hotwords);
            ask(&inputs, None)?
        }
        Kind::ParaformerOnline => {
            let padded = requests::with_silence(samples);
            let answers = stream(&padded, id, |chunk, sequence| {
                let length = [i32::try_from(chunk.len())?];
                ask(&requests::audio(chunk, &length), Some(sequence))
            })?;
            let (texts, heard): (Vec<String>, Vec<Option<Heard>>) = answers.into_iter().unzip();
            let heard: Option<Vec<Heard>> = heard.into_iter().collect();
            (texts.concat(), heard.map(Heard::of_stream))
        }
    };
    Ok(Transcript {
        text,
        heard,
        audio_seconds: Some(recording.duration().as_secs_f64()),
        latency_ms: started.elapsed().as_secs_f64() * 1000.0,
    })
}

/// What `send` is answered for each chunk of a stream.
fn stream<T>(
    samples: &[f32],
    id: u64,
    send: impl Fn(&[f32], Sequence) -> Result<T>,
) -> Result<Vec<T>> {
    let answers = requests::chunks(samples, id).map(|(chunk, sequence)| send(chunk, sequence));
    answers.collect::<Result<_>>().inspect_err(|_| {
        // Else it keeps a place among the server's streams until it was idle for long. What it says matters no more.
        let (start, end) = (false, true);
        drop(send(&[], Sequence { id, start, end }));
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_stream_that_fails_is_ended() {
        let sent = RefCell::new(Vec::new());
        let fail_at = |number: usize| {
            sent.borrow_mut().clear();
            stream(&[0.0; 3 * requests::CHUNK], 7, |chunk, sequence| {
                sent.borrow_mut()
                    .push((chunk.len(), sequence.start, sequence.end));
                match sent.borrow().len() {
                    count if count == number => bail!("no"),
                    _ => Ok("a"),
                }
            })
        };
        const CHUNK: usize = requests::CHUNK;
        assert_eq!(fail_at(9).unwrap(), ["a"; 3]);
        assert_eq!(sent.borrow().len(), 3);
        assert_eq!(fail_at(2).unwrap_err().to_string(), "no");
        assert_eq!(
            *sent.borrow(),
            [
                (CHUNK, true, false),
                (CHUNK, false, false),
                (0, false, true)
            ]
        );
    }

    #[test]
    fn directories_give_their_recordings_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.wav", "a.WAV", "notes.txt", "c.webm", "0.m4a"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::create_dir(directory.path().join("d.mp3")).unwrap();
        let single = PathBuf::from("x.amr");
        let names = |endings: &[&str]| -> Vec<String> {
            let found = recordings(&[directory.path().to_owned(), single.clone()], endings);
            let found = found.unwrap().into_iter();
            let name = |file: PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
            found.map(name).collect()
        };
        assert_eq!(
            names(ENDINGS),
            ["0.m4a", "a.WAV", "b.wav", "c.webm", "x.amr"]
        );
        assert_eq!(names(WAV), ["a.WAV", "b.wav", "x.amr"]);
        let empty = tempfile::tempdir().unwrap();
        let error = |endings: &[&str]| {
            let found = recordings(&[empty.path().to_owned()], endings);
            found.unwrap_err().to_string()
        };
        assert!(
            error(WAV).ends_with("holds no .wav files"),
            "{}",
            error(WAV)
        );
        assert!(
            error(ENDINGS).ends_with(".webm, .mka, .mkv files"),
            "{}",
            error(ENDINGS)
        );
    }
}
