//! A stream on its way through the servers.

use std::time::Duration;

use tokio::time::timeout;

use super::events::Event;
use super::kept::Kept;
use super::reader::Reader;
use super::trouble::{LiveError, Remedy, Trouble};
use crate::language::Language;
use crate::log;
use crate::recordings;
use crate::shared::Shared;
use crate::triton::{Input, Model, Sequence};

/// A chunk, in milliseconds: what the models for streams are made for.
const CHUNK_MS: usize = 600;
/// Silence behind a plain stream. An ensemble decodes the last 300 ms only when something follows; a pipeline's text stays the same.
const SILENCE_MS: usize = 320;
/// How long a server is waited for that is told of a stream's end for which nobody waits.
const FAREWELL: Duration = Duration::from_secs(2);
/// Which part of the kept audio a sequence of two passes may be old before it is begun anew.
const RENEWAL: usize = 4;
/// And how old at least, in milliseconds.
const LEAST_RENEWAL_MS: usize = 10_000;
/// So much is kept whatever the rate, in milliseconds: more than a chunk, and than what a new sequence begins back of.
const LEAST_KEPT_MS: usize = 5_000;

/// What is to be heard, and how.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// One for streams.
    pub(crate) model: Model,
    /// Samples a second.
    pub(crate) rate: u32,
    /// For models that take it.
    pub(crate) language: Language,
    /// Whether numbers are written as such; left to the model if nothing is wished.
    pub(crate) itn: Option<bool>,
    /// Words to listen for, with blanks between them, for models that take them.
    pub(crate) hotwords: Option<String>,
}

impl Setup {
    /// What a sequence's first chunk says beside its samples.
    fn inputs(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        let is_told = self.language != Language::AUTO;
        // What is not wished stays as the model's config has it.
        inputs.extend(
            is_told
                .then(|| recordings::language(&self.model, self.language))
                .flatten(),
        );
        let itn = self.itn.filter(|_| self.model.takes("TEXT_NORM"));
        inputs.extend(itn.map(|itn| recordings::text_norm(&self.model, itn)));
        inputs.extend(recordings::hotwords(&self.model, self.hotwords.as_deref()));
        inputs
    }
}

/// A client's audio; see the module.
pub(crate) struct Stream {
    shared: Shared,
    setup: Setup,
    /// Samples of a chunk.
    size: usize,
    /// What was not sent yet.
    rest: Vec<i16>,
    /// No more follows.
    ending: bool,
    /// The sequence's chunks.
    kept: Kept,
    /// Where the stream is, if anywhere.
    sequence: Option<Sequence>,
    /// How many of the kept chunks this sequence has answered.
    answered: usize,
    /// What it said to those that were told before.
    again: String,
    /// The sequence has heard nothing of them yet.
    moved: bool,
    reader: Reader,
}

impl Stream {
    /// For audio that is still to come.
    ///
    /// # Errors
    /// If no server is ready that has the model, or it takes no such samples.
    pub(crate) fn open(shared: &Shared, setup: Setup) -> Result<Self, LiveError> {
        if setup.rate != 16_000 && !setup.model.takes("SAMPLE_RATE") {
            return Err(LiveError::Rate {
                model: setup.model.name,
                rate: setup.rate,
            });
        }
        let sequence = shared.pool.open(&setup.model.name, &[])?;
        let size = samples_of(CHUNK_MS, setup.rate);
        let seconds = usize::try_from(shared.options.replay_seconds).unwrap_or(usize::MAX);
        // What is more than 16 000 a second is not worth its memory: less is kept of it.
        let bound = samples_of(1000, setup.rate.min(16_000)).saturating_mul(seconds);
        let bound = bound.max(samples_of(LEAST_KEPT_MS, setup.rate));
        Ok(Self {
            size,
            rest: Vec::new(),
            ending: false,
            kept: Kept::new(bound),
            sequence: Some(sequence),
            answered: 0,
            again: String::new(),
            moved: false,
            reader: Reader::new(&setup.model, setup.rate),
            shared: Shared::clone(shared),
            setup,
        })
    }

    /// More audio, of any length. What becomes known is put into `events`.
    ///
    /// # Errors
    /// Why the stream cannot go on.
    pub(crate) async fn hear(
        &mut self,
        samples: &[i16],
        events: &mut Vec<Event>,
    ) -> Result<(), LiveError> {
        self.rest.extend_from_slice(samples);
        self.work(events).await
    }

