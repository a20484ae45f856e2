//! Assembling the demo's models, and exports that do not fit.

use super::ids_tests::assert_hands_out_ids;
use super::sensevoice::TOKENIZER;
use super::*;
use Kind::{Paraformer, ParaformerOnline, Sensevoice};
use onnx_file::Interface;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The project's directory.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A model's configurations, relative to its directory.
pub(super) fn configs(model: &Path) -> Result<Vec<PathBuf>> {
    let mut configs = vec![PathBuf::from("config.pbtxt")];
    let more = model.join("configs");
    if more.is_dir() {
        for entry in fs::read_dir(more)? {
            configs.push(Path::new("configs").join(entry?.file_name()));
        }
    }
    Ok(configs)
}

/// A copy of the demo's export, and a place for a repository.
pub(super) fn export(kind: Kind) -> (TempDir, Options) {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("export");
    fs::create_dir(&from).unwrap();
    let demo = match kind {
        Sensevoice => "demo/sensevoice",
        Paraformer => "demo/paraformer",
        ParaformerOnline => "demo/paraformer_online",
    };
    for entry in fs::read_dir(project().join(demo)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, from.join(path.file_name().unwrap())).unwrap();
    }
    let options = Options {
        from,
        common: Common::new(directory.path().join("repo")),
    };
    (directory, options)
}

fn problems(kind: Kind, options: &Options) -> Vec<String> {
    let error = assemble(kind, options).unwrap_err().to_string();
    assert!(!options.common.to.exists());
    let mut lines = error.lines();
    assert!(
        lines.next().unwrap().ends_with(" cannot be used:"),
        "{error}"
    );
    lines
        .map(|line| line.trim_start_matches("  - ").to_owned())
        .collect()
}

/// The repository has the export's files at their places.
pub(super) fn assert_placed(options: &Options, places: &[(&str, &str)]) {
    for (from, to) in places {
        assert_eq!(
            fs::read(options.from.join(from)).unwrap(),
            fs::read(options.common.to.join(to)).unwrap(),
            "{to}"
        );
    }
}

/// All of a model's configurations, one after the other.
pub(super) fn config(repository: &Path, model: &str) -> String {
    let model = repository.join(model);
    configs(&model)
        .unwrap()
        .iter()
        .map(|config| fs::read_to_string(model.join(config)).unwrap())
        .collect()
}

pub(super) fn template(kind: Kind) -> PathBuf {
    project().join(kind.template().directory())
}

/// The repository's configurations are the template's, but for those of the models named.
pub(super) fn assert_configs_of_template(kind: Kind, options: &Options, but: &[&str]) {
    for model in kind.template().models() {
        assert!(options.common.to.join(model).join("1").is_dir());
        let (ours, theirs) = (
            config(&options.common.to, model),
            config(&template(kind), model),
        );
        assert_eq!(ours == theirs, !but.contains(model), "{model}");
    }
    assert_eq!(
        fs::read_dir(&options.common.to).unwrap().count(),
        kind.template().models().len()
    );
    assert_eq!(
        fs::read_dir(options.common.to.parent().unwrap())
            .unwrap()
            .count(),
        2,
        "nothing is left beside it"
    );
}

#[test]
fn the_sensevoice_demo_becomes_a_repository() {
    let (_directory, options) = export(Sensevoice);
    let facts = assemble(Sensevoice, &options).unwrap();
    assert_eq!(facts, "model.onnx, 560 features, 178 pieces");
    assert_placed(
        &options,
        &[
            ("am.mvn", "feature_extractor/am.mvn"),
            ("config.yaml", "feature_extractor/config.yaml"),
            (TOKENIZER, "scoring/chn_jpn_yue_eng_ko_spectok.bpe.model"),
        ],
    );
    assert_configs_of_template(Sensevoice, &options, &["sensevoice", "encoder", "scoring"]);
    assert_hands_out_ids(
        &options,
        "encoder/1/model.onnx",
        "sensevoice",
        &["encoder", "scoring"],
    );
    for model in ["sensevoice", "feature_extractor"] {
        assert_parameter(&options, model, "prompt_ids", "16");
    }
}

