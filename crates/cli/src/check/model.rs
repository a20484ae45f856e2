//! The models of a repository and their configs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::pbtxt::Message;

/// A model's directory.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) configs: Vec<Config>,
}

/// One of a model's configs: `config.pbtxt`, or one that `--model-config-name` picks.
pub(super) struct Config {
    /// Its path, relative to the repository.
    pub(super) place: String,
    /// What it says, or why it cannot be read.
    pub(super) content: Result<Message, String>,
}

impl Model {
    /// The newest version's directory.
    pub(super) fn version(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(&self.directory).ok()?;
        entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u64>().ok()?, entry)))
            .max_by_key(|(version, _)| *version)
            .map(|(_, entry)| entry.path())
    }
}

/// Reads the models of a repository.
pub(super) fn read(repository: &Path) -> Result<Vec<Model>> {
    let context = || format!("cannot read {}", repository.display());
    let mut directories: Vec<PathBuf> = fs::read_dir(repository)
        .with_context(context)?
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(context)?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    directories.sort();
    let models: Vec<Model> = directories
        .into_iter()
        .filter_map(|directory| model(&directory))
        .collect();
    if models.is_empty() {
        bail!(
            "{} is no model repository: none of its directories has a config.pbtxt or a version",
            repository.display()
        );
    }
    Ok(models)
}

fn model(directory: &Path) -> Option<Model> {
    let name = directory.file_name()?.to_str()?.to_owned();
    let own = directory.join("config.pbtxt");
    let mut files = vec![own.clone()];
    if let Ok(entries) = fs::read_dir(directory.join("configs")) {
        let mut more: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "pbtxt"))
            .collect();
        more.sort();
        files.extend(more);
    }
    let configs: Vec<Config> = files
        .iter()
        .filter(|file| file.is_file())
        .map(|file| Config {
            place: format!(
                "{name}/{}",
                file.strip_prefix(directory).unwrap_or(file).display()
            ),
            content: fs::read_to_string(file)
                .map_err(|error| error.to_string())
                .and_then(|text| Message::parse(&text).map_err(|error| error.to_string())),
        })
        .collect();
    let model = Model {
        name,
        directory: directory.to_owned(),
        configs,
    };
    // The server completes the config of a model that has none, so others may name it.
    let is_one = !model.configs.is_empty() || model.version().is_some();
    is_one.then_some(model)
}
