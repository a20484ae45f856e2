use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn export(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/segments/models")
        .join(name)
}

fn options(from: PathBuf, to: &Path) -> Options {
    Options {
        from,
        common: Common::new(to.join("repo")),
    }
}

#[test]
fn a_vad_repository_has_the_files_dimensions() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(export("fsmn_vad"), directory.path());
    let facts = assemble(Beside::Vad, &options).unwrap();
    assert_eq!(
        facts,
        "model.onnx, 400 features, 4 caches, segments end after 600 ms of silence"
    );
    let to = &options.common.to;
    for file in [
        "vad/1",
        "vad/config.pbtxt",
        "streaming_vad/config.pbtxt",
        "fsmn_vad/1/model.onnx",
        "fsmn_vad/am.mvn",
        "fsmn_vad/config.yaml",
    ] {
        assert!(to.join(file).exists(), "{file}");
    }
    let text = fs::read_to_string(to.join("fsmn_vad/config.pbtxt")).unwrap();
    let template = Beside::Vad.template("fsmn_vad/config.pbtxt").unwrap();
    let expected = template
        .replace("1, 128, 19, 1", "1, 8, 5, 1")
        .replace("1, 128, -1, 1", "1, 8, 5, 1")
        .replace("1, -1, 248", "1, -1, 3");
    assert_eq!(text, expected);
}

#[test]
fn a_directory_of_silero_vad_is_known_by_its_files() {
    assert_eq!(vad(&export("fsmn_vad")), Beside::Vad);
    let directory = tempfile::tempdir().unwrap();
    let options = options(export("silero"), directory.path());
    let kind = vad(&options.from);
    assert_eq!(kind, Beside::Silero);
    let plan = plan(kind, &options).unwrap();
    assert!(plan.notes[0].contains("silero_vad_16k_sequence.onnx"));
    let facts = assemble(kind, &options).unwrap();
    assert_eq!(facts, "silero_vad.onnx in a loop, windows of 32 ms");
    let to = &options.common.to;
    let text = |model: &str| fs::read_to_string(to.join(model).join("config.pbtxt")).unwrap();
    let template = Beside::Silero.template("silero_vad/config.pbtxt").unwrap();
    let expected = template.replace("[ 1, 1, 128 ]", "[ 1, -1, 128 ]");
    assert_eq!(text("silero_vad"), expected);
    assert!(text("vad").contains("\"silero\"") && text("streaming_vad").contains("\"silero_vad\""));
    // What the loop makes of it has the tensors of the model for sequences.
    let made = to.join("silero_vad/1/model.onnx");
    let sequence = directory.path().join("sequence");
    fs::create_dir(&sequence).unwrap();
    fs::copy(&made, sequence.join("silero_vad_16k_sequence.onnx")).unwrap();
    let again = Options {
        from: sequence,
        common: Common::new(directory.path().join("again")),
    };
    let plan = super::plan(kind, &again).unwrap();
    assert_eq!(plan.facts, "silero_vad_16k_sequence.onnx, windows of 32 ms");
    assert_eq!(plan.notes, [] as [String; 0]);
    plan.write(&again.common.to, again.common.large()).unwrap();
    let copy = fs::read(again.common.to.join("silero_vad/1/model.onnx")).unwrap();
    assert_eq!(copy, fs::read(made).unwrap(), "it is taken as it is");
    let mut quantized = again;
    quantized.common.quantized = true;
    assert!(super::plan(kind, &quantized).is_err());
}

#[test]
fn one_kind_of_voice_activity_detection_takes_the_place_of_the_other() {
    let directory = tempfile::tempdir().unwrap();
    for (name, inner, other) in [
        ("silero", "silero_vad", "fsmn_vad"),
        ("fsmn_vad", "fsmn_vad", "silero_vad"),
    ] {
        let mut options = options(export(name), directory.path());
        options.common.force = true;
        assemble(vad(&options.from), &options).unwrap();
        assert!(options.common.to.join(inner).exists());
        assert!(!options.common.to.join(other).exists());
    }
}

#[test]
fn a_punctuation_repository_is_of_the_models_kind() {
    for (name, outer, other, template) in [
        (
            "ct_punc",
            "punctuation",
            "streaming_punctuation",
            "ct_transformer/config.pbtxt",
        ),
        (
            "ct_punc_realtime",
            "streaming_punctuation",
            "punctuation",
            "ct_transformer/configs/realtime.pbtxt",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let options = options(export(name), directory.path());
        let facts = assemble(Beside::Punctuation, &options).unwrap();
        assert!(facts.ends_with("22 words, 6 marks"), "{facts}");
        assert_eq!(facts.contains("realtime"), name.ends_with("realtime"));
        let to = &options.common.to;
        assert!(to.join(outer).join("config.pbtxt").exists());
        assert!(!to.join(other).exists());
        assert!(to.join("ct_transformer/tokens.json").exists());
        let text = fs::read_to_string(to.join("ct_transformer/config.pbtxt")).unwrap();
        assert_eq!(text, Beside::Punctuation.template(template).unwrap());
    }
}

#[test]
fn an_export_of_the_realtime_kind_has_one_row() {
    // The exporter leaves the scores' first dimension open, ONNX Runtime finds that it is 1, and wants that of the config.
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/punc_realtime");
    let directory = tempfile::tempdir().unwrap();
    let options = options(from, directory.path());
    assemble(Beside::Punctuation, &options).unwrap();
    let to = &options.common.to;
    let text = fs::read_to_string(to.join("ct_transformer/config.pbtxt")).unwrap();
    assert!(text.contains("dims: [ 1, -1, 6 ]"), "{text}");
}

#[test]
fn pieces_that_do_not_fit_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("export");
    fs::create_dir(&from).unwrap();
    let options = options(from.clone(), directory.path());
    let error = |kind| assemble(kind, &options).unwrap_err().to_string();
    let message = error(Beside::Vad);
    for words in ["no model.onnx", "no am.mvn", "no config.yaml"] {
        assert!(message.contains(words), "{message}");
    }
    // The pieces of another model.
    for file in ["model.onnx", "config.yaml", "tokens.json"] {
        fs::copy(export("ct_punc").join(file), from.join(file)).unwrap();
    }
    fs::copy(export("fsmn_vad").join("am.mvn"), from.join("am.mvn")).unwrap();
    let message = error(Beside::Vad);
    for words in [
        "model.onnx has no input speech",
        "no output out_cache0",
        "no `frontend_conf`",
    ] {
        assert!(message.contains(words), "{message}");
    }
    fs::write(from.join("config.yaml"), "model_conf: {punc_list: [_, ，]}").unwrap();
    let message = error(Beside::Punctuation);
    assert!(
        message.contains("logits scores Some(6) marks, punc_list of config.yaml has 2"),
        "{message}"
    );
    assert!(!options.common.to.exists());
}