#[test]
fn the_paraformer_demo_becomes_a_repository() {
    let (_directory, options) = export(Paraformer);
    let facts = assemble(Paraformer, &options).unwrap();
    assert_eq!(facts, "model.onnx, 560 features, 124 tokens");
    assert_placed(
        &options,
        &[
            ("am.mvn", "feature_extractor/am.mvn"),
            ("config.yaml", "feature_extractor/config.yaml"),
            ("tokens.json", "scoring/tokens.json"),
        ],
    );
    let changed = ["infer_pipeline", "encoder", "scoring"];
    assert_configs_of_template(Paraformer, &options, &changed);
    assert_hands_out_ids(
        &options,
        "encoder/1/model.onnx",
        "infer_pipeline",
        &["encoder", "scoring"],
    );
    assert_parameter(&options, "infer_pipeline", "encoder_serves_silence", "true");
    // With guard and ids it is another file; taken as an export, it stays, and so do its configurations.
    let edited = options.common.to.join("encoder/1/model.onnx");
    let bytes = fs::read(&edited).unwrap();
    assert!(bytes.len() > fs::read(options.from.join("model.onnx")).unwrap().len());
    fs::copy(edited, options.from.join("model.onnx")).unwrap();
    let before = changed.map(|model| config(&options.common.to, model));
    let mut options = options;
    options.common.force = true;
    assemble(Paraformer, &options).unwrap();
    assert_placed(&options, &[("model.onnx", "encoder/1/model.onnx")]);
    assert_parameter(&options, "infer_pipeline", "encoder_serves_silence", "true");
    assert_eq!(
        changed.map(|model| config(&options.common.to, model)),
        before
    );
}

#[test]
fn the_streaming_demo_becomes_a_repository() {
    let (_directory, options) = export(ParaformerOnline);
    let facts = assemble(ParaformerOnline, &options).unwrap();
    assert_eq!(
        facts,
        "model.onnx and decoder.onnx, 560 features, 124 tokens, 4 caches of 128 x 10"
    );
    assert_placed(
        &options,
        &[
            ("model.onnx", "encoder/1/model.onnx"),
            ("config.yaml", "feature_extractor/config.yaml"),
            ("am.mvn", "lfr_cmvn_pe/am.mvn"),
            ("config.yaml", "lfr_cmvn_pe/config.yaml"),
            ("config.yaml", "cif_search/config.yaml"),
            ("tokens.json", "cif_search/tokens.json"),
        ],
    );
    let changed = ["streaming_paraformer", "encoder", "cif_search", "decoder"];
    assert_configs_of_template(ParaformerOnline, &options, &changed);
    assert_hands_out_ids(
        &options,
        "decoder/1/decoder.onnx",
        "streaming_paraformer",
        &["decoder", "cif_search"],
    );
    assert_dims(&options, "encoder", "enc", "-1, 128", 2);
    assert_dims(&options, "decoder", "enc", "-1, 128", 2);
    assert_dims(&options, "decoder", "acoustic_embeds", "-1, 128", 2);
    assert_dims(&options, "decoder", "token_ids", "-1", 2);
    assert_dims(&options, "decoder", "token_log_probs", "-1", 2);
    assert_dims(&options, "decoder", "in_cache_3", "128, 10", 1);
    assert_dims(&options, "decoder", "out_cache_3", "128, -1", 1);
    let decoder = config(&options.common.to, "decoder");
    assert_eq!(decoder.matches("input_name: \"in_cache_").count(), 4);
    assert_eq!(decoder.matches("name: \"out_cache_").count(), 8);
    assert_eq!(decoder.matches("dims: [ 128, 10 ]").count(), 12);
    assert!(!decoder.contains("512"), "{decoder}");
}

