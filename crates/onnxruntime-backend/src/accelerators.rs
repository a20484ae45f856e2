//! The execution providers that a model's config asks for.

use ort::ep::{
    ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProvider, ExecutionProviderDispatch,
    OpenVINO, TensorRT,
};
use triton_backend::{Accelerator, Error, ErrorCode, InstanceKind, ModelConfig};

use crate::options::choice;

/// A provider of ONNX Runtime with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) kind: Kind,
    pub(crate) options: Vec<(String, String)>,
    /// The config names it; without that, a library that lacks it is no reason to fail.
    pub(crate) demanded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TensorRt,
    Cuda,
    OpenVino,
}

/// The providers for an instance, in order of preference; the CPU comes after them all.
pub(crate) fn providers(
    config: &ModelConfig,
    kind: InstanceKind,
    device: i32,
) -> Result<Vec<Provider>, Error> {
    let accelerators = config.optimization.execution_accelerators.as_ref();
    let mut providers = Vec::new();
    if kind == InstanceKind::Gpu {
        let gpu = accelerators.map_or(&[][..], |all| &all.gpu_execution_accelerator);
        let mut cuda = Provider {
            kind: Kind::Cuda,
            options: cuda_parameters(config)?,
            demanded: false,
        };
        for accelerator in gpu {
            match accelerator.name.as_str() {
                "tensorrt" => providers.push(Provider {
                    kind: Kind::TensorRt,
                    options: with_device(tensorrt_options(accelerator)?, device),
                    demanded: true,
                }),
                "cuda" => {
                    cuda.demanded = true;
                    for (key, value) in &accelerator.parameters {
                        set(&mut cuda.options, key, value);
                    }
                }
                other => return Err(unknown("gpu", other, "tensorrt and cuda")),
            }
        }
        cuda.options = with_device(cuda.options, device);
        providers.push(cuda);
    }
    let cpu = accelerators.map_or(&[][..], |all| &all.cpu_execution_accelerator);
    for accelerator in cpu {
        match accelerator.name.as_str() {
            "openvino" => providers.push(Provider {
                kind: Kind::OpenVino,
                options: openvino_options(accelerator),
                demanded: true,
            }),
            other => return Err(unknown("cpu", other, "openvino")),
        }
    }
    Ok(providers)
}

fn unknown(list: &str, name: &str, known: &str) -> Error {
    Error::Config(format!(
        "optimization.execution_accelerators: unknown {list}_execution_accelerator '{name}'; there are {known}"
    ))
}

fn set(options: &mut Vec<(String, String)>, key: &str, value: &str) {
    options.retain(|(present, _)| present != key);
    options.push((key.to_owned(), value.to_owned()));
}

fn with_device(mut options: Vec<(String, String)>, device: i32) -> Vec<(String, String)> {
    set(&mut options, "device_id", &device.to_string());
    options
}

/// The CUDA options that stand among the model's parameters.
fn cuda_parameters(config: &ModelConfig) -> Result<Vec<(String, String)>, Error> {
    const SEARCHES: [&str; 3] = ["EXHAUSTIVE", "HEURISTIC", "DEFAULT"];
    const STRATEGIES: [&str; 2] = ["kNextPowerOfTwo", "kSameAsRequested"];
    let parameters = &config.parameters;
    let mut options = Vec::new();
    let key = "cudnn_conv_algo_search";
    if let Some(search) = choice(parameters, key, SEARCHES.len() - 1)? {
        set(&mut options, key, SEARCHES[search]);
    }
    let key = "arena_extend_strategy";
    if let Some(strategy) = choice(parameters, key, STRATEGIES.len() - 1)? {
        set(&mut options, key, STRATEGIES[strategy]);
    }
    let key = "gpu_mem_limit";
    if let Some(limit) = parameters.get::<usize>(key)? {
        set(&mut options, key, &limit.to_string());
    }
    let key = "do_copy_in_default_stream";
    if let Some(same_stream) = parameters.flag(key)? {
        set(&mut options, key, if same_stream { "1" } else { "0" });
    }
    Ok(options)
}

/// The server's documented names for TensorRT's options; those that start with `trt_` are ONNX Runtime's own.
fn tensorrt_options(accelerator: &Accelerator) -> Result<Vec<(String, String)>, Error> {
    let mut options = Vec::new();
    for (key, value) in &accelerator.parameters {
        match key.as_str() {
            "precision_mode" => match value.as_str() {
                "FP32" => {}
                "FP16" => set(&mut options, "trt_fp16_enable", "1"),
                "BF16" => set(&mut options, "trt_bf16_enable", "1"),
                "INT8" => set(&mut options, "trt_int8_enable", "1"),
                other => {
                    let message = format!("'{other}' is none of FP32, FP16, BF16 and INT8");
                    return Err(Error::parameter("tensorrt precision_mode", message));
                }
            },
            "max_workspace_size_bytes" => set(&mut options, "trt_max_workspace_size", value),
            "int8_calibration_table_name" => {
                set(&mut options, "trt_int8_calibration_table_name", value);
            }
            "int8_use_native_calibration_table" => {
                let value = number_of_flag(value);
                set(&mut options, "trt_int8_use_native_calibration_table", value);
            }
            key if key.starts_with("trt_") => set(&mut options, key, number_of_flag(value)),
            other => {
                let message = "is unknown; ONNX Runtime's own options start with trt_";
                return Err(Error::parameter(format!("tensorrt {other}"), message));
            }
        }
    }
    Ok(options)
}

/// ONNX Runtime takes truth values as numbers.
fn number_of_flag(value: &str) -> &str {
    match value {
        "true" => "1",
        "false" => "0",
        other => other,
    }
}

