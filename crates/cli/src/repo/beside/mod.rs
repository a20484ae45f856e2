//! Repositories of the small models beside a recogniser: voice activity detection, punctuation.

mod config;
mod export;
mod kind;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::export::Export;
pub(super) use self::kind::Beside;
use super::device::Device;
use super::options::{Common, Large, Options};
use super::place;
use super::target::{check_target, make};
use crate::console;

/// What becomes of an export whose pieces are there and fit each other.
#[derive(Debug)]
pub(super) struct Plan {
    /// The repository's models and their configurations.
    models: Vec<(&'static str, String)>,
    /// The export's files, and where in the repository they go.
    files: Vec<(PathBuf, String)>,
    pub(super) notes: Vec<String>,
    /// What the repository holds, in a few words.
    pub(super) facts: String,
}

impl Plan {
    /// Whether it has a model of this name.
    pub(super) fn has(&self, model: &str) -> bool {
        self.models.iter().any(|(name, _)| *name == model)
    }

    /// Writes configurations and files to `target`.
    pub(super) fn write(&self, target: &Path, large: Large) -> Result<()> {
        for (model, text) in &self.models {
            write_model(target, model, text)?;
        }
        self.files
            .iter()
            .try_for_each(|(from, to)| place::place(from, &target.join(to), large))
    }
}

/// Writes a model that has no files but its configuration.
pub(super) fn write_model(target: &Path, name: &str, config: &str) -> Result<()> {
    let model = target.join(name);
    fs::create_dir_all(model.join("1"))?;
    fs::write(model.join("config.pbtxt"), config)?;
    Ok(())
}

/// Finds and checks the pieces.
pub(super) fn plan(kind: Beside, options: &Options) -> Result<Plan> {
    let export = Export::read(kind, options)?;
    let inner = kind.models()[2];
    let (outer, of_inner, batched) = match (kind, export.realtime) {
        (Beside::Vad, _) => (&kind.models()[..2], "fsmn_vad/config.pbtxt", false),
        (Beside::Punctuation, true) => (
            &kind.models()[1..2],
            "ct_transformer/configs/realtime.pbtxt",
            false,
        ),
        (Beside::Punctuation, false) => (&kind.models()[..1], "ct_transformer/config.pbtxt", true),
    };
    let mut models = Vec::new();
    for model in outer {
        let text = kind.template(&format!("{model}/config.pbtxt"))?;
        models.push((*model, text.to_owned()));
    }
    let template = kind.template(of_inner)?;
    let text = config::with_tensors(template, &export.onnx.content, batched)
        .with_context(|| export.onnx.name())?;
    let text = match options.common.device.map(Device::replacement) {
        Some((from, to)) => text.replace(&from, &to),
        None => text,
    };
    models.push((inner, text));
    let mut files = export.onnx.places(&format!("{inner}/1"), "model.onnx");
    for file in export.beside {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{inner}/{name}");
        files.push((file, place));
    }
    Ok(Plan {
        models,
        files,
        notes: export.notes,
        facts: export.facts,
    })
}

/// Checks the export and assembles the repository; returns what it holds in a few words.
pub(super) fn assemble(beside: Beside, options: &Options) -> Result<String> {
    let plan = plan(beside, options)?;
    let part = |name: &str| beside.models().contains(&name);
    let Common { to, force, .. } = &options.common;
    check_target(beside.name(), part, to, *force)?;
    make(to, |partial| plan.write(partial, options.common.large()))?;
    plan.notes.iter().for_each(console::warn);
    Ok(plan.facts)
}

#[cfg(test)]
mod tests;
