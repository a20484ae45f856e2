//! A realtime session: a client's events in, the gateway's out, one after the other.

use std::time::Duration;

use axum::extract::ws::{Utf8Bytes, close_code};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::events::{self, Ids};
use super::hearing::{Hearing, NO_TURNS, samples};
use super::settings::{Dialect, Settings};
use crate::live::{self, Event};
use crate::metrics::Counted;
use crate::shared::Shared;
use crate::socket::{Data, Next, Socket};

/// After a failure a client's audio is passed over for so long, where nothing of the client's says that it may go on.
const PAUSE: Duration = Duration::from_secs(1);
/// What clients may say.
const KNOWN: &str = "session.update, transcription_session.update, input_audio_buffer.append, input_audio_buffer.commit and input_audio_buffer.clear";

/// Serves a client until it goes, or the gateway stops.
pub(super) async fn serve(socket: Socket, shared: &Shared, dialect: Dialect) {
    let gauge = shared.metrics.streams.with_label_values(&["realtime"]);
    let _counted = Counted::one(&gauge);
    let detects_turns = live::two_pass(&shared.pool.models()).is_some();
    let mut session = Session {
        shared,
        dialect,
        ids: Ids::new(),
        settings: Settings::new(detects_turns),
        hearing: None,
        turn: None,
        previous: None,
        before_ms: 0,
        odd: None,
        deaf_until: None,
        out: Vec::new(),
    };
    let mut socket = socket;
    let code = session.run(&mut socket).await;
    if let Some(hearing) = session.hearing.take() {
        hearing.abandon().await;
    }
    if let Some(code) = code {
        socket.close(code).await;
    }
}

/// What is said until its end.
struct Turn {
    item: String,
    /// The stream's segment that it is, or that is heard at the moment.
    segment: Option<u64>,
    /// What is known for good of it.
    text: String,
}

struct Session<'s> {
    shared: &'s Shared,
    dialect: Dialect,
    ids: Ids,
    settings: Settings,
    hearing: Option<Hearing>,
    /// Of which something was told.
    turn: Option<Turn>,
    /// The item before.
    previous: Option<String>,
    /// Audio of the session before what is heard at the moment, in milliseconds.
    before_ms: u64,
    /// Half a sample, whose other half is still to come.
    odd: Option<u8>,
    /// Audio is passed over: something failed.
    deaf_until: Option<Deaf>,
    /// What is to be told.
    out: Vec<Value>,
}

enum Deaf {
    Until(Instant),
    /// Until the client ends its turn.
    Turn,
}