#[test]
fn the_quantized_model_takes_the_place_of_the_other() {
    let (_directory, mut options) = export(Sensevoice);
    options.common.quantized = true;
    options.common.keep_logits = true;
    assemble(Sensevoice, &options).unwrap();
    assert_eq!(
        fs::read(options.common.to.join("encoder/1/model.onnx")).unwrap(),
        fs::read(options.from.join("model_quant.onnx")).unwrap()
    );
}

#[test]
fn a_repository_is_replaced_only_by_force_and_other_directories_never() {
    let (_directory, mut options) = export(Sensevoice);
    assemble(Sensevoice, &options).unwrap();
    let error = assemble(Sensevoice, &options).unwrap_err().to_string();
    assert!(
        error.ends_with("it holds a repository already; --force replaces it"),
        "{error}"
    );
    options.common.force = true;
    fs::write(options.common.to.join("encoder/1/stale"), "").unwrap();
    assemble(Sensevoice, &options).unwrap();
    assert!(!options.common.to.join("encoder/1/stale").exists());
    fs::write(options.common.to.join("thesis.tex"), "").unwrap();
    let error = assemble(Sensevoice, &options).unwrap_err().to_string();
    assert!(
        error.ends_with("it holds thesis.tex, which is no part of a SenseVoice repository"),
        "{error}"
    );
    assert!(options.common.to.join("thesis.tex").exists());
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let (_directory, options) = export(Sensevoice);
    for name in ["model.onnx", "am.mvn", TOKENIZER] {
        fs::remove_file(options.from.join(name)).unwrap();
    }
    assert_eq!(
        problems(Sensevoice, &options),
        [
            "no model.onnx; there is model_quant.onnx: give --quantized to take it",
            "no am.mvn",
            "no .bpe.model (the sentencepiece model)",
        ]
    );
}

#[test]
fn unreadable_pieces_are_told_with_their_names() {
    let (_directory, options) = export(Sensevoice);
    fs::write(
        options.from.join("model.onnx"),
        "version https://git-lfs.github.com/spec/v1",
    )
    .unwrap();
    fs::write(options.from.join("am.mvn"), "<Nnet>\n").unwrap();
    fs::write(options.from.join("config.yaml"), "model: SenseVoiceSmall\n").unwrap();
    fs::write(options.from.join(TOKENIZER), "nothing").unwrap();
    let problems = problems(Sensevoice, &options);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(
        problems[0].starts_with("model.onnx: it is not an ONNX file"),
        "{problems:?}"
    );
    assert!(
        problems[1].starts_with("am.mvn: no <AddShift>"),
        "{problems:?}"
    );
    assert!(
        problems[2].starts_with("config.yaml: no `frontend_conf`"),
        "{problems:?}"
    );
    assert!(problems[3].starts_with(TOKENIZER), "{problems:?}");
}

#[test]
fn pieces_of_different_models_are_told() {
    let (_directory, options) = export(Sensevoice);
    fs::write(
        options.from.join("config.yaml"),
        "frontend_conf:\n    n_mels: 40\n",
    )
    .unwrap();
    let other = project().join("crates/asr-decode/tests/data/tokenizer.bpe.model");
    fs::copy(other, options.from.join(TOKENIZER)).unwrap();
    assert_eq!(
        problems(Sensevoice, &options),
        [
            "am.mvn has 560 values per frame, config.yaml makes 280 (n_mels 40 x lfr_m 7)",
            "model.onnx: input speech takes 560 values per frame, config.yaml makes 280",
            "model.onnx: output ctc_logits scores 178 pieces, the tokenizer chn_jpn_yue_eng_ko_spectok.bpe.model has 25055",
        ]
    );
}

