//! The parameters of the component.

use triton_backend::{Error, ModelContext};

use super::defaults::DEFAULTS;
use crate::pipelines::options::{MAX_PENDING_BYTES, MAX_PENDING_ROWS, MAX_PENDING_SECONDS};
use crate::pipelines::segments::Failed;
use crate::tensors::audio::{MAX_AUDIO_SECONDS, PCM_FORMAT};
use crate::tensors::parameters::{Parameter, Table, Text};

/// The parameters of this component.
pub(crate) const PARAMETERS: Table = Table {
    name: "two_pass",
    lines: &[
        &VAD,
        &FIRST_PASS,
        &RECOGNISER,
        &PUNCTUATION,
        &DEFAULTS,
        &SAMPLE_RATE,
        &MAX_AUDIO_SECONDS,
        &PCM_FORMAT,
        &MAX_SEGMENT_SECONDS,
        &LOOKBACK_MS,
        &FAILED_SEGMENTS,
        &MAX_PENDING_ROWS,
        &MAX_PENDING_SECONDS,
        &MAX_PENDING_BYTES,
    ],
};

const VAD: Parameter<Text> = Parameter::new(
    "vad",
    "the model that says where speech begins and ends: one of component `vad` for streams, or any with its tensors",
)
.default("streaming_vad");
const FIRST_PASS: Parameter<Text> = Parameter::new(
    "first_pass",
    "the model that hears speech while it is spoken: one of component `streaming_paraformer`, which takes chunks of any size",
)
.default("streaming_paraformer");
const RECOGNISER: Parameter<Text> = Parameter::new(
    "recogniser",
    "the model that hears each segment again: one of component `sensevoice` or `paraformer`, or their ensemble, whose outputs have `RESULT_JSON`",
)
.default("sensevoice");
const PUNCTUATION: Parameter<Text> = Parameter::new(
    "punctuation",
    "the model that puts marks into what the recogniser says, of component `punctuation` for whole texts",
)
.otherwise("marks are those of the recogniser");
const SAMPLE_RATE: Parameter<u32> =
    Parameter::new("sample_rate", "samples per second of all models called")
        .default(16_000)
        .within("from 8000 to 192000", |rate| {
            (8000..=192_000).contains(rate)
        });
const MAX_SEGMENT_SECONDS: Parameter<u32> = Parameter::new(
    "max_segment_seconds",
    "a longer segment is cut, so that a stream never holds more; a little more than `max_single_segment_time` of `vad`, which cuts better",
)
.default(70)
.within("from 1 to 3600", |seconds| (1..=3600).contains(seconds));
const LOOKBACK_MS: Parameter<u32> = Parameter::new(
    "lookback_ms",
    "how much of the audio before speech is noticed is held, since it began before; `vad` notices it `window_size_ms` and `lookback_time_start_point` late",
)
.default(2000)
.within("up to 60000", |ms| *ms <= 60_000);
const FAILED_SEGMENTS: Parameter<Failed> = Parameter::new(
    "failed_segments",
    "what becomes of a segment that the recogniser cannot do, or whose marks cannot be made: `report` tells the text of the first pass, or the text without \
     marks, and says so in `RESULT_JSON`; `refuse` ends the stream with an error",
)
.default("report");

/// What a config says.
pub(super) struct Options {
    pub(super) vad: String,
    pub(super) first_pass: String,
    pub(super) recogniser: String,
    pub(super) punctuation: Option<String>,
    pub(super) failed: Failed,
    pub(super) rate: u32,
    pub(super) max_segment_ms: u64,
    pub(super) lookback_ms: u64,
}

impl Options {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        Ok(Self {
            vad: VAD.read(context)?,
            first_pass: FIRST_PASS.read(context)?,
            recogniser: RECOGNISER.read(context)?,
            punctuation: PUNCTUATION.find(context)?,
            failed: FAILED_SEGMENTS.read(context)?,
            rate: SAMPLE_RATE.read(context)?,
            max_segment_ms: 1000 * u64::from(MAX_SEGMENT_SECONDS.read(context)?),
            lookback_ms: u64::from(LOOKBACK_MS.read(context)?),
        })
    }
}
