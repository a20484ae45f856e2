//! The `token_list` of a config.yaml, from the parser's events: they carry scalars as they are written.

use model_files::yaml::Events;
use saphyr_parser::{Event, ScalarStyle, ScanError};

use super::error::VocabularyError;

const KEY: &str = "token_list";

/// The entries of the top-level `token_list`; nothing behind the list is looked at.
pub(super) fn token_list(text: &str) -> Result<Vec<Box<str>>, VocabularyError> {
    let mut events = Events::of(text);
    let missing = |found| VocabularyError::NoTokenList { found };
    loop {
        match events.next()?.0 {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::MappingStart(..) => break,
            Event::StreamEnd => return Err(missing("the file is empty")),
            _ => return Err(missing("the file has no keys")),
        }
    }
    loop {
        let found = match events.next()?.0 {
            Event::MappingEnd | Event::StreamEnd => {
                return Err(missing("the key `token_list` is missing"));
            }
            Event::Scalar(key, ..) => key == KEY,
            key => {
                events.skip(&key)?;
                false
            }
        };
        let value = events.next()?.0;
        match value {
            Event::SequenceStart(..) if found => return tokens(&mut events),
            _ if found => return Err(missing("`token_list` is not a list")),
            value => events.skip(&value)?,
        }
    }
}

fn tokens(events: &mut Events<'_>) -> Result<Vec<Box<str>>, VocabularyError> {
    let mut tokens = Vec::new();
    loop {
        let (event, span) = events.next()?;
        let error = |reason| VocabularyError::Token {
            id: tokens.len(),
            line: span.start.line(),
            reason,
        };
        let token = match event {
            Event::SequenceEnd | Event::StreamEnd => return Ok(tokens),
            Event::Scalar(text, style, ..) => scalar(&text, style).map_err(error)?.into(),
            Event::SequenceStart(..) if is_dash(events)? => "-".into(),
            Event::SequenceStart(..) => return Err(error("is a list")),
            Event::MappingStart(..) => return Err(error("is a mapping")),
            _ => return Err(error("is an alias")),
        };
        tokens.push(token);
    }
}

/// Whether the list just entered comes from an entry `- -`: it holds nothing but one empty scalar.
fn is_dash(events: &mut Events<'_>) -> Result<bool, ScanError> {
    let (inner, _) = events.next()?;
    let empty = matches!(inner, Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty());
    Ok(empty && matches!(events.next()?.0, Event::SequenceEnd))
}

fn scalar(text: &str, style: ScalarStyle) -> Result<&str, &'static str> {
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Ok(text),
        // Such entries are a sign that YAML reads as something else, such as `#`, `|` or `!`.
        _ if text.is_empty() => Err("is empty"),
        _ => Ok(text),
    }
}
