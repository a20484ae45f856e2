//! What clients are told.

use serde_json::{Value, json};
use transcripts::{Heard, Spoken};

use super::wishes::Wishes;
use crate::live::Final;

/// A text that was heard: `mode` is `offline`, `online`, `2pass-online` or `2pass-offline`.
pub(super) fn text(wishes: &Wishes, mode: &str, text: &str, is_final: bool) -> Value {
    json!({"mode": mode, "wav_name": wishes.wav_name, "text": text, "is_final": is_final})
}

/// What was heard of the whole, with times where the model says them.
pub(super) fn whole(wishes: &Wishes, mode: &str, heard: &Heard) -> Value {
    let mut message = text(wishes, mode, &heard.text, true);
    let words = heard.spoken().unwrap_or_default();
    if !words.is_empty() {
        // As FunASR's servers have it: a text.
        message["timestamp"] = json!(json!(spans(&words)).to_string());
    }
    if !heard.sentences.is_empty() {
        let sentences = heard.sentences.iter().map(|own| {
            let inside: Vec<_> = words
                .iter()
                .filter(|word| {
                    (own.start_ms..own.end_ms.max(own.start_ms + 1)).contains(&word.start_ms)
                })
                .copied()
                .collect();
            let unmarked = own.text.trim_end_matches(is_mark);
            let segment = match inside.is_empty() {
                true => unmarked.to_owned(),
                false => inside
                    .iter()
                    .map(|word| word.text)
                    .collect::<Vec<_>>()
                    .join(" "),
            };
            json!({
                "text_seg": segment,
                "punc": own.text[unmarked.len()..],
                "start": own.start_ms,
                "end": own.end_ms,
                "ts_list": spans(&inside),
            })
        });
        message["stamp_sents"] = sentences.collect();
    }
    message
}

/// A segment of a stream that was heard for the second time. Beside FunASR's fields it has those of `RESULT_JSON` that the recogniser says.
pub(super) fn segment(wishes: &Wishes, mode: &str, last: &Final) -> Value {
    let heard = Heard {
        text: format!("{}{}", last.gap, last.text),
        sentences: last.sentences.clone(),
        words: last
            .heard
            .iter()
            .flat_map(|own| &own.words)
            .cloned()
            .collect(),
        ..Heard::default()
    };
    let mut message = whole(wishes, mode, &heard);
    message["is_final"] = json!(false);
    message["segment_id"] = json!(last.segment);
    message["start_ms"] = json!(last.start_ms);
    message["end_ms"] = json!(last.end_ms);
    if let Some(heard) = &last.heard {
        let said = [
            ("language", &heard.language),
            ("emotion", &heard.emotion),
            ("event", &heard.event),
        ];
        for (name, value) in said {
            if let Some(value) = value {
                message[name] = json!(value);
            }
        }
        if let Some(confidence) = heard.confidence {
            message["confidence"] = json!(confidence);
        }
    }
    message
}

/// All of the audio was answered, or why not.
pub(super) fn end(wishes: &Wishes, error: Option<&str>) -> Value {
    // FunASR's page shows the text of every message.
    let mut message = json!({
        "mode": wishes.mode.name(),
        "wav_name": wishes.wav_name,
        "text": "",
        "is_final": error.is_none(),
        "is_end": true,
    });
    if let Some(error) = error {
        message["error"] = json!(error);
    }
    message
}

fn spans(words: &[Spoken<'_>]) -> Vec<[u64; 2]> {
    words
        .iter()
        .map(|word| [word.start_ms, word.end_ms])
        .collect()
}

fn is_mark(c: char) -> bool {
    matches!(
        c,
        '。' | '，' | '？' | '！' | '、' | '；' | '.' | ',' | '?' | '!' | ';'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_has_times_and_sentences() {
        let heard = Heard::parse(
            r#"{"text": "再见。good day?", "sentences": [{"start_ms": 100, "end_ms": 400, "text": "再见。"}, {"start_ms": 900, "end_ms": 1300, "text": "good day?"}],
            "words": [{"text": "再", "start_ms": 100, "end_ms": 200}, {"text": "见", "start_ms": 300, "end_ms": 400},
                {"text": "good", "start_ms": 900, "end_ms": 1000}, {"text": "day", "start_ms": 1100, "end_ms": 1300}]}"#,
        )
        .unwrap();
        let message = whole(&Wishes::default(), "2pass-offline", &heard);
        assert_eq!(
            message["timestamp"],
            "[[100,200],[300,400],[900,1000],[1100,1300]]"
        );
        assert_eq!(
            message["stamp_sents"],
            json!([
                {"text_seg": "再 见", "punc": "。", "start": 100, "end": 400, "ts_list": [[100, 200], [300, 400]]},
                {"text_seg": "good day", "punc": "?", "start": 900, "end": 1300, "ts_list": [[900, 1000], [1100, 1300]]},
            ])
        );
        assert_eq!(
            (&message["mode"], &message["is_final"]),
            (&json!("2pass-offline"), &json!(true))
        );
        let plain = whole(
            &Wishes::default(),
            "offline",
            &Heard {
                text: "好".to_owned(),
                ..Heard::default()
            },
        );
        assert_eq!(
            plain,
            json!({"mode": "offline", "wav_name": "demo", "text": "好", "is_final": true})
        );
    }

    #[test]
    fn an_end_says_what_went_wrong() {
        let wishes = Wishes::default();
        assert_eq!(
            end(&wishes, None),
            json!({"mode": "2pass", "wav_name": "demo", "text": "", "is_final": true, "is_end": true})
        );
        let failed = end(&wishes, Some("no"));
        assert_eq!(
            (&failed["is_final"], &failed["error"]),
            (&json!(false), &json!("no"))
        );
    }
}