    /// No more audio. All that was not told yet is put into `events`.
    ///
    /// # Errors
    /// Why there is nothing more.
    pub(crate) async fn end(&mut self, events: &mut Vec<Event>) -> Result<(), LiveError> {
        if !self.reader.is_two_pass() {
            let silence = samples_of(SILENCE_MS, self.setup.rate);
            self.rest.resize(self.rest.len() + silence, 0);
        }
        self.ending = true;
        self.work(events).await
    }

    /// Nobody waits for it any more: the server's place is given back.
    pub(crate) async fn abandon(mut self) {
        if let Some(sequence) = self.sequence.take().filter(Sequence::is_started) {
            self.farewell(sequence).await;
        }
    }

    /// Sends what there is, and begins anew where that is due.
    async fn work(&mut self, events: &mut Vec<Event>) -> Result<(), LiveError> {
        // The last chunk of two passes waits for the end, which it is sent with. Behind that of a plain model comes silence at least, so none has
        // to wait.
        let enough = self.size + usize::from(self.reader.is_two_pass());
        while self.rest.len() >= enough || self.ending {
            let length = self.rest.len().min(self.size);
            let chunk = self.rest.drain(..length).collect();
            let is_last = self.ending && self.rest.is_empty();
            self.kept.push(chunk);
            // What was given up was told, also by this sequence.
            let moved = std::mem::take(&mut self.moved);
            self.answered = if moved { 0 } else { self.kept.told() };
            if !self.bring(is_last, events).await? {
                continue;
            }
            if is_last {
                return Ok(());
            }
            self.renew(events);
        }
        if self.rest.capacity() > 8 * self.size {
            self.rest.shrink_to(2 * self.size);
        }
        Ok(())
    }

