//! `triton-funasr repo`: a ready model repository from an exported model.

mod all;
mod caches;
mod check;
mod dims;
mod graph;
mod interface;
mod paraformer;
mod paraformer_online;
mod place;
mod search;
mod sensevoice;
mod templates;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use onnx_file::{Edit, Interface};

pub use self::all::{Options as AllOptions, assemble as assemble_all};
use crate::console;
use crate::files::remove;

/// The repositories that can be assembled.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// SenseVoice, from a directory with model.onnx, am.mvn, config.yaml and a .bpe.model
    Sensevoice(Options),
    /// Paraformer for whole recordings, from a directory with model.onnx, am.mvn, config.yaml and tokens.json
    Paraformer(Options),
    /// Paraformer for streams, from a directory with model.onnx, decoder.onnx, am.mvn, config.yaml and tokens.json
    ParaformerOnline(Options),
    /// Several of them in one repository, their inner models under names of their own
    All(AllOptions),
}

/// What to assemble from what.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory as FunASR or ModelScope exports it
    #[arg(long, value_name = "EXPORT_DIR")]
    pub from: PathBuf,
    /// The model repository to make
    #[arg(long, value_name = "REPO")]
    pub to: PathBuf,
    /// Take the files named _quant.onnx (int8), as in model_quant.onnx instead of model.onnx
    #[arg(long)]
    pub quantized: bool,
    /// Replace a repository that is there already
    #[arg(long)]
    pub force: bool,
}

/// Assembles a repository and says what it holds.
pub fn repo(task: &Task) -> Result<()> {
    let one = |kind, options: &Options| {
        let facts = assemble(kind, options)?;
        Ok::<_, anyhow::Error>((facts, options.to.clone()))
    };
    let (facts, to) = match task {
        Task::Sensevoice(options) => one(Kind::Sensevoice, options)?,
        Task::Paraformer(options) => one(Kind::Paraformer, options)?,
        Task::ParaformerOnline(options) => one(Kind::ParaformerOnline, options)?,
        Task::All(options) => (assemble_all(options)?, options.to.clone()),
    };
    console::step("Assembled", format!("{} ({facts})", to.display()));
    console::step(
        "Try it",
        format!("triton-funasr serve --repo {}", to.display()),
    );
    Ok(())
}

/// A kind of model, each with its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// SenseVoice
    Sensevoice,
    /// Paraformer for whole recordings
    Paraformer,
    /// Paraformer for streams
    ParaformerOnline,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sensevoice, Self::Paraformer, Self::ParaformerOnline];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensevoice => "SenseVoice",
            Self::Paraformer => "Paraformer",
            Self::ParaformerOnline => "streaming Paraformer",
        }
    }

    /// The project's directory with the repository's configurations.
    fn template(self) -> &'static str {
        match self {
            Self::Sensevoice => "model_repo_sense_voice_small",
            Self::Paraformer => "model_repo_paraformer_large_offline",
            Self::ParaformerOnline => "model_repo_paraformer_large_online",
        }
    }

    /// The repository's models.
    fn models(self) -> &'static [&'static str] {
        match self {
            Self::Sensevoice => &["sensevoice", "feature_extractor", "encoder", "scoring"],
            Self::Paraformer => &["infer_pipeline", "feature_extractor", "encoder", "scoring"],
            Self::ParaformerOnline => &[
                "streaming_paraformer",
                "feature_extractor",
                "lfr_cmvn_pe",
                "encoder",
                "cif_search",
                "decoder",
            ],
        }
    }

    /// Finds and checks the pieces; the error tells everything that is missing or does not fit.
    fn plan(self, options: &Options) -> Result<Assembly> {
        match self {
            Self::Sensevoice => sensevoice::plan(options),
            Self::Paraformer => paraformer::plan(options),
            Self::ParaformerOnline => paraformer_online::plan(options),
        }
    }
}

