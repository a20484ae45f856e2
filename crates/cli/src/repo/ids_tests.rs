//! Repositories whose models hand out ids, and such that keep scores.

use super::tests::{
    assert_configs_of_template, assert_dims, assert_parameter, assert_placed, config, export,
    template,
};
use super::*;
use Kind::{Paraformer, ParaformerOnline, Sensevoice};
use onnx_file::Interface;
use std::fs;

/// The model's file and the configurations around it say that it hands out ids, and nothing of scores. `caller` has a pipeline.
pub(super) fn assert_hands_out_ids(options: &Options, file: &str, caller: &str, around: &[&str]) {
    let outputs = Interface::read(&options.common.to.join(file))
        .unwrap()
        .outputs;
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names[..2], ["token_ids", "token_log_probs"]);
    for model in around.iter().chain([&caller]) {
        let config = config(&options.common.to, model);
        for gone in ["logits", "LOGITS", "sample_ids", "\"scores\"", "Scores"] {
            // What a comment says of the parameter's values may stay.
            let lines = config.lines().filter(|line| !line.contains("as exported."));
            let found: Vec<&str> = lines.filter(|line| line.contains(gone)).collect();
            assert_eq!(found, [""; 0], "{model}");
        }
    }
}

#[test]
fn scores_are_kept_where_they_are_wanted() {
    for (kind, changed, model) in [
        (Sensevoice, &["encoder"][..], "encoder"),
        (Paraformer, &["infer_pipeline", "encoder"], "encoder"),
        (ParaformerOnline, &["encoder", "decoder"], "decoder"),
    ] {
        let (_directory, mut options) = export(kind);
        options.common.keep_logits = true;
        assemble(kind, &options).unwrap();
        assert_configs_of_template(kind, &options, changed);
        match kind {
            Sensevoice => assert_dims(&options, model, "ctc_logits", "-1, 178", 2),
            Paraformer => assert_dims(&options, model, "logits", "-1, 124", 2),
            ParaformerOnline => {
                assert_dims(&options, model, "logits", "-1, 124", 1);
                assert_dims(&options, model, "sample_ids", "-1", 2);
            }
        }
        if kind != Paraformer {
            let file = if kind == Sensevoice {
                "model.onnx"
            } else {
                "decoder.onnx"
            };
            assert_placed(&options, &[(file, &format!("{model}/1/{file}"))]);
        }
    }
}

#[test]
fn what_keeps_a_model_from_handing_out_ids_is_told() {
    let (_directory, options) = export(Sensevoice);
    let path = options.from.join("model.onnx");
    let mut bytes = fs::read(&path).unwrap();
    // What the file ends with: the version of its operators, 14.
    let version = bytes.last_mut().unwrap();
    assert_eq!(*version, 14);
    *version = 10;
    fs::write(&path, bytes).unwrap();
    let notes = plan(Sensevoice, &options).unwrap().notes;
    assert_eq!(
        notes,
        [
            "model.onnx hands out scores: its operators are older than version 11. They cross memory from step to step, where ids would do"
        ]
    );
    assemble(Sensevoice, &options).unwrap();
    assert_placed(&options, &[("model.onnx", "encoder/1/model.onnx")]);
    assert_dims(&options, "encoder", "ctc_logits", "-1, 178", 2);
    assert_parameter(&options, "sensevoice", "encoder_outputs", "scores");
}

#[test]
fn the_templates_have_what_is_replaced_for_ids() {
    for kind in Kind::ALL {
        let (_directory, mut options) = export(kind);
        let of_ids = plan(kind, &options).unwrap().replacements;
        options.common.keep_logits = true;
        let without = plan(kind, &options).unwrap().replacements;
        let mut more = 0;
        let texts: String = kind
            .template()
            .models()
            .iter()
            .map(|model| config(&template(kind), model))
            .collect();
        for (from, _) in of_ids.iter().filter(|pair| !without.contains(pair)) {
            assert!(texts.contains(from), "{from}");
            more += 1;
        }
        assert_eq!(more, if kind == ParaformerOnline { 3 } else { 7 });
    }
}
