//! Sections of a config.yaml, scalars and lists of scalars as they are written.

use std::io;
use std::path::{Path, PathBuf};

use model_files::yaml::Events;
use saphyr_parser::{Event, ScanError};

/// Largest config.yaml that is read: one with 8404 tokens has 100 kB, and the parser can take a hundred times the memory of a
/// hostile one.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A model's config.yaml cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The text is not YAML up to the end of the section.
    #[error("not valid YAML at line {line}, column {column}: {message}")]
    Yaml {
        /// Line in the text, from 1.
        line: usize,
        /// Column in the line, from 1.
        column: usize,
        /// The parser's own words.
        message: String,
    },
    /// The section is missing, or something else than a mapping.
    #[error("no mapping `{section}` at the top level: is this the model's config.yaml?")]
    MissingSection {
        /// The section looked for.
        section: String,
    },
    /// A value is missing.
    #[error("`{section}` has no `{key}`, expected {expected}")]
    MissingKey {
        /// The section looked at.
        section: String,
        /// The key looked for.
        key: &'static str,
        /// What should have been there.
        expected: String,
    },
    /// A value cannot be read or is outside of what makes sense.
    #[error("{key} is {value}, expected {expected}")]
    InvalidValue {
        /// Its name.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
}

/// `key` has a value that is not `expected`.
pub(crate) fn invalid(
    key: &'static str,
    value: impl ToString,
    expected: impl ToString,
) -> ConfigError {
    ConfigError::InvalidValue {
        key,
        value: value.to_string(),
        expected: expected.to_string(),
    }
}

/// A value of a section.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(String),
    List(Vec<String>),
    /// A mapping, or a list of something else than scalars.
    Other,
}

/// The keys of a section and their values, in order.
pub(crate) type Section = Vec<(String, Value)>;

/// The text of the config.yaml at `path`.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let io = |source| ConfigError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = model_files::read(path, MAX_FILE_BYTES).map_err(io)?;
    String::from_utf8(bytes).map_err(|error| io(io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// The first of the mappings called `names` at the top level of `text`.
pub(crate) fn section(text: &str, names: &[&str]) -> Result<Section, ConfigError> {
    let missing = || ConfigError::MissingSection {
        section: names.join("` or `"),
    };
    let mut events = Events::of(text);
    loop {
        match events.next()?.0 {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::MappingStart(..) => break,
            _ => return Err(missing()),
        }
    }
    loop {
        match events.next()?.0 {
            Event::MappingEnd | Event::StreamEnd => return Err(missing()),
            Event::Scalar(key, ..) if names.contains(&&*key) => {
                return match events.next()?.0 {
                    Event::MappingStart(..) => mapping(&mut events),
                    _ => Err(missing()),
                };
            }
            other => events.skip(&other)?,
        }
        let value = events.next()?.0;
        events.skip(&value)?;
    }
}

/// The mapping that has begun.
fn mapping(events: &mut Events<'_>) -> Result<Section, ConfigError> {
    let mut entries = Section::new();
    loop {
        let key = match events.next()?.0 {
            Event::MappingEnd | Event::StreamEnd => return Ok(entries),
            Event::Scalar(key, ..) => Some(key.into_owned()),
            other => {
                events.skip(&other)?;
                None
            }
        };
        let value = match events.next()?.0 {
            Event::Scalar(value, ..) => Value::Scalar(value.into_owned()),
            Event::SequenceStart(..) => list(events)?,
            other => {
                events.skip(&other)?;
                Value::Other
            }
        };
        entries.extend(key.map(|key| (key, value)));
    }
}

/// The list that has begun.
fn list(events: &mut Events<'_>) -> Result<Value, ConfigError> {
    let mut items = Some(Vec::new());
    loop {
        match events.next()?.0 {
            Event::SequenceEnd | Event::StreamEnd => {
                return Ok(items.map_or(Value::Other, Value::List));
            }
            Event::Scalar(item, ..) => {
                if let Some(items) = &mut items {
                    items.push(item.into_owned());
                }
            }
            other => {
                events.skip(&other)?;
                items = None;
            }
        }
    }
}

impl From<ScanError> for ConfigError {
    fn from(error: ScanError) -> Self {
        let marker = error.marker();
        Self::Yaml {
            line: marker.line(),
            column: marker.col() + 1,
            message: error.info().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_and_lists_stay_as_they_are_written() {
        let text = "a: {b: [1]}\nmodel_conf:\n  x: 0x10\n  list: ['_', no, \"，\"]\n  deep: [[1], 2]\n  map: {k: v}\n";
        let scalar = |text: &str| Value::Scalar(text.to_owned());
        let list = ["_", "no", "，"].map(str::to_owned).to_vec();
        assert_eq!(
            section(text, &["vad_post_conf", "model_conf"]).unwrap(),
            [
                ("x".to_owned(), scalar("0x10")),
                ("list".to_owned(), Value::List(list)),
                ("deep".to_owned(), Value::Other),
                ("map".to_owned(), Value::Other),
            ]
        );
    }

    #[test]
    fn what_is_no_section_is_an_error() {
        for text in ["", "a: 1", "model_conf: 3", "- model_conf", "model_conf"] {
            let error = section(text, &["model_conf"]).unwrap_err();
            assert!(
                matches!(error, ConfigError::MissingSection { .. }),
                "{text}: {error}"
            );
        }
        let broken = section("model_conf: {a: [", &["model_conf"]).unwrap_err();
        assert!(matches!(broken, ConfigError::Yaml { .. }), "{broken}");
    }
}