/// A configuration of the model has the parameter with this value, once.
pub(super) fn assert_parameter(options: &Options, model: &str, key: &str, value: &str) {
    let config = config(&options.common.to, model);
    let entry = format!("key: \"{key}\"\n    value: {{ string_value: \"{value}\" }}");
    assert_eq!(config.matches(&entry).count(), 1, "{config}");
    assert_eq!(config.matches(key).count(), 1, "{config}");
}

/// Changes the export's model.onnx: one operator's name for another of the same length.
fn rename_operator<const N: usize>(options: &Options, from: &[u8; N], to: &[u8; N]) {
    let path = options.from.join("model.onnx");
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&at| bytes[at..].starts_with(from))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_paraformer_of_another_graph_is_taken_as_it_is() {
    let (_directory, mut options) = export(Paraformer);
    options.common.keep_logits = true;
    rename_operator(&options, b"CumSum", b"CumMax");
    let notes = plan(Paraformer, &options).unwrap().notes;
    assert_eq!(
        notes,
        [
            "model.onnx is taken as it is: it does not collect tokens as the known exports do. It fails on recordings without words: in the \
             ensemble their requests are errors, and spoil those that share a batch with them; the pipeline gives each recording a call \
             of its own"
        ]
    );
    assemble(Paraformer, &options).unwrap();
    assert_placed(&options, &[("model.onnx", "encoder/1/model.onnx")]);
    assert_parameter(
        &options,
        "infer_pipeline",
        "encoder_serves_silence",
        "false",
    );
}

#[test]
fn loops_that_stay_are_told() {
    let (_directory, mut options) = export(Paraformer);
    options.common.keep_logits = true;
    for entry in fs::read_dir(project().join("demo/paraformer_bicif")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, options.from.join(path.file_name().unwrap())).unwrap();
    }
    let told = |options: &Options| {
        let notes = plan(Paraformer, options).unwrap().notes;
        let loops = |note: &String| note.contains("collects tokens in loops");
        notes.iter().filter(|note| loops(note)).count()
    };
    assert_eq!(told(&options), 0);
    rename_operator(&options, b"SequenceInsert", b"SequenceInsart");
    assert_eq!(told(&options), 1);
}

#[test]
fn a_sensevoice_whose_ids_are_not_seen_is_told() {
    let (_directory, options) = export(Sensevoice);
    rename_operator(&options, b"Gather", b"Gothem");
    let notes = plan(Sensevoice, &options).unwrap().notes;
    assert_eq!(
        notes,
        [
            "model.onnx: from which ids LANGUAGE and TEXT_NORM may pick cannot be seen; 16 are taken, as the published model has"
        ]
    );
    assemble(Sensevoice, &options).unwrap();
    for model in ["sensevoice", "feature_extractor"] {
        assert_parameter(&options, model, "prompt_ids", "16");
    }
}

/// The configurations of a model give a tensor these dimensions, as often as they have it.
pub(super) fn assert_dims(options: &Options, model: &str, tensor: &str, dims: &str, count: usize) {
    let config = config(&options.common.to, model);
    let name = format!("    name: \"{tensor}\"\n");
    let wanted = format!("    dims: [ {dims} ]");
    // Behind the name a tensor has a line with its type.
    let of_tensor = config.split(&name).skip(1);
    let given: Vec<&str> = of_tensor.filter_map(|rest| rest.lines().nth(1)).collect();
    assert_eq!(given, vec![wanted.as_str(); count]);
}

/// The published models' interface: the demo's with their sizes.
fn published(kind: Kind) -> Vec<(&'static str, Interface)> {
    let (_directory, mut options) = export(kind);
    options.common.keep_logits = true;
    let (vocabulary, hidden) = match kind {
        Sensevoice => ((178, 25055), None),
        Paraformer => ((124, 8404), None),
        ParaformerOnline => ((124, 8404), Some((128, 512))),
    };
    let mut interfaces = plan(kind, &options).unwrap().interfaces;
    for (_, interface) in &mut interfaces {
        let tensors = interface.inputs.iter_mut().chain(&mut interface.outputs);
        for dim in tensors.filter_map(|tensor| tensor.dims.as_mut()).flatten() {
            for (demo, published) in [Some(vocabulary), hidden].into_iter().flatten() {
                if *dim == Some(demo) {
                    *dim = Some(published);
                }
            }
        }
    }
    interfaces
}

