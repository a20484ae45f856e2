//! Exports with hot words.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::templates::Template;
use super::tests::{assert_parameter, assert_placed, config};
use super::*;
use onnx_file::Interface;

fn project() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An export of the models that say what they listen for (tests/hotwords), and a place for a repository.
pub(crate) fn export() -> (TempDir, Options) {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("export");
    fs::create_dir(&from).unwrap();
    for file in ["model.onnx", "model_eb.onnx"] {
        let models = project().join("tests/hotwords/models");
        fs::copy(models.join(file), from.join(file)).unwrap();
    }
    for file in ["am.mvn", "config.yaml"] {
        fs::copy(
            project().join("demo/paraformer").join(file),
            from.join(file),
        )
        .unwrap();
    }
    let tokens: Vec<String> = (0..32).map(|id| format!("t{id}")).collect();
    fs::write(
        from.join("tokens.json"),
        serde_json::to_vec(&tokens).unwrap(),
    )
    .unwrap();
    fs::write(from.join("seg_dict"), "ab\tt3 t4\nc t5\nlost t99\n").unwrap();
    let options = Options {
        from,
        common: Common::new(directory.path().join("repo")),
    };
    (directory, options)
}

fn assert_written(options: &Options, model: &str, wanted: &[&str]) {
    let text = config(&options.common.to, model);
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn an_export_with_hot_words_becomes_a_repository() {
    let (_directory, options) = export();
    let facts = assemble(Kind::Paraformer, &options).unwrap();
    assert_eq!(
        facts,
        "model.onnx, 560 features, 32 tokens; hot words by model_eb.onnx, 2 words in seg_dict"
    );
    assert_placed(
        &options,
        &[
            ("model_eb.onnx", "hotword_encoder/1/model.onnx"),
            ("seg_dict", "hotword_embedding/seg_dict"),
            ("tokens.json", "scoring/tokens.json"),
        ],
    );
    let mut models: Vec<String> = fs::read_dir(&options.common.to)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    models.sort();
    let mut wanted = Template::Seaco.models().to_vec();
    wanted.sort_unstable();
    assert_eq!(models, wanted);
    assert_written(
        &options,
        "encoder",
        &["name: \"bias_embed\"\n    data_type: TYPE_FP32\n    dims: [ -1, 11 ]"],
    );
    assert_written(
        &options,
        "hotword_encoder",
        &[
            "max_batch_size: 0\n",
            "name: \"hotword\"\n    data_type: TYPE_INT32\n    dims: [ -1, 10 ]",
            "name: \"hw_embed\"\n    data_type: TYPE_FP32\n    dims: [ 10, -1, 11 ]",
        ],
    );
    assert_written(
        &options,
        "hotword_embedding",
        &["name: \"bias_embed\"\n    data_type: TYPE_FP32\n    dims: [ -1, 11 ]"],
    );
    assert_parameter(&options, "hotword_embedding", "hotword_ids", "int32");
    assert_parameter(&options, "infer_pipeline", "max_hotword_length", "10");
    let again = Options {
        common: Common {
            force: true,
            ..options.common.clone()
        },
        ..options
    };
    // In the place of another repository of its kind.
    assemble(Kind::Paraformer, &again).unwrap();
}

#[test]
fn what_the_file_has_is_written() {
    let (_directory, options) = export();
    let eb = project().join("tests/hotwords/models/model_eb_int64.onnx");
    fs::copy(eb, options.from.join("model_eb.onnx")).unwrap();
    fs::remove_file(options.from.join("seg_dict")).unwrap();
    let facts = assemble(Kind::Paraformer, &options).unwrap();
    assert!(
        facts.ends_with("hot words by model_eb.onnx, no seg_dict"),
        "{facts}"
    );
    assert_written(
        &options,
        "hotword_encoder",
        &["name: \"hotword\"\n    data_type: TYPE_INT64\n    dims: [ -1, 10 ]"],
    );
    for model in ["hotword_embedding", "infer_pipeline"] {
        for (key, value) in [("hotword_ids", "int64"), ("seg_dict", "")] {
            let entry = format!("key: \"{key}\"\n    value: {{ string_value: \"{value}\" }}");
            assert_written(&options, model, &[&entry]);
        }
    }
}

#[test]
fn what_lacks_for_hot_words_is_told() {
    let (_directory, options) = export();
    let problems = || {
        let error = assemble(Kind::Paraformer, &options).unwrap_err();
        let text = error.to_string();
        let lines = text
            .lines()
            .skip(1)
            .map(|line| line.trim_start_matches("  - ").to_owned());
        lines.collect::<Vec<_>>()
    };
    fs::remove_file(options.from.join("model_eb.onnx")).unwrap();
    fs::write(options.from.join("seg_dict"), "nothing of this\n").unwrap();
    let found = problems();
    assert_eq!(found[0], "no model_eb.onnx");
    assert!(
        found[1].starts_with("seg_dict: it has no word with tokens"),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
    fs::remove_file(options.from.join("seg_dict")).unwrap();
    let other = project().join("demo/paraformer/model.onnx");
    fs::copy(other, options.from.join("model_eb.onnx")).unwrap();
    assert_eq!(
        problems(),
        ["model_eb.onnx: no input hotword of INT32 or INT64, [any number of words, tokens]"]
    );
}

#[test]
fn the_templates_have_the_sizes_of_the_published_models() {
    let models = project().join("tests/hotwords/models");
    for (model, file) in [
        ("encoder", "model.onnx"),
        ("hotword_encoder", "model_eb.onnx"),
    ] {
        let mut interface = Interface::read(&models.join(file)).unwrap();
        let tensors = interface.inputs.iter_mut().chain(&mut interface.outputs);
        for dim in tensors.filter_map(|tensor| tensor.dims.as_mut()).flatten() {
            *dim = match *dim {
                Some(11) => Some(512),
                Some(32) => Some(8404),
                other => other,
            };
        }
        for (place, text) in templates::configs(Template::Seaco, model) {
            assert_eq!(dims::check(text, &interface), [], "{}", place.display());
            assert_eq!(dims::write(text, &interface), text);
        }
    }
}

#[test]
fn what_is_replaced_is_in_the_templates() {
    let (_directory, options) = export();
    fs::remove_file(options.from.join("seg_dict")).unwrap();
    let assembly = plan(Kind::Paraformer, &options).unwrap();
    let texts: String = Template::Seaco
        .models()
        .iter()
        .flat_map(|model| templates::configs(Template::Seaco, model))
        .map(|(_, text)| text)
        .collect();
    for (from, _) in &assembly.replacements {
        assert!(texts.contains(from), "{from}");
    }
}
