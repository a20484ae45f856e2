//! Options that several components share, from a model's config.yaml or from single parameters.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::str::FromStr;

use triton_backend::{Error, ModelContext};
use wav_frontend::{Cmvn, FrontendError, FrontendOptions, OptionsError, yaml};

use crate::tensors::parameters::{Count, File, Line, Parameter, Table, Value, Words};

/// The parameters that [`frontend_options`] reads.
pub(crate) const FRONTEND: Table = Table {
    name: "Front end",
    lines: &[
        &CONFIG_PATH,
        &SAMPLE_RATE,
        &NUM_MEL_BINS,
        &FRAME_LENGTH_IN_MS,
        &FRAME_SHIFT_IN_MS,
        &DITHER,
        &DITHER_SEED,
    ],
};

pub(crate) const CONFIG_PATH: Parameter<File> = Parameter::new(
    "config_path",
    "the model's config.yaml. A front end is as its `frontend_conf` says (`fs`, `window`, `n_mels`, `frame_length`, `frame_shift`, \
     `lfr_m`, `lfr_n`); where another parameter's default stands there, its line says so",
);
const SAMPLE_RATE: Parameter<u32> = Parameter::new(
    "sample_rate",
    "samples per second; used only without `config_path`",
)
.default(16_000);
const NUM_MEL_BINS: Parameter<usize> = Parameter::new(
    "num_mel_bins",
    "mel filters; used only without `config_path`",
)
.default(80);
const FRAME_LENGTH_IN_MS: Parameter<f64> = Parameter::new(
    "frame_length_in_ms",
    "length of a frame; used only without `config_path`",
)
.default(25.0);
const FRAME_SHIFT_IN_MS: Parameter<f64> = Parameter::new(
    "frame_shift_in_ms",
    "from one frame's start to the next one's; used only without `config_path`",
)
.default(10.0);
const DITHER: Parameter<f32> = Parameter::new(
    "dither",
    "standard deviation of the noise added to the samples, on the 16-bit scale",
)
.default(0.0);
const DITHER_SEED: Parameter<u64> = Parameter::new(
    "dither_seed",
    "the same seed gives the same audio the same noise",
)
.default(0);

pub(crate) const CMVN_PATH: Parameter<File> = ANY_CMVN_PATH.required();
/// For a component whose config may have no parameters but its name.
pub(crate) const CMVN_PATH_BESIDE: Parameter<File> = ANY_CMVN_PATH.default("am.mvn");
const ANY_CMVN_PATH: Parameter<File> = Parameter::new(
    "cmvn_path",
    "the model's am.mvn: shift and scale of the features",
);

pub(crate) const THREADS: Parameter<Count> = Parameter::new(
    "threads",
    "the most threads one execution may use; one more is taken per minute of audio in the batch",
)
.otherwise("number of processors");

pub(crate) const ENCODER_OUTPUT_SIZE: Configured<usize> = Configured {
    parameter: Parameter::new(
        "encoder_output_size",
        "features are multiplied by its square root",
    )
    .default(512),
    section: "encoder_conf",
    key: "output_size",
};

/// The front end's options: the model's own config.yaml if the config names it, else the single parameters.
///
/// Noise (dither) is a parameter alone: the same audio shall give the same text unless an operator wants it otherwise.
pub(crate) fn frontend_options(context: &ModelContext) -> Result<FrontendOptions, Error> {
    let options = match config_yaml(context, FrontendOptions::from_yaml)? {
        Some(options) => options,
        None => FrontendOptions {
            sample_rate: SAMPLE_RATE.read(context)?,
            num_mel_bins: NUM_MEL_BINS.read(context)?,
            frame_length_ms: FRAME_LENGTH_IN_MS.read(context)?,
            frame_shift_ms: FRAME_SHIFT_IN_MS.read(context)?,
            ..FrontendOptions::default()
        },
    };
    Ok(FrontendOptions {
        dither: DITHER.read(context)?,
        dither_seed: DITHER_SEED.read(context)?,
        ..options
    })
}