#[test]
fn the_templates_have_the_dimensions_of_the_published_models() {
    for kind in Kind::ALL {
        for (model, interface) in published(kind) {
            let directory = template(kind).join(model);
            for config in configs(&directory).unwrap() {
                let text = fs::read_to_string(directory.join(&config)).unwrap();
                assert_eq!(dims::check(&text, &interface), [], "{}", config.display());
                // With as many caches as the demo has, nothing is left to write.
                assert_eq!(dims::write(&text, &interface), text);
            }
        }
    }
}

#[test]
fn callees_of_pipelines_have_no_batcher() {
    for kind in Kind::ALL {
        for model in ["encoder", "decoder"]
            .iter()
            .filter(|model| kind.template().models().contains(model))
        {
            let path = template(kind).join(model).join("configs/pipeline.pbtxt");
            let text = fs::read_to_string(path).unwrap();
            assert!(!text.contains("batching"), "{text}");
        }
    }
}

#[test]
fn batchers_of_any_lengths_take_whole_runs_of_equal_ones_and_wait_for_none() {
    for kind in [Sensevoice, Paraformer] {
        let text = config(&template(kind), "encoder");
        assert!(
            text.contains(
                "\ndynamic_batching {\n  preferred_batch_size: [ 1 ]\n  max_queue_delay_microseconds: 1\n}\n"
            ),
            "{text}"
        );
    }
}

#[test]
fn what_runs_onnx_gives_memory_back() {
    for kind in Kind::ALL {
        for model in ["encoder", "decoder"]
            .iter()
            .filter(|model| kind.template().models().contains(model))
        {
            for config in configs(&template(kind).join(model)).unwrap() {
                let text = fs::read_to_string(template(kind).join(model).join(config)).unwrap();
                let key = "key: \"memory.enable_memory_arena_shrinkage\"";
                assert_eq!(text.matches(key).count(), 1, "{text}");
            }
        }
    }
}

/// The template of `kind` has `from` this many times in the configuration of each model.
fn assert_in_template(kind: Kind, from: &str, counts: &[(&str, usize)]) {
    for model in kind.template().models() {
        let expected = counts
            .iter()
            .find(|(name, _)| name == model)
            .map_or(0, |(_, count)| *count);
        let found = config(&template(kind), model).matches(from).count();
        assert_eq!(found, expected, "{from} in {model}");
    }
}

#[test]
fn the_templates_write_what_is_replaced_as_expected() {
    for (kind, counts) in [
        (
            Sensevoice,
            vec![
                vec![("feature_extractor", 1), ("encoder", 2)],
                vec![("sensevoice", 1), ("feature_extractor", 1)],
            ],
        ),
        (
            Paraformer,
            vec![
                vec![("feature_extractor", 1), ("encoder", 2)],
                vec![("infer_pipeline", 1)],
                vec![("scoring", 1)],
                vec![("infer_pipeline", 1)],
            ],
        ),
        (
            ParaformerOnline,
            vec![
                vec![("lfr_cmvn_pe", 1), ("encoder", 2)],
                vec![("feature_extractor", 1), ("lfr_cmvn_pe", 1)],
                vec![("lfr_cmvn_pe", 2)],
                vec![("cif_search", 1)],
                vec![("streaming_paraformer", 1)],
                vec![("decoder", 1)],
                vec![("decoder", 1)],
                vec![("decoder", 1)],
            ],
        ),
    ] {
        let (_directory, mut options) = export(kind);
        options.common.keep_logits = true;
        let assembly = plan(kind, &options).unwrap();
        assert_eq!(assembly.replacements.len(), counts.len());
        for ((from, _), counts) in assembly.replacements.iter().zip(&counts) {
            assert_in_template(kind, from, counts);
        }
    }
    assert!(config(&template(Sensevoice), "scoring").contains(TOKENIZER));
}

