//! An ONNX file whose outputs are taken away: an error, or a file with the outputs that were to stay.
//!
//! The first byte picks the outputs; the file is the rest.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use triton_funasr_fuzz::{value, within};

// The backend is a cdylib, which nothing can link: its file itself is taken.
#[path = "../../crates/onnxruntime-backend/src/prune.rs"]
mod prune;

fuzz_target!(|input: &[u8]| {
    let Some((&pick, model)) = input.split_first() else {
        return;
    };
    let read = |model: &[u8]| value(prune::output_names(&mut Cursor::new(model)));
    let kept = |name: &str| {
        name.bytes()
            .fold(pick, |sum, byte| sum.wrapping_mul(31) ^ byte)
            % 3
            > 0
    };

    let names = within(model.len(), 64, || read(model));
    let pruned = within(model.len(), 64, || value(prune::keep_outputs(model, kept)));
    let Some(pruned) = pruned else {
        return;
    };
    assert!(pruned.len() <= model.len());
    let expected = names.map(|names| names.into_iter().filter(|name| kept(name)).collect());
    assert_eq!(read(&pruned), expected, "{pruned:?}");
    let again = value(prune::keep_outputs(&pruned, kept));
    assert_eq!(again.as_ref(), Some(&pruned));
});
