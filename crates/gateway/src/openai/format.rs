//! What was heard, in the formats of OpenAI's API.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use transcripts::{Cue, Heard, cues, srt, vtt};

use super::error::ApiError;
use crate::language::Language;

/// `response_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text,
    Srt,
    Vtt,
    VerboseJson,
}

impl Format {
    pub(super) fn of(name: &str) -> Result<Self, ApiError> {
        Ok(match name.trim() {
            "json" | "" => Self::Json,
            "text" => Self::Text,
            "srt" => Self::Srt,
            "vtt" => Self::Vtt,
            "verbose_json" => Self::VerboseJson,
            other => {
                let message = format!("{other:?} is none of json, text, srt, vtt, verbose_json");
                return Err(ApiError::invalid("response_format", message));
            }
        })
    }
}

/// What a client asked to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) format: Format,
    pub(super) words: bool,
    pub(super) segments: bool,
    /// What the client said the language is.
    pub(super) language: Language,
}

/// The answer.
///
/// # Errors
/// If times are asked for and the model says none.
pub(super) fn answer(heard: &Heard, told: Told) -> Result<Response, ApiError> {
    const JSON: &str = "application/json";
    const PLAIN: &str = "text/plain; charset=utf-8";
    let (kind, body) = match told.format {
        Format::Json => (JSON, brief(heard).to_string()),
        Format::Text => (PLAIN, format!("{}\n", heard.text)),
        Format::Srt => ("application/x-subrip; charset=utf-8", srt(&lines(heard)?)),
        Format::Vtt => ("text/vtt; charset=utf-8", vtt(&lines(heard)?)),
        Format::VerboseJson => (JSON, verbose(heard, told)?.to_string()),
    };
    Ok(([(CONTENT_TYPE, kind)], body).into_response())
}

fn brief(heard: &Heard) -> Value {
    let mut object = json!({"text": heard.text});
    if let Some(usage) = usage(heard) {
        object["usage"] = usage;
    }
    object
}

/// As services that are paid by the second tell it.
pub(super) fn usage(heard: &Heard) -> Option<Value> {
    let seconds = heard.audio_ms?.div_ceil(1000);
    Some(json!({"type": "duration", "seconds": seconds}))
}

/// The lines of subtitles: of words where their times are known, else of sentences.
fn lines(heard: &Heard) -> Result<Vec<Cue>, ApiError> {
    let timed = heard.spoken().ok().filter(|words| !words.is_empty());
    if let Some(words) = timed {
        return Ok(cues(&words));
    }
    let cue = |text: &str, start_ms, end_ms| Cue {
        text: text.to_owned(),
        start_ms,
        end_ms,
    };
    let sentences = heard.sentences.iter();
    let lines: Vec<_> = sentences
        .map(|own| cue(&own.text, own.start_ms, own.end_ms))
        .collect();
    if lines.is_empty() && !heard.text.trim().is_empty() {
        return Err(no_times("response_format"));
    }
    Ok(lines)
}

fn no_times(parameter: &'static str) -> ApiError {
    ApiError::invalid(
        parameter,
        "the model says no times; json and text need none. Whoever runs the server can list its times: docs/results.md",
    )
}

/// OpenAI's verbose transcript.
fn verbose(heard: &Heard, told: Told) -> Result<Value, ApiError> {
    let ends = heard.words.iter().filter_map(|word| word.end_ms);
    let end_ms = ends
        .chain(heard.segments.iter().map(|own| own.end_ms))
        .max();
    let duration_ms = heard.audio_ms.or(end_ms).unwrap_or(0);
    let mut object = json!({
        "task": "transcribe",
        "language": language(heard, told.language),
        "duration": seconds(duration_ms),
        "text": heard.text,
    });
    if told.words {
        let word = |word: transcripts::Spoken<'_>| json!({"word": word.text, "start": seconds(word.start_ms), "end": seconds(word.end_ms)});
        let words = heard
            .spoken()
            .map_err(|_| no_times("timestamp_granularities"))?;
        if words.is_empty() && !heard.text.trim().is_empty() {
            return Err(no_times("timestamp_granularities"));
        }
        object["words"] = words.into_iter().map(word).collect();
    }
    if told.segments {
        object["segments"] = segments(heard, duration_ms);
    }
    if let Some(usage) = usage(heard) {
        object["usage"] = usage;
    }
    Ok(object)
}

