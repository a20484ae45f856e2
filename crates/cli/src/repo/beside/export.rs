//! Finding and checking the pieces of an export.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use onnx_file::Interface;
use speech_segments::punctuation::{PunctuationOptions, PunctuationVocabulary};
use speech_segments::vad::VadOptions;
use wav_frontend::{Cmvn, Frontend, FrontendOptions};

use super::kind::Beside;
use crate::repo::options::Options;
use crate::repo::search::{Onnx, Piece};

const PLAIN: &str = "model.onnx";
const QUANTIZED: &str = "model_quant.onnx";

/// Whether a model is to be taken quantized that stands beside another one, of which that is `wanted`: as far as it has such a file.
pub(super) fn is_quantized(directory: &Path, wanted: bool) -> bool {
    let has = |name: &str| directory.join(name).is_file();
    has(QUANTIZED) && (wanted || !has(PLAIN))
}

/// An export whose pieces fit each other.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) onnx: Onnx,
    /// The files beside the ONNX file that the repository needs.
    pub(super) beside: Vec<PathBuf>,
    /// The model is told what it was asked before.
    pub(super) realtime: bool,
    pub(super) notes: Vec<String>,
    pub(super) facts: String,
}

impl Export {
    pub(super) fn read(kind: Beside, options: &Options) -> Result<Self> {
        let directory = options.from.as_path();
        if !directory.is_dir() {
            bail!("{} is not a directory", directory.display());
        }
        let mut problems = Vec::new();
        let (name, other, remedy) = match options.common.quantized {
            true => (QUANTIZED, PLAIN, "leave out --quantized to take it"),
            false => (PLAIN, QUANTIZED, "give --quantized to take it"),
        };
        let path = directory.join(name);
        let onnx = match Interface::read(&path) {
            Ok(content) => Some(Piece { path, content }),
            Err(_) if !path.is_file() => {
                problems.push(match directory.join(other).is_file() {
                    true => format!("no {name}; there is {other}: {remedy}"),
                    false => format!("no {name}: export the model with FunASR (type=\"onnx\")"),
                });
                None
            }
            Err(error) => {
                problems.push(format!("{name}: {error}"));
                None
            }
        };
        let others: &[&str] = match kind {
            Beside::Vad => &["am.mvn", "config.yaml"],
            Beside::Silero => &[],
            Beside::Punctuation => &["config.yaml", "tokens.json"],
        };
        let beside: Vec<PathBuf> = others.iter().map(|name| directory.join(name)).collect();
        for (path, name) in beside.iter().zip(others) {
            if !path.is_file() {
                problems.push(format!("no {name}"));
            }
        }
        let mut export = None;
        if let (Some(onnx), []) = (onnx, problems.as_slice()) {
            let mut own = Self {
                onnx,
                beside,
                realtime: false,
                notes: Vec::new(),
                facts: String::new(),
            };
            match kind {
                Beside::Vad => own.check_vad(&mut problems),
                Beside::Silero => {}
                Beside::Punctuation => own.check_punctuation(&mut problems),
            }
            export = Some(own);
        }
        match export {
            Some(export) if problems.is_empty() => Ok(export),
            _ => bail!(
                "{} cannot be used:\n  - {}",
                directory.display(),
                problems.join("\n  - ")
            ),
        }
    }

