//! Repositories that fit, and what is said of those that do not.

use std::fs;
use std::path::Path;

use super::*;
use crate::repo::{self, AllOptions, Common, Kind};

/// The demo's repository, changed.
fn changed(change: impl FnOnce(&Path)) -> Vec<(Level, String, String)> {
    changed_of(false, change)
}

/// The same with scores, as the models are exported, if they are to be kept.
fn changed_of(keep_logits: bool, change: impl FnOnce(&Path)) -> Vec<(Level, String, String)> {
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("repo");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    repo::assemble_all(&AllOptions {
        vad: None,
        punc: None,
        from: vec![
            (Kind::Sensevoice, demo.join("sensevoice")),
            (Kind::Paraformer, demo.join("paraformer")),
            (Kind::ParaformerOnline, demo.join("paraformer_online")),
        ],
        common: Common {
            keep_logits,
            ..Common::new(repository.clone())
        },
    })
    .unwrap();
    change(&repository);
    findings(&model::read(&repository).unwrap())
        .into_iter()
        .map(|finding| (finding.level, finding.place, finding.what))
        .collect()
}

fn edit(repository: &Path, config: &str, from: &str, to: &str) {
    let path = repository.join(config);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{config} has no {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn one(change: impl FnOnce(&Path)) -> (Level, String, String) {
    let mut found = changed(change);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn what_is_assembled_fits() {
    assert_eq!(changed(|_| ()), []);
    assert_eq!(changed_of(true, |_| ()), []);
}

#[test]
fn an_output_may_have_the_one_row_that_onnx_runtime_finds() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("repo");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/punc_realtime");
    let common = Common::new(to.clone());
    repo::repo(&repo::Task::Punctuation(repo::Options { from, common })).unwrap();
    let found = || findings(&model::read(&to).unwrap());
    assert!(found().is_empty());
    let config = "ct_transformer/config.pbtxt";
    edit(&to, config, "dims: [ 1, -1, 6 ]", "dims: [ 2, -1, 6 ]");
    assert_eq!(found().len(), 1);
}

#[test]
fn a_python_step_is_told_its_component() {
    let config = "sensevoice_scoring/config.pbtxt";
    let (level, place, what) = one(|repository| {
        edit(
            repository,
            config,
            "backend: \"funasr\"",
            "backend: \"python\"",
        );
    });
    assert_eq!((level, place.as_str()), (Level::Advice, config));
    assert!(
        what.ends_with("those of the component ctc_scoring"),
        "{what}"
    );
}

#[test]
fn missing_files_models_and_versions_are_told() {
    let found = changed(|repository| {
        fs::remove_file(repository.join("sensevoice_feature_extractor/am.mvn")).unwrap();
        fs::remove_dir_all(repository.join("online_decoder")).unwrap();
        fs::remove_dir(repository.join("sensevoice_scoring/1")).unwrap();
    });
    let told: Vec<_> = found
        .iter()
        .map(|(_, place, what)| format!("{place}: {what}"))
        .collect();
    for expected in [
        "online_cif_search/config.pbtxt: it calls the model 'online_decoder', which this repository does not have",
        "sensevoice/configs/pipeline.pbtxt: parameter cmvn_path: there is no file 'sensevoice_feature_extractor/am.mvn'",
        "sensevoice_feature_extractor/config.pbtxt: parameter cmvn_path: there is no file 'am.mvn'",
        "sensevoice_scoring: it has no version: Triton wants a directory with a number as name",
        "streaming_paraformer/configs/pipeline.pbtxt: it calls the model 'online_decoder', which this repository does not have",
    ] {
        assert!(
            told.iter().any(|told| told == expected),
            "{expected}\n{told:#?}"
        );
    }
    assert_eq!(found.len(), 5, "{told:#?}");
}

#[test]
fn another_form_than_the_called_model_has_is_told() {
    let asks = |key: &str, form: &str| {
        format!("key: \"{key}_outputs\"\n    value: {{ string_value: \"{form}\" }}")
    };
    for (config, key, callee, outputs) in [
        (
            "sensevoice/configs/pipeline.pbtxt",
            "encoder",
            "sensevoice_encoder",
            "token_ids, token_log_probs, encoder_out_lens",
        ),
        (
            "online_cif_search/config.pbtxt",
            "decoder",
            "online_decoder",
            "token_ids, token_log_probs",
        ),
    ] {
        let (level, place, what) = one(|repository| {
            edit(repository, config, &asks(key, "ids"), &asks(key, "scores"));
        });
        assert_eq!((level, place.as_str()), (Level::Error, config));
        assert_eq!(
            what,
            format!("it asks '{callee}' for scores, but that has the outputs {outputs}")
        );
    }
    let config = "streaming_paraformer/configs/pipeline.pbtxt";
    let found = changed_of(true, |repository| {
        edit(
            repository,
            config,
            &asks("decoder", "scores"),
            &asks("decoder", "ids"),
        );
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].2,
        "it asks 'online_decoder' for ids, but that has the outputs logits, sample_ids"
    );
}

#[test]
fn dimensions_are_compared_as_nvidias_backend_does() {
    let config = "sensevoice_encoder/config.pbtxt";
    let of = |from: &'static str, to: &'static str| {
        let found = changed_of(true, |repository| edit(repository, config, from, to));
        found
            .into_iter()
            .filter(|(_, place, _)| place == config)
            .map(|(level, _, what)| (level, what))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("dims: [ -1, 178 ]", "dims: [ -1, -1 ]"),
        [(
            Level::Error,
            "output 'ctc_logits' is [-1, -1, -1], the file has [-1, -1, 178]".to_owned()
        )]
    );
    assert_eq!(
        of("dims: [ -1, 560 ]", "dims: [ -1, -1 ]"),
        [(
            Level::Error,
            "input 'speech' is [-1, -1, -1], the file has [-1, -1, 560]".to_owned()
        )]
    );
    // The file leaves the frames open: a config may fix them.
    assert_eq!(of("dims: [ -1, 560 ]", "dims: [ 100, 560 ]"), []);
}

#[test]
fn data_types_and_missing_inputs_are_told() {
    let config = "sensevoice_encoder/config.pbtxt";
    let of = |from: &'static str, to: &'static str| {
        let found = changed(|repository| edit(repository, config, from, to));
        let found = found.into_iter().filter(|(_, place, _)| place == config);
        found.map(|(_, _, what)| what).collect::<Vec<_>>()
    };
    let floats = of("TYPE_FP32", "TYPE_FP16");
    assert_eq!(
        floats,
        [
            "input 'speech' is TYPE_FP16, the file has TYPE_FP32",
            "output 'token_log_probs' is TYPE_FP16, the file has TYPE_FP32"
        ]
    );
    assert_eq!(
        of("name: \"textnorm\"", "name: \"norm\""),
        [
            "input 'norm': the file has no such input",
            "the file's input 'textnorm' is not in the config"
        ]
    );
    let config = "online_decoder/config.pbtxt";
    let found = changed(|repository| {
        edit(repository, config, "\"in_cache_3\"", "\"in_cache_33\"");
        edit(
            repository,
            config,
            "dims: [ 128, 10 ]\n",
            "dims: [ 64, 10 ]\n",
        );
    });
    let told: Vec<&str> = found.iter().map(|(_, _, what)| what.as_str()).collect();
    for expected in [
        "state input 'in_cache_33': the file has no such input",
        "the file's input 'in_cache_3' is not in the config",
        "state output 'out_cache_0' is [-1, 64, 10], the file has [-1, 128, -1]",
    ] {
        assert!(told.contains(&expected), "{expected}\n{told:#?}");
    }
}

/// The findings of a model with inputs `x` and `w`, of which `w` has a default, and this config.
fn of_model_with_default(config: &str) -> Vec<String> {
    let message = |number: u8, body: &[u8]| {
        let mut bytes = vec![number << 3 | 2, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        bytes
    };
    // TypeProto.Tensor: FP32 of two numbers.
    let shape = message(2, &message(1, &[1 << 3, 2]));
    let kind = message(2, &message(1, &[&[1 << 3, 1][..], &shape].concat()));
    let info = |name: &str| [message(1, name.as_bytes()), kind.clone()].concat();
    let graph = [
        message(5, &message(8, b"w")),
        message(11, &info("x")),
        message(11, &info("w")),
        message(12, &info("y")),
    ];
    let model = [vec![1 << 3, 9], message(7, &graph.concat())].concat();
    let repository = tempfile::tempdir().unwrap();
    let directory = repository.path().join("m");
    fs::create_dir_all(directory.join("1")).unwrap();
    fs::write(directory.join("1/model.onnx"), model).unwrap();
    let config = format!("backend: \"onnxruntime\" {config}");
    fs::write(directory.join("config.pbtxt"), config).unwrap();
    let found = findings(&model::read(repository.path()).unwrap());
    found.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn an_input_with_a_default_may_be_optional() {
    let tensor = |name: &str| format!("{{ name: \"{name}\" data_type: TYPE_FP32 dims: [ 2 ] }}");
    let (x, w) = (tensor("x"), tensor("w"));
    let optional = w.replace('}', "optional: true }");
    let fits = |inputs: &str| {
        of_model_with_default(&format!("input [ {inputs} ] output [ {} ]", tensor("y")))
    };
    assert_eq!(fits(&x), [""; 0]);
    assert_eq!(fits(&format!("{x}, {optional}")), [""; 0]);
    assert_eq!(
        fits(&format!("{x}, {w}")),
        ["input 'w' has a default in the file, but is not optional"]
    );
    assert_eq!(
        fits(&x.replace('}', "optional: true }")),
        ["input 'x' is optional, but has no default in the file"]
    );
    assert_eq!(
        fits(&optional),
        ["the file's input 'x' is not in the config"]
    );
    // Without any inputs the backend completes the config.
    assert_eq!(of_model_with_default(""), [""; 0]);
    assert_eq!(
        of_model_with_default(&format!("max_batch_size: 4 output [ {} ]", tensor("y"))),
        [
            "output 'y': max_batch_size is over 0, so the file's first dimension must be open, but it has [2]"
        ]
    );
}

#[test]
fn what_the_server_stumbles_over_is_told() {
    let (level, _, what) = one(|repository| {
        edit(
            repository,
            "online_lfr_cmvn_pe/config.pbtxt",
            "control_input [ ]",
            "control_input [ { name: \"CORRID\" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } ] } ]",
        );
    });
    assert_eq!(level, Level::Warning);
    assert!(what.contains("the correlation id is TYPE_UINT64"), "{what}");
    let (level, _, what) = one(|repository| {
        edit(
            repository,
            "sensevoice/configs/pipeline.pbtxt",
            "dynamic_batching { }",
            "dynamic_batching { } model_warmup [ { name: \"a\" } ]",
        );
    });
    assert_eq!(level, Level::Error);
    assert!(what.starts_with("model_warmup cannot work here"), "{what}");
    let (level, _, what) = one(|repository| {
        edit(
            repository,
            "sensevoice_scoring/config.pbtxt",
            "KIND_CPU",
            "KIND_GPU",
        );
    });
    assert_eq!(level, Level::Warning);
    assert!(what.starts_with("its instances are of KIND_GPU"), "{what}");
}

#[test]
fn required_parameters_are_told() {
    for (config, key) in [
        ("sensevoice_feature_extractor/config.pbtxt", "cmvn_path"),
        ("sensevoice_scoring/config.pbtxt", "tokenizer_path"),
        ("online_cif_search/config.pbtxt", "vocabulary"),
        ("streaming_paraformer/configs/pipeline.pbtxt", "vocabulary"),
    ] {
        let (level, place, what) = one(|repository| {
            edit(
                repository,
                config,
                &format!("\"{key}\""),
                &format!("\"{key}_\""),
            );
        });
        assert_eq!((level, place.as_str()), (Level::Error, config));
        assert!(
            what.ends_with(&format!("needs the parameter {key}")),
            "{what}"
        );
    }
}

#[test]
fn a_step_with_optional_inputs_is_known() {
    let config = "sensevoice_feature_extractor/config.pbtxt";
    let (level, _, what) = one(|repository| {
        edit(
            repository,
            config,
            "backend: \"funasr\"",
            "backend: \"python\"",
        );
    });
    assert_eq!(level, Level::Advice);
    assert!(
        what.ends_with("those of the component feature_extractor"),
        "{what}"
    );
}

#[test]
fn a_model_without_a_config_may_be_named() {
    let found = changed(|repository| {
        fs::remove_file(repository.join("sensevoice_encoder/config.pbtxt")).unwrap();
        fs::remove_dir_all(repository.join("sensevoice_encoder/configs")).unwrap();
    });
    assert_eq!(found, []);
}

#[test]
fn another_job_than_its_tensors_is_told() {
    let config = "sensevoice_scoring/config.pbtxt";
    let (level, _, what) = one(|repository| {
        edit(repository, config, "\"ctc_scoring\"", "\"ctc_score\"");
    });
    assert_eq!(
        (level, what.as_str()),
        (Level::Error, "there is no component 'ctc_score'")
    );
    let found = changed(|repository| {
        edit(
            repository,
            config,
            "\"ctc_scoring\"",
            "\"paraformer_scoring\"",
        );
    });
    assert!(found.iter().any(|(level, _, what)| *level == Level::Error
        && what
            == "it has the tensors of the component ctc_scoring, but says 'paraformer_scoring'"));
}

#[test]
fn a_repository_with_hot_words_fits_and_tells_what_lacks() {
    let (directory, mut options) = crate::repo::seaco_tests::export();
    repo::assemble(Kind::Paraformer, &options).unwrap();
    let told = |repository: &Path| -> Vec<String> {
        let found = findings(&model::read(repository).unwrap());
        found
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.what))
            .collect()
    };
    assert_eq!(told(&options.common.to), [""; 0]);
    // Under the names of a common repository, too.
    let common = directory.path().join("common");
    repo::assemble_all(&AllOptions {
        vad: None,
        punc: None,
        from: vec![(Kind::Paraformer, options.from.clone())],
        common: Common::new(common.clone()),
    })
    .unwrap();
    assert_eq!(told(&common), [""; 0]);
    fs::remove_dir_all(common.join("paraformer_hotword_encoder")).unwrap();
    let called =
        "it calls the model 'paraformer_hotword_encoder', which this repository does not have";
    assert_eq!(
        told(&common),
        [
            "infer_pipeline/configs/pipeline.pbtxt",
            "paraformer_hotword_embedding/config.pbtxt"
        ]
        .map(|place| format!("{place}: {called}"))
    );
    options.common.force = true;
    repo::assemble(Kind::Paraformer, &options).unwrap();
    fs::remove_file(options.common.to.join("hotword_embedding/seg_dict")).unwrap();
    edit(
        &options.common.to,
        "hotword_embedding/config.pbtxt",
        "\"vocabulary\"",
        "\"vocabularies\"",
    );
    let found = told(&options.common.to);
    for expected in [
        "hotword_embedding/config.pbtxt: the component hotword_embedding needs the parameter vocabulary",
        "hotword_embedding/config.pbtxt: parameter seg_dict: there is no file 'seg_dict'",
        "infer_pipeline/configs/pipeline.pbtxt: parameter seg_dict: there is no file 'hotword_embedding/seg_dict'",
    ] {
        assert!(
            found.iter().any(|told| told == expected),
            "{expected}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_batcher_that_runs_in_circles_is_told() {
    let encoder = "sensevoice_encoder/config.pbtxt";
    let calm = "preferred_batch_size: [ 1 ]\n  max_queue_delay_microseconds: 1";
    for busy in [
        "",
        "preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 500",
    ] {
        let (level, place, what) = one(|repository| edit(repository, encoder, calm, busy));
        assert_eq!((level, place.as_str()), (Level::Advice, encoder));
        assert_eq!(
            what,
            "its batcher keeps a core busy while requests with different shapes of 'speech' wait"
        );
    }
    let bounded = "default_queue_policy { max_queue_size: 64 }";
    assert_eq!(
        changed(|repository| edit(repository, encoder, calm, bounded)),
        []
    );
    let ragged = "name: \"speech\"\n    allow_ragged_batch: true";
    let together = |repository: &Path| {
        edit(repository, encoder, calm, "");
        edit(repository, encoder, "name: \"speech\"", ragged);
    };
    assert_eq!(changed(together), []);
}

#[test]
fn what_is_slow_or_short_in_other_repositories_is_told() {
    let slow = |from: &'static str, to: &'static str| {
        changed(|repository| {
            let config = "sensevoice_encoder/config.pbtxt";
            edit(
                repository,
                config,
                "string_value: \"1\"",
                "string_value: \"2\"",
            );
            edit(repository, config, from, to);
        })
    };
    let found = slow("instance_group [", "instance_group [");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Level::Warning);
    assert!(
        found[0].2.starts_with("with cudnn_conv_algo_search \"2\""),
        "{found:?}"
    );
    assert_eq!(slow("count: 1", "count: 1 kind: KIND_CPU"), []);

    let (level, place, what) = one(|repository| {
        edit(
            repository,
            "online_decoder/config.pbtxt",
            "max_sequence_idle_microseconds: 3600000000",
            "max_sequence_idle_microseconds: 15000000",
        );
    });
    assert_eq!(
        (level, place.as_str()),
        (Level::Warning, "online_decoder/config.pbtxt")
    );
    assert!(
        what.contains("ends after 15 s without a word")
            && what.contains("online_cif_search/config.pbtxt ends"),
        "{what}"
    );

    let found = changed(|repository| {
        for (config, from, to) in [
            (
                "online_decoder/config.pbtxt",
                "max_sequence_idle_microseconds: 3600000000",
                "",
            ),
            ("online_cif_search/config.pbtxt", "\"funasr\"", "\"python\""),
        ] {
            edit(repository, config, from, to);
        }
    });
    assert!(
        found
            .iter()
            .any(|found| found.0 == Level::Warning && found.2.contains("ends after 1 s")),
        "of Python steps, too, and by the server's default: {found:?}"
    );

    let found = changed(|repository| {
        edit(
            repository,
            "online_lfr_cmvn_pe/config.pbtxt",
            "backend: \"funasr\"",
            "backend: \"onnxruntime\"",
        );
    });
    let advice = found.iter().filter(|found| found.0 == Level::Advice);
    let told: Vec<_> = advice.map(|found| found.2.as_str()).collect();
    assert_eq!(told.len(), 1, "{found:?}");
    assert!(
        told[0].contains("those of the component lfr_cmvn_pe"),
        "{told:?}"
    );
}

#[test]
fn files_are_found_under_any_name_of_the_repository() {
    let config = "sensevoice_feature_extractor/config.pbtxt";
    let path = |place: &str| format!("\"{place}sensevoice_feature_extractor/am.mvn\"");
    let with = |place: &'static str| {
        changed(|repository| edit(repository, config, "\"am.mvn\"", &path(place)))
    };
    // Without a name, with its own, and with the one that it had.
    for place in ["", "./repo/", "./model_repo_sense_voice_small/"] {
        assert_eq!(with(place), [], "{place}");
    }
    let found = with("./other/model_repo/");
    assert!(found.len() == 1 && found[0].2.contains("there is no file"));
}
