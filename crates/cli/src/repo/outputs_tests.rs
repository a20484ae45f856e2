//! Repositories whose models tell more than the text.

use super::tests::{config, export};
use super::*;
use Kind::{Paraformer, ParaformerOnline, Sensevoice};

fn assembled(kind: Kind, keep_logits: bool) -> (tempfile::TempDir, Options) {
    let (directory, mut options) = export(kind);
    options.common.keep_logits = keep_logits;
    options.common.outputs = vec!["all".to_owned()];
    assemble(kind, &options).unwrap();
    (directory, options)
}

#[test]
fn configurations_list_all_that_a_model_can_tell() {
    for (kind, last, client, own) in [
        (Sensevoice, "scoring", "sensevoice", "EMOTION"),
        (Paraformer, "scoring", "infer_pipeline", "TOKEN_CONFIDENCE"),
        (
            ParaformerOnline,
            "cif_search",
            "streaming_paraformer",
            "FULL_TEXT",
        ),
    ] {
        let (_directory, options) = assembled(kind, false);
        for (model, count) in [(last, 1), (client, 2)] {
            let config = super::tests::config(&options.common.to, model);
            for name in ["TEXT", "WORDS", "RESULT_JSON", own] {
                let listed = format!("    name: \"{name}\"\n");
                assert_eq!(config.matches(&listed).count(), count, "{model} {name}");
            }
            assert_eq!(
                config.contains("WORD_END_MS"),
                kind != Paraformer,
                "{model}"
            );
        }
        let ensemble = super::tests::config(&options.common.to, client);
        assert!(ensemble.contains("output_map { key: \"WORDS\" value: \"WORDS\" }"));
    }
}

#[test]
fn nothing_more_is_listed_unless_it_is_asked_for() {
    let (_directory, options) = export(Sensevoice);
    assemble(Sensevoice, &options).unwrap();
    assert!(!config(&options.common.to, "sensevoice").contains("WORDS"));
}

#[test]
fn a_decoder_for_streams_hands_out_scores_where_probabilities_are_told() {
    let (_directory, options) = assembled(ParaformerOnline, true);
    let decoder = config(&options.common.to, "decoder");
    // In both forms, with the width of the file.
    let scores = "    name: \"logits\"\n    data_type: TYPE_FP32\n    dims: [ -1, 124 ]\n";
    assert_eq!(decoder.matches(scores).count(), 2);
    assert_eq!(decoder.matches("name: \"sample_ids\"").count(), 2);
    let (_directory, options) = assembled(ParaformerOnline, false);
    assert!(!config(&options.common.to, "decoder").contains("logits"));
}

#[test]
fn what_an_export_cannot_tell_is_refused() {
    let (_directory, mut options) = export(Paraformer);
    options.common.outputs = vec!["WORD_END_MS".to_owned()];
    let error = assemble(Paraformer, &options).unwrap_err().to_string();
    assert!(
        error.contains("WORD_END_MS cannot be had: model.onnx has no output us_alphas"),
        "{error}"
    );
    assert!(!options.common.to.exists());
}