fn openvino_options(accelerator: &Accelerator) -> Vec<(String, String)> {
    let mut options = vec![("device_type".to_owned(), "CPU".to_owned())];
    for (key, value) in &accelerator.parameters {
        set(&mut options, key, value);
    }
    options
}

impl Kind {
    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "TensorRT",
            Self::Cuda => "CUDA",
            Self::OpenVino => "OpenVINO",
        }
    }

    /// Whether the library was built with it.
    pub(crate) fn is_available(self) -> bool {
        let available = match self {
            Self::TensorRt => TensorRT::is_available(),
            Self::Cuda => CUDA::is_available(),
            Self::OpenVino => OpenVINO::is_available(),
        };
        available.unwrap_or(false)
    }
}

impl Provider {
    /// The provider as a session takes it, or `None` if the library was built without it and the config can do without.
    pub(crate) fn resolve(
        &self,
        library: &str,
    ) -> Result<Option<ExecutionProviderDispatch>, Error> {
        if !self.kind.is_available() {
            if !self.demanded {
                return Ok(None);
            }
            let name = self.kind.name();
            return Err(Error::new(
                ErrorCode::Unsupported,
                format!(
                    "the config asks for the accelerator {name}, but {library} was built without it; use a library that has it, \
                     or take the accelerator out of the config"
                ),
            ));
        }
        let provider = match self.kind {
            Kind::TensorRt => configure(TensorRT::default(), &self.options).build(),
            Kind::Cuda => configure(CUDA::default(), &self.options).build(),
            Kind::OpenVino => configure(OpenVINO::default(), &self.options).build(),
        };
        Ok(Some(provider.error_on_failure()))
    }
}

fn configure<P: ArbitrarilyConfigurableExecutionProvider>(
    provider: P,
    options: &[(String, String)],
) -> P {
    options.iter().fold(provider, |provider, (key, value)| {
        provider.with_arbitrary_config(key, value)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(json: &serde_json::Value) -> ModelConfig {
        ModelConfig::from_json(&json.to_string()).unwrap()
    }

    fn pairs(options: &[(String, String)]) -> Vec<(&str, &str)> {
        options
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    #[test]
    fn the_cpu_needs_no_provider() {
        let json = json!({"parameters": {"cudnn_conv_algo_search": {"string_value": "2"}}});
        assert_eq!(providers(&config(&json), InstanceKind::Cpu, 0).unwrap(), []);
    }

    #[test]
    fn a_gpu_gets_cuda_with_the_parameters_of_the_model() {
        let json = json!({"parameters": {
            "cudnn_conv_algo_search": {"string_value": "2"},
            "gpu_mem_limit": {"string_value": "4294967200"},
            "arena_extend_strategy": {"string_value": "1"},
            "do_copy_in_default_stream": {"string_value": "0"},
        }});
        let found = providers(&config(&json), InstanceKind::Gpu, 3).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind, Kind::Cuda);
        assert!(!found[0].demanded);
        assert_eq!(
            pairs(&found[0].options),
            [
                ("cudnn_conv_algo_search", "DEFAULT"),
                ("arena_extend_strategy", "kSameAsRequested"),
                ("gpu_mem_limit", "4294967200"),
                ("do_copy_in_default_stream", "0"),
                ("device_id", "3"),
            ]
        );
    }

    #[test]
    fn tensorrt_comes_before_cuda_and_options_are_translated() {
        let json = json!({"optimization": {"execution_accelerators": {"gpu_execution_accelerator": [
            {"name": "tensorrt", "parameters": {
                "precision_mode": "FP16", "max_workspace_size_bytes": "1073741824", "trt_engine_cache_enable": "true"}},
            {"name": "cuda", "parameters": {"cudnn_conv_use_max_workspace": "0"}},
        ]}}});
        let found = providers(&config(&json), InstanceKind::Gpu, 0).unwrap();
        assert_eq!(
            found
                .iter()
                .map(|provider| provider.kind)
                .collect::<Vec<_>>(),
            [Kind::TensorRt, Kind::Cuda]
        );
        assert_eq!(
            pairs(&found[0].options),
            [
                ("trt_max_workspace_size", "1073741824"),
                ("trt_fp16_enable", "1"),
                ("trt_engine_cache_enable", "1"),
                ("device_id", "0"),
            ]
        );
        assert_eq!(
            pairs(&found[1].options),
            [("cudnn_conv_use_max_workspace", "0"), ("device_id", "0")]
        );
        assert_eq!(providers(&config(&json), InstanceKind::Cpu, 0).unwrap(), []);
    }

    #[test]
    fn unknown_accelerators_and_options_are_named() {
        let with = |list: &str, accelerator: serde_json::Value| {
            let json = json!({"optimization": {"execution_accelerators": {list: [accelerator]}}});
            providers(&config(&json), InstanceKind::Gpu, 0)
                .unwrap_err()
                .to_string()
        };
        assert!(with("gpu_execution_accelerator", json!({"name": "gpu_io"})).contains("'gpu_io'"));
        assert!(with("cpu_execution_accelerator", json!({"name": "dnnl"})).contains("'dnnl'"));
        let option = json!({"name": "tensorrt", "parameters": {"precision": "FP16"}});
        assert!(with("gpu_execution_accelerator", option).contains("'tensorrt precision'"));
        let precision = json!({"name": "tensorrt", "parameters": {"precision_mode": "FP8"}});
        assert!(with("gpu_execution_accelerator", precision).contains("'FP8'"));
    }

    #[test]
    fn openvino_runs_on_the_cpu_by_default() {
        let json = json!({"optimization": {"execution_accelerators": {"cpu_execution_accelerator": [{"name": "openvino"}]}}});
        let found = providers(&config(&json), InstanceKind::Cpu, 0).unwrap();
        assert_eq!(pairs(&found[0].options), [("device_type", "CPU")]);
    }
}
