//! YAML as the events of its parser, which carry scalars as they are written and not what YAML's types make of them.

use saphyr_parser::{Event, Parser, ScanError, Span, StrInput};

/// How deep lists and mappings may be nested where they are passed over: the parser remembers every level.
const DEEPEST: isize = 128;

/// The events of a text, one after the other.
pub struct Events<'input> {
    parser: Parser<'input, StrInput<'input>>,
}

impl<'input> Events<'input> {
    /// From the beginning of `text`.
    pub fn of(text: &'input str) -> Self {
        Self {
            parser: Parser::new_from_str(text),
        }
    }

    /// The next event; the end of the stream again and again, once it is reached.
    ///
    /// # Errors
    /// Where the YAML is broken.
    #[expect(clippy::should_implement_trait, reason = "it has no end, and can fail")]
    pub fn next(&mut self) -> Result<(Event<'input>, Span), ScanError> {
        self.parser
            .next()
            .unwrap_or_else(|| Ok((Event::StreamEnd, Span::default())))
    }

    /// Passes over the rest of a node whose first event was `first`.
    ///
    /// # Errors
    /// Where the YAML is broken, or nested deeper than 128 levels.
    pub fn skip(&mut self, first: &Event<'_>) -> Result<(), ScanError> {
        let mut depth = depth_change(first);
        while depth > 0 {
            let (event, span) = self.next()?;
            if depth > DEEPEST {
                return Err(ScanError::new_str(span.start, "nested too deep"));
            }
            if matches!(event, Event::StreamEnd) {
                break;
            }
            depth += depth_change(&event);
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