/// Sentences, or lines as subtitles have them, or all as one where nothing is known of times.
fn segments(heard: &Heard, duration_ms: u64) -> Value {
    let parts: Vec<(u64, u64, &str)>;
    let cues = if heard.sentences.is_empty() {
        lines(heard).unwrap_or_default()
    } else {
        Vec::new()
    };
    if !heard.sentences.is_empty() {
        let sentences = heard.sentences.iter();
        parts = sentences
            .map(|own| (own.start_ms, own.end_ms, &*own.text))
            .collect();
    } else if !cues.is_empty() {
        parts = cues
            .iter()
            .map(|cue| (cue.start_ms, cue.end_ms, &*cue.text))
            .collect();
    } else if heard.text.trim().is_empty() {
        parts = Vec::new();
    } else {
        parts = vec![(0, duration_ms, &*heard.text)];
    }
    let segment = |(id, (start_ms, end_ms, text)): (usize, (u64, u64, &str))| {
        let mut segment = json!({
            "id": id,
            "seek": 0,
            "start": seconds(start_ms),
            "end": seconds(end_ms),
            "text": text,
            "avg_logprob": log_probability(heard, start_ms, end_ms),
            // Nothing of the kind is known here. Programs that drop doubtful segments by them keep all.
            "tokens": [],
            "temperature": 0.0,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.0,
        });
        // Of our own, where the model says them.
        for (name, value) in manner(heard, start_ms, end_ms) {
            if let Some(value) = value {
                segment[name] = json!(value);
            }
        }
        segment
    };
    parts.into_iter().enumerate().map(segment).collect()
}

