//! What a model's config says of how its session runs.

use ort::session::builder::GraphOptimizationLevel;
use triton_backend::{Error, ModelConfig, Parameters};

use crate::lengths::LENGTH_INPUTS;
use crate::leniency::{GROUP_BY_SHAPE, ISOLATE_FAILURES, LENIENT_CONFIG};

/// ONNX Runtime's key for a run, and the official backend's parameter: `cpu:0;gpu:1`.
pub(crate) const SHRINK_ARENAS: &str = "memory.enable_memory_arena_shrinkage";

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
    /// The arenas that the config wants to give memory back after each run, e.g. `cpu:0`; empty for none of them.
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
const SHARE_SESSION: &str = "share_session";

/// Parameters that only the CUDA provider reads; configs carry them to machines without a GPU too.
pub(crate) const CUDA_PARAMETERS: [&str; 4] = [
    "cudnn_conv_algo_search",
    "gpu_mem_limit",
    "arena_extend_strategy",
    "do_copy_in_default_stream",
];

const KNOWN: [&str; 11] = [
    LENGTH_INPUTS,
    LENIENT_CONFIG,
    GROUP_BY_SHAPE,
    ISOLATE_FAILURES,
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
            level: level(config),
            memory_arena: flag(parameters, MEMORY_ARENA)?,
            memory_pattern: flag(parameters, MEMORY_PATTERN)?,
            shrink_arenas: text(parameters, SHRINK_ARENAS).map(str::to_owned),
            entries: entries
                .filter_map(|key| Some((key.to_owned(), parameters.text(key)?.to_owned())))
                .collect(),
            shared: parameters.flag(SHARE_SESSION)?.unwrap_or(false),
        })
    }
}

/// As the official backend reads it: a level that it does not know is the default.
fn level(config: &ModelConfig) -> Level {
    match config.optimization.graph.as_ref().map(|graph| graph.level) {
        Some(-1) => Level::Basic,
        Some(1) => Level::Extended,
        Some(2) => Level::Disabled,
        _ => Level::All,
    }
}

/// The value of a key that is there, perhaps empty: the official backend reads an empty value, and refuses it as a number.
fn text<'p>(parameters: &'p Parameters, key: &str) -> Option<&'p str> {
    let present = parameters.keys().any(|present| present == key);
    present.then(|| parameters.text(key).unwrap_or_default())
}

/// A truth value as the official backend writes it.
pub(crate) fn flag_from(key: &str, text: Option<&str>) -> Result<Option<bool>, Error> {
    let Some(text) = text else {
        return Ok(None);
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(Some(true)),
        "false" | "off" | "0" => Ok(Some(false)),
        _ => Err(Error::parameter(
            key,
            format!("'{text}' is none of true, on, 1, false, off and 0"),
        )),
    }
}

fn flag(parameters: &Parameters, key: &str) -> Result<Option<bool>, Error> {
    flag_from(key, text(parameters, key))
}

/// The most threads that a pool may have; more are a slip of the pen.
const MOST_THREADS: i32 = 4096;

/// A number of threads, given here or in the server's settings; 0 and what is below it leave it to ONNX Runtime.
pub(crate) fn threads_from(key: &str, text: Option<&str>) -> Result<Option<usize>, Error> {
    let Some(text) = text else {
        return Ok(None);
    };
    match text.parse::<i32>() {
        Ok(count) if count <= MOST_THREADS => {
            let count = usize::try_from(count).unwrap_or(0);
            Ok((count > 0).then_some(count))
        }
        _ => Err(Error::parameter(
            key,
            format!("'{text}' is not a number of threads (0 leaves it to ONNX Runtime)"),
        )),
    }
}

fn threads(parameters: &Parameters, key: &str) -> Result<Option<usize>, Error> {
    threads_from(key, text(parameters, key))
}

/// One of the numbers 0 to `largest`.
pub(crate) fn choice(
    parameters: &Parameters,
    key: &str,
    largest: usize,
) -> Result<Option<usize>, Error> {
    let Some(text) = text(parameters, key) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(value) if value <= largest => Ok(Some(value)),
        _ => {
            let choices: Vec<String> = (0..=largest).map(|value| value.to_string()).collect();
            let message = format!("'{text}' is none of {}", choices.join(", "));
            Err(Error::parameter(key, message))
        }
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
            ("intra_op_thread_count", "5000"),
            ("inter_op_thread_count", "many"),
            ("inter_op_thread_count", ""),
            ("execution_mode", "2"),
            ("execution_mode", ""),
            ("enable_mem_arena", "yes"),
            ("enable_mem_pattern", ""),
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
            (9, Level::All),
            (1, Level::Extended),
            (2, Level::Disabled),
        ] {
            let json = json!({"optimization": {"graph": {"level": level}}});
            let options = SessionOptions::from_config(&config(&[], &json)).unwrap();
            assert_eq!(options.level, expected);
        }
    }

    #[test]
    fn values_are_written_as_for_the_official_backend() {
        let with = |key: &str, value: &str| options(&[(key, value)]).unwrap();
        for (value, expected) in [("TRUE", true), ("on", true), ("Off", false), (" 0 ", false)] {
            assert_eq!(with("enable_mem_arena", value).memory_arena, Some(expected));
        }
        for (value, expected) in [("-3", None), (" 2 ", Some(2)), ("+2", Some(2))] {
            assert_eq!(with("intra_op_thread_count", value).intra_threads, expected);
        }
        let nothing = with("memory.enable_memory_arena_shrinkage", "").shrink_arenas;
        assert_eq!(nothing.as_deref(), Some(""));
    }

    #[test]
    fn unknown_parameters_are_found() {
        let config = config(
            &[
                ("intra_op_threads", "2"),
                ("gpu_mem_limit", "1"),
                ("session.disable_prepacking", "1"),
                ("lenient_config", "true"),
                ("group_by_shape", "true"),
                ("isolate_failures", "true"),
            ],
            &json!({}),
        );
        assert_eq!(unknown_parameters(&config.parameters), ["intra_op_threads"]);
    }
}
