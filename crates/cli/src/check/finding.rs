//! What a check finds, and how it is told.

use std::fmt;

use serde_json::json;

use crate::console::{BAD, GOOD, STRONG, WARN};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It does not load, or answers wrongly.
    Error,
    /// It works, until something usual happens.
    Warning,
    /// It works, and could be better.
    Advice,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        }
    }
}

/// Something that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// The file, relative to the repository.
    pub(super) place: String,
    /// What does not fit.
    pub(super) what: String,
    /// How to change it.
    pub(super) how: String,
}

impl Finding {
    fn new(
        level: Level,
        place: impl fmt::Display,
        what: impl Into<String>,
        how: impl Into<String>,
    ) -> Self {
        Self {
            level,
            place: place.to_string(),
            what: what.into(),
            how: how.into(),
        }
    }

    pub(super) fn error(
        place: impl fmt::Display,
        what: impl Into<String>,
        how: impl Into<String>,
    ) -> Self {
        Self::new(Level::Error, place, what, how)
    }

    pub(super) fn warning(
        place: impl fmt::Display,
        what: impl Into<String>,
        how: impl Into<String>,
    ) -> Self {
        Self::new(Level::Warning, place, what, how)
    }

    pub(super) fn advice(
        place: impl fmt::Display,
        what: impl Into<String>,
        how: impl Into<String>,
    ) -> Self {
        Self::new(Level::Advice, place, what, how)
    }

    /// For people.
    pub(super) fn print(&self) {
        let style = match self.level {
            Level::Error => BAD,
            Level::Warning => WARN,
            Level::Advice => GOOD,
        };
        anstream::println!(
            "{style}{}{style:#} {STRONG}{}{STRONG:#}: {}",
            self.level.word(),
            self.place,
            self.what
        );
        for line in self.how.lines() {
            anstream::println!("    {line}");
        }
    }

    /// For programs.
    pub(super) fn as_json(&self) -> serde_json::Value {
        json!({
            "level": self.level.word(),
            "place": self.place,
            "what": self.what,
            "how": self.how,
        })
    }
}
