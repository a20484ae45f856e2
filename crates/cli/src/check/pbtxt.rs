//! Reads protobuf's text format without knowing the messages: what a config.pbtxt says, by the names that stand there.

use std::fmt;

/// A message: its fields in order. A list is a field for each of its elements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message(Vec<(String, Value)>);

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// A string in quotes, or a word or number as it stands.
    Scalar(String),
    Message(Message),
}

/// Where the text cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    line: usize,
    reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

impl Message {
    /// Reads a whole file's text.
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        Parser {
            text: text.as_bytes(),
            at: 0,
        }
        .fields(None, 0)
    }

    /// The values of the scalar fields of this name.
    pub(super) fn scalars<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m str> {
        self.named(name).filter_map(|value| match value {
            Value::Scalar(text) => Some(text.as_str()),
            Value::Message(_) => None,
        })
    }

    /// The messages of this name.
    pub(super) fn messages<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m Message> {
        self.named(name).filter_map(|value| match value {
            Value::Message(message) => Some(message),
            Value::Scalar(_) => None,
        })
    }

    /// The last scalar of this name, which counts; empty without one.
    pub(super) fn text(&self, name: &str) -> &str {
        self.scalars(name).last().unwrap_or_default()
    }

    /// Whether there is a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// The numbers of this name.
    pub(super) fn numbers(&self, name: &str) -> Vec<i64> {
        self.scalars(name)
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    /// The value of a model's parameter.
    pub(super) fn parameter(&self, key: &str) -> Option<&str> {
        let entry = self
            .messages("parameters")
            .filter(|entry| entry.text("key") == key)
            .last()?;
        Some(entry.messages("value").last()?.text("string_value"))
    }

    /// What a config has as `component`, where its backend is this project's.
    pub(super) fn component(&self) -> Option<&str> {
        (self.text("backend") == "funasr")
            .then(|| self.parameter("component"))
            .flatten()
    }

    fn named<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m Value> {
        self.0
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value)
    }
}

/// Messages inside messages; a config has five.
const DEEPEST: usize = 50;

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    /// The fields up to `end`, or to the end of the text.
    fn fields(&mut self, end: Option<u8>, depth: usize) -> Result<Message, Unreadable> {
        if depth > DEEPEST {
            return Err(self.unreadable("too many braces inside braces"));
        }
        let mut message = Message::default();
        loop {
            self.space();
            match (self.peek(), end) {
                (None, None) => return Ok(message),
                (None, Some(end)) => {
                    let reason = format!("the file ends before a `{}`", char::from(end));
                    return Err(self.unreadable(&reason));
                }
                (Some(found), Some(end)) if found == end => {
                    self.at += 1;
                    return Ok(message);
                }
                _ => self.field(&mut message, depth)?,
            }
            self.space();
            if matches!(self.peek(), Some(b',' | b';')) {
                self.at += 1;
            }
        }
    }

    /// One field: `name: value`, `name { … }`, `name: [ … ]`.
    fn field(&mut self, message: &mut Message, depth: usize) -> Result<(), Unreadable> {
        let name = self.word()?;
        self.space();
        let colon = self.peek() == Some(b':');
        if colon {
            self.at += 1;
            self.space();
        }
        if self.peek() != Some(b'[') {
            let value = self.value(colon, depth)?;
            message.0.push((name, value));
            return Ok(());
        }
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b',') => self.at += 1,
                _ => {
                    let value = self.value(true, depth)?;
                    message.0.push((name.clone(), value));
                }
            }
        }
    }

    fn value(&mut self, scalar: bool, depth: usize) -> Result<Value, Unreadable> {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.fields(Some(b'}'), depth + 1).map(Value::Message)
            }
            Some(b'<') => {
                self.at += 1;
                self.fields(Some(b'>'), depth + 1).map(Value::Message)
            }
            Some(b'"' | b'\'') if scalar => self.string().map(Value::Scalar),
            _ if scalar => self.word().map(Value::Scalar),
            _ => Err(self.unreadable("expected `:` or `{`")),
        }
    }

    /// Strings one after the other are one.
    fn string(&mut self) -> Result<String, Unreadable> {
        let mut bytes = Vec::new();
        while let Some(quote @ (b'"' | b'\'')) = self.peek() {
            self.at += 1;
            loop {
                let next = self.peek();
                self.at += 1;
                match next {
                    None | Some(b'\n') => {
                        self.at -= 1;
                        return Err(self.unreadable("a string has no end"));
                    }
                    Some(found) if found == quote => break,
                    Some(b'\\') => {
                        let escaped = self.peek().unwrap_or(b'\\');
                        self.at += 1;
                        bytes.push(match escaped {
                            b'n' => b'\n',
                            b't' => b'\t',
                            b'r' => b'\r',
                            other => other,
                        });
                    }
                    Some(byte) => bytes.push(byte),
                }
            }
            self.space();
        }
        String::from_utf8(bytes).map_err(|_| self.unreadable("a string is not UTF-8"))
    }

    /// A name, a number, or a constant.
    fn word(&mut self) -> Result<String, Unreadable> {
        let rest = &self.text[self.at..];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-+.".contains(byte))
            .count();
        if length == 0 {
            let found = match self.peek() {
                Some(byte) if byte.is_ascii_graphic() => format!("`{}`", char::from(byte)),
                Some(_) => "another character".to_owned(),
                None => "the end".to_owned(),
            };
            return Err(self.unreadable(&format!("expected a name or a value, found {found}")));
        }
        self.at += length;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    /// Passes over white space and comments.
    fn space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                let rest = &self.text[self.at..];
                self.at += rest.iter().take_while(|byte| **byte != b'\n').count();
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn unreadable(&self, reason: &str) -> Unreadable {
        let before = &self.text[..self.at.min(self.text.len())];
        Unreadable {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_configs_are_made_of_is_read() {
        let config = Message::parse(
            r#"
            name: "a" 'b'  # two strings are one
            max_batch_size: 16
            input [ { name: "x" dims: [ -1, 560 ] reshape: { shape: [ ] } }, { name: "y", data_type: TYPE_INT32 } ]
            output { name: "z" dims: 1; dims: 2 }
            parameters: { key: "path" value: { string_value: "a\"b" } }
            dynamic_batching < >
            "#,
        )
        .unwrap();
        assert_eq!(config.text("name"), "ab");
        let inputs: Vec<_> = config.messages("input").collect();
        assert_eq!(inputs.len(), 2);
        assert_eq!(inputs[0].numbers("dims"), [-1, 560]);
        let reshape = inputs[0].messages("reshape").next().unwrap();
        assert!(reshape.numbers("shape").is_empty());
        assert_eq!(inputs[1].text("data_type"), "TYPE_INT32");
        assert_eq!(
            config.messages("output").next().unwrap().numbers("dims"),
            [1, 2]
        );
        assert_eq!(config.parameter("path"), Some("a\"b"));
        assert_eq!(config.parameter("other"), None);
        assert!(config.has("dynamic_batching") && !config.has("sequence_batching"));
    }

    #[test]
    fn the_line_of_a_mistake_is_told() {
        let error = |text: &str| Message::parse(text).unwrap_err().to_string();
        assert_eq!(error("a: 1\nb {\n"), "line 3: the file ends before a `}`");
        assert_eq!(error("a: \"x\nb: 1"), "line 1: a string has no end");
        assert_eq!(
            error("\n}"),
            "line 2: expected a name or a value, found `}`"
        );
        assert_eq!(error("a 1"), "line 1: expected `:` or `{`");
        assert!(error(&"a{".repeat(1000)).contains("too many braces"));
    }
}
