//! What is printed of a recording, and where subtitles go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::transcript::Transcript;
use transcripts::{Cue, cues};

/// How transcripts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// File, tabulator, text
    Text,
    /// A JSON object a line, with all that the model says
    Json,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// A table of the subtitles: start and end in milliseconds, text
    Tsv,
}

impl Format {
    /// What is to be read of a recording.
    ///
    /// # Errors
    /// If it is subtitles, and a word has no times.
    pub(super) fn rendered(self, file: &Path, transcript: &Transcript) -> Result<String> {
        let file = file.display();
        match self.of_cues() {
            Some(write) => {
                let heard = transcript
                    .heard
                    .as_ref()
                    .context("the model says no words")?;
                Ok(write(&cues(&heard.spoken()?)))
            }
            None if self == Self::Json => {
                Ok(format!("{}\n", json_line(&file.to_string(), transcript)))
            }
            None => Ok(format!("{file}\t{}\n", transcript.text)),
        }
    }

    /// The file for each recording's subtitles: in `directory`, by the recording's name. One recording needs none: its subtitles are
    /// printed.
    ///
    /// # Errors
    /// If there are several recordings and no directory, or if two would have the same file.
    pub(super) fn places(
        self,
        files: &[PathBuf],
        directory: Option<&Path>,
    ) -> Result<Vec<Option<PathBuf>>> {
        let Some(directory) = directory else {
            if self.of_cues().is_some() && files.len() > 1 {
                bail!(
                    "{} recordings need a file of subtitles each: --to names the directory for them",
                    files.len()
                );
            }
            return Ok(vec![None; files.len()]);
        };
        if self.of_cues().is_none() {
            bail!("--to is for the formats srt, vtt and tsv");
        }
        let mut taken: BTreeMap<PathBuf, &Path> = BTreeMap::new();
        let mut places = Vec::new();
        for file in files {
            let mut name = file.file_stem().unwrap_or_default().to_owned();
            name.push(".");
            name.push(self.extension());
            let place = directory.join(name);
            if let Some(other) = taken.insert(place.clone(), file) {
                bail!(
                    "{} and {} would both become {}: transcribe them one after the other",
                    other.display(),
                    file.display(),
                    place.display()
                );
            }
            places.push(Some(place));
        }
        Ok(places)
    }

    /// How cues are written, where this is a format of those.
    fn of_cues(self) -> Option<fn(&[Cue]) -> String> {
        match self {
            Self::Text | Self::Json => None,
            Self::Srt => Some(transcripts::srt),
            Self::Vtt => Some(transcripts::vtt),
            Self::Tsv => Some(transcripts::tsv),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json => "json",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Tsv => "tsv",
        }
    }
}

/// A recording as a line of JSON.
fn json_line(file: &str, transcript: &Transcript) -> Value {
    let round = |value: f64| (value * 1000.0).round() / 1000.0;
    let mut line = json!({
        "file": file,
        "text": transcript.text,
        "audio_seconds": transcript.audio_seconds.map(round),
        "latency_ms": round(transcript.latency_ms),
    });
    if let Some(heard) = &transcript.heard {
        line["result"] = json!(heard);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use transcripts::Heard;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn subtitles_have_the_names_of_their_recordings() {
        let files = paths(&["a/x.wav", "b/y.1.WAV"]);
        let found = Format::Srt.places(&files, Some(Path::new("out"))).unwrap();
        let expected = ["out/x.srt", "out/y.1.srt"];
        assert_eq!(found, expected.map(|path| Some(PathBuf::from(path))));
        assert_eq!(Format::Vtt.places(&files[..1], None).unwrap(), [None]);
        assert_eq!(Format::Json.places(&files, None).unwrap(), [None, None]);
    }

    #[test]
    fn subtitles_that_have_no_place_are_refused() {
        let error = |format: Format, files: &[&str], directory: Option<&str>| {
            let result = format.places(&paths(files), directory.map(Path::new));
            result.unwrap_err().to_string()
        };
        assert_eq!(
            error(Format::Vtt, &["a/x.wav", "b/x.wav"], Some("out")),
            "a/x.wav and b/x.wav would both become out/x.vtt: transcribe them one after the other"
        );
        let message = error(Format::Tsv, &["x.wav", "y.wav"], None);
        assert!(message.starts_with("2 recordings need"), "{message}");
        let message = error(Format::Text, &["x.wav"], Some("out"));
        assert_eq!(message, "--to is for the formats srt, vtt and tsv");
    }

    #[test]
    fn a_recording_is_written_in_each_format() {
        let heard = Heard::parse(
            r#"{"text": "好", "raw": "<|zh|>好", "language": "zh", "words": [{"text": "好", "start_ms": 60, "end_ms": 300}]}"#,
        );
        let mut transcript = Transcript {
            text: "<|zh|>好".to_owned(),
            heard: Some(heard.unwrap()),
            audio_seconds: Some(1.23449),
            latency_ms: 5.0,
        };
        let file = Path::new("a.wav");
        let rendered = |format: Format, transcript: &Transcript| format.rendered(file, transcript);
        assert_eq!(
            rendered(Format::Text, &transcript).unwrap(),
            "a.wav\t<|zh|>好\n"
        );
        assert_eq!(
            rendered(Format::Srt, &transcript).unwrap(),
            "1\n00:00:00,060 --> 00:00:01,060\n好\n\n"
        );
        let json = |transcript: &Transcript| {
            let line = rendered(Format::Json, transcript).unwrap();
            serde_json::from_str::<Value>(line.strip_suffix('\n').unwrap()).unwrap()
        };
        let line = json(&transcript);
        assert_eq!(
            (&line["file"], &line["text"]),
            (&json!("a.wav"), &json!("<|zh|>好"))
        );
        assert_eq!(line["audio_seconds"], 1.234);
        assert_eq!(line["result"]["text"], "好");
        assert_eq!(line["result"]["language"], "zh");
        transcript.heard = None;
        assert_eq!(json(&transcript).get("result"), None);
        assert!(rendered(Format::Tsv, &transcript).is_err());
    }
}
