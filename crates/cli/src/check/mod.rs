//! `triton-funasr check`: what does not fit in a model repository, and how to change it.
//!
//! The repository may be one of `triton-funasr repo`, one filled by hand, or a user's own with Python steps.

mod model;
mod onnx;
mod pbtxt;
mod references;
mod server;
mod steps;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::json;

use self::model::{Config, Model};
use crate::console::{BAD, GOOD, STRONG, WARN};

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The model repository
    #[arg(value_name = "REPO")]
    repository: PathBuf,
    /// One JSON object a line, in place of words
    #[arg(long)]
    json: bool,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// It does not load, or answers wrongly.
    Error,
    /// It works, until something usual happens.
    Warning,
    /// It works, and could be better.
    Advice,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        }
    }
}

/// Something that does not fit.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    /// The file, relative to the repository.
    place: String,
    /// What does not fit.
    what: String,
    /// How to change it.
    how: String,
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

    fn error(place: impl fmt::Display, what: impl Into<String>, how: impl Into<String>) -> Self {
        Self::new(Level::Error, place, what, how)
    }

    fn warning(place: impl fmt::Display, what: impl Into<String>, how: impl Into<String>) -> Self {
        Self::new(Level::Warning, place, what, how)
    }

    fn advice(place: impl fmt::Display, what: impl Into<String>, how: impl Into<String>) -> Self {
        Self::new(Level::Advice, place, what, how)
    }
}

/// Checks a repository and says what was found; fails where something does not load or answers wrongly.
pub fn check(options: &Check) -> Result<()> {
    let models = model::read(&options.repository)?;
    let findings = findings(&models);
    for finding in &findings {
        match options.json {
            true => anstream::println!("{}", as_json(finding)),
            false => print(finding),
        }
    }
    let count = |level| {
        let of_level = findings.iter().filter(|finding| finding.level == level);
        of_level.count()
    };
    let errors = count(Level::Error);
    if errors > 0 {
        bail!(
            "{}: {errors} of {} findings keep it from working",
            options.repository.display(),
            findings.len()
        );
    }
    if !options.json {
        anstream::println!(
            "{GOOD}{}{GOOD:#}: {} models fit; {} warnings, {} advices",
            options.repository.display(),
            models.len(),
            count(Level::Warning),
            count(Level::Advice)
        );
    }
    Ok(())
}

/// Everything that does not fit, by model.
fn findings(models: &[Model]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in models {
        findings.extend(server::of_model(model));
        for config in &model.configs {
            match &config.content {
                Err(reason) => findings.push(Finding::error(
                    &config.place,
                    reason.clone(),
                    "write it as Triton's documentation of model configurations says",
                )),
                Ok(message) => {
                    findings.extend(server::of_config(model, config, message));
                    findings.extend(steps::of_config(model, config, message));
                    findings.extend(references::of_config(models, model, config, message));
                    findings.extend(onnx::of_config(model, config, message));
                }
            }
        }
    }
    findings
}

fn print(finding: &Finding) {
    let style = match finding.level {
        Level::Error => BAD,
        Level::Warning => WARN,
        Level::Advice => GOOD,
    };
    anstream::println!(
        "{style}{}{style:#} {STRONG}{}{STRONG:#}: {}",
        finding.level.word(),
        finding.place,
        finding.what
    );
    for line in finding.how.lines() {
        anstream::println!("    {line}");
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    json!({
        "level": finding.level.word(),
        "place": finding.place,
        "what": finding.what,
        "how": finding.how,
    })
}

/// What a config has as `component`, where its backend is this project's.
fn component<'m>(message: &'m pbtxt::Message) -> Option<&'m str> {
    (message.text("backend") == "funasr")
        .then(|| message.parameter("component"))
        .flatten()
}

#[cfg(test)]
mod tests;
