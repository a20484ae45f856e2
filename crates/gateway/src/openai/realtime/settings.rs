//! A session's settings: what `session.update` and, before it, `transcription_session.update` say.

use serde_json::{Map, Value, json};

use crate::language::Language;
use crate::recordings::MOST_HOTWORDS;

/// How the words of a session are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As it is now.
    Current,
    /// As clients of the beta know it, who say `OpenAI-Beta: realtime=v1`.
    Beta,
}

/// How samples come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// 16 bits, little-endian, at 24 kHz.
    Pcm,
    /// G.711 at 8 kHz.
    Ulaw,
    /// The same.
    Alaw,
}

impl Format {
    /// As it is called now, and in the beta.
    const NAMES: [(Self, &str, &str); 3] = [
        (Self::Pcm, "audio/pcm", "pcm16"),
        (Self::Ulaw, "audio/pcmu", "g711_ulaw"),
        (Self::Alaw, "audio/pcma", "g711_alaw"),
    ];

    pub(super) fn rate(self) -> u32 {
        match self {
            Self::Pcm => 24_000,
            Self::Ulaw | Self::Alaw => 8_000,
        }
    }

    fn of(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.into_iter();
        all.find(|(_, now, beta)| name == *now || name == *beta)
            .map(|(format, ..)| format)
    }

    fn names(self) -> (&'static str, &'static str) {
        let mut all = Self::NAMES.into_iter();
        all.find(|(format, ..)| *format == self)
            .map_or(("", ""), |(_, now, beta)| (now, beta))
    }
}

/// What is set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) format: Format,
    /// As the client calls it.
    pub(super) model: Option<String>,
    pub(super) language: Language,
    /// Words to listen for.
    pub(super) prompt: Option<String>,
    /// Turns end where somebody stops speaking; else where the client says so.
    pub(super) detects_turns: bool,
}

/// Why settings cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Which one.
    pub(super) param: &'static str,
    pub(super) message: String,
}

impl Settings {
    pub(super) fn new(detects_turns: bool) -> Self {
        Self {
            format: Format::Pcm,
            model: None,
            language: Language::AUTO,
            prompt: None,
            detects_turns,
        }
    }

    /// With what a client changes. What is not named stays.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn with(&self, session: &Map<String, Value>) -> Result<Self, Wrong> {
        let mut new = self.clone();
        if let Some(kind) = session.get("type").filter(|kind| *kind != "transcription") {
            return Err(wrong(
                "session.type",
                format!("sessions here are of the type transcription, not {kind}"),
            ));
        }
        // Where things are now, and where they were in the beta.
        let input = session
            .get("audio")
            .and_then(|audio| audio.get("input"))
            .and_then(Value::as_object);
        let found = |now: &str, beta: &str| {
            let now = input.and_then(|input| input.get(now));
            now.or_else(|| session.get(beta))
        };
        if let Some(format) = found("format", "input_audio_format").filter(|own| !own.is_null()) {
            new.format = new_format(format)?;
        }
        if let Some(transcription) = found("transcription", "input_audio_transcription") {
            new.transcription(transcription)?;
        }
        if let Some(detection) = found("turn_detection", "turn_detection") {
            new.detects_turns = match detection.get("type").and_then(Value::as_str) {
                None if detection.is_null() => false,
                Some("server_vad") => true,
                _ => {
                    return Err(wrong(
                        "session.audio.input.turn_detection",
                        "turns end by server_vad, or by the client where this is null".to_owned(),
                    ));
                }
            };
        }
        Ok(new)
    }

    fn transcription(&mut self, given: &Value) -> Result<(), Wrong> {
        let text = |name: &str| {
            let value = given.get(name)?;
            let text = value.as_str().unwrap_or_default().trim();
            Some(Some(text.to_owned()).filter(|text| !text.is_empty()))
        };
        if let Some(model) = text("model") {
            self.model = model;
        }
        if let Some(prompt) = text("prompt") {
            if prompt.as_ref().is_some_and(|own| own.len() > MOST_HOTWORDS) {
                return Err(wrong(
                    "session.audio.input.transcription.prompt",
                    format!("the prompt is longer than {MOST_HOTWORDS} bytes"),
                ));
            }
            self.prompt = prompt;
        }
        if let Some(language) = text("language") {
            let code = language.unwrap_or_default();
            self.language = Language::of(&code).ok_or_else(|| {
                wrong(
                    "session.audio.input.transcription.language",
                    format!(
                        "the language {code:?} is none of {}; leave it away, and the model finds out",
                        Language::codes()
                    ),
                )
            })?;
        }
        Ok(())
    }

    /// All of it, for a client.
    pub(super) fn told(&self, dialect: Dialect, id: &str) -> Value {
        let language = (self.language != Language::AUTO).then_some(self.language.code);
        let transcription =
            json!({"model": self.model, "language": language, "prompt": self.prompt});
        let detection = self.detects_turns.then(|| json!({"type": "server_vad"}));
        let (now, beta) = self.format.names();
        match dialect {
            Dialect::Current => {
                let mut format = json!({"type": now});
                if self.format == Format::Pcm {
                    format["rate"] = self.format.rate().into();
                }
                json!({
                    "id": id,
                    "object": "realtime.transcription_session",
                    "type": "transcription",
                    "audio": {"input": {
                        "format": format,
                        "transcription": transcription,
                        "noise_reduction": null,
                        "turn_detection": detection,
                    }},
                    "include": [],
                })
            }
            Dialect::Beta => json!({
                "id": id,
                "object": "realtime.transcription_session",
                "modalities": ["text", "audio"],
                "input_audio_format": beta,
                "input_audio_transcription": transcription,
                "turn_detection": detection,
            }),
        }
    }
}