/// The shift and scale that one of the parameters called `cmvn_path` names.
pub(crate) fn cmvn(context: &ModelContext, path: &Parameter<File>) -> Result<Cmvn, Error> {
    Cmvn::read(path.read(context)?).map_err(|error| about_cmvn(context, &error))
}

/// Why a front end cannot be made.
pub(crate) fn frontend_error(context: &ModelContext, error: &FrontendError) -> Error {
    match error {
        FrontendError::CmvnWidth { .. } => about_cmvn(context, error),
        other => Error::Config(other.to_string()),
    }
}

fn about_cmvn(context: &ModelContext, error: &dyn std::error::Error) -> Error {
    let name = CMVN_PATH.name();
    let path = context.config.parameters.text(name).unwrap_or("am.mvn");
    Error::parameter(name, format!("{path}: {error}"))
}

/// The most threads that one execution may use.
pub(crate) fn threads(context: &ModelContext) -> Result<NonZeroUsize, Error> {
    Ok(match THREADS.find(context)?.and_then(NonZeroUsize::new) {
        Some(threads) => threads,
        None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}

/// A parameter whose default may stand in a section of the config.yaml.
pub(crate) struct Configured<V: Value> {
    /// With the default where that has it not either.
    pub(crate) parameter: Parameter<V>,
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
}

impl<V: Value<Read: FromStr + Display>> Configured<V> {
    /// Its value.
    pub(crate) fn read(&self, context: &ModelContext) -> Result<V::Read, Error> {
        if let Some(value) = self.parameter.find(context)? {
            return Ok(value);
        }
        match config_value(context, self.section, self.key)? {
            Some(value) if self.parameter.allows(&value) => Ok(value),
            Some(value) => Err(unusable(self.section, self.key, &value.to_string())),
            None => self.parameter.read(context),
        }
    }
}

impl<V: Value> Line for Configured<V> {
    fn name(&self) -> &'static str {
        self.parameter.name()
    }

    fn words(&self) -> Words {
        let Self { section, key, .. } = self;
        let words = self.parameter.words();
        Words {
            absent: format!(
                "`{key}` of config.yaml's `{section}`, else {}",
                words.absent
            ),
            ..words
        }
    }
}

/// A value in a section of the config.yaml, if there are such.
pub(crate) fn config_value<T: FromStr>(
    context: &ModelContext,
    section: &str,
    key: &str,
) -> Result<Option<T>, Error> {
    let value = config_yaml(context, |text| match yaml::section(text, section) {
        Ok(entries) => Ok(entries
            .into_iter()
            .find(|(name, _)| name == key)
            .and_then(|(_, value)| value)),
        Err(OptionsError::MissingSection { .. }) => Ok(None),
        Err(error) => Err(error),
    })?;
    let parse = |text: String| text.parse().map_err(|_| unusable(section, key, &text));
    value.flatten().map(parse).transpose()
}

/// What is wrong with a value of the config.yaml.
pub(crate) fn unusable(section: &str, key: &str, value: &str) -> Error {
    let message = format!("its {section} has {key}: '{value}', which cannot be used");
    Error::parameter(CONFIG_PATH.name(), message)
}

/// Reads something out of the config.yaml, if the config names one.
fn config_yaml<T>(
    context: &ModelContext,
    read: impl FnOnce(&str) -> Result<T, OptionsError>,
) -> Result<Option<T>, Error> {
    let Some(path) = CONFIG_PATH.find(context)? else {
        return Ok(None);
    };
    let wrong = |error: String| {
        Error::parameter(CONFIG_PATH.name(), format!("{}: {error}", path.display()))
    };
    let text = yaml::read(&path).map_err(|error| wrong(error.to_string()))?;
    read(&text)
        .map(Some)
        .map_err(|error| wrong(error.to_string()))
}
