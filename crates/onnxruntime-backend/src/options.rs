//! What a model's config says of how its session runs.

use std::str::FromStr;

use ort::session::builder::GraphOptimizationLevel;
use triton_backend::{Error, ModelConfig, Parameters};

use crate::lengths::LENGTH_INPUTS;

/// Options of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionOptions {
    /// Threads inside an operator; `None` is ONNX Runtime's default, one per core.
    pub(crate) intra_threads: Option<usize>,
    /// Threads across operators, if they run in parallel.
    pub(crate) inter_threads: Option<usize>,
    /// Independent operators run in parallel.
    pub(crate) parallel: bool,
    pub(crate) level: Level,
    pub(crate) memory_arena: Option<bool>,
    pub(crate) memory_pattern: Option<bool>,
    /// The devices whose arenas give memory back after each run, e.g. `cpu:0`.
    pub(crate) shrink_arenas: Option<String>,
    /// Entries of ONNX Runtime's own session configuration.
    pub(crate) entries: Vec<(String, String)>,
    /// All instances on a device take turns with one session.
    pub(crate) shared: bool,
}

/// How far the graph is optimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    Disabled,
    Basic,
    Extended,
    #[default]
    All,
}

impl From<Level> for GraphOptimizationLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Disabled => Self::Disable,
            Level::Basic => Self::Level1,
            Level::Extended => Self::Level2,
            Level::All => Self::All,
        }
    }
}

const INTRA_THREADS: &str = "intra_op_thread_count";
const INTER_THREADS: &str = "inter_op_thread_count";
const EXECUTION_MODE: &str = "execution_mode";
const MEMORY_ARENA: &str = "enable_mem_arena";
const MEMORY_PATTERN: &str = "enable_mem_pattern";
const SHRINK_ARENAS: &str = "memory.enable_memory_arena_shrinkage";
const SHARE_SESSION: &str = "share_session";

/// Parameters that only the CUDA provider reads; configs carry them to machines without a GPU too.
pub(crate) const CUDA_PARAMETERS: [&str; 4] = [
    "cudnn_conv_algo_search",
    "gpu_mem_limit",
    "arena_extend_strategy",
    "do_copy_in_default_stream",
];

const KNOWN: [&str; 8] = [
    LENGTH_INPUTS,
    INTRA_THREADS,
    INTER_THREADS,
    EXECUTION_MODE,
    MEMORY_ARENA,
    MEMORY_PATTERN,
    SHRINK_ARENAS,
    SHARE_SESSION,
];

/// Keys of ONNX Runtime's own session configuration start like this.
const ENTRY_PREFIXES: [&str; 4] = ["session.", "optimization.", "mlas.", "ep."];

