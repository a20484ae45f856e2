//! Where the ONNX models of a repository run: what `--device` changes in their configurations.

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
                 { key: \"trt_engine_cache_path\" value: \"/var/cache/triton-funasr\" }\n      ]\n    }",
            ),
        };
        (ANYWHERE.to_owned(), text)
    }
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