impl Session<'_> {
    /// With what code to close; nothing if there is nobody any more.
    async fn run(&mut self, socket: &mut Socket) -> Option<u16> {
        let settings = self.settings.told(Dialect::Current, &self.ids.session());
        self.out
            .push(json!({"type": "session.created", "session": settings}));
        self.tell(socket).await?;
        loop {
            // Where turns have no end of the client's, what was heard so far is the last.
            let may_stop = self.hearing.is_none() || self.settings.detects_turns;
            match socket.next(may_stop).await {
                Next::Data(Data::Text(message)) => socket.during(self.told(message)).await,
                Next::Data(Data::Binary(_)) => self.refuse(
                    "messages are JSON; audio comes in input_audio_buffer.append, in Base64",
                    "invalid_event",
                    None,
                    None,
                ),
                Next::Gone(code) => return code,
                Next::Stopping => {
                    socket.during(self.finish()).await;
                    self.tell(socket).await?;
                    return Some(close_code::RESTART);
                }
            }
            self.tell(socket).await?;
        }
    }

    async fn tell(&mut self, socket: &mut Socket) -> Option<()> {
        for event in std::mem::take(&mut self.out) {
            let event = self.ids.numbered(event);
            socket.tell(&event).await?;
        }
        Some(())
    }

    fn refuse(&mut self, message: &str, code: &str, param: Option<&str>, of: Option<&str>) {
        self.out.push(events::error(message, code, param, of));
    }

    /// A client's event.
    async fn told(&mut self, message: Utf8Bytes) {
        let parsed = serde_json::from_str(&message);
        drop(message);
        let Ok(Value::Object(mut event)) = parsed else {
            let message =
                "an event is a JSON object, as in {\"type\": \"input_audio_buffer.commit\"}";
            return self.refuse(message, "invalid_json", None, None);
        };
        let mut taken = |name: &str| match event.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (kind, of, audio) = (taken("type"), taken("event_id"), taken("audio"));
        let of = of.as_deref();
        match kind.as_deref().unwrap_or_default() {
            "input_audio_buffer.append" => {
                // Whatever else it says is not held while the audio is heard.
                drop(event);
                self.append(audio, of).await;
            }
            "input_audio_buffer.commit" => self.commit(of).await,
            "input_audio_buffer.clear" => self.clear().await,
            kind @ ("session.update" | "transcription_session.update") => {
                match event.get("session").and_then(Value::as_object) {
                    Some(session) => self.update(kind, session, of).await,
                    None => self.refuse(
                        "the event has no session",
                        "missing_required_parameter",
                        Some("session"),
                        of,
                    ),
                }
            }
            kind => {
                let message = format!("this gateway transcribes: it knows {KNOWN}, not {kind:?}");
                self.refuse(&message, "unknown_event", Some("type"), of);
            }
        }
    }

    async fn update(&mut self, kind: &str, session: &Map<String, Value>, of: Option<&str>) {
        let new = match self.settings.with(session) {
            Ok(new) => new,
            Err(wrong) => {
                return self.refuse(&wrong.message, "invalid_value", Some(wrong.param), of);
            }
        };
        if new.detects_turns && live::two_pass(&self.shared.pool.models()).is_none() {
            let param = Some("session.audio.input.turn_detection");
            return self.refuse(NO_TURNS, "invalid_value", param, of);
        }
        if new != self.settings && self.hearing.as_ref().is_some_and(|own| !own.is_empty()) {
            if !self.settings.detects_turns {
                let message = "there is audio that was heard by the settings as they are: commit or clear it first";
                return self.refuse(message, "invalid_value", Some("session"), of);
            }
            self.finish().await;
        }
        if new != self.settings {
            // One that has heard nothing yet is for the settings as they were.
            self.hearing = None;
            self.odd = None;
        }
        self.settings = new;
        self.deaf_until = None;
        let (dialect, kind) = match kind {
            "session.update" => (Dialect::Current, "session.updated"),
            _ => (Dialect::Beta, "transcription_session.updated"),
        };
        let settings = self.settings.told(dialect, &self.ids.session());
        self.out.push(json!({"type": kind, "session": settings}));
    }

    async fn append(&mut self, audio: Option<String>, of: Option<&str>) {
        let decoded = audio.map(|audio| BASE64_STANDARD.decode(audio));
        let Some(Ok(bytes)) = decoded else {
            let message = "audio is the samples' bytes in Base64";
            return self.refuse(message, "invalid_value", Some("audio"), of);
        };
        self.shared.metrics.audio_bytes.inc_by(bytes.len() as u64);
        match self.deaf_until {
            Some(Deaf::Turn) => return,
            Some(Deaf::Until(when)) if Instant::now() < when => return,
            _ => self.deaf_until = None,
        }
        let samples = samples(self.settings.format, &mut self.odd, &bytes);
        drop(bytes);
        let mut heard = Vec::new();
        let outcome = match self.hearing.take() {
            Some(hearing) => Ok(hearing),
            None => Hearing::begin(self.shared, &self.settings),
        };
        let failed = match outcome {
            Err(error) => Some(error),
            Ok(mut hearing) => {
                let outcome = hearing.hear(self.shared, &samples, &mut heard).await;
                match outcome {
                    Ok(()) => {
                        self.hearing = Some(hearing);
                        None
                    }
                    Err(error) => {
                        self.before_ms += hearing.ms();
                        hearing.abandon().await;
                        Some(error)
                    }
                }
            }
        };
        self.note(heard);
        if let Some(error) = failed {
            self.fail(&error);
            self.deaf_until = Some(match self.settings.detects_turns {
                true => Deaf::Until(Instant::now() + PAUSE),
                false => Deaf::Turn,
            });
        }
    }

    /// The client ends its turn.
    async fn commit(&mut self, of: Option<&str>) {
        self.odd = None;
        if matches!(self.deaf_until, Some(Deaf::Turn)) {
            // Its failure was told.
            self.deaf_until = None;
            return;
        }
        let Some(hearing) = self.hearing.take().filter(|own| !own.is_empty()) else {
            let message = "there is no audio to commit";
            return self.refuse(message, "input_audio_buffer_commit_empty", None, of);
        };
        if self.settings.detects_turns {
            let before = self.previous.clone();
            self.hearing = Some(hearing);
            if self.finish().await && self.previous == before {
                // Nobody said anything: the client waits for its turn all the same.
                let turn = self.turn();
                self.conclude(turn, 0.0);
            }
            return;
        }
        let seconds = hearing.ms() as f64 / 1000.0;
        self.before_ms += hearing.ms();
        let turn = self.turn();
        let committed = events::committed(self.dialect, &turn.item, self.previous.as_deref());
        self.out.extend(committed);
        self.previous = Some(turn.item.clone());
        self.turn = Some(turn);
        let mut heard = Vec::new();
        let ended = hearing.end(self.shared, &mut heard).await;
        self.note(heard);
        match ended {
            Err(error) => self.fail(&error),
            Ok(text) => {
                let turn = self.turn();
                let text = text.unwrap_or(turn.text);
                self.out.push(events::completed(&turn.item, &text, seconds));
            }
        }
    }

    async fn clear(&mut self) {
        if let Some(hearing) = self.hearing.take() {
            self.before_ms += hearing.ms();
            hearing.abandon().await;
        }
        self.turn = None;
        self.odd = None;
        self.deaf_until = None;
        self.out.push(events::cleared());
    }

    /// Ends what is heard where turns are found here: the last one ends with it. False if that failed, which is told then.
    async fn finish(&mut self) -> bool {
        let Some(hearing) = self.hearing.take() else {
            return true;
        };
        let ms = hearing.ms();
        let mut heard = Vec::new();
        let ended = hearing.end(self.shared, &mut heard).await;
        self.note(heard);
        self.before_ms += ms;
        if let Err(error) = &ended {
            self.fail(error);
        }
        ended.is_ok()
    }

    /// The turn of which something is to be told.
    fn turn(&mut self) -> Turn {
        self.turn.take().unwrap_or_else(|| Turn {
            item: self.ids.item(),
            segment: None,
            text: String::new(),
        })
    }

    /// The turn cannot be transcribed.
    fn fail(&mut self, error: &str) {
        let turn = self.turn();
        self.out.push(events::failed(&turn.item, error));
    }

    /// A turn is an item of the conversation, with all of its text.
    fn conclude(&mut self, turn: Turn, seconds: f64) {
        let committed = events::committed(self.dialect, &turn.item, self.previous.as_deref());
        self.out.extend(committed);
        self.out
            .push(events::completed(&turn.item, &turn.text, seconds));
        self.previous = Some(turn.item);
    }

    /// Tells what was heard.
    fn note(&mut self, heard: Vec<Event>) {
        for event in heard {
            if self.settings.detects_turns {
                self.of_turns(event);
            } else {
                self.of_the_turn(event);
            }
        }
    }

    /// Each segment is a turn.
    fn of_turns(&mut self, event: Event) {
        let (segment, start_ms) = match &event {
            Event::Partial(partial) => (partial.segment, partial.start_ms),
            // It was noise after all, and nothing was told of it.
            Event::Final(last) if last.text.is_empty() && self.turn.is_none() => return,
            Event::Final(last) => (last.segment, last.start_ms),
        };
        let mut turn = self.turn();
        if turn.segment != Some(segment) {
            turn.segment = Some(segment);
            let ms = self.before_ms + start_ms;
            self.out.push(events::speech_started(&turn.item, ms));
        }
        match event {
            Event::Partial(partial) => {
                self.out.push(events::delta(&turn.item, &partial.added));
                self.turn = Some(turn);
            }
            Event::Final(last) => {
                let ms = self.before_ms + last.end_ms;
                self.out.push(events::speech_stopped(&turn.item, ms));
                turn.text = last.text;
                let seconds = last.end_ms.saturating_sub(last.start_ms) as f64 / 1000.0;
                self.conclude(turn, seconds);
            }
        }
    }

    /// All segments are of one turn, which the client ends.
    fn of_the_turn(&mut self, event: Event) {
        let mut turn = self.turn();
        match event {
            Event::Partial(partial) => {
                let begins = turn.segment.replace(partial.segment) != Some(partial.segment);
                let gap = if begins { partial.gap } else { "" };
                let added = format!("{gap}{}", partial.added);
                self.out.push(events::delta(&turn.item, &added));
            }
            Event::Final(last) if last.text.is_empty() => {}
            Event::Final(last) => {
                turn.text.push_str(last.gap);
                turn.text.push_str(&last.text);
            }
        }
        self.turn = Some(turn);
    }
}