/// What becomes of an export whose pieces are there and fit each other.
#[derive(Debug)]
struct Assembly {
    /// Parts of the template's configurations, and what stands in their place.
    replacements: Vec<(String, String)>,
    /// The export's files, and where in the repository they go.
    files: Vec<(PathBuf, String)>,
    /// What is changed in a file of the export on its way.
    edits: HashMap<PathBuf, Edit>,
    /// What a person should know of the repository.
    notes: Vec<String>,
    /// What the ONNX files of models take and give.
    interfaces: Vec<(&'static str, Interface)>,
    /// What the repository holds, in a few words.
    facts: String,
}

impl Assembly {
    /// Writes the template's configurations and the export's files to `target`; `name` is what a model is called there.
    fn write(&self, kind: Kind, name: impl Fn(&str) -> String, target: &Path) -> Result<()> {
        for model in kind.models() {
            let named = target.join(name(model));
            fs::create_dir_all(named.join("1"))?;
            for (config, text) in templates::configs(kind, model) {
                let text = self
                    .replacements
                    .iter()
                    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
                let text = self
                    .with_dims(model, text)
                    .with_context(|| format!("{model}/{} does not fit", config.display()))?;
                let to = named.join(config);
                to.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(to, text)?;
            }
        }
        self.files.iter().try_for_each(|(from, to)| {
            let to = target.join(to);
            match self.edits.get(from) {
                Some(edit) => place::edited(from, &to, edit),
                None => place::place(from, &to),
            }
        })
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

/// Checks the export and assembles the repository; returns what it holds in a few words.
pub fn assemble(kind: Kind, options: &Options) -> Result<String> {
    let assembly = kind.plan(options)?;
    let part = |name: &str| kind.models().contains(&name);
    check_target(kind.name(), part, &options.to, options.force)?;
    make(&options.to, |partial| {
        assembly.write(kind, str::to_owned, partial)
    })?;
    assembly.notes.iter().for_each(console::warn);
    Ok(assembly.facts)
}

/// Makes a repository, which appears under its name when it is whole; what was there goes when its successor stands.
fn make(target: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = sibling(target, "partial")?;
    let former = sibling(target, "former")?;
    remove(&partial)?;
    remove(&former)?;
    write(&partial).inspect_err(|_| drop(remove(&partial)))?;
    if target.exists() {
        fs::rename(target, &former)
            .with_context(|| format!("cannot replace {}", target.display()))?;
    }
    fs::rename(&partial, target).with_context(|| format!("cannot make {}", target.display()))?;
    remove(&former)
}

/// Only a repository of ours is replaced, and only when asked to. `part` tells the names of its models.
fn check_target(what: &str, part: impl Fn(&str) -> bool, target: &Path, force: bool) -> Result<()> {
    let context = || format!("cannot write to {}", target.display());
    if !target.exists() {
        return Ok(());
    }
    let names = fs::read_dir(target)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<std::io::Result<Vec<_>>>()
        })
        .with_context(context)?;
    if names.is_empty() {
        return Ok(());
    }
    if let Some(other) = names.iter().find(|name| !name.to_str().is_some_and(&part)) {
        bail!(
            "{}: it holds {}, which is no part of a {what} repository",
            context(),
            other.to_string_lossy(),
        );
    }
    if !force {
        bail!(
            "{}: it holds a repository already; --force replaces it",
            context()
        );
    }
    Ok(())
}

/// A hidden neighbour of `target`.
fn sibling(target: &Path, what: &str) -> Result<PathBuf> {
    let name = target
        .file_name()
        .with_context(|| format!("{} names no directory", target.display()))?;
    Ok(target.with_file_name(format!(".{}.{what}", name.to_string_lossy())))
}

/// How the templates write a parameter, and how they are to write it.
fn parameter(key: &str, from: &str, to: &str) -> (String, String) {
    let written =
        |value: &str| format!("key: \"{key}\"\n    value: {{ string_value: \"{value}\" }}");
    (written(from), written(to))
}

/// How the templates write the shape of features, and how they are to write it.
fn feature_dims(feature_dim: usize) -> (String, String) {
    (
        "dims: [ -1, 560 ]".to_owned(),
        format!("dims: [ -1, {feature_dim} ]"),
    )
}

#[cfg(test)]
mod tests;
