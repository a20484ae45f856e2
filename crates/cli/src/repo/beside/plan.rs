//! What becomes of an export, and writing it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use onnx_file::Edit;

use crate::files::make_directory;
use crate::repo::device::name_engines;
use crate::repo::options::Large;
use crate::repo::place;

/// What becomes of an export whose pieces are there and fit each other.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The repository's models and their configurations.
    pub(super) models: Vec<(&'static str, String)>,
    /// The export's files, and where in the repository they go.
    pub(super) files: Vec<(PathBuf, String)>,
    /// What is changed in the first of them.
    pub(super) edit: Option<Edit>,
    pub(crate) notes: Vec<String>,
    /// What the repository holds, in a few words.
    pub(crate) facts: String,
}

impl Plan {
    /// Whether it has a model of this name.
    pub(crate) fn has(&self, model: &str) -> bool {
        self.models.iter().any(|(name, _)| *name == model)
    }

    /// Writes configurations and files to `target`.
    pub(crate) fn write(&self, target: &Path, large: Large) -> Result<()> {
        let mut edit = self.edit.as_ref();
        self.files.iter().try_for_each(|(from, to)| {
            let to = target.join(to);
            match edit.take() {
                Some(edit) => place::edited(from, &to, edit),
                None => place::place(from, &to, large),
            }
        })?;
        self.models.iter().try_for_each(|(model, text)| {
            let text = name_engines(text.clone(), model, &target.join(model))?;
            write_model(target, model, &text)
        })
    }
}

/// Writes a model that has no files but its configuration.
pub(crate) fn write_model(target: &Path, name: &str, config: &str) -> Result<()> {
    let model = target.join(name);
    make_directory(&model.join("1"))?;
    let file = model.join("config.pbtxt");
    fs::write(&file, config).with_context(|| format!("cannot write {}", file.display()))
}
