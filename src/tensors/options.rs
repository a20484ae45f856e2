//! Options that several components share, from a model's config.yaml or from single parameters.

use std::num::NonZeroUsize;
use std::str::FromStr;

use triton_backend::{Error, ModelContext};
use wav_frontend::{Cmvn, FrontendError, FrontendOptions, OptionsError, yaml};

/// The parameters that [`frontend_options`] reads.
pub(crate) const FRONTEND: &[&str] = &[
    "config_path",
    "sample_rate",
    "num_mel_bins",
    "frame_length_in_ms",
    "frame_shift_in_ms",
    "dither",
    "dither_seed",
];

/// The front end's options: the model's own config.yaml if the config names it, else the single parameters.
///
/// Noise (dither) is a parameter alone: the same audio shall give the same text unless an operator wants it otherwise.
pub(crate) fn frontend_options(context: &ModelContext) -> Result<FrontendOptions, Error> {
    let parameters = &context.config.parameters;
    let mut options = FrontendOptions::default();
    if parameters.text("config_path").is_some() {
        options = config_yaml(context, "config_path", FrontendOptions::from_yaml)?;
    } else {
        set(&mut options.sample_rate, parameters.get("sample_rate")?);
        set(&mut options.num_mel_bins, parameters.get("num_mel_bins")?);
        set(
            &mut options.frame_length_ms,
            parameters.get("frame_length_in_ms")?,
        );
        set(
            &mut options.frame_shift_ms,
            parameters.get("frame_shift_in_ms")?,
        );
    }
    options.dither = parameters.get("dither")?.unwrap_or(0.0);
    options.dither_seed = parameters.get("dither_seed")?.unwrap_or(0);
    Ok(options)
}

/// The shift and scale that the parameter `cmvn_path` names.
pub(crate) fn cmvn(context: &ModelContext) -> Result<Cmvn, Error> {
    let path = context.file("cmvn_path")?;
    Cmvn::read(&path).map_err(|error| about_cmvn(context, &error))
}

/// The same for a component whose config may have no parameters but its name: then am.mvn beside the config.
pub(crate) fn cmvn_beside(context: &ModelContext) -> Result<Cmvn, Error> {
    if context.config.parameters.text("cmvn_path").is_some() {
        return cmvn(context);
    }
    let missing = |error: Error| Error::parameter("cmvn_path", format!("is missing, and {error}"));
    let path = context.resolve("am.mvn").map_err(missing)?;
    Cmvn::read(&path).map_err(|error| about_cmvn(context, &error))
}

/// Why a front end cannot be made.
pub(crate) fn frontend_error(context: &ModelContext, error: &FrontendError) -> Error {
    match error {
        FrontendError::CmvnWidth { .. } => about_cmvn(context, error),
        other => Error::Config(other.to_string()),
    }
}

fn about_cmvn(context: &ModelContext, error: &dyn std::error::Error) -> Error {
    let path = context
        .config
        .parameters
        .text("cmvn_path")
        .unwrap_or("am.mvn");
    Error::parameter("cmvn_path", format!("{path}: {error}"))
}

/// The most threads that one execution may use, by the parameter `threads`.
pub(crate) fn threads(context: &ModelContext) -> Result<NonZeroUsize, Error> {
    Ok(match context.config.parameters.get("threads")? {
        Some(threads) => threads,
        None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}

/// An option that is a parameter, or stands in a section of the config.yaml that the parameter `file` names, or neither.
pub(crate) fn option<T: FromStr>(
    context: &ModelContext,
    parameter: &str,
    place: (&str, &str, &str),
) -> Result<Option<T>, Error> {
    match context.config.parameters.get(parameter)? {
        Some(value) => Ok(Some(value)),
        None => config_value(context, place),
    }
}

/// A value in a section of the config.yaml that the parameter `file` names, if there are such.
pub(crate) fn config_value<T: FromStr>(
    context: &ModelContext,
    (file, section, key): (&str, &str, &str),
) -> Result<Option<T>, Error> {
    if context.config.parameters.text(file).is_none() {
        return Ok(None);
    }
    let value = config_yaml(context, file, |text| match yaml::section(text, section) {
        Ok(entries) => Ok(entries
            .into_iter()
            .find(|(name, _)| name == key)
            .and_then(|(_, value)| value)),
        Err(OptionsError::MissingSection { .. }) => Ok(None),
        Err(error) => Err(error),
    })?;
    value
        .map(|text| {
            text.parse().map_err(|_| {
                Error::parameter(
                    file,
                    format!("its {section} has {key}: '{text}', which cannot be used"),
                )
            })
        })
        .transpose()
}

/// Reads something out of the config.yaml that the parameter `key` names.
fn config_yaml<T>(
    context: &ModelContext,
    key: &str,
    read: impl FnOnce(&str) -> Result<T, OptionsError>,
) -> Result<T, Error> {
    let path = context.file(key)?;
    let wrong = |error: String| Error::parameter(key, format!("{}: {error}", path.display()));
    let text = yaml::read(&path).map_err(|error| wrong(error.to_string()))?;
    read(&text).map_err(|error| wrong(error.to_string()))
}

fn set<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}
