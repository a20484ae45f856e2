//! The repository that is served: each form with an encoder of its own, around the same weights.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::model::Model;
use crate::models::{add_python_step, names_in, renamed};
use crate::repo;
use crate::tools::Tools;

pub(super) const ENCODER: &str = "encoder";
const DECODER: &str = "decoder";
/// Before the names of what a form is made of; the ensemble has none.
pub(super) const PIPELINE: &str = "pipeline_";
pub(super) const SCORES_PIPELINE: &str = "scores_pipeline_";
pub(super) const PYTHON: &str = "python_";
/// What the Python steps take the place of.
const STEPS: [&str; 2] = ["feature_extractor", "scoring"];

/// Makes it anew.
pub(super) fn assemble(tools: &Tools, exports: &Path, model: &Model) -> Result<PathBuf> {
    let root = fresh_root(tools, model)?;
    let export = exports.join(model.export);
    let served = as_users_get_it(model, &export, root.join("served"), false)?;
    let scores = as_users_get_it(model, &export, root.join("scores"), true)?;
    let pipeline = [ENCODER, model.top];
    for (from, prefix) in [(&served, PIPELINE), (&scores, SCORES_PIPELINE)] {
        for name in pipeline {
            add(from, &served, name, prefix, "configs/pipeline.pbtxt")?;
        }
    }
    for name in pipeline {
        add(&scores, &served, name, PYTHON, "config.pbtxt")?;
    }
    let scripts = tools.layout.project.join("benches/python_steps");
    for step in STEPS {
        add_python_step(&scores.join(step), &scripts, &served, &|config| {
            config.replace("backend: \"funasr\"", "backend: \"python\"")
        })?;
    }
    Ok(served)
}

/// Makes that of a streaming model anew: ensemble and pipeline.
pub(super) fn assemble_streams(tools: &Tools, exports: &Path, model: &Model) -> Result<PathBuf> {
    let root = fresh_root(tools, model)?;
    let export = exports.join(model.export);
    let served = as_users_get_it(model, &export, root.join("served"), false)?;
    for name in [ENCODER, DECODER, model.top] {
        add(&served, &served, name, PIPELINE, "configs/pipeline.pbtxt")?;
    }
    Ok(served)
}

fn fresh_root(tools: &Tools, model: &Model) -> Result<PathBuf> {
    let root = tools.directory.join("real-size").join(model.export);
    crate::files::remove(&root)?;
    fs::create_dir_all(&root)?;
    Ok(root)
}

fn as_users_get_it(
    model: &Model,
    export: &Path,
    to: PathBuf,
    keep_logits: bool,
) -> Result<PathBuf> {
    let mut common = repo::Common::new(to.clone());
    common.keep_logits = keep_logits;
    let from = export.to_owned();
    repo::assemble(model.kind, &repo::Options { from, common })?;
    Ok(to)
}

/// Adds a model under another name, which calls models with such names.
fn add(from: &Path, to: &Path, name: &str, prefix: &str, config: &str) -> Result<()> {
    let (from, to) = (from.join(name), to.join(format!("{prefix}{name}")));
    fs::create_dir_all(to.join("1"))?;
    let text = fs::read_to_string(from.join(config))
        .with_context(|| format!("cannot read {config} of {}", from.display()))?;
    let called = [ENCODER, DECODER].iter().chain(&STEPS);
    let text = called.fold(text, |text, called| {
        // As a pipeline's parameter, or as an ensemble's step.
        ["string_value", "model_name"]
            .iter()
            .fold(text, |text, key| {
                text.replace(
                    &format!("{key}: \"{called}\""),
                    &format!("{key}: \"{prefix}{called}\""),
                )
            })
    });
    fs::write(
        to.join("config.pbtxt"),
        renamed(&text, &format!("{prefix}{name}")),
    )?;
    // Hundreds of megabytes: the same files.
    for file in names_in(&from.join("1"))? {
        fs::hard_link(from.join("1").join(&file), to.join("1").join(&file))?;
    }
    for file in names_in(&from)?
        .iter()
        .filter(|file| !file.ends_with(".pbtxt"))
    {
        if from.join(file).is_file() {
            fs::copy(from.join(file), to.join(file))?;
        }
    }
    Ok(())
}