/// In which language and how something is said, with the names that RESULT_JSON has for it: as of the part of the recording that most of this
/// time lies in, or of the whole where it has no parts.
fn manner(heard: &Heard, start_ms: u64, end_ms: u64) -> [(&'static str, Option<&str>); 3] {
    let shared = |own: &&transcripts::Segment| {
        own.end_ms
            .min(end_ms)
            .saturating_sub(own.start_ms.max(start_ms))
    };
    let part = heard
        .segments
        .iter()
        .filter(|own| shared(own) > 0)
        .max_by_key(shared);
    let (language, emotion, event) = match part {
        Some(own) => (&own.language, &own.emotion, &own.event),
        None => (&heard.language, &heard.emotion, &heard.event),
    };
    [
        ("language", language.as_deref()),
        ("emotion", emotion.as_deref()),
        ("event", event.as_deref()),
    ]
}

/// The logarithm of how sure the model is of what is spoken in this time: of its words, else of the whole. 0 where it does not say.
fn log_probability(heard: &Heard, start_ms: u64, end_ms: u64) -> f64 {
    let inside = heard.words.iter().filter(|word| {
        word.start_ms
            .is_some_and(|start| (start_ms..=end_ms).contains(&start))
    });
    let logarithms: Vec<f64> = inside
        .filter_map(|word| Some(word.confidence?.max(1e-10).ln()))
        .collect();
    let mean = match logarithms.len() {
        0 => heard.confidence.map_or(0.0, |whole| whole.max(1e-10).ln()),
        count => logarithms.iter().sum::<f64>() / count as f64,
    };
    (mean * 1e4).round() / 1e4
}

/// What most of the recording is spoken in, as Whisper spells it; what the client said where the model does not say.
fn language(heard: &Heard, asked: Language) -> String {
    let name = |code: &str| Language::of(code).map_or(code.to_owned(), |own| own.name.to_owned());
    if let Some(code) = &heard.language {
        return name(code);
    }
    let mut shares: Vec<(&str, u64)> = Vec::new();
    for segment in &heard.segments {
        let Some(code) = segment.language.as_deref() else {
            continue;
        };
        let length = segment.end_ms.saturating_sub(segment.start_ms);
        match shares.iter_mut().find(|(own, _)| *own == code) {
            Some((_, share)) => *share += length,
            None => shares.push((code, length)),
        }
    }
    let most = shares.iter().max_by_key(|(_, share)| *share);
    most.map_or(asked.name.to_owned(), |(code, _)| name(code))
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(format: Format) -> Told {
        Told {
            format,
            words: true,
            segments: true,
            language: Language::AUTO,
        }
    }

    fn of_words() -> Heard {
        Heard::parse(
            r#"{"text": "good day.", "language": "en", "confidence": 0.9, "words": [
                {"text": "good", "start_ms": 300, "end_ms": 480, "confidence": 0.5},
                {"text": "day.", "start_ms": 540, "end_ms": 720, "confidence": 1.0}]}"#,
        )
        .unwrap()
    }

    fn long() -> Heard {
        Heard::parse(
            r#"{"text": "好。good.", "audio_ms": 4200,
                "sentences": [{"start_ms": 500, "end_ms": 900, "text": "好。"}, {"start_ms": 2000, "end_ms": 2500, "text": "good."}],
                "segments": [{"start_ms": 400, "end_ms": 1900, "text": "好", "language": "zh", "emotion": "HAPPY", "words": [{"text": "好"}]},
                    {"start_ms": 1950, "end_ms": 2600, "text": "good", "language": "en", "words": [{"text": "good"}]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_verbose_transcript_has_words_and_segments() {
        let object = verbose(&of_words(), told(Format::VerboseJson)).unwrap();
        assert_eq!(
            (&object["language"], &object["duration"]),
            (&json!("english"), &json!(0.72))
        );
        assert_eq!(
            object["words"][0],
            json!({"word": "good", "start": 0.3, "end": 0.48})
        );
        let segment = &object["segments"][0];
        assert_eq!(
            (&segment["text"], &segment["start"], &segment["end"]),
            (&json!("good day."), &json!(0.3), &json!(1.3))
        );
        // The recording has no parts: what is said of the whole.
        assert_eq!(
            (&segment["language"], segment.get("emotion")),
            (&json!("en"), None)
        );
        // Half the logarithm of 0.5.
        assert_eq!(segment["avg_logprob"], json!(-0.3466));
    }

    #[test]
    fn a_long_recordings_segments_are_its_sentences() {
        let words = Told {
            words: false,
            ..told(Format::VerboseJson)
        };
        let object = verbose(&long(), words).unwrap();
        assert_eq!(
            (&object["language"], &object["duration"]),
            (&json!("chinese"), &json!(4.2))
        );
        assert_eq!(object["usage"], json!({"type": "duration", "seconds": 5}));
        assert_eq!(
            (
                &object["segments"][1]["text"],
                &object["segments"][1]["start"]
            ),
            (&json!("good."), &json!(2.0))
        );
        assert_eq!(object.get("words"), None);
        // What is said of the part that a sentence is in; what is not said is left away.
        let manner = |index: usize| {
            let segment = &object["segments"][index];
            ["language", "emotion", "event"].map(|name| segment.get(name).cloned())
        };
        assert_eq!(manner(0), [Some(json!("zh")), Some(json!("HAPPY")), None]);
        assert_eq!(manner(1), [Some(json!("en")), None, None]);
        // Without times of words, words are refused, and subtitles made of sentences.
        assert_eq!(
            verbose(&long(), told(Format::VerboseJson))
                .unwrap_err()
                .status,
            400
        );
        let subtitles = srt(&lines(&long()).unwrap());
        assert!(
            subtitles.starts_with("1\n00:00:00,500 --> 00:00:00,900\n好。\n"),
            "{subtitles}"
        );
    }

    #[test]
    fn a_text_alone_is_one_segment_and_no_subtitles() {
        let heard = Heard {
            text: "good".to_owned(),
            ..Heard::default()
        };
        let asked = Told {
            words: false,
            language: Language::of("en").unwrap(),
            ..told(Format::VerboseJson)
        };
        let object = verbose(&heard, asked).unwrap();
        assert_eq!(
            (&object["segments"][0]["text"], &object["language"]),
            (&json!("good"), &json!("english"))
        );
        assert_eq!(answer(&heard, told(Format::Vtt)).unwrap_err().status, 400);
        assert_eq!(brief(&heard), json!({"text": "good"}));
        // Silence is no fault.
        let silence = Heard::default();
        assert_eq!(
            verbose(&silence, told(Format::VerboseJson)).unwrap()["segments"],
            json!([])
        );
        assert!(lines(&silence).unwrap().is_empty());
    }
}
