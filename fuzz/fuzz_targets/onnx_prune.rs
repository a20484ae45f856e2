//! An ONNX file whose outputs are taken away: an error, or a file with the outputs that were to stay.
//!
//! The first byte picks the outputs; the file is the rest.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use onnx_file::OnnxError;
use triton_funasr_fuzz::{value, within};

fn keep_outputs(model: &[u8], keep: impl Fn(&str) -> bool) -> Result<Vec<u8>, OnnxError> {
    let edit = onnx_file::keep_outputs(Cursor::new(model), model.len() as u64, keep)?;
    let mut pruned = Vec::new();
    edit.write(Cursor::new(model), &mut pruned)?;
    Ok(pruned)
}

fuzz_target!(|input: &[u8]| {
    let Some((&pick, model)) = input.split_first() else {
        return;
    };
    let read = |model: &[u8]| value(onnx_file::output_names(Cursor::new(model), model.len() as u64));
    let kept = |name: &str| {
        name.bytes()
            .fold(pick, |sum, byte| sum.wrapping_mul(31) ^ byte)
            % 3
            > 0
    };

    let names = within(model.len(), 64, || read(model));
    let pruned = within(model.len(), 64, || value(keep_outputs(model, kept)));
    let Some(pruned) = pruned else {
        return;
    };
    assert!(pruned.len() <= model.len());
    let expected = names.map(|names| names.into_iter().filter(|name| kept(name)).collect());
    assert_eq!(read(&pruned), expected, "{pruned:?}");
    let again = value(keep_outputs(&pruned, kept));
    assert_eq!(again.as_ref(), Some(&pruned));
});
