//! config.yaml: an error, or options that hold together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton_funasr_fuzz::{value, within};
use wav_frontend::{FrontendOptions, yaml};

fuzz_target!(|text: &str| {
    let options = within(text.len(), 160, || value(FrontendOptions::from_yaml(text)));
    if let Some(options) = options {
        assert!(options.validate().is_ok());
    }
    for section in ["frontend_conf", "encoder_conf", "predictor_conf"] {
        let entries = within(text.len(), 160, || value(yaml::section(text, section)));
        // A scalar is no longer than the text it was written in, whatever aliases there are.
        let size = |entry: &(String, Option<String>)| {
            entry.0.len().max(entry.1.as_ref().map_or(0, String::len))
        };
        let longest = entries.iter().flatten().map(size).max();
        assert!(longest.unwrap_or(0) <= 3 * text.len());
    }
});
