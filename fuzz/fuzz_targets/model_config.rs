//! A model's config as the server hands it out: an error, or typed values that can be asked for anything.
#![no_main]

use std::num::NonZeroUsize;

use libfuzzer_sys::fuzz_target;
use triton_backend::ModelConfig;
use triton_funasr_fuzz::{value, within};

fuzz_target!(|json: &str| {
    // A tensor takes 150 bytes of memory and `{},` of the file.
    let read = || value(ModelConfig::from_json(json));
    let Some(config) = within(json.len(), 256, read) else {
        return;
    };
    for tensor in config.input.iter().chain(&config.output) {
        tensor.data_type();
        tensor.backend_dims();
        assert!(config.input(&tensor.name).is_ok() || config.output(&tensor.name).is_ok());
    }
    if let Some(batching) = &config.sequence_batching {
        batching.max_idle();
        batching.state.iter().for_each(|state| {
            state.data_type();
        });
    }
    let parameters = &config.parameters;
    for key in parameters.keys() {
        let text = parameters.text(key);
        assert!(text.is_none_or(|text| !text.is_empty() && text.trim() == text));
        assert_eq!(value(parameters.require(key)), text);
        value(parameters.flag(key));
        value(parameters.get::<NonZeroUsize>(key));
        value(parameters.get::<f64>(key));
        value(parameters.get::<i64>(key));
    }
});