    /// The tensors that the component fills and reads, and the numbers that both have.
    fn check_vad(&mut self, problems: &mut Vec<String>) {
        let caches = |tensors: &[onnx_file::Tensor], prefix| {
            let caches = tensors
                .iter()
                .filter(|tensor| tensor.name.starts_with(prefix));
            caches.count()
        };
        let interface = &self.onnx.content;
        let (count, out) = (
            caches(&interface.inputs, "in_cache"),
            caches(&interface.outputs, "out_cache"),
        );
        self.lacks(
            &["speech", "in_cache0"],
            &["logits", "out_cache0"],
            problems,
        );
        if count != out {
            problems.push(format!(
                "{} has {count} inputs in_cache0… and {out} outputs",
                self.onnx.name()
            ));
        }
        let (cmvn, config) = (&self.beside[0], &self.beside[1]);
        let frontend = fs::read_to_string(config)
            .map_err(anyhow::Error::from)
            .and_then(|text| Ok(FrontendOptions::from_yaml(&text)?))
            .and_then(|options| Ok((options, Cmvn::read(cmvn)?)))
            .and_then(|(options, cmvn)| Ok(Frontend::new(options, Some(cmvn))?));
        let options = VadOptions::read(config);
        match (frontend, options) {
            (Ok(frontend), Ok(options)) => {
                let dim = frontend.feature_dim();
                let takes = dims(&self.onnx.content.inputs, "speech");
                if takes.as_ref().is_some_and(|dims| !matches!(dims[..], [_, _, size] if size == -1 || usize::try_from(size) == Ok(dim))) {
                    problems.push(format!("speech has the dimensions {takes:?}, but config.yaml's front end makes {dim} features"));
                }
                self.facts = format!(
                    "{}, {dim} features, {count} caches, segments end after {} ms of silence",
                    self.onnx.name(),
                    options.max_end_silence_time
                );
            }
            (frontend, options) => {
                problems.extend(frontend.err().map(|error| format!("front end: {error:#}")));
                problems.extend(options.err().map(|error| format!("config.yaml: {error}")));
            }
        }
    }

    fn check_punctuation(&mut self, problems: &mut Vec<String>) {
        let inputs = &self.onnx.content.inputs;
        self.realtime = inputs.iter().any(|input| input.name == "vad_masks");
        let masks: &[&str] = match self.realtime {
            true => &["inputs", "text_lengths", "vad_masks", "sub_masks"],
            false => &["inputs", "text_lengths"],
        };
        self.lacks(masks, &["logits"], problems);
        let batch =
            dims(&self.onnx.content.inputs, "inputs").and_then(|dims| dims.first().copied());
        if !self.realtime && batch.is_some_and(|batch| batch != -1) {
            let file = self.onnx.name();
            problems.push(format!(
                "{file} has a fixed batch ({batch:?}); export it anew with FunASR"
            ));
        }
        let (config, tokens) = (&self.beside[0], &self.beside[1]);
        let (options, words) = (
            PunctuationOptions::read(config),
            PunctuationVocabulary::read(tokens),
        );
        match (options, words) {
            (Ok(options), Ok(words)) => {
                let marks = options.marks.len();
                let scored = dims(&self.onnx.content.outputs, "logits");
                let last = scored.and_then(|dims| dims.last().copied());
                if last.is_some_and(|last| last != -1 && usize::try_from(last) != Ok(marks)) {
                    problems.push(format!(
                        "logits scores {last:?} marks, punc_list of config.yaml has {marks}"
                    ));
                }
                let kind = if self.realtime { "realtime, " } else { "" };
                self.facts = format!(
                    "{}, {kind}{} words, {marks} marks",
                    self.onnx.name(),
                    words.size()
                );
            }
            (options, words) => {
                problems.extend(options.err().map(|error| format!("config.yaml: {error}")));
                problems.extend(words.err().map(|error| format!("tokens.json: {error}")));
            }
        }
        if tokens.with_file_name("jieba_usr_dict").exists() {
            self.notes.push(
                "this model's Chinese words are split by jieba (jieba_usr_dict), which the component does not have: it takes characters \
                 as words, and the model knows few of them"
                    .to_owned(),
            );
        }
    }

    fn lacks(&self, inputs: &[&str], outputs: &[&str], problems: &mut Vec<String>) {
        let (file, content) = (self.onnx.name(), &self.onnx.content);
        for (what, wanted, there) in [
            ("input", inputs, &content.inputs),
            ("output", outputs, &content.outputs),
        ] {
            let missing = wanted
                .iter()
                .filter(|name| there.iter().all(|tensor| tensor.name != **name));
            problems.extend(missing.map(|name| format!("{file} has no {what} {name}")));
        }
    }
}

fn dims(tensors: &[onnx_file::Tensor], name: &str) -> Option<Vec<i64>> {
    let tensor = tensors.iter().find(|tensor| tensor.name == name)?;
    tensor.config_dims()
}
