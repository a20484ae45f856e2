//! Finding and reading the pieces of an export.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use asr_decode::sentencepiece::Tokenizer;
use asr_decode::vocabulary::{Vocabulary, VocabularyError};
use onnx_file::Interface;
use wav_frontend::{Cmvn, FrontendOptions, OptionsError, yaml};

use super::kind::Kind;
use super::options::Options;

/// A file of the export, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Piece<T> {
    pub(super) path: PathBuf,
    pub(super) content: T,
}

impl<T> Piece<T> {
    /// The file's name.
    pub(super) fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// An ONNX file.
pub(super) type Onnx = Piece<Interface>;

impl Onnx {
    /// The file and the files of its weights, with their places: `directory` of the repository, the file as `name`.
    pub(super) fn places(&self, directory: &str, name: &str) -> Vec<(PathBuf, String)> {
        let weights = self.content.external_files.iter().map(|file| {
            (
                self.path.with_file_name(file),
                format!("{directory}/{file}"),
            )
        });
        std::iter::once((self.path.clone(), format!("{directory}/{name}")))
            .chain(weights)
            .collect()
    }
}

/// What a config.yaml says of the front end and the encoder.
#[derive(Debug, Clone)]
pub(super) struct ModelConfig {
    pub(super) frontend: FrontendOptions,
    /// `encoder_conf.output_size`
    pub(super) encoder_size: Option<usize>,
}

impl ModelConfig {
    fn parse(text: &str) -> Result<Self, OptionsError> {
        let frontend = FrontendOptions::from_yaml(text)?;
        let encoder = match yaml::section(text, "encoder_conf") {
            Err(OptionsError::MissingSection { .. }) => Vec::new(),
            section => section?,
        };
        let encoder_size = encoder
            .into_iter()
            .find(|(key, _)| key == "output_size")
            .and_then(|(_, value)| value?.parse().ok());
        Ok(Self {
            frontend,
            encoder_size,
        })
    }
}

/// Looks for pieces in an export and remembers what was wrong with them.
#[derive(Debug)]
pub(super) struct Search<'a> {
    kind: Kind,
    directory: &'a Path,
    quantized: bool,
    problems: Vec<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(kind: Kind, options: &'a Options) -> Result<Self> {
        let directory = options.from.as_path();
        if !directory.is_dir() {
            bail!("{} is not a directory", directory.display());
        }
        Ok(Self {
            kind,
            directory,
            quantized: options.common.quantized,
            problems: Vec::new(),
        })
    }

    /// `stem.onnx`, or `stem_quant.onnx` if that is wanted.
    pub(super) fn onnx(&mut self, stem: &str) -> Option<Onnx> {
        let (plain, quantized) = (format!("{stem}.onnx"), format!("{stem}_quant.onnx"));
        let (wanted, other, remedy) = if self.quantized {
            (quantized, plain, "leave out --quantized to take it")
        } else {
            (plain, quantized, "give --quantized to take it")
        };
        let hint = if self.has(&other) {
            format!("; there is {other}: {remedy}")
        } else if self.has("model.pt") {
            format!(
                "; model.pt is there: export it with FunASR (see {}/README.md)",
                self.kind.template().directory()
            )
        } else {
            String::new()
        };
        self.piece(&wanted, &hint, Interface::read)
    }

    /// am.mvn
    pub(super) fn cmvn(&mut self) -> Option<Piece<Cmvn>> {
        self.piece("am.mvn", "", |path| Cmvn::read(path))
    }

    /// config.yaml
    pub(super) fn config(&mut self) -> Option<Piece<ModelConfig>> {
        self.piece("config.yaml", "", |path| -> Result<_> {
            Ok(ModelConfig::parse(&fs::read_to_string(path)?)?)
        })
    }

    /// The sentencepiece model, whatever is in front of its `.bpe.model`.
    pub(super) fn tokenizer(&mut self) -> Option<Piece<Tokenizer>> {
        let mut found: Vec<_> = fs::read_dir(self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| name_of(&entry.path()))
            .filter(|name| name.ends_with(".bpe.model"))
            .collect();
        found.sort();
        match found.as_slice() {
            [name] => self.piece(name, "", |path| Tokenizer::from_file(path)),
            [] => self.miss("no .bpe.model (the sentencepiece model)"),
            several => self.miss(format!(
                "several .bpe.model files: {}; leave one",
                several.join(", ")
            )),
        }
    }

    /// tokens.json, or else the `token_list` in config.yaml.
    pub(super) fn vocabulary(&mut self) -> Option<Piece<Vocabulary>> {
        const CONFIG: &str = "config.yaml";
        let read = |path: &Path| -> Result<_> { Ok(Vocabulary::from_bytes(&fs::read(path)?)?) };
        if self.has("tokens.json") || !self.has(CONFIG) {
            return self.piece("tokens.json", "", read);
        }
        let lacks_list = |error: &anyhow::Error| {
            matches!(
                error.downcast_ref(),
                Some(VocabularyError::NoTokenList { .. })
            )
        };
        match read(&self.directory.join(CONFIG)) {
            Err(error) if lacks_list(&error) => {
                self.miss("no tokens.json, and no token_list in config.yaml either")
            }
            Err(error) => self.miss(format!("no tokens.json, and in {CONFIG}: {error:#}")),
            Ok(content) => Some(Piece {
                path: self.directory.join(CONFIG),
                content,
            }),
        }
    }

    /// The file of that name, which an export need not have, read as `read` does.
    pub(super) fn optional<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Option<Piece<T>> {
        self.has(name).then(|| self.piece(name, "", read))?
    }

    /// The file of that name; `hint` says more if it is not there.
    fn piece<T, E: Display>(
        &mut self,
        name: &str,
        hint: &str,
        read: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Option<Piece<T>> {
        let path = self.directory.join(name);
        if !path.is_file() {
            return self.miss(format!("no {name}{hint}"));
        }
        match read(&path) {
            Ok(content) => Some(Piece { path, content }),
            Err(error) => self.miss(format!("{name}: {error:#}")),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.directory.join(name).is_file()
    }

    fn miss<T>(&mut self, problem: impl Into<String>) -> Option<T> {
        self.problems.push(problem.into());
        None
    }

    /// Remembers what does not fit.
    pub(super) fn tell(&mut self, problems: impl IntoIterator<Item = impl Display>) {
        self.problems
            .extend(problems.into_iter().map(|problem| problem.to_string()));
    }

    /// `pieces`, if they are all there and nothing was wrong with them; else the error tells everything that was.
    pub(super) fn verdict<T>(self, pieces: Option<T>) -> Result<T> {
        match pieces {
            Some(pieces) if self.problems.is_empty() => Ok(pieces),
            _ => bail!(
                "{} cannot be used:\n  - {}",
                self.directory.display(),
                self.problems.join("\n  - ")
            ),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
