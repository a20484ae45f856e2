//! The `parameters` of a model config: text, read with the type the backend wants.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;

use crate::{Error, excerpt};

/// A model config's `parameters`. Errors name the key and the value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Parameters {
    entries: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Value {
    string_value: String,
}

impl Parameters {
    /// The value as it was written, without white space around it; `None` if the key is absent or empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        let text = self.entries.get(key)?.string_value.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The value as a `T` (a number, say); `None` if the key is absent or empty.
    ///
    /// # Errors
    /// If the value is not a `T`.
    pub fn get<T: FromStr>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            let wanted = kind::<T>();
            Error::parameter(key, format!("'{}' is not {wanted}", excerpt(text)))
        })
    }

    /// The value as a truth value: `true`, `yes`, `on`, `1` or their opposites.
    ///
    /// # Errors
    /// If the value is none of these.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(Error::parameter(
                key,
                format!("'{}' is neither true nor false", excerpt(text)),
            )),
        }
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// If the key is absent or empty.
    pub fn require(&self, key: &str) -> Result<&str, Error> {
        self.text(key).ok_or_else(|| {
            Error::parameter(
                key,
                format!(
                    "is missing; add parameters {{ key: \"{key}\" value: {{ string_value: \"…\" }} }} to the model's config.pbtxt"
                ),
            )
        })
    }

    /// The keys present.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let entries = pairs
            .into_iter()
            .map(|(key, value)| {
                (
                    key.into(),
                    Value {
                        string_value: value.into(),
                    },
                )
            })
            .collect();
        Self { entries }
    }
}

fn kind<T>() -> &'static str {
    match std::any::type_name::<T>() {
        name if name.contains("NonZero") => "a whole number from 1 up",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 up",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        other => other,
    }
}
