//! One section of a config.yaml as raw scalars: what was written, not what YAML's types make of it.

use std::io;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScanError, Span};

use crate::error::OptionsError;
use crate::file;

/// Largest config.yaml that is read: one with 8404 tokens has 100 kB, and the parser can take a hundred times the memory
/// of a hostile one.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// How deep lists and mappings may be nested: the parser remembers every level.
const DEEPEST: isize = 128;

/// Options of a section and their values, in order; `None` for a value which is not a scalar.
pub type Section = Vec<(String, Option<String>)>;

/// The text of a config.yaml.
///
/// # Errors
/// When it is no file, cannot be read, has more than 4 MB, or is not UTF-8.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = file::read(path.as_ref(), MAX_FILE_BYTES)?;
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
    let mut events = Events {
        parser: Parser::new_from_str(text),
    };
    loop {
        match events.next()? {
            Some((Event::StreamStart | Event::DocumentStart(_), _)) => {}
            Some((Event::MappingStart(..), _)) => break,
            _ => return Err(missing(name)),
        }
    }
    while let Some((key, _)) = events.next()? {
        match key {
            Event::MappingEnd => break,
            Event::Scalar(key, ..) if key == name => return events.mapping(name),
            other => events.skip(&other)?,
        }
        if let Some((value, _)) = events.next()? {
            events.skip(&value)?;
        }
    }
    Err(missing(name))
}

fn missing(section: &str) -> OptionsError {
    OptionsError::MissingSection {
        section: section.to_owned(),
    }
}

struct Events<'input> {
    parser: Parser<'input, saphyr_parser::StrInput<'input>>,
}

impl<'input> Events<'input> {
    fn next(&mut self) -> Result<Option<(Event<'input>, Span)>, OptionsError> {
        self.parser
            .next_event()
            .transpose()
            .map_err(|error| yaml_error(&error))
    }

    /// The scalars of the mapping that begins here. No value at all is an empty mapping.
    fn mapping(&mut self, name: &str) -> Result<Section, OptionsError> {
        match self.next()? {
            Some((Event::MappingStart(..), _)) => {}
            Some((Event::Scalar(value, ..), _)) if matches!(&*value, "" | "~" | "null") => {
                return Ok(Section::new());
            }
            Some((_, span)) => {
                return Err(OptionsError::SectionNotMapping {
                    section: name.to_owned(),
                    line: span.start.line(),
                });
            }
            None => return Err(missing(name)),
        }
        let mut entries = Section::new();
        while let Some((key, _)) = self.next()? {
            let key = match key {
                Event::MappingEnd => break,
                Event::Scalar(key, ..) => Some(key.into_owned()),
                other => {
                    self.skip(&other)?;
                    None
                }
            };
            let value = match self.next()? {
                Some((Event::Scalar(value, ..), _)) => Some(value.into_owned()),
                Some((other, _)) => {
                    self.skip(&other)?;
                    None
                }
                None => None,
            };
            entries.extend(key.map(|key| (key, value)));
        }
        Ok(entries)
    }

    /// Passes over the rest of the node that `first` began.
    fn skip(&mut self, first: &Event<'_>) -> Result<(), OptionsError> {
        let mut depth = depth_change(first);
        while depth > 0 {
            match self.next()? {
                Some((_, span)) if depth > DEEPEST => {
                    return Err(yaml_error(&ScanError::new_str(
                        span.start,
                        "nested too deep",
                    )));
                }
                Some((event, _)) => depth += depth_change(&event),
                None => break,
            }
        }
        Ok(())
    }
}

fn depth_change(event: &Event<'_>) -> isize {
    match event {
        Event::MappingStart(..) | Event::SequenceStart(..) => 1,
        Event::MappingEnd | Event::SequenceEnd => -1,
        _ => 0,
    }
}

fn yaml_error(error: &ScanError) -> OptionsError {
    let marker = error.marker();
    OptionsError::Yaml {
        line: marker.line(),
        column: marker.col() + 1,
        message: error.info().to_owned(),
    }
}
