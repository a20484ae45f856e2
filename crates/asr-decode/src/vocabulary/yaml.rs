//! The `token_list` of a config.yaml, from the parser's events: they carry scalars as they are written.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::VocabularyError;

const KEY: &str = "token_list";
/// How deep lists and mappings may be nested: the parser remembers every level.
const DEEPEST: isize = 128;

/// The entries of the top-level `token_list`; nothing behind the list is looked at.
pub(super) fn token_list(text: &str) -> Result<Vec<Box<str>>, VocabularyError> {
    let mut events = Events {
        parser: Parser::new_from_str(text),
    };
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
            Event::SequenceStart(..) if found => return events.tokens(),
            _ if found => return Err(missing("`token_list` is not a list")),
            value => events.skip(&value)?,
        }
    }
}

struct Events<'input> {
    parser: Parser<'input, StrInput<'input>>,
}

impl<'input> Events<'input> {
    /// The next event; the end of the stream again and again, once it is reached.
    fn next(&mut self) -> Result<(Event<'input>, Span), ScanError> {
        self.parser
            .next()
            .unwrap_or_else(|| Ok((Event::StreamEnd, Span::default())))
    }

    /// Passes over the rest of a node whose first event was `start`.
    fn skip(&mut self, start: &Event<'_>) -> Result<(), ScanError> {
        let mut depth = change(start);
        while depth > 0 {
            let (event, span) = self.next()?;
            if depth > DEEPEST {
                return Err(ScanError::new_str(span.start, "nested too deep"));
            }
            if matches!(event, Event::StreamEnd) {
                break;
            }
            depth += change(&event);
        }
        Ok(())
    }

    fn tokens(&mut self) -> Result<Vec<Box<str>>, VocabularyError> {
        let mut tokens = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let error = |reason| VocabularyError::Token {
                id: tokens.len(),
                line: span.start.line(),
                reason,
            };
            let token = match event {
                Event::SequenceEnd | Event::StreamEnd => return Ok(tokens),
                Event::Scalar(text, style, ..) => scalar(&text, style).map_err(error)?.into(),
                Event::SequenceStart(..) if self.is_dash()? => "-".into(),
                Event::SequenceStart(..) => return Err(error("is a list")),
                Event::MappingStart(..) => return Err(error("is a mapping")),
                _ => return Err(error("is an alias")),
            };
            tokens.push(token);
        }
    }

    /// Whether the list just entered comes from an entry `- -`: it holds nothing but one empty scalar.
    fn is_dash(&mut self) -> Result<bool, ScanError> {
        let (inner, _) = self.next()?;
        let empty = matches!(inner, Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty());
        Ok(empty && matches!(self.next()?.0, Event::SequenceEnd))
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Result<&str, &'static str> {
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Ok(text),
        // Such entries are a sign that YAML reads as something else, such as `#`, `|` or `!`.
        _ if text.is_empty() => Err("is empty"),
        _ => Ok(text),
    }
}

fn change(event: &Event<'_>) -> isize {
    match event {
        Event::MappingStart(..) | Event::SequenceStart(..) => 1,
        Event::MappingEnd | Event::SequenceEnd => -1,
        _ => 0,
    }
}
