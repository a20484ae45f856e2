//! The parameters of the component.

use triton_backend::{Error, ModelContext};

use crate::pipelines::options::{MAX_PENDING_BYTES, MAX_PENDING_ROWS};
use crate::pipelines::segments::Failed;
use crate::tensors::audio::{INCOMPLETE_AUDIO, MAX_AUDIO_SECONDS};
use crate::tensors::parameters::{Count, Parameter, Table, Text};

/// The parameters of this component.
pub(crate) const PARAMETERS: Table = Table {
    name: "transcribe",
    lines: &[
        &VAD,
        &RECOGNISER,
        &PUNCTUATION,
        &SAMPLE_RATE,
        &MAX_AUDIO_SECONDS,
        &INCOMPLETE_AUDIO,
        &WINDOW_SECONDS,
        &SECONDS_IN_FLIGHT,
        &RECORDINGS_AT_A_TIME,
        &FAILED_SEGMENTS,
        &MAX_PENDING_ROWS,
        &MAX_PENDING_BYTES,
    ],
};

const VAD: Parameter<Text> = Parameter::new(
    "vad",
    "the model that finds segments: one of component `vad` for whole recordings, or any with its tensors",
)
.default("vad");
const RECOGNISER: Parameter<Text> = Parameter::new(
    "recogniser",
    "the model that makes text of segments: one of component `sensevoice` or `paraformer`, or their ensemble, whose outputs have `RESULT_JSON`",
)
.default("sensevoice");
const PUNCTUATION: Parameter<Text> = Parameter::new(
    "punctuation",
    "the model that puts marks into the text, of component `punctuation` for whole texts",
)
.otherwise("marks are those of the recogniser");
pub(super) const SAMPLE_RATE: Parameter<u32> =
    Parameter::new("sample_rate", "samples per second of both models")
        .default(16_000)
        .within("from 8000 to 192000", |rate| {
            (8000..=192_000).contains(rate)
        });
const WINDOW_SECONDS: Parameter<u32> = Parameter::new(
    "window_seconds",
    "how much audio is decoded and looked through for speech at a time. What a recording holds in memory grows with it, see \
     [Memory](long-audio.md#memory)",
)
.default(300)
.within("from 20 to 3600", |seconds| (20..=3600).contains(seconds));
const SECONDS_IN_FLIGHT: Parameter<Count> = Parameter::new(
    "seconds_in_flight",
    "seconds of audio of one recording that the recogniser has at a time; one segment in any case. More make fuller calls",
)
.default(600);
pub(super) const RECORDINGS_AT_A_TIME: Parameter<Count> = Parameter::new(
    "recordings_at_a_time",
    "recordings worked on at a time, each by a thread that decodes it; others wait",
)
.default(8);
const FAILED_SEGMENTS: Parameter<Failed> = Parameter::new(
    "failed_segments",
    "what becomes of a recording of which the recogniser cannot do a segment, or whose marks cannot be made: `report` says so in \
     `RESULT_JSON` and goes on, `refuse` refuses it",
)
.default("report");

/// What a config says.
pub(super) struct Options {
    pub(super) vad: String,
    pub(super) recogniser: String,
    pub(super) punctuation: Option<String>,
    pub(super) failed: Failed,
    pub(super) rate: u32,
    /// In samples.
    pub(super) window: usize,
    pub(super) in_flight: usize,
}

impl Options {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let rate = SAMPLE_RATE.read(context)?;
        let samples = |seconds: usize| {
            let rate = usize::try_from(rate).unwrap_or(usize::MAX);
            seconds.saturating_mul(rate)
        };
        let window = usize::try_from(WINDOW_SECONDS.read(context)?).unwrap_or(usize::MAX);
        Ok(Self {
            vad: VAD.read(context)?,
            recogniser: RECOGNISER.read(context)?,
            punctuation: PUNCTUATION.find(context)?,
            failed: FAILED_SEGMENTS.read(context)?,
            rate,
            window: samples(window),
            in_flight: samples(SECONDS_IN_FLIGHT.read(context)?),
        })
    }
}