    /// Has the last chunk answered, by whichever server it takes. False if the audio is to be sent otherwise.
    async fn bring(&mut self, is_last: bool, events: &mut Vec<Event>) -> Result<bool, LiveError> {
        let mut trouble = Trouble::default();
        loop {
            let Err(error) = self.catch_up(is_last, &mut trouble, events).await else {
                return Ok(true);
            };
            let server = self.sequence.as_ref().map(Sequence::server);
            let begun = self.answered > 0;
            let between = begun && !(is_last && self.answered + 1 == self.kept.count());
            let was_placed = server.is_some();
            let reason = error.to_string();
            match trouble.remedy(error, server, begun, between).await {
                Ok(Remedy::Again) => {}
                Ok(Remedy::Move) => {
                    self.sequence = None;
                    let had_told = self.kept.told() > 0;
                    if was_placed && had_told {
                        log::warn(format_args!(
                            "a stream of {} is heard again: {reason}",
                            self.setup.model.name
                        ));
                    }
                    if had_told && self.kept.is_cut() && self.reader.is_two_pass() {
                        // The beginning of the open segment cannot be heard again: what was told of it is all.
                        self.note_replay("cut");
                        let place = self.reader.give_up_open(events);
                        self.begin_anew(place, events);
                        return Ok(false);
                    }
                    if !self.reader.is_two_pass() {
                        self.kept.begin_in_a_pause();
                    }
                }
                Err(error) => {
                    if self.kept.told() > 0 {
                        self.note_replay("failed");
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Sends all kept chunks that this sequence has not answered, and takes what is new.
    async fn catch_up(
        &mut self,
        is_last: bool,
        trouble: &mut Trouble,
        events: &mut Vec<Event>,
    ) -> Result<(), LiveError> {
        if self.sequence.is_none() {
            let pool = &self.shared.pool;
            self.sequence = Some(pool.open(&self.setup.model.name, trouble.avoided())?);
            self.answered = 0;
        }
        let told = self.kept.told();
        let is_replay = self.answered < told;
        if self.answered == 0 {
            self.again.clear();
        }
        while let Some(chunk) = self.kept.get(self.answered) {
            let end = is_last && self.answered + 1 == self.kept.count();
            let samples = chunk.len();
            let inputs = self.inputs(chunk);
            let Some(sequence) = &mut self.sequence else {
                break;
            };
            let outputs = [self.reader.output()];
            let metrics = &self.shared.metrics;
            let sent = sequence.send(&inputs, &outputs, end, metrics);
            let seconds = self.shared.options.timeout;
            let answer = timeout(self.shared.options.timeout(), sent).await;
            let answer = answer.map_err(|_| LiveError::Late { seconds })??;
            let said = answer.string(outputs[0])?;
            self.answered += 1;
            trouble.answered(self.answered);
            if self.answered > told {
                let added = self.reader.take(&said, samples, end, events)?;
                self.kept.all_told(added);
                continue;
            }
            self.again.push_str(&said);
            if self.answered == told {
                self.reader.heard_again(&self.kept.said(), &self.again);
            }
            let seconds = samples as f64 / f64::from(self.setup.rate);
            metrics.replayed_seconds.inc_by(seconds);
        }
        if is_replay {
            self.note_replay(if self.kept.is_torn() { "cut" } else { "whole" });
        }
        Ok(())
    }

    fn inputs(&self, chunk: &[i16]) -> Vec<Input> {
        let samples: Vec<f32> = chunk
            .iter()
            .map(|sample| f32::from(*sample) / 32768.0)
            .collect();
        let number =
            |name, value: usize| Input::number(name, i32::try_from(value).unwrap_or(i32::MAX));
        let mut inputs = vec![
            Input::samples("WAV", &samples),
            number("WAV_LENS", samples.len()),
        ];
        if self.setup.model.takes("SAMPLE_RATE") {
            inputs.push(number(
                "SAMPLE_RATE",
                usize::try_from(self.setup.rate).unwrap_or(usize::MAX),
            ));
        }
        if self.answered == 0 {
            inputs.extend(self.setup.inputs());
        }
        inputs
    }

    /// Begins a new sequence where nothing is pending, if the old one is old, or its server is not ready any more.
    fn renew(&mut self, events: &mut Vec<Event>) {
        let is_left = self.sequence.as_ref().is_some_and(|own| !own.is_welcome());
        let place = self.reader.settled();
        let seconds = usize::try_from(self.shared.options.replay_seconds).unwrap_or(usize::MAX);
        let kept = samples_of(1000, self.setup.rate.min(16_000)).saturating_mul(seconds);
        // Not all the time: each begins some seconds back.
        let oldest = (kept / RENEWAL).max(samples_of(LEAST_RENEWAL_MS, self.setup.rate));
        let is_due = match place {
            Some(_) => is_left || self.kept.end() >= oldest,
            None => is_left && !self.reader.is_two_pass() && self.kept.is_quiet(),
        };
        if !is_due {
            return;
        }
        // With nowhere to go it stays where it is.
        let Ok(next) = self.shared.pool.open(&self.setup.model.name, &[]) else {
            return;
        };
        if let Some(old) = self.sequence.replace(next) {
            tokio::spawn(self.farewell(old));
        }
        match place {
            Some(place) => self.begin_anew(place, events),
            None => {
                // The next chunk is sent behind what it has to hear again.
                self.kept.begin_in_a_pause();
                self.moved = true;
            }
        }
    }

    /// The audio from this place of the sequence on is to be sent to another one.
    fn begin_anew(&mut self, place: u64, events: &mut Vec<Event>) {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        // Nothing older is there.
        let place = place.max(self.kept.first());
        self.reader.begin_anew(place as u64, events);
        let mut again = self.kept.split_off(place);
        again.append(&mut self.rest);
        self.rest = again;
        self.answered = 0;
    }

    /// Ends a sequence at its server. Whatever comes of it: the server forgets it by itself, only later.
    fn farewell(&self, mut sequence: Sequence) -> impl Future<Output = ()> + use<> {
        let inputs = self.inputs(&[]);
        let output = self.reader.output();
        let metrics = std::sync::Arc::clone(&self.shared.metrics);
        async move {
            let outputs = [output];
            let told = sequence.send(&inputs, &outputs, true, &metrics);
            let _ = timeout(FAREWELL, told).await;
        }
    }

    fn note_replay(&self, outcome: &str) {
        let replays = &self.shared.metrics.replays;
        replays.with_label_values(&[outcome]).inc();
    }
}

fn samples_of(ms: usize, rate: u32) -> usize {
    usize::try_from(rate).unwrap_or(usize::MAX) * ms / 1000
}
