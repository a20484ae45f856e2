//! The parameters that FSMN-VAD has.

use speech_segments::vad::{Utterances, VadOptions};
use triton_backend::{Error, ModelContext};

use crate::tensors::options::{CONFIG_PATH, Configured};
use crate::tensors::parameters::{Parameter, Table, Written};

/// The model's caches.
pub(crate) const PARAMETERS: Table = Table {
    name: "FSMN-VAD",
    lines: &[&VAD_CACHES, &VAD_CACHE_SIZE, &VAD_CACHE_FRAMES],
};

/// How end points are found.
pub(crate) const POST: Table = Table {
    name: "End points",
    lines: &[
        &MAX_END_SILENCE_TIME,
        &MAX_START_SILENCE_TIME,
        &MAX_SINGLE_SEGMENT_TIME,
        &SPEECH_NOISE_THRES,
        &WINDOW_SIZE_MS,
        &SIL_TO_SPEECH_TIME_THRES,
        &SPEECH_TO_SIL_TIME_THRES,
        &DO_EXTEND,
        &LOOKBACK_TIME_START_POINT,
        &LOOKAHEAD_TIME_END_POINT,
        &DETECT_MODE,
        &SPEECH_2_NOISE_RATIO,
        &SNR_THRES,
        &NOISE_FRAME_NUM_USED_FOR_SNR,
        &DECIBEL_THRES,
        &FE_PRIOR_THRES,
        &SIL_PDF_IDS,
    ],
};

pub(super) const VAD_CACHES: Configured<usize> = Configured {
    parameter: Parameter::new(
        "vad_caches",
        "the model's caches: inputs `in_cache0`…, outputs `out_cache0`…",
    )
    .default(4)
    .within("from 1 to 1024", |count| (1..=1024).contains(count)),
    section: "encoder_conf",
    key: "fsmn_layers",
};
pub(super) const VAD_CACHE_SIZE: Configured<usize> = Configured {
    parameter: Parameter::new("vad_cache_size", "values of a cached frame").default(128),
    section: "encoder_conf",
    key: "proj_dim",
};
pub(super) const VAD_CACHE_FRAMES: Parameter<usize> =
    Parameter::new("vad_cache_frames", "frames of a cache")
        .otherwise("`lorder` + `rorder` of config.yaml's `encoder_conf`, less 1, else 19");

const MAX_END_SILENCE_TIME: Parameter<u32> = Parameter::new(
    "max_end_silence_time",
    "so many ms of silence end a segment",
)
.otherwise("config.yaml's, else 800");
const MAX_START_SILENCE_TIME: Parameter<u32> = Parameter::new(
    "max_start_silence_time",
    "with `detect_mode` one: after so many ms of silence nothing is looked for any more",
)
.otherwise("config.yaml's, else 3000");
const MAX_SINGLE_SEGMENT_TIME: Parameter<u32> =
    Parameter::new("max_single_segment_time", "no segment is longer, in ms")
        .otherwise("config.yaml's, else 60000");
const SPEECH_NOISE_THRES: Parameter<f64> = Parameter::new(
    "speech_noise_thres",
    "a frame is speech if that is more probable than silence by so much. More finds less speech",
)
.otherwise("config.yaml's, else 0.6");
const WINDOW_SIZE_MS: Parameter<u32> = Parameter::new(
    "window_size_ms",
    "the window that is looked at to tell speech from silence",
)
.otherwise("config.yaml's, else 200");
const SIL_TO_SPEECH_TIME_THRES: Parameter<u32> = Parameter::new(
    "sil_to_speech_time_thres",
    "so many ms of speech in the window begin speech",
)
.otherwise("config.yaml's, else 150");
const SPEECH_TO_SIL_TIME_THRES: Parameter<u32> = Parameter::new(
    "speech_to_sil_time_thres",
    "with only so many ms of speech in the window it ends",
)
.otherwise("config.yaml's, else 150");
const DO_EXTEND: Parameter<bool> = Parameter::new(
    "do_extend",
    "segments are extended at both ends by the times of the next two lines",
)
.otherwise("config.yaml's, else true");
const LOOKBACK_TIME_START_POINT: Parameter<u32> = Parameter::new(
    "lookback_time_start_point",
    "a segment begins so many ms before its window of speech",
)
.otherwise("config.yaml's, else 200");
const LOOKAHEAD_TIME_END_POINT: Parameter<u32> = Parameter::new(
    "lookahead_time_end_point",
    "a segment ends so many ms behind its last speech",
)
.otherwise("config.yaml's, else 100");
const DETECT_MODE: Parameter<Detect> =
    Parameter::new("detect_mode", "how many segments are looked for")
        .otherwise("config.yaml's, else all");
