//! `cargo xtask repo`: a ready model repository from an exported model.

mod check;
mod onnx;
mod place;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use asr_decode::sentencepiece::Tokenizer;
use wav_frontend::{Cmvn, FrontendOptions};

use crate::console;
use crate::layout::Layout;
use crate::wheels::remove;
use onnx::Signature;

/// The repositories that can be assembled.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Kind {
    /// SenseVoice, from a directory with model.onnx, am.mvn, config.yaml and a .bpe.model
    Sensevoice(Sensevoice),
}

/// What to assemble from what.
#[derive(Debug, clap::Args)]
pub(crate) struct Sensevoice {
    /// The directory as FunASR or ModelScope exports it
    #[arg(long, value_name = "EXPORT_DIR")]
    pub(crate) from: PathBuf,
    /// The model repository to make
    #[arg(long, value_name = "REPO")]
    pub(crate) to: PathBuf,
    /// Take model_quant.onnx (int8) instead of model.onnx
    #[arg(long)]
    pub(crate) quantized: bool,
    /// Replace a repository that is there already
    #[arg(long)]
    pub(crate) force: bool,
}

/// Assembles a repository and says what it holds.
pub(crate) fn repo(layout: &Layout, kind: &Kind) -> Result<()> {
    let Kind::Sensevoice(options) = kind;
    let facts = assemble(layout, options)?;
    console::step("Assembled", format!("{} ({facts})", options.to.display()));
    console::step(
        "Try it",
        format!("cargo xtask serve --repo {}", options.to.display()),
    );
    Ok(())
}

const TEMPLATE: &str = "model_repo_sense_voice_small";
const MODELS: [&str; 4] = ["sensevoice", "feature_extractor", "encoder", "scoring"];
/// The name the template's configuration gives the tokenizer.
const TOKENIZER: &str = "chn_jpn_yue_eng_ko_spectok.bpe.model";
/// How the template writes the shape of features.
const FEATURE_DIMS: &str = "dims: [ -1, 560 ]";

/// Checks the export and assembles the repository; returns what it holds in a few words.
pub(crate) fn assemble(layout: &Layout, options: &Sensevoice) -> Result<String> {
    let export = Export::find(options)?;
    let target = &options.to;
    check_target(target, options.force)?;
    // The repository appears under its name when it is whole; what was there goes when its successor stands.
    let partial = sibling(target, "partial")?;
    let former = sibling(target, "former")?;
    remove(&partial)?;
    remove(&former)?;
    export
        .write(&layout.project.join(TEMPLATE), &partial)
        .inspect_err(|_| drop(remove(&partial)))?;
    if target.exists() {
        fs::rename(target, &former)
            .with_context(|| format!("cannot replace {}", target.display()))?;
    }
    fs::rename(&partial, target).with_context(|| format!("cannot make {}", target.display()))?;
    remove(&former)?;
    Ok(export.facts())
}

