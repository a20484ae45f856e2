//! The repository that the bench serves: the demo's models as users get them, Python steps with the same tensors, ensembles of
//! those, and pipelines, all around the same ONNX models.
//!
//! | name | |
//! |---|---|
//! | `X` | as users get it |
//! | `python_X` | the same in Python, or the ensemble of Python steps |
//! | `pipeline_X` | the pipeline, and the models it calls where the ensemble's have another config |
//! | `wide_X` | scoring over a vocabulary of the published models' size |
//! | `transport_…` | nothing but the transport of a step's tensors |

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message as _;

use super::tools::Tools;
use crate::demo;
use crate::repo::Kind;

/// Sizes of the published models' vocabularies.
pub(super) const CTC_WIDTH: usize = 25_055;
pub(super) const TOKENS_WIDTH: usize = 8_404;
const PIECES: &str = "chn_jpn_yue_eng_ko_spectok.bpe.model";

/// Steps with a config that Python can share.
const OFFLINE_STEPS: [&str; 4] = [
    "sensevoice_feature_extractor",
    "sensevoice_scoring",
    "paraformer_feature_extractor",
    "paraformer_scoring",
];
/// Steps whose states the Python backend has to keep by itself, which takes another config.
const STREAMING_STEPS: [&str; 3] = [
    "online_feature_extractor",
    "online_lfr_cmvn_pe",
    "online_cif_search",
];
/// What clients call.
pub(super) const TOP: [&str; 3] = ["sensevoice", "infer_pipeline", "streaming_paraformer"];

/// The repositories.
#[derive(Debug, Clone)]
pub(super) struct Models {
    /// Everything.
    pub(super) all: PathBuf,
    /// The ONNX models alone, the same with native steps, the same with Python steps; and nothing.
    pub(super) onnx: PathBuf,
    pub(super) native: PathBuf,
    pub(super) python: PathBuf,
    /// The steps without ONNX models.
    pub(super) native_steps: PathBuf,
    pub(super) python_steps: PathBuf,
    pub(super) empty: PathBuf,
}

impl Models {
    /// Makes them.
    pub(super) fn write(tools: &Tools) -> Result<Self> {
        let root = tools.directory.join("models");
        crate::files::remove(&root)?;
        let repository = |name: &str| -> Result<PathBuf> {
            let path = root.join(name);
            fs::create_dir_all(&path)?;
            Ok(path)
        };
        let models = Self {
            all: repository("all")?,
            onnx: repository("onnx")?,
            native: repository("native")?,
            python: repository("python")?,
            native_steps: repository("native_steps")?,
            python_steps: repository("python_steps")?,
            empty: repository("empty")?,
        };
        let source = demo::common_repository_of_scores(&tools.layout, &Kind::ALL)?;
        let scripts = tools.layout.project.join("benches/python_steps");
        for name in names_in(&source)? {
            let from = source.join(&name);
            for repository in [&models.all, &models.native] {
                copy(&from, &repository.join(&name), &raw)?;
            }
            if ["encoder", "decoder"]
                .iter()
                .any(|kind| name.ends_with(kind))
            {
                for repository in [&models.onnx, &models.python] {
                    copy(&from, &repository.join(&name), &str::to_owned)?;
                }
            }
        }
        for repository in [&models.all, &models.python] {
            add_python(&models.native, &scripts, repository)?;
        }
        for step in OFFLINE_STEPS.iter().chain(&STREAMING_STEPS) {
            let python = format!("python_{step}");
            copy(
                &models.native.join(step),
                &models.native_steps.join(step),
                &str::to_owned,
            )?;
            copy(
                &models.python.join(&python),
                &models.python_steps.join(&python),
                &str::to_owned,
            )?;
        }
        add_pipelines(&models.all)?;
        add_wide(&models.all, &scripts)?;
        Ok(models)
    }

    /// Adds a model with the scheduling of `like`, which answers with made-up outputs (`name TYPE 1,2; …`).
    pub(super) fn add_transport(&self, name: &str, like: &str, answer: &str) -> Result<()> {
        let config = fs::read_to_string(self.all.join(like).join("config.pbtxt"))?;
        let config = with_parameters(
            &config,
            &format!("{{ key: \"answer\" value: {{ string_value: \"{answer}\" }} }}"),
        );
        let config = config.replace("backend: \"funasr\"", "backend: \"transport\"");
        let directory = self.all.join(name);
        fs::create_dir_all(directory.join("1"))?;
        fs::write(directory.join("config.pbtxt"), renamed(&config, name))?;
        Ok(())
    }
}

