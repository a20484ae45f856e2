//! A transcript as server-sent events: `transcript.text.delta`, and `transcript.text.done` with the whole.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use transcripts::Heard;

use super::error::ApiError;
use super::format::usage;
use crate::limits::Admission;
use crate::log;
use crate::recordings::{Parts, continued};
use crate::trail::Trail;

/// What is told, and how far.
struct Telling {
    parts: Parts,
    told: String,
    /// What is known of the whole, of which only the length is told.
    known: Heard,
    deadline: Instant,
    seconds: u64,
    /// The request goes on until the last event.
    trail: Option<Trail>,
    /// The request's place is taken until the last event.
    _admission: Admission,
}

/// Tells parts as they come. Dropped with the connection, and with it the calls under way.
pub(super) fn stream(
    parts: Parts,
    admission: Admission,
    deadline: Instant,
    seconds: u64,
) -> Response {
    let telling = Telling {
        parts,
        told: String::new(),
        known: Heard::default(),
        deadline,
        seconds,
        trail: Trail::current(),
        _admission: admission,
    };
    let events = unfold(Some(telling), |telling| async move {
        let (value, telling) = telling?.next().await;
        Some((
            Ok::<_, Infallible>(Event::default().data(value.to_string())),
            telling,
        ))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

impl Telling {
    /// The next event; what follows it, if something does.
    async fn next(mut self) -> (Value, Option<Self>) {
        loop {
            let part = match timeout_at(self.deadline, self.parts.next()).await {
                Ok(Ok(Some(part))) => part,
                Ok(Ok(None)) => return (self.done(), None),
                Ok(Err(error)) => return (self.failed(error.into()), None),
                Err(_) => return (self.failed(ApiError::late(self.seconds)), None),
            };
            self.known.audio_ms = part.audio_ms.or(self.known.audio_ms);
            let delta = continued(&mut self.told, &part.text);
            if !delta.is_empty() {
                return (
                    json!({"type": "transcript.text.delta", "delta": delta}),
                    Some(self),
                );
            }
        }
    }

    fn done(&self) -> Value {
        let mut event = json!({"type": "transcript.text.done", "text": self.told});
        if let Some(usage) = usage(&self.known) {
            event["usage"] = usage;
        }
        event
    }

    /// The status was sent long ago: clients take an event with an error for one.
    fn failed(&self, error: ApiError) -> Value {
        let id = self.trail.as_ref().map(|trail| Arc::clone(&trail.id));
        log::warn(format_args!(
            "a transcript broke off in the middle: {} {}",
            error.status,
            id.unwrap_or_default()
        ));
        error.to_json()
    }
}