fn new_format(format: &Value) -> Result<Format, Wrong> {
    let name = format.get("type").unwrap_or(format);
    let rate = format.get("rate").and_then(Value::as_u64);
    let known = name.as_str().and_then(Format::of);
    known
        .filter(|own| rate.is_none_or(|rate| rate == u64::from(own.rate())))
        .ok_or_else(|| {
            wrong(
                "session.audio.input.format",
                format!("{format} is none of audio/pcm of 24000 Hz, audio/pcmu and audio/pcma"),
            )
        })
}

fn wrong(param: &'static str, message: String) -> Wrong {
    Wrong { param, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(session: Value) -> Result<Settings, Wrong> {
        Settings::new(true).with(session.as_object().unwrap())
    }

    #[test]
    fn a_client_changes_a_part_in_either_dialect() {
        let now = with(json!({"type": "transcription", "audio": {"input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "whisper-1", "language": "en", "prompt": " good day "},
            "turn_detection": null,
        }}}));
        let beta = with(json!({
            "input_audio_format": "g711_ulaw",
            "input_audio_transcription": {"model": "whisper-1", "language": "en", "prompt": "good day"},
            "turn_detection": null,
        }));
        let expected = Settings {
            format: Format::Ulaw,
            model: Some("whisper-1".to_owned()),
            language: Language::of("en").unwrap(),
            prompt: Some("good day".to_owned()),
            detects_turns: false,
        };
        assert_eq!(now.as_ref(), Ok(&expected));
        assert_eq!(beta.as_ref(), Ok(&expected));
        let part = json!({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.4}}}});
        let after = expected.with(part.as_object().unwrap()).unwrap();
        assert!(after.detects_turns && after.format == Format::Ulaw);
        let told = after.told(Dialect::Current, "sess_1");
        assert_eq!(
            told["audio"]["input"]["format"],
            json!({"type": "audio/pcmu"})
        );
        assert_eq!(
            told["audio"]["input"]["turn_detection"]["type"],
            "server_vad"
        );
        let told = after.told(Dialect::Beta, "sess_1");
        assert_eq!(told["input_audio_format"], "g711_ulaw");
        assert_eq!(told["input_audio_transcription"]["language"], "en");
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let wrong = |session| with(session).unwrap_err();
        assert_eq!(wrong(json!({"type": "realtime"})).param, "session.type");
        for format in [
            json!({"type": "audio/pcm", "rate": 16000}),
            json!("mp3"),
            json!(3),
        ] {
            let error = wrong(json!({"audio": {"input": {"format": format}}}));
            assert_eq!(error.param, "session.audio.input.format");
        }
        let semantic = json!({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}});
        assert_eq!(wrong(semantic).param, "session.audio.input.turn_detection");
        let french = json!({"input_audio_transcription": {"language": "fr"}});
        assert!(wrong(french).message.contains("none of zh, en"));
    }
}
