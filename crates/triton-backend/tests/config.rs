//! Model configs and parameters, as the server writes them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use triton_backend::{DataType, Error, ModelConfig, SequenceBatching};

const CONFIG: &str = r#"{
    "name": "encoder", "platform": "onnxruntime_onnx", "backend": "onnxruntime", "max_batch_size": 16,
    "input": [
        {"name": "speech", "data_type": "TYPE_FP32", "dims": [-1, 560], "allow_ragged_batch": true},
        {"name": "speech_lengths", "data_type": "TYPE_INT32", "dims": ["1"], "reshape": {"shape": []}}
    ],
    "output": [{"name": "text", "data_type": "TYPE_STRING", "dims": [1]}],
    "dynamic_batching": {"preferred_batch_size": [2, 4], "max_queue_delay_microseconds": "500"},
    "sequence_batching": {
        "max_sequence_idle_microseconds": "15000000", "oldest": {"max_candidate_sequences": 1024},
        "control_input": [{"name": "CORRID", "control": [{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": "TYPE_UINT64"}]}],
        "state": [{"input_name": "cache", "output_name": "r_cache", "data_type": "TYPE_FP32", "dims": ["10", "560"]}]
    },
    "parameters": {
        "threads": {"string_value": " 4 "}, "dither": {"string_value": "a little"}, "empty": {"string_value": ""},
        "quick": {"string_value": "Yes"}, "slow": {"string_value": "maybe"}
    },
    "a_field_of_a_newer_server": {}
}"#;

fn config() -> ModelConfig {
    ModelConfig::from_json(CONFIG).unwrap()
}

#[test]
fn a_config_is_typed() {
    let config = config();
    assert!(config.batches());
    let speech = config.input("speech").unwrap();
    assert_eq!(
        (speech.data_type(), speech.backend_dims()),
        (Some(DataType::Fp32), &[-1, 560][..])
    );
    assert!(speech.allow_ragged_batch);
    let lengths = config.input("speech_lengths").unwrap();
    assert_eq!(
        (&lengths.dims[..], lengths.backend_dims()),
        (&[1][..], &[][..])
    );
    assert_eq!(
        config.output("text").unwrap().data_type(),
        Some(DataType::String)
    );
    assert_eq!(
        config
            .dynamic_batching
            .unwrap()
            .max_queue_delay_microseconds,
        500
    );
}

#[test]
fn sequence_batching_is_typed() {
    let batching = config().sequence_batching.unwrap();
    assert_eq!(batching.max_idle(), Duration::from_secs(15));
    let control = &batching.control_input[0].control[0];
    assert_eq!(
        (control.kind.as_str(), control.data_type_name.as_str()),
        ("CONTROL_SEQUENCE_CORRID", "TYPE_UINT64")
    );
    let state = &batching.state[0];
    assert_eq!(
        (state.input_name.as_str(), state.output_name.as_str()),
        ("cache", "r_cache")
    );
    assert_eq!(
        (state.data_type(), &state.dims[..]),
        (Some(DataType::Fp32), &[10, 560][..])
    );
    assert_eq!(
        SequenceBatching::default().max_idle(),
        Duration::from_secs(1)
    );
}

#[test]
fn a_missing_tensor_is_named_beside_those_there_are() {
    let error = config().input("wav").unwrap_err().to_string();
    assert_eq!(
        error,
        r#"model config: input 'wav' is missing; there are ["speech", "speech_lengths"]"#
    );
    assert!(matches!(
        ModelConfig::from_json("{]"),
        Err(Error::Config(_))
    ));
}

#[test]
fn parameters_are_read_with_their_types() {
    let parameters = config().parameters;
    assert_eq!(parameters.get::<usize>("threads").unwrap(), Some(4));
    assert_eq!(parameters.get::<usize>("absent").unwrap(), None);
    assert_eq!(parameters.get::<usize>("empty").unwrap(), None);
    assert_eq!(parameters.flag("quick").unwrap(), Some(true));
    let errors = [
        parameters.get::<f32>("dither").unwrap_err(),
        parameters.flag("slow").unwrap_err(),
        parameters
            .get::<std::num::NonZeroUsize>("dither")
            .unwrap_err(),
    ];
    assert_eq!(
        errors.map(|error| error.to_string()),
        [
            "parameter 'dither': 'a little' is not a number",
            "parameter 'slow': 'maybe' is neither true nor false",
            "parameter 'dither': 'a little' is not a whole number from 1 up",
        ]
    );
    let missing = parameters.require("empty").unwrap_err().to_string();
    assert!(
        missing.starts_with("parameter 'empty': is missing"),
        "{missing}"
    );
}

#[test]
fn long_values_are_cut_in_messages() {
    let long = "x".repeat(10_000);
    let error = ModelConfig::from_json(&format!("{{\n\"max_batch_size\": \"{long}\"}}"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("string \"xxx") && error.ends_with("… at line 2 column 10020"),
        "{error}"
    );
    assert!(error.len() < 200, "{error}");
    let parameters: triton_backend::Parameters = [("threads", long.as_str())].into_iter().collect();
    for error in [
        parameters.get::<usize>("threads").unwrap_err(),
        parameters.flag("threads").unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("'xxx") && error.len() < 200, "{error}");
    }
}

/// Asks a config for everything it can be asked for.
fn ask(config: &ModelConfig) {
    for tensor in config.input.iter().chain(&config.output) {
        tensor.data_type();
        tensor.backend_dims();
        assert!(config.input(&tensor.name).is_ok() || config.output(&tensor.name).is_ok());
    }
    if let Some(batching) = &config.sequence_batching {
        batching.max_idle();
    }
    for key in config.parameters.keys() {
        _ = config.parameters.get::<i64>(key);
        _ = config.parameters.get::<f32>(key);
        _ = config.parameters.flag(key);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_config_or_an_error(text in ".{0,200}") {
        if let Ok(config) = ModelConfig::from_json(&text) {
            ask(&config);
        }
    }

    #[test]
    fn mutated_configs_are_configs_or_errors(
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[ -~]"), 1..6),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut text = CONFIG.to_owned();
        for (index, character) in changes {
            let place = index.index(text.len());
            text.replace_range(place..=place, &character);
        }
        if cut {
            text.truncate(end.index(text.len()));
        }
        if let Ok(config) = ModelConfig::from_json(&text) {
            prop_assert!(!cut);
            ask(&config);
        }
    }

    /// 64-bit integers are numbers or texts; both come back.
    #[test]
    fn tensors_come_back_as_they_were(
        name in "\\PC{0,12}",
        dims in prop::collection::vec(any::<i64>(), 0..6),
        as_text in any::<bool>(),
        batch in any::<i32>(),
        parameters in prop::collection::btree_map("[a-z_.]{1,12}", "[^ \t\n]{1,20}", 0..6),
    ) {
        let dims_json: Vec<serde_json::Value> = dims
            .iter()
            .map(|dim| if as_text { dim.to_string().into() } else { (*dim).into() })
            .collect();
        let values: serde_json::Map<String, serde_json::Value> = parameters
            .iter()
            .map(|(key, text)| (key.clone(), serde_json::json!({"string_value": text})))
            .collect();
        let json = serde_json::json!({
            "max_batch_size": batch,
            "input": [{"name": name, "data_type": "TYPE_INT64", "dims": dims_json}],
            "parameters": values,
        });
        let config = ModelConfig::from_json(&json.to_string()).unwrap();
        let input = config.input(&name).unwrap();
        prop_assert_eq!((&input.dims, config.max_batch_size), (&dims, batch));
        prop_assert_eq!(input.data_type(), Some(DataType::Int64));
        prop_assert!(config.parameters.keys().eq(parameters.keys()));
        for (key, text) in &parameters {
            let text = Some(text.trim()).filter(|text| !text.is_empty());
            prop_assert_eq!(config.parameters.text(key), text);
        }
    }
}
