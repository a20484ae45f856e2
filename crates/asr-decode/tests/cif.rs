//! Every decoder call of six interleaved streams equals the reference's.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use asr_decode::cif::{Cif, CifOptions};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use serde::Deserialize;

#[derive(Deserialize)]
struct Step {
    step: usize,
    sequence: u64,
    start: bool,
    end: bool,
    tokens: usize,
    decoder_flags: Option<u32>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

#[test]
fn embeddings_tokens_and_flags_of_the_reference() {
    let steps: Vec<Step> = serde_json::from_reader(File::open(data("cif.json")).unwrap()).unwrap();
    let mut arrays = NpzReader::new(File::open(data("cif.npz")).unwrap()).unwrap();
    let mut streams: HashMap<u64, Cif> = HashMap::new();
    let mut embeddings = Vec::new();
    let mut calls = 0;
    for Step {
        step,
        sequence,
        start,
        end,
        tokens,
        decoder_flags,
    } in steps
    {
        if start {
            streams.insert(sequence, Cif::new(CifOptions::default()).unwrap());
        }
        let enc: Array2<f32> = arrays.by_name(&format!("{step:03}.enc")).unwrap();
        let alphas: Array1<f32> = arrays.by_name(&format!("{step:03}.alphas")).unwrap();
        let stream = streams.get_mut(&sequence).unwrap();
        let call = stream
            .push(
                enc.as_slice().unwrap(),
                alphas.as_slice().unwrap(),
                end,
                &mut embeddings,
            )
            .unwrap();
        assert_eq!(call.map(|call| call.flags()), decoder_flags, "step {step}");
        assert_eq!(call.map_or(0, |call| call.tokens), tokens, "step {step}");
        if call.is_some() {
            calls += 1;
            let expected: Array2<f32> = arrays
                .by_name(&format!("{step:03}.acoustic_embeds"))
                .unwrap();
            assert_eq!(embeddings.len(), expected.len(), "step {step}");
            for (index, (value, expected)) in embeddings.iter().zip(&expected).enumerate() {
                assert!(
                    (value - expected).abs() < 1e-4,
                    "step {step}, value {index}: {value} is not {expected}"
                );
            }
        }
    }
    assert_eq!(calls, 21);
}