pub(super) fn names_in(directory: &Path) -> Result<Vec<String>> {
    let mut names = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Copies a model's directory; `edit` turns its config's text into another.
fn copy(from: &Path, to: &Path, edit: &dyn Fn(&str) -> String) -> Result<()> {
    fs::create_dir_all(to)?;
    for name in names_in(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to, edit)?;
        } else if name.ends_with(".pbtxt") {
            fs::write(&to, edit(&fs::read_to_string(&from)?))?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Tokens one after the other: what the Python steps do. No other parameter is the text "false".
fn raw(config: &str) -> String {
    config.replace("string_value: \"false\"", "string_value: \"true\"")
}

pub(super) fn renamed(config: &str, name: &str) -> String {
    let lines = config.lines().map(|line| {
        if line.starts_with("name:") {
            format!("name: \"{name}\"")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The config with other parameters.
fn with_parameters(config: &str, parameters: &str) -> String {
    let Some((before, rest)) = config.split_once("\nparameters [\n") else {
        return config.to_owned();
    };
    let after = rest.split_once("\n]\n").map_or("", |(_, after)| after);
    format!("{before}\nparameters [ {parameters} ]\n{after}")
}

/// Adds the Python steps and their ensembles.
fn add_python(native: &Path, scripts: &Path, repository: &Path) -> Result<()> {
    for step in OFFLINE_STEPS {
        add_python_step(&native.join(step), scripts, repository, &|config| {
            config.replace("backend: \"funasr\"", "backend: \"python\"")
        })?;
    }
    for step in STREAMING_STEPS {
        let path = scripts.join("configs").join(format!("{step}.pbtxt"));
        let config =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let hidden = hidden_size(&native.join(step));
        let config = config
            .replace("DECODER", "online_decoder")
            .replace("OUTPUT_SIZE", &hidden);
        add_python_step(&native.join(step), scripts, repository, &|_| config.clone())?;
    }
    for top in TOP {
        let name = format!("python_{top}");
        copy(&native.join(top), &repository.join(&name), &|config| {
            let steps = OFFLINE_STEPS.iter().chain(&STREAMING_STEPS);
            steps.fold(renamed(config, &name), |config, step| {
                config.replace(
                    &format!("model_name: \"{step}\""),
                    &format!("model_name: \"python_{step}\""),
                )
            })
        })?;
        // Read only with --model-config-name.
        crate::files::remove(&repository.join(&name).join("configs"))?;
    }
    Ok(())
}

pub(super) fn add_python_step(
    native: &Path,
    scripts: &Path,
    repository: &Path,
    edit: &dyn Fn(&str) -> String,
) -> Result<()> {
    let step = native.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("python_{step}");
    let target = repository.join(&name);
    copy(native, &target, &|config| renamed(&edit(config), &name))?;
    for script in names_in(scripts)?
        .iter()
        .filter(|name| name.ends_with(".py"))
    {
        fs::copy(scripts.join(script), target.join("1").join(script))?;
    }
    Ok(())
}

/// `output_size` of a model's config.yaml.
fn hidden_size(model: &Path) -> String {
    let text = fs::read_to_string(model.join("config.yaml")).unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("output_size:"));
    value.unwrap_or("512").trim().to_owned()
}

/// What pipelines call.
const CALLED: [&str; 4] = [
    "sensevoice_encoder",
    "paraformer_encoder",
    "online_encoder",
    "online_decoder",
];

/// Adds the pipelines beside the ensembles. What they call has no batcher.
fn add_pipelines(all: &Path) -> Result<()> {
    for name in CALLED.iter().chain(&TOP) {
        let target = all.join(format!("pipeline_{name}"));
        copy(&all.join(name), &target, &str::to_owned)?;
        let config = fs::read_to_string(target.join("configs/pipeline.pbtxt"))?;
        let config = CALLED.iter().fold(config, |config, called| {
            config.replace(&format!("\"{called}\""), &format!("\"pipeline_{called}\""))
        });
        fs::write(
            target.join("config.pbtxt"),
            renamed(&config, &format!("pipeline_{name}")),
        )?;
        crate::files::remove(&target.join("configs"))?;
    }
    Ok(())
}

/// A piece of a sentencepiece model, as far as it is needed.
#[derive(Clone, PartialEq, prost::Message)]
struct Piece {
    #[prost(string, tag = "1")]
    piece: String,
    #[prost(float, tag = "2")]
    score: f32,
}

/// A sentencepiece model is a message too; one appended to another adds its pieces.
#[derive(Clone, PartialEq, prost::Message)]
struct Pieces {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
}

/// Adds scoring over large vocabularies: the demo's, and made-up entries behind it.
fn add_wide(all: &Path, scripts: &Path) -> Result<()> {
    for step in ["sensevoice_scoring", "paraformer_scoring"] {
        let name = format!("wide_{step}");
        copy(&all.join(step), &all.join(&name), &|config| {
            renamed(config, &name)
        })?;
    }
    let path = all.join("wide_sensevoice_scoring").join(PIECES);
    let mut bytes = fs::read(&path)?;
    let known = Pieces::decode(&bytes[..])?.pieces.len();
    let pieces = (known..CTC_WIDTH).map(|id| Piece {
        piece: format!("▁w{id}"),
        score: -20.0,
    });
    bytes.extend(
        Pieces {
            pieces: pieces.collect(),
        }
        .encode_to_vec(),
    );
    fs::write(&path, bytes)?;
    let path = all.join("wide_paraformer_scoring/tokens.json");
    let mut tokens: Vec<String> = serde_json::from_slice(&fs::read(&path)?)?;
    tokens.extend((tokens.len()..TOKENS_WIDTH).map(|id| format!("w{id}")));
    fs::write(&path, serde_json::to_vec(&tokens)?)?;
    for step in ["wide_sensevoice_scoring", "wide_paraformer_scoring"] {
        add_python_step(&all.join(step), scripts, all, &|config| {
            config.replace("backend: \"funasr\"", "backend: \"python\"")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_renamed_and_given_other_parameters() {
        let config = "# x\nname: \"a\"\nmax_batch_size: 4\nparameters [\n  {\n    key: \"k\"\n  }\n]\n\ninput [\n]\n";
        let changed = with_parameters(&renamed(config, "b"), "{ key: \"n\" }");
        assert_eq!(
            changed,
            "# x\nname: \"b\"\nmax_batch_size: 4\nparameters [ { key: \"n\" } ]\n\ninput [\n]\n"
        );
    }

    #[test]
    fn appended_pieces_add_to_a_model() {
        let of = |text: &str| Pieces {
            pieces: vec![Piece {
                piece: text.to_owned(),
                score: 0.5,
            }],
        };
        let bytes = [of("a").encode_to_vec(), of("b").encode_to_vec()].concat();
        let both = Pieces::decode(&bytes[..]).unwrap();
        assert_eq!(both.pieces.len(), 2);
        assert_eq!(both.pieces[1].piece, "b");
    }
}