#[test]
fn without_tokens_json_the_vocabulary_is_that_of_the_config() {
    for (kind, model) in [(Paraformer, "scoring"), (ParaformerOnline, "cif_search")] {
        let (_directory, options) = export(kind);
        let tokens = options.from.join("tokens.json");
        let list: Vec<String> = serde_json::from_slice(&fs::read(&tokens).unwrap()).unwrap();
        fs::remove_file(tokens).unwrap();
        assert_eq!(
            problems(kind, &options),
            ["no tokens.json, and no token_list in config.yaml either"]
        );
        let yaml = options.from.join("config.yaml");
        let mut text = fs::read_to_string(&yaml).unwrap();
        text.push_str("token_list:\n");
        list.iter()
            .for_each(|token| text.push_str(&format!("- {token}\n")));
        fs::write(&yaml, text).unwrap();
        assemble(kind, &options).unwrap();
        let place = format!("{model}/config.yaml");
        assert_placed(&options, &[("config.yaml", &place)]);
        let vocabulary =
            |name: &str| format!("key: \"vocabulary\"\n    value: {{ string_value: \"{name}\" }}");
        let own = config(&options.common.to, model);
        assert!(own.contains(&vocabulary("config.yaml")), "{own}");
        let pipeline = config(&options.common.to, kind.template().models()[0]);
        assert!(pipeline.contains(&vocabulary(&place)), "{pipeline}");
    }
}

#[test]
fn all_that_does_not_fit_a_streaming_decoder_is_told() {
    let (_directory, options) = export(ParaformerOnline);
    fs::write(
        options.from.join("config.yaml"),
        "frontend_conf:\n    n_mels: 40\nencoder_conf:\n    output_size: 512\n",
    )
    .unwrap();
    fs::write(options.from.join("tokens.json"), "[\"a\"]").unwrap();
    fs::copy(
        project().join("demo/paraformer/model.onnx"),
        options.from.join("decoder.onnx"),
    )
    .unwrap();
    assert_eq!(
        problems(ParaformerOnline, &options),
        [
            "am.mvn has 560 values per frame, config.yaml makes 280 (n_mels 40 x lfr_m 7)",
            "model.onnx: input speech takes 560 values per frame, config.yaml makes 280",
            "model.onnx: output enc is 128 wide, encoder_conf.output_size in config.yaml is 512",
            "decoder.onnx: no input enc; it has speech, speech_lengths",
            "decoder.onnx: no input enc_len; it has speech, speech_lengths",
            "decoder.onnx: no input acoustic_embeds; it has speech, speech_lengths",
            "decoder.onnx: no input acoustic_embeds_len; it has speech, speech_lengths",
            "decoder.onnx: input speech is none of the streaming decoder's: enc, enc_len, acoustic_embeds, acoustic_embeds_len",
            "decoder.onnx: input speech_lengths is none of the streaming decoder's: enc, enc_len, acoustic_embeds, acoustic_embeds_len",
            "decoder.onnx: no output sample_ids; it has logits, token_num",
            "decoder.onnx: output logits scores 124 tokens, tokens.json has 1",
            "decoder.onnx: no inputs in_cache_0, in_cache_1, …: it is no decoder for streams",
        ]
    );
}

#[test]
fn a_front_end_of_other_windows_is_told() {
    let (_directory, options) = export(ParaformerOnline);
    let yaml = options.from.join("config.yaml");
    let text = fs::read_to_string(&yaml).unwrap();
    fs::write(&yaml, text.replace("lfr_n: 6", "lfr_n: 10")).unwrap();
    assert_eq!(
        problems(ParaformerOnline, &options),
        ["config.yaml: a chunk of 0.6 s makes 6 stacked frames, expected 10"]
    );
}