fn is_entry(key: &str) -> bool {
    ENTRY_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The parameters that nothing here reads.
pub(crate) fn unknown_parameters(parameters: &Parameters) -> Vec<&str> {
    parameters
        .keys()
        .filter(|key| !KNOWN.contains(key) && !CUDA_PARAMETERS.contains(key) && !is_entry(key))
        .collect()
}

impl SessionOptions {
    /// Reads `parameters` and `optimization.graph`.
    pub(crate) fn from_config(config: &ModelConfig) -> Result<Self, Error> {
        let parameters = &config.parameters;
        let entries = parameters.keys().filter(|key| is_entry(key));
        Ok(Self {
            intra_threads: threads(parameters, INTRA_THREADS)?,
            inter_threads: threads(parameters, INTER_THREADS)?,
            parallel: match choice(parameters, EXECUTION_MODE, 1)? {
                None | Some(0) => false,
                Some(_) => true,
            },
            level: level(config)?,
            memory_arena: parameters.flag(MEMORY_ARENA)?,
            memory_pattern: parameters.flag(MEMORY_PATTERN)?,
            shrink_arenas: parameters.text(SHRINK_ARENAS).map(str::to_owned),
            entries: entries
                .filter_map(|key| Some((key.to_owned(), parameters.text(key)?.to_owned())))
                .collect(),
            shared: parameters.flag(SHARE_SESSION)?.unwrap_or(false),
        })
    }
}

fn level(config: &ModelConfig) -> Result<Level, Error> {
    let Some(graph) = &config.optimization.graph else {
        return Ok(Level::All);
    };
    match graph.level {
        0 => Ok(Level::All),
        -1 => Ok(Level::Basic),
        1 => Ok(Level::Extended),
        2 => Ok(Level::Disabled),
        other => Err(Error::parameter(
            "optimization.graph.level",
            format!("{other} is none of -1 (basic), 1 (basic and extended), 2 (none) and 0 (all)"),
        )),
    }
}

/// A number of threads, given here or in the server's settings; 0 leaves it to ONNX Runtime.
pub(crate) fn threads_from(key: &str, text: Option<&str>) -> Result<Option<usize>, Error> {
    let Some(text) = text else {
        return Ok(None);
    };
    match usize::from_str(text) {
        Ok(0) => Ok(None),
        Ok(count) if count <= 4096 => Ok(Some(count)),
        _ => Err(Error::parameter(
            key,
            format!("'{text}' is not a number of threads (0 leaves it to ONNX Runtime)"),
        )),
    }
}

fn threads(parameters: &Parameters, key: &str) -> Result<Option<usize>, Error> {
    threads_from(key, parameters.text(key))
}

/// One of the numbers 0 to `largest`.
pub(crate) fn choice(
    parameters: &Parameters,
    key: &str,
    largest: usize,
) -> Result<Option<usize>, Error> {
    match parameters.get::<usize>(key)? {
        Some(value) if value > largest => {
            let choices: Vec<String> = (0..=largest).map(|value| value.to_string()).collect();
            let message = format!("{value} is none of {}", choices.join(", "));
            Err(Error::parameter(key, message))
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn config(parameters: &[(&str, &str)], rest: &Value) -> ModelConfig {
        let mut json = rest.clone();
        for (key, value) in parameters {
            json["parameters"][key] = json!({"string_value": value});
        }
        ModelConfig::from_json(&json.to_string()).unwrap()
    }

    fn options(parameters: &[(&str, &str)]) -> Result<SessionOptions, Error> {
        SessionOptions::from_config(&config(parameters, &json!({})))
    }

    #[test]
    fn without_parameters_everything_is_onnx_runtimes_default() {
        assert_eq!(options(&[]).unwrap(), SessionOptions::default());
    }

    #[test]
    fn reads_every_parameter() {
        let read = options(&[
            ("intra_op_thread_count", "2"),
            ("inter_op_thread_count", "0"),
            ("execution_mode", "1"),
            ("enable_mem_arena", "0"),
            ("enable_mem_pattern", "1"),
            ("memory.enable_memory_arena_shrinkage", "cpu:0"),
            ("session.use_device_allocator_for_initializers", "1"),
            ("share_session", "true"),
            ("cudnn_conv_algo_search", "2"),
        ])
        .unwrap();
        let expected = SessionOptions {
            intra_threads: Some(2),
            inter_threads: None,
            parallel: true,
            level: Level::All,
            memory_arena: Some(false),
            memory_pattern: Some(true),
            shrink_arenas: Some("cpu:0".to_owned()),
            entries: vec![(
                "session.use_device_allocator_for_initializers".to_owned(),
                "1".to_owned(),
            )],
            shared: true,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_bad_value_names_its_key() {
        for (key, value) in [
            ("intra_op_thread_count", "-1"),
            ("inter_op_thread_count", "many"),
            ("execution_mode", "2"),
            ("enable_mem_arena", "perhaps"),
        ] {
            let message = options(&[(key, value)]).unwrap_err().to_string();
            assert!(
                message.contains(key) && message.contains(value),
                "{message}"
            );
        }
    }

    #[test]
    fn graph_levels_are_those_of_the_documentation() {
        for (level, expected) in [
            (-1, Level::Basic),
            (0, Level::All),
            (1, Level::Extended),
            (2, Level::Disabled),
        ] {
            let json = json!({"optimization": {"graph": {"level": level}}});
            let options = SessionOptions::from_config(&config(&[], &json)).unwrap();
            assert_eq!(options.level, expected);
        }
        let json = json!({"optimization": {"graph": {"level": 3}}});
        assert!(SessionOptions::from_config(&config(&[], &json)).is_err());
    }

    #[test]
    fn unknown_parameters_are_found() {
        let config = config(
            &[
                ("intra_op_threads", "2"),
                ("gpu_mem_limit", "1"),
                ("session.disable_prepacking", "1"),
            ],
            &json!({}),
        );
        assert_eq!(unknown_parameters(&config.parameters), ["intra_op_threads"]);
    }
}
