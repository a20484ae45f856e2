use std::fs;
use std::path::Path;

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