const SPEECH_2_NOISE_RATIO: Parameter<f64> = Parameter::new(
    "speech_2_noise_ratio",
    "exponent of the probability of silence before it is compared",
)
.otherwise("config.yaml's, else 1");
const SNR_THRES: Parameter<f64> = Parameter::new(
    "snr_thres",
    "a frame is speech only if it is louder than the noise by so many dB",
)
.otherwise("config.yaml's, else -100");
const NOISE_FRAME_NUM_USED_FOR_SNR: Parameter<u32> = Parameter::new(
    "noise_frame_num_used_for_snr",
    "frames without speech over which the noise is averaged",
)
.otherwise("config.yaml's, else 100");
const DECIBEL_THRES: Parameter<f64> = Parameter::new(
    "decibel_thres",
    "a frame of fewer dB is silence whatever the model says, and counts twice, as in FunASR",
)
.otherwise("config.yaml's, else -100");
const FE_PRIOR_THRES: Parameter<f64> =
    Parameter::new("fe_prior_thres", "from 1 on, no frame is speech")
        .otherwise("config.yaml's, else 0.0001");
const SIL_PDF_IDS: Parameter<Classes> = Parameter::new(
    "sil_pdf_ids",
    "the model's classes that are silence, as in `0, 3`",
)
.otherwise("config.yaml's, else 0");

/// How many segments are looked for.
#[derive(Clone, Copy)]
struct Detect(Utterances);

impl Written for Detect {
    const KIND: &'static str = "`one` or `all`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "one" | "0" => Ok(Self(Utterances::One)),
            "all" | "1" => Ok(Self(Utterances::All)),
            _ => Err("is neither 'one' nor 'all'"),
        }
    }
}

/// Classes of the model.
struct Classes(Vec<usize>);

impl Written for Classes {
    const KIND: &'static str = "whole numbers";

    fn parse(text: &str) -> Result<Self, &'static str> {
        let numbers = text.split(',').map(|number| number.trim().parse());
        let numbers: Result<Vec<usize>, _> = numbers.collect();
        numbers
            .map(Self)
            .map_err(|_| "is no list of numbers such as '0, 3'")
    }
}

/// As config.yaml and parameters have it, of audio of that rate.
pub(super) fn vad_options(context: &ModelContext, sample_rate: u32) -> Result<VadOptions, Error> {
    let mut options = match CONFIG_PATH.find(context)? {
        Some(path) => VadOptions::read(&path).map_err(|error| {
            Error::parameter(CONFIG_PATH.name(), format!("{}: {error}", path.display()))
        })?,
        None => VadOptions::default(),
    };
    options.sample_rate = sample_rate;
    for (place, parameter) in [
        (&mut options.max_end_silence_time, &MAX_END_SILENCE_TIME),
        (&mut options.max_start_silence_time, &MAX_START_SILENCE_TIME),
        (
            &mut options.max_single_segment_time,
            &MAX_SINGLE_SEGMENT_TIME,
        ),
        (&mut options.window_size_ms, &WINDOW_SIZE_MS),
        (
            &mut options.sil_to_speech_time_thres,
            &SIL_TO_SPEECH_TIME_THRES,
        ),
        (
            &mut options.speech_to_sil_time_thres,
            &SPEECH_TO_SIL_TIME_THRES,
        ),
        (
            &mut options.lookback_time_start_point,
            &LOOKBACK_TIME_START_POINT,
        ),
        (
            &mut options.lookahead_time_end_point,
            &LOOKAHEAD_TIME_END_POINT,
        ),
        (
            &mut options.noise_frame_num_used_for_snr,
            &NOISE_FRAME_NUM_USED_FOR_SNR,
        ),
    ] {
        *place = parameter.find(context)?.unwrap_or(*place);
    }
    for (place, parameter) in [
        (&mut options.speech_noise_thres, &SPEECH_NOISE_THRES),
        (&mut options.speech_2_noise_ratio, &SPEECH_2_NOISE_RATIO),
        (&mut options.snr_thres, &SNR_THRES),
        (&mut options.decibel_thres, &DECIBEL_THRES),
        (&mut options.fe_prior_thres, &FE_PRIOR_THRES),
    ] {
        *place = parameter.find(context)?.unwrap_or(*place);
    }
    if let Some(extend) = DO_EXTEND.find(context)? {
        options.do_extend = extend;
    }
    if let Some(Detect(mode)) = DETECT_MODE.find(context)? {
        options.detect_mode = mode;
    }
    if let Some(Classes(classes)) = SIL_PDF_IDS.find(context)? {
        options.sil_pdf_ids = classes;
    }
    options
        .validate()
        .map_err(|error| Error::Config(error.to_string()))?;
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written_in_configs() {
        assert!(matches!(Detect::parse(" one"), Ok(Detect(Utterances::One))));
        assert!(matches!(Detect::parse("1"), Ok(Detect(Utterances::All))));
        assert!(Detect::parse("two").is_err());
        assert_eq!(
            Classes::parse("0, 3").map(|classes| classes.0),
            Ok(vec![0, 3])
        );
        assert!(Classes::parse("").is_err());
        assert!(Classes::parse("0;3").is_err());
    }
}