/// Only a repository of ours is replaced, and only when asked to.
fn check_target(target: &Path, force: bool) -> Result<()> {
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
    if let Some(other) = names
        .iter()
        .find(|name| MODELS.iter().all(|model| name.as_os_str() != *model))
    {
        bail!(
            "{}: it holds {}, which is no part of a SenseVoice repository",
            context(),
            other.to_string_lossy()
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

/// An export whose pieces are there and fit each other.
#[derive(Debug)]
struct Export {
    onnx: PathBuf,
    signature: Signature,
    cmvn: PathBuf,
    config: PathBuf,
    tokenizer: PathBuf,
    feature_dim: usize,
    pieces: usize,
}

impl Export {
    /// Finds and checks the pieces; the error tells everything that is missing or does not fit.
    fn find(options: &Sensevoice) -> Result<Self> {
        let from = &options.from;
        if !from.is_dir() {
            bail!("{} is not a directory", from.display());
        }
        let mut problems = Vec::new();
        let onnx = note(&mut problems, find_onnx(from, options.quantized));
        let cmvn = note(&mut problems, find_file(from, "am.mvn"));
        let config = note(&mut problems, find_file(from, "config.yaml"));
        let tokenizer = note(&mut problems, find_tokenizer(from));
        let read = Read {
            signature: onnx
                .as_deref()
                .and_then(|path| note(&mut problems, named(path, onnx::read(path)))),
            cmvn: cmvn
                .as_deref()
                .and_then(|path| note(&mut problems, named(path, Cmvn::read(path)))),
            options: config
                .as_deref()
                .and_then(|path| note(&mut problems, read_options(path))),
            tokenizer: tokenizer
                .as_deref()
                .and_then(|path| note(&mut problems, named(path, Tokenizer::from_file(path)))),
        };
        problems.extend(read.mismatches(from, onnx.as_deref(), tokenizer.as_deref()));
        if !problems.is_empty() {
            bail!(
                "{} cannot be used:\n  - {}",
                from.display(),
                problems.join("\n  - ")
            );
        }
        let parts = (
            onnx,
            read.signature,
            cmvn,
            config,
            tokenizer,
            read.options,
            read.tokenizer,
        );
        let (
            Some(onnx),
            Some(signature),
            Some(cmvn),
            Some(config),
            Some(tokenizer),
            Some(options),
            Some(pieces),
        ) = parts
        else {
            bail!("{} is incomplete", from.display());
        };
        Ok(Self {
            onnx,
            signature,
            cmvn,
            config,
            tokenizer,
            feature_dim: options.feature_dim(),
            pieces: pieces.len(),
        })
    }

    /// Writes the template's configurations and the export's files to `target`.
    fn write(&self, template: &Path, target: &Path) -> Result<()> {
        for model in MODELS {
            fs::create_dir_all(target.join(model).join("1"))?;
            let config = Path::new(model).join("config.pbtxt");
            let text = fs::read_to_string(template.join(&config))
                .with_context(|| format!("cannot read {}", template.join(&config).display()))?;
            let dims = format!("dims: [ -1, {} ]", self.feature_dim);
            fs::write(target.join(config), text.replace(FEATURE_DIMS, &dims))?;
        }
        let encoder = target.join("encoder/1");
        place::place(&self.onnx, &encoder.join("model.onnx"))?;
        for file in &self.signature.external_files {
            place::place(&self.onnx.with_file_name(file), &encoder.join(file))?;
        }
        place::place(&self.cmvn, &target.join("feature_extractor/am.mvn"))?;
        place::place(&self.config, &target.join("feature_extractor/config.yaml"))?;
        place::place(&self.tokenizer, &target.join("scoring").join(TOKENIZER))
    }

    fn facts(&self) -> String {
        format!(
            "{}, {} features, {} pieces",
            name_of(&self.onnx),
            self.feature_dim,
            self.pieces
        )
    }
}

/// What could be read of the pieces.
struct Read {
    signature: Option<Signature>,
    cmvn: Option<Cmvn>,
    options: Option<FrontendOptions>,
    tokenizer: Option<Tokenizer>,
}

impl Read {
    fn mismatches(
        &self,
        directory: &Path,
        onnx: Option<&Path>,
        tokenizer: Option<&Path>,
    ) -> Vec<String> {
        let file = onnx.map(name_of).unwrap_or_default();
        let tokenizer = tokenizer.map(name_of).unwrap_or_default();
        let mut found = Vec::new();
        if let (Some(cmvn), Some(options)) = (&self.cmvn, &self.options) {
            found.extend(check::cmvn(cmvn.dim(), options));
        }
        if let Some(signature) = &self.signature {
            found.extend(check::tensors(&file, signature));
            found.extend(check::weights(&file, signature, directory));
            found.extend(
                self.options
                    .iter()
                    .filter_map(|options| check::speech(&file, signature, options)),
            );
            found.extend(self.tokenizer.iter().filter_map(|pieces| {
                check::vocabulary(&file, signature, &tokenizer, pieces.len())
            }));
        }
        found.iter().map(ToString::to_string).collect()
    }
}

/// Keeps a problem for later.
fn note<T>(problems: &mut Vec<String>, result: Result<T, String>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// Puts the file's name in front of an error.
fn named<T>(path: &Path, result: Result<T, impl std::fmt::Display>) -> Result<T, String> {
    result.map_err(|error| format!("{}: {error}", name_of(path)))
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn read_options(path: &Path) -> Result<FrontendOptions, String> {
    let text = named(path, fs::read_to_string(path))?;
    named(path, FrontendOptions::from_yaml(&text))
}

fn find_file(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let path = directory.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("no {name}"))
    }
}

fn find_onnx(directory: &Path, quantized: bool) -> Result<PathBuf, String> {
    let (wanted, other, remedy) = if quantized {
        (
            "model_quant.onnx",
            "model.onnx",
            "leave out --quantized to take it",
        )
    } else {
        (
            "model.onnx",
            "model_quant.onnx",
            "give --quantized to take it",
        )
    };
    find_file(directory, wanted).map_err(|problem| {
        if directory.join(other).is_file() {
            format!("{problem}; there is {other}: {remedy}")
        } else if directory.join("model.pt").is_file() {
            format!(
                "{problem}; model.pt is there: export it with FunASR (see {TEMPLATE}/README.md)"
            )
        } else {
            problem
        }
    })
}

fn find_tokenizer(directory: &Path) -> Result<PathBuf, String> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| name_of(path).ends_with(".bpe.model"))
        .collect();
    found.sort();
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err("no .bpe.model (the sentencepiece model)".to_owned()),
        _ => {
            let names: Vec<_> = found.iter().map(|path| name_of(path)).collect();
            Err(format!(
                "several .bpe.model files: {}; leave one",
                names.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests;
