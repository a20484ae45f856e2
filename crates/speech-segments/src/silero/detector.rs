//! The detector of a recording or a stream.

use std::mem;

use super::options::{SileroError, SileroOptions};
use super::recording::Recording;
use super::sizes::PER_MS;
use super::stream::Stream;
use crate::vad::{Event, Mode};

/// The model's answer is no probability.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "window {window} of a call is speech with a probability of {probability}, expected 0 to 1; is it Silero's model?"
)]
pub struct NotAProbability {
    /// The window, counted from 0.
    pub window: usize,
    /// What the model says.
    pub probability: f32,
}

/// Finds where speech begins and ends in one recording or stream.
///
/// ```
/// use speech_segments::silero::{SileroDetector, SileroOptions, WINDOW};
/// use speech_segments::vad::{Event, Mode};
///
/// let mut detector = SileroDetector::new(SileroOptions::default(), Mode::Offline)?;
/// // Ten windows of silence, ten of speech, ten of silence.
/// let probabilities: Vec<f32> = (0..30).map(|window| if window / 10 == 1 { 0.9 } else { 0.1 }).collect();
/// let mut events = Vec::new();
/// detector.push(&probabilities, &mut events)?;
/// assert_eq!(events, [], "what follows may change where it ends");
/// detector.finish(30 * WINDOW, &mut events);
/// assert_eq!(events, [Event { start_ms: Some(320 - 30), end_ms: Some(640 + 30) }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SileroDetector {
    options: SileroOptions,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Recording(Recording),
    Stream(Stream),
}

impl State {
    fn new(mode: Mode) -> Self {
        match mode {
            Mode::Offline => Self::Recording(Recording::default()),
            Mode::Streaming => Self::Stream(Stream::default()),
        }
    }
}

impl SileroDetector {
    /// A detector at the beginning.
    ///
    /// # Errors
    /// When the options make no sense.
    pub fn new(options: SileroOptions, mode: Mode) -> Result<Self, SileroError> {
        options.validate()?;
        let state = State::new(mode);
        Ok(Self { options, state })
    }

    /// Takes the probabilities of the next windows and appends what they tell to `events`; a segment that begins and ends with them is one
    /// event.
    ///
    /// # Errors
    /// When one is no probability; then nothing was taken of them.
    pub fn push(
        &mut self,
        probabilities: &[f32],
        events: &mut Vec<Event>,
    ) -> Result<(), NotAProbability> {
        let mut each = probabilities.iter().copied().enumerate();
        if let Some((window, probability)) = each.find(|(_, each)| !(0.0..=1.0).contains(each)) {
            return Err(NotAProbability {
                window,
                probability,
            });
        }
        let before = events.len();
        for probability in probabilities.iter().copied().map(f64::from) {
            match &mut self.state {
                State::Recording(recording) => recording.window(&self.options, probability),
                State::Stream(stream) => {
                    let event = stream.window(&self.options, probability);
                    event
                        .into_iter()
                        .for_each(|event| tell(event, before, events));
                }
            }
        }
        Ok(())
    }

    /// Ends a recording or stream of so many samples: what is open is told, and the detector is at the beginning of another one.
    pub fn finish(&mut self, samples: usize, events: &mut Vec<Event>) {
        let length = i64::try_from(samples).unwrap_or(i64::MAX);
        match &mut self.state {
            State::Recording(recording) => {
                let segments = mem::take(recording).finish(&self.options, length);
                events.extend(segments.into_iter().map(|segment| Event {
                    start_ms: Some(segment.start / PER_MS),
                    end_ms: Some(segment.end / PER_MS),
                }));
            }
            State::Stream(stream) => events.extend(mem::take(stream).finish(length)),
        }
    }
}

/// Appends an event; an end becomes one with the start it belongs to, if that is behind `before`.
fn tell(event: Event, before: usize, events: &mut Vec<Event>) {
    let new = events.get_mut(before..).and_then(|new| new.last_mut());
    match new {
        Some(last) if event.start_ms.is_none() && last.end_ms.is_none() => {
            last.end_ms = event.end_ms;
        }
        _ => events.push(event),
    }
}
