//! One section of a config.yaml as raw scalars: what was written, not what YAML's types make of it.

use std::io;
use std::path::Path;

use model_files::yaml::Events;
use saphyr_parser::{Event, ScanError};

use crate::error::OptionsError;

/// Largest config.yaml that is read: one with 8404 tokens has 100 kB, and the parser can take a hundred times the memory
/// of a hostile one.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Options of a section and their values, in order; `None` for a value which is not a scalar.
pub type Section = Vec<(String, Option<String>)>;

/// The text of a config.yaml.
///
/// # Errors
/// When it is no file, cannot be read, has more than 4 MB, or is not UTF-8.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = model_files::read(path.as_ref(), MAX_FILE_BYTES)?;
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let message = format!("not text: the byte at offset {offset} is not UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The mapping called `name` at the top level of `text`. Nothing after it is looked at.
///
/// # Errors
/// When there is no such mapping, or the YAML before its end is broken.
pub fn section(text: &str, name: &str) -> Result<Section, OptionsError> {
    let mut events = Events::of(text);
    loop {
        match events.next()?.0 {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::MappingStart(..) => break,
            _ => return Err(missing(name)),
        }
    }
    loop {
        match events.next()?.0 {
            Event::MappingEnd | Event::StreamEnd => return Err(missing(name)),
            Event::Scalar(key, ..) if key == name => return mapping(&mut events, name),
            other => events.skip(&other)?,
        }
        let value = events.next()?.0;
        events.skip(&value)?;
    }
}

fn missing(section: &str) -> OptionsError {
    OptionsError::MissingSection {
        section: section.to_owned(),
    }
}

/// The scalars of the mapping that begins here. No value at all is an empty mapping.
fn mapping(events: &mut Events<'_>, name: &str) -> Result<Section, OptionsError> {
    match events.next()? {
        (Event::MappingStart(..), _) => {}
        (Event::Scalar(value, ..), _) if matches!(&*value, "" | "~" | "null") => {
            return Ok(Section::new());
        }
        (_, span) => {
            return Err(OptionsError::SectionNotMapping {
                section: name.to_owned(),
                line: span.start.line(),
            });
        }
    }
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
            Event::Scalar(value, ..) => Some(value.into_owned()),
            other => {
                events.skip(&other)?;
                None
            }
        };
        entries.extend(key.map(|key| (key, value)));
    }
}

impl From<ScanError> for OptionsError {
    fn from(error: ScanError) -> Self {
        let marker = error.marker();
        Self::Yaml {
            line: marker.line(),
            column: marker.col() + 1,
            message: error.info().to_owned(),
        }
    }
}
