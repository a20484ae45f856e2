//! What a client says of its audio: JSON, of which every message may change a part.

use serde_json::Value;

use crate::language::Language;
use crate::recordings::MOST_HOTWORDS;

/// How audio becomes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// All of it when it has ended.
    Offline,
    /// As it comes.
    Online,
    /// As it comes, and once more when it has ended.
    TwoPass,
}

impl Mode {
    /// As metrics and messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Online => "online",
            Self::TwoPass => "2pass",
        }
    }
}

/// What is known of the audio so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wishes {
    pub(super) mode: Mode,
    pub(super) wav_name: String,
    /// Samples of 16 bits, one channel, without a header; else a file.
    pub(super) is_pcm: bool,
    /// Of samples, in Hz.
    pub(super) rate: u32,
    pub(super) hotwords: Option<String>,
    pub(super) itn: bool,
    pub(super) language: Language,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            mode: Mode::TwoPass,
            wav_name: "demo".to_owned(),
            is_pcm: true,
            rate: 16_000,
            hotwords: None,
            itn: true,
            language: Language::AUTO,
        }
    }
}

/// What a message says beside wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// Audio begins.
    pub(super) begins: bool,
    /// The audio has ended.
    pub(super) ended: bool,
    /// The client waits to be told that all was answered.
    pub(super) wants_word: bool,
}

impl Wishes {
    /// Whether numbers are to be written as such. What clients send without being asked leaves it to the model.
    pub(super) fn itn(&self) -> Option<bool> {
        (!self.itn).then_some(false)
    }

    /// Takes what a message says.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub(super) fn take(&mut self, message: &str) -> Result<Said, String> {
        let Ok(Value::Object(fields)) = serde_json::from_str(message) else {
            return Err("a text message is a JSON object, as in {\"mode\": \"2pass\", \"is_speaking\": true}".to_owned());
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let truth = |name: &str| fields.get(name).and_then(Value::as_bool);
        if let Some(mode) = text("mode") {
            self.mode = match mode {
                "offline" => Mode::Offline,
                "online" => Mode::Online,
                "2pass" => Mode::TwoPass,
                other => {
                    return Err(format!(
                        "the mode {other:?} is none of offline, online, 2pass"
                    ));
                }
            };
        }
        if let Some(name) = text("wav_name") {
            // It comes back with every result.
            self.wav_name = name.chars().take(256).collect();
        }
        if let Some(format) = text("wav_format") {
            self.is_pcm = format.eq_ignore_ascii_case("pcm");
        }
        if let Some(rate) = fields.get("audio_fs") {
            let number = rate.as_u64().or_else(|| rate.as_str()?.parse().ok());
            self.rate = number
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| (8_000..=192_000).contains(number))
                .ok_or_else(|| format!("audio_fs {rate} is no rate from 8000 to 192000 Hz"))?;
        }
        if let Some(words) = fields.get("hotwords") {
            let words = hotwords(words);
            if words.as_ref().is_some_and(|own| own.len() > MOST_HOTWORDS) {
                return Err(format!("hotwords are more than {MOST_HOTWORDS} bytes"));
            }
            self.hotwords = words;
        }
        self.itn = truth("itn").unwrap_or(self.itn);
        if let Some(code) = text("svs_lang") {
            let known = Language::of(code);
            self.language = known.ok_or_else(|| {
                format!("svs_lang {code:?} is none of auto, {}", Language::codes())
            })?;
        }
        Ok(Said {
            begins: truth("is_speaking") == Some(true),
            ended: truth("is_speaking") == Some(false) || truth("is_end") == Some(true),
            wants_word: truth("is_end") == Some(true),
        })
    }
}

/// Words with blanks between them, of an object of words and weights, as text or as it is, or of words with commas or blanks between.
/// Weights are not looked at: the models have none.
fn hotwords(given: &Value) -> Option<String> {
    let joined = |words: &serde_json::Map<String, Value>| {
        words
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let words = match given {
        Value::Object(words) => joined(words),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(words)) => joined(&words),
            _ => text.replace([',', '，'], " "),
        },
        _ => return None,
    };
    Some(words.trim().to_owned()).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_change_a_part() {
        let mut wishes = Wishes::default();
        let first = r#"{"mode": "online", "wav_name": "a", "wav_format": "PCM", "audio_fs": 8000, "chunk_size": [5, 10, 5],
            "is_speaking": true, "itn": false, "hotwords": "{\"阿里巴巴\": 20, \"通义\": 30}", "svs_lang": "zh"}"#;
        let begin = Said {
            begins: true,
            ..Said::default()
        };
        assert_eq!(wishes.take(first), Ok(begin));
        let expected = Wishes {
            mode: Mode::Online,
            wav_name: "a".to_owned(),
            is_pcm: true,
            rate: 8000,
            hotwords: Some("通义 阿里巴巴".to_owned()),
            itn: false,
            language: Language::of("zh").unwrap(),
        };
        let sorted = |words: &Wishes| {
            let mut words: Vec<_> = words
                .hotwords
                .clone()
                .unwrap()
                .split(' ')
                .map(str::to_owned)
                .collect();
            words.sort();
            words
        };
        assert_eq!(sorted(&wishes), sorted(&expected));
        assert_eq!(
            Wishes {
                hotwords: expected.hotwords.clone(),
                ..wishes.clone()
            },
            expected
        );
        let end = wishes.take(r#"{"is_speaking": false}"#).unwrap();
        assert!(end.ended && !end.wants_word);
        let end = wishes
            .take(r#"{"is_speaking": false, "is_end": true}"#)
            .unwrap();
        assert!(end.ended && end.wants_word);
        assert_eq!((wishes.rate, wishes.mode), (8000, Mode::Online));
    }

    #[test]
    fn hotwords_come_in_several_forms() {
        let of = |text: &str| hotwords(&serde_json::from_str(text).unwrap());
        assert_eq!(of(r#""公元,在建""#).as_deref(), Some("公元 在建"));
        assert_eq!(of(r#"{"公元": 20}"#).as_deref(), Some("公元"));
        assert_eq!((of(r#""""#), of("null"), of("[1]")), (None, None, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |message: &str| Wishes::default().take(message).unwrap_err();
        assert!(error("[]").starts_with("a text message is a JSON object"));
        assert_eq!(
            error(r#"{"mode": "3pass"}"#),
            "the mode \"3pass\" is none of offline, online, 2pass"
        );
        assert_eq!(
            error(r#"{"audio_fs": 10}"#),
            "audio_fs 10 is no rate from 8000 to 192000 Hz"
        );
        assert!(error(r#"{"svs_lang": "fr"}"#).contains("none of auto, zh"));
    }
}
