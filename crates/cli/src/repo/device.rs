//! Where the ONNX models of a repository run: what `--device` changes in their configurations.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// The processor, also where there is a GPU
    Cpu,
    /// NVIDIA GPUs, by ONNX Runtime's CUDA provider; without a GPU or the provider the models do not load
    Cuda,
    /// NVIDIA GPUs, by TensorRT in half precision where it can, with the engines kept in /var/cache/triton-funasr
    Tensorrt,
}

/// What the templates say of their ONNX models.
const ANYWHERE: &str =
    "# On the GPUs where there are any, else on the CPU.\ninstance_group [ { count: 1 } ]";

impl Device {
    /// How the templates write where the models run, and how they are to write it.
    pub(super) fn replacement(self) -> (String, String) {
        let text = match self {
            Self::Cpu => "instance_group [ { count: 1, kind: KIND_CPU } ]".to_owned(),
            Self::Cuda => on_gpus("{ name: \"cuda\" }"),
            // Engines depend on the lengths of recordings: without a cache each start builds them anew, for minutes.
            Self::Tensorrt => on_gpus(
                "{\n      name: \"tensorrt\"\n      parameters [\n        { key: \"precision_mode\" value: \"FP16\" },\n        \
                 { key: \"trt_engine_cache_enable\" value: \"1\" },\n        \
                 { key: \"trt_engine_cache_path\" value: \"/var/cache/triton-funasr\" },\n        \
                 { key: \"trt_engine_cache_prefix\" value: \"ENGINES\" }\n      ]\n    }",
            ),
        };
        (ANYWHERE.to_owned(), text)
    }
}

/// A config with a name for its model's engines that no other file's have: ONNX Runtime knows engines by the names in a graph, which all
/// exports of a kind share, and would take those of other weights. `model` has the files in its version.
pub(crate) fn name_engines(text: String, name: &str, model: &Path) -> Result<String> {
    const UNNAMED: &str = "\"ENGINES\"";
    if !text.contains(UNNAMED) {
        return Ok(text);
    }
    let version = model.join("1");
    let mut files: Vec<PathBuf> = fs::read_dir(&version)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    let mut hasher = crc32fast::Hasher::new();
    for file in files {
        let mut read = || -> io::Result<()> {
            let mut reader = BufReader::with_capacity(1 << 20, File::open(&file)?);
            loop {
                let bytes = reader.fill_buf()?;
                if bytes.is_empty() {
                    return Ok(());
                }
                hasher.update(bytes);
                let count = bytes.len();
                reader.consume(count);
            }
        };
        read().with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(text.replace(UNNAMED, &format!("\"{name}-{:08x}\"", hasher.finalize())))
}

fn on_gpus(accelerator: &str) -> String {
    format!(
        "instance_group [ {{ count: 1, kind: KIND_GPU }} ]\noptimization {{\n  execution_accelerators {{\n    \
         gpu_execution_accelerator: [ {accelerator} ]\n  }}\n}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::templates::{self, Template};

    #[test]
    fn engines_are_named_by_what_is_in_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("1/model.onnx");
        fs::create_dir(directory.path().join("1")).unwrap();
        let (_, text) = Device::Tensorrt.replacement();
        let named = |content: &str| {
            fs::write(&file, content).unwrap();
            name_engines(text.clone(), "encoder", directory.path()).unwrap()
        };
        let (one, other) = (named("weights"), named("other weights"));
        assert_ne!(one, other);
        assert_eq!(one, named("weights"));
        assert!(one.contains("{ key: \"trt_engine_cache_prefix\" value: \"encoder-"));
        let (_, text) = Device::Cuda.replacement();
        assert_eq!(
            name_engines(text.clone(), "encoder", directory.path()).unwrap(),
            text
        );
    }

    /// Each model with a file of its own says where it runs, in the words that are replaced.
    #[test]
    fn the_templates_say_it_in_these_words() {
        let templates = [
            (Template::Sensevoice, vec!["encoder"]),
            (Template::Paraformer, vec!["encoder"]),
            (Template::ParaformerOnline, vec!["encoder", "decoder"]),
        ];
        for (template, models) in templates {
            for model in models {
                for (config, text) in templates::configs(template, model) {
                    assert_eq!(text.matches(ANYWHERE).count(), 1, "{}", config.display());
                }
            }
        }
    }
}
