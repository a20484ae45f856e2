//! The parameters that Silero's model has.

use speech_segments::silero::SileroOptions;
use triton_backend::{Error, ModelContext};

use crate::tensors::parameters::{Parameter, Table};

/// How end points are found in what Silero's model says.
pub(crate) const PARAMETERS: Table = Table {
    name: "Silero",
    lines: &[
        &THRESHOLD,
        &NEG_THRESHOLD,
        &MIN_SPEECH_DURATION_MS,
        &MIN_SILENCE_DURATION_MS,
        &SPEECH_PAD_MS,
        &MAX_SPEECH_DURATION_S,
    ],
};

const THRESHOLD: Parameter<f64> = Parameter::new(
    "threshold",
    "a window (32 ms) as probably speech as this begins speech. More finds less speech",
)
.default(0.5);
const NEG_THRESHOLD: Parameter<f64> =
    Parameter::new("neg_threshold", "one that is less so may end it")
        .otherwise("0.15 less than `threshold`");
const MIN_SPEECH_DURATION_MS: Parameter<u32> = Parameter::new(
    "min_speech_duration_ms",
    "shorter segments are none. Only in whole recordings",
)
.default(250);
const MIN_SILENCE_DURATION_MS: Parameter<u32> = Parameter::new(
    "min_silence_duration_ms",
    "so many ms of silence end a segment",
)
.default(100);
const SPEECH_PAD_MS: Parameter<u32> = Parameter::new(
    "speech_pad_ms",
    "segments begin so many ms earlier and end so many later; in whole recordings two that would overlap meet in the middle",
)
.default(30);
const MAX_SPEECH_DURATION_S: Parameter<f64> = Parameter::new(
    "max_speech_duration_s",
    "a segment of more seconds is cut where its longest silence began, if it has one of 98 ms, else where it gets too long. Only in whole \
     recordings",
)
.otherwise("segments are as long as they are");

/// As the config has it.
pub(super) fn silero_options(context: &ModelContext) -> Result<SileroOptions, Error> {
    let longest = MAX_SPEECH_DURATION_S.find(context)?;
    let options = SileroOptions {
        threshold: THRESHOLD.read(context)?,
        neg_threshold: NEG_THRESHOLD.find(context)?,
        min_speech_duration_ms: MIN_SPEECH_DURATION_MS.read(context)?,
        min_silence_duration_ms: MIN_SILENCE_DURATION_MS.read(context)?,
        speech_pad_ms: SPEECH_PAD_MS.read(context)?,
        max_speech_duration_s: longest.unwrap_or(f64::INFINITY),
    };
    options
        .validate()
        .map_err(|error| Error::Config(error.to_string()))?;
    Ok(options)
}
