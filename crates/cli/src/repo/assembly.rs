//! A repository on its way from an export to its place.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use onnx_file::{Edit, Interface};

use super::options::Large;
use super::templates::{self, Template};
use super::{device, dims, place};
use crate::files::make_directory;

/// What becomes of an export whose pieces are there and fit each other.
#[derive(Debug)]
pub(super) struct Assembly {
    /// The configurations that it is made from.
    pub(super) template: Template,
    /// Parts of the template's configurations, and what stands in their place.
    pub(super) replacements: Vec<(String, String)>,
    /// The export's files, and where in the repository they go.
    pub(super) files: Vec<(PathBuf, String)>,
    /// What is changed in a file of the export on its way.
    pub(super) edits: HashMap<PathBuf, Edit>,
    /// What a person should know of the repository.
    pub(super) notes: Vec<String>,
    /// What the ONNX files of models take and give.
    pub(super) interfaces: Vec<(&'static str, Interface)>,
    /// What the repository holds, in a few words.
    pub(super) facts: String,
}

impl Assembly {
    /// Writes the template's configurations and the export's files to `target`; `name` is what a model is called there.
    pub(super) fn write(
        &self,
        name: impl Fn(&str) -> String,
        target: &Path,
        large: Large,
    ) -> Result<()> {
        for model in self.template.models() {
            make_directory(&target.join(name(model)).join("1"))?;
        }
        self.files.iter().try_for_each(|(from, to)| {
            let to = target.join(to);
            match self.edits.get(from) {
                Some(edit) => place::edited(from, &to, edit),
                None => place::place(from, &to, large),
            }
        })?;
        for model in self.template.models() {
            let name = name(model);
            let named = target.join(&name);
            for (config, text) in templates::configs(self.template, model) {
                let text = self
                    .replacements
                    .iter()
                    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
                let text = self
                    .with_dims(model, text)
                    .with_context(|| format!("{model}/{} does not fit", config.display()))?;
                let text = device::name_engines(text, &name, &named)?;
                let to = named.join(config);
                to.parent().map_or(Ok(()), make_directory)?;
                fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
            }
        }
        Ok(())
    }

    /// A configuration with the dimensions of the model's ONNX file, if it has one.
    fn with_dims(&self, model: &str, text: String) -> Result<String> {
        let mut interfaces = self.interfaces.iter();
        let Some((_, interface)) = interfaces.find(|(name, _)| *name == model) else {
            return Ok(text);
        };
        let text = dims::write(&text, interface);
        match dims::check(&text, interface).into_iter().next() {
            Some(refused) => Err(refused.into()),
            None => Ok(text),
        }
    }
}

/// How the templates write a parameter, and how they are to write it.
pub(super) fn parameter(key: &str, from: &str, to: &str) -> (String, String) {
    let written =
        |value: &str| format!("key: \"{key}\"\n    value: {{ string_value: \"{value}\" }}");
    (written(from), written(to))
}

/// How the templates write the shape of features, and how they are to write it.
pub(super) fn feature_dims(feature_dim: usize) -> (String, String) {
    (
        "dims: [ -1, 560 ]".to_owned(),
        format!("dims: [ -1, {feature_dim} ]"),
    )
}
