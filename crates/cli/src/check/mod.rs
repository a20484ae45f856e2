//! `triton-funasr check`: what does not fit in a model repository, and how to change it.
//!
//! The repository may be one of `triton-funasr repo`, one filled by hand, or a user's own with Python steps.

mod finding;
mod model;
mod onnx;
mod pbtxt;
mod references;
mod server;
mod steps;

use std::path::PathBuf;

use anyhow::{Result, bail};

use self::finding::{Finding, Level};
use self::model::Model;
use crate::console::GOOD;

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

/// Checks a repository and says what was found; fails where something does not load or answers wrongly.
pub fn check(options: &Check) -> Result<()> {
    let models = model::read(&options.repository)?;
    let findings = findings(&models);
    for finding in &findings {
        match options.json {
            true => anstream::println!("{}", finding.as_json()),
            false => finding.print(),
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

#[cfg(test)]
mod tests;
