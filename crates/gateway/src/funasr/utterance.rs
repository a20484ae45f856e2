//! What a client says between two ends: audio on its way to the models.

use prometheus::IntGauge;
use serde_json::Value;

use super::results;
use super::wishes::{Mode, Wishes};
use crate::live::{self, Event, LiveError, Setup, Stream};
use crate::metrics::Counted;
use crate::recordings;
use crate::shared::Shared;
use crate::triton::Model;
use crate::wav;
use crate::whole::Whole;

/// Audio, and what has become of it.
pub(super) struct Utterance {
    wishes: Wishes,
    stream: Option<Stream>,
    /// The stream's segments are heard twice, so the whole need not be.
    corrects: bool,
    /// Half a sample.
    odd: Option<u8>,
    whole: Option<Whole>,
    _counted: Counted,
}

impl Utterance {
    /// For audio of this kind.
    ///
    /// # Errors
    /// If no server has a model for it.
    pub(super) fn begin(shared: &Shared, wishes: &Wishes) -> Result<Self, String> {
        let models = shared.pool.models();
        if wishes.mode != Mode::Offline && !wishes.is_pcm {
            return Err(
                "wav_format: streams take pcm, samples of 16 bits without a header".to_owned(),
            );
        }
        let corrected = (wishes.mode == Mode::TwoPass).then(|| live::two_pass(&models));
        let corrected = corrected.flatten();
        let corrects = corrected.is_some();
        let model = match wishes.mode {
            Mode::Offline => None,
            Mode::Online => Some(
                live::plain(&models)
                    .ok_or("no Triton server that is ready has a model for streams")?,
            ),
            Mode::TwoPass => corrected.or_else(|| live::plain(&models)),
        };
        let stream = model.map(|model| open(shared, model, wishes)).transpose()?;
        let default = shared.options.default_model.as_deref();
        let needs_whole = wishes.mode != Mode::Online && !corrects;
        let recording = needs_whole
            .then(|| recordings::choose(&models, "", default, false))
            .flatten();
        if recording.is_none() && stream.is_none() {
            return Err("no Triton server that is ready has a model for recordings".to_owned());
        }
        let gauge: IntGauge = shared
            .metrics
            .streams
            .with_label_values(&[wishes.mode.name()]);
        let whole = recording.map(|model| Whole::begin(shared, model));
        Ok(Self {
            wishes: wishes.clone(),
            stream,
            corrects,
            odd: None,
            whole,
            _counted: Counted::one(&gauge),
        })
    }

    /// More audio. What is to be told of it is put into `told`.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub(super) async fn hear(
        &mut self,
        shared: &Shared,
        audio: &[u8],
        told: &mut Vec<Value>,
    ) -> Result<(), String> {
        shared.metrics.audio_bytes.inc_by(audio.len() as u64);
        match &mut self.whole {
            Some(whole) if self.wishes.is_pcm => {
                whole.push_samples(shared, self.wishes.rate, audio)?;
            }
            Some(whole) => whole.push(shared, audio)?,
            None => {}
        }
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let mut events = Vec::new();
        let samples = wav::samples(&mut self.odd, audio);
        let heard = stream.hear(&samples, &mut events).await;
        told.extend(events.iter().filter_map(|event| self.message(event)));
        heard.map_err(|error| explained(&error))
    }

    /// No more audio. What is to be told of all is put into `told`.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(super) async fn end(
        mut self,
        shared: &Shared,
        told: &mut Vec<Value>,
    ) -> Result<(), String> {
        if let Some(mut stream) = self.stream.take() {
            let mut events = Vec::new();
            let ended = stream.end(&mut events).await;
            if self.corrects {
                told.extend(events.iter().filter_map(|event| self.message(event)));
                ended.map_err(|error| explained(&error))?;
                // The client hears from the last one that all was told.
                match told
                    .last_mut()
                    .filter(|last| last["mode"] == TWO_PASS_OFFLINE)
                {
                    Some(last) => last["is_final"] = true.into(),
                    None => told.push(results::text(&self.wishes, TWO_PASS_OFFLINE, "", true)),
                }
                return Ok(());
            }
            let text: String = events.iter().map(added).collect();
            let is_final = self.whole.is_none() && ended.is_ok();
            if is_final || !text.is_empty() {
                told.push(results::text(&self.wishes, self.online(), &text, is_final));
            }
            ended.map_err(|error| explained(&error))?;
        }
        if let Some(whole) = self.whole.take() {
            let (language, itn) = (self.wishes.language, self.wishes.itn());
            let hotwords = self.wishes.hotwords.clone();
            let heard = whole.transcribe(shared, language, itn, hotwords).await?;
            let mode = if self.wishes.mode == Mode::Offline {
                "offline"
            } else {
                TWO_PASS_OFFLINE
            };
            told.push(results::whole(&self.wishes, mode, &heard));
        }
        Ok(())
    }

    /// Nobody waits for it any more: the server's place is given back.
    pub(super) async fn abandon(self) {
        if let Some(stream) = self.stream {
            stream.abandon().await;
        }
    }

    /// What a client is told of an event.
    fn message(&self, event: &Event) -> Option<Value> {
        match event {
            Event::Partial(_) => {
                let text = added(event);
                Some(results::text(&self.wishes, self.online(), &text, false))
            }
            Event::Final(last) if self.corrects => {
                Some(results::segment(&self.wishes, TWO_PASS_OFFLINE, last))
            }
            // A plain stream has told all of it.
            Event::Final(_) => None,
        }
    }

    fn online(&self) -> &'static str {
        if self.wishes.mode == Mode::Online {
            "online"
        } else {
            "2pass-online"
        }
    }
}

const TWO_PASS_OFFLINE: &str = "2pass-offline";

fn open(shared: &Shared, model: Model, wishes: &Wishes) -> Result<Stream, String> {
    let setup = Setup {
        model,
        rate: wishes.rate,
        language: wishes.language,
        itn: wishes.itn(),
        hotwords: wishes.hotwords.clone(),
    };
    Stream::open(shared, setup).map_err(|error| explained(&error))
}

/// For the client, who sees its own field.
fn explained(error: &LiveError) -> String {
    match error {
        LiveError::Rate { .. } => format!("audio_fs: {error}"),
        error => error.to_string(),
    }
}

/// What is new of the text, to be put behind what was told before.
fn added(event: &Event) -> String {
    match event {
        // The first of a segment.
        Event::Partial(partial) if partial.added == partial.text => {
            format!("{}{}", partial.gap, partial.added)
        }
        Event::Partial(partial) => partial.added.clone(),
        Event::Final(_) => String::new(),
    }
}
