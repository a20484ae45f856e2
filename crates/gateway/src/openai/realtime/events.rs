//! What a client of a realtime session is told.

use serde_json::{Value, json};

use super::settings::Dialect;

/// Numbers for events and items, which nobody else's are.
pub(super) struct Ids {
    session: String,
    count: u64,
}

impl Ids {
    pub(super) fn new() -> Self {
        let random = getrandom::u64().unwrap_or_default();
        Self {
            session: format!("{random:016x}"),
            count: 0,
        }
    }

    pub(super) fn session(&self) -> String {
        format!("sess_{}", self.session)
    }

    pub(super) fn item(&mut self) -> String {
        self.next("item")
    }

    /// An event with its own number.
    pub(super) fn numbered(&mut self, mut event: Value) -> Value {
        event["event_id"] = self.next("event").into();
        event
    }

    fn next(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}_{}{:06}", self.session, self.count)
    }
}

pub(super) fn speech_started(item: &str, ms: u64) -> Value {
    json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": ms, "item_id": item})
}

pub(super) fn speech_stopped(item: &str, ms: u64) -> Value {
    json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": ms, "item_id": item})
}

pub(super) fn cleared() -> Value {
    json!({"type": "input_audio_buffer.cleared"})
}

/// A turn became an item of the conversation, behind the one before.
pub(super) fn committed(dialect: Dialect, item: &str, previous: Option<&str>) -> Vec<Value> {
    let content = json!([{"type": "input_audio", "transcript": null}]);
    let object = json!({
        "id": item, "object": "realtime.item", "type": "message", "status": "completed", "role": "user", "content": content,
    });
    let of_item = |kind: &str| json!({"type": kind, "previous_item_id": previous, "item": object});
    let committed = json!({"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": previous});
    let mut events = vec![committed];
    events.extend(match dialect {
        Dialect::Beta => vec![of_item("conversation.item.created")],
        Dialect::Current => ["conversation.item.added", "conversation.item.done"]
            .map(of_item)
            .to_vec(),
    });
    events
}

fn transcription(kind: &str, item: &str) -> Value {
    json!({
        "type": format!("conversation.item.input_audio_transcription.{kind}"),
        "item_id": item,
        "content_index": 0,
    })
}

pub(super) fn delta(item: &str, text: &str) -> Value {
    let mut event = transcription("delta", item);
    event["delta"] = text.into();
    event
}

/// All of an item's text; `seconds` is how long its audio is.
pub(super) fn completed(item: &str, text: &str, seconds: f64) -> Value {
    let mut event = transcription("completed", item);
    event["transcript"] = text.into();
    event["usage"] = json!({"type": "duration", "seconds": seconds});
    event
}

pub(super) fn failed(item: &str, message: &str) -> Value {
    let mut event = transcription("failed", item);
    event["error"] =
        json!({"type": "server_error", "code": null, "message": message, "param": null});
    event
}

/// What is wrong with what the client said; `of` is the number it gave that.
pub(super) fn error(message: &str, code: &str, param: Option<&str>, of: Option<&str>) -> Value {
    json!({"type": "error", "error": {
        "type": "invalid_request_error", "code": code, "message": message, "param": param, "event_id": of,
    }})
}
