//! Assembling the demo model, and exports that do not fit.

use super::*;
use tempfile::TempDir;

fn layout() -> Layout {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Layout {
        work: project.join("target/xtask"),
        project,
    }
}

/// A copy of the demo export, and a place for a repository.
fn export() -> (TempDir, Sensevoice) {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("export");
    fs::create_dir(&from).unwrap();
    for entry in fs::read_dir(layout().project.join("demo/sensevoice")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, from.join(name_of(&path))).unwrap();
    }
    let options = Sensevoice {
        from,
        to: directory.path().join("repo"),
        quantized: false,
        force: false,
    };
    (directory, options)
}

fn problems(options: &Sensevoice) -> Vec<String> {
    let error = assemble(&layout(), options).unwrap_err().to_string();
    assert!(!options.to.exists());
    let mut lines = error.lines();
    assert!(
        lines.next().unwrap().ends_with(" cannot be used:"),
        "{error}"
    );
    lines
        .map(|line| line.trim_start_matches("  - ").to_owned())
        .collect()
}

#[test]
fn the_demo_becomes_a_repository() {
    let (_directory, options) = export();
    let facts = assemble(&layout(), &options).unwrap();
    assert_eq!(facts, "model.onnx, 560 features, 178 pieces");
    for (from, to) in [
        ("model.onnx", "encoder/1/model.onnx"),
        ("am.mvn", "feature_extractor/am.mvn"),
        ("config.yaml", "feature_extractor/config.yaml"),
        (TOKENIZER, "scoring/chn_jpn_yue_eng_ko_spectok.bpe.model"),
    ] {
        assert_eq!(
            fs::read(options.from.join(from)).unwrap(),
            fs::read(options.to.join(to)).unwrap(),
            "{to}"
        );
    }
    for model in MODELS {
        assert!(options.to.join(model).join("1").is_dir());
        let config = Path::new(model).join("config.pbtxt");
        assert_eq!(
            fs::read(options.to.join(&config)).unwrap(),
            fs::read(layout().project.join(TEMPLATE).join(&config)).unwrap()
        );
    }
    assert_eq!(
        fs::read_dir(options.to.parent().unwrap()).unwrap().count(),
        2,
        "nothing is left beside it"
    );
}

#[test]
fn the_quantized_model_takes_the_place_of_the_other() {
    let (_directory, mut options) = export();
    options.quantized = true;
    assemble(&layout(), &options).unwrap();
    assert_eq!(
        fs::read(options.to.join("encoder/1/model.onnx")).unwrap(),
        fs::read(options.from.join("model_quant.onnx")).unwrap()
    );
}

#[test]
fn a_repository_is_replaced_only_by_force_and_other_directories_never() {
    let (_directory, mut options) = export();
    assemble(&layout(), &options).unwrap();
    let error = assemble(&layout(), &options).unwrap_err().to_string();
    assert!(
        error.ends_with("it holds a repository already; --force replaces it"),
        "{error}"
    );
    options.force = true;
    fs::write(options.to.join("encoder/1/stale"), "").unwrap();
    assemble(&layout(), &options).unwrap();
    assert!(!options.to.join("encoder/1/stale").exists());
    fs::write(options.to.join("thesis.tex"), "").unwrap();
    let error = assemble(&layout(), &options).unwrap_err().to_string();
    assert!(
        error.ends_with("it holds thesis.tex, which is no part of a SenseVoice repository"),
        "{error}"
    );
    assert!(options.to.join("thesis.tex").exists());
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let (_directory, options) = export();
    for name in ["model.onnx", "am.mvn", TOKENIZER] {
        fs::remove_file(options.from.join(name)).unwrap();
    }
    assert_eq!(
        problems(&options),
        [
            "no model.onnx; there is model_quant.onnx: give --quantized to take it",
            "no am.mvn",
            "no .bpe.model (the sentencepiece model)",
        ]
    );
}

#[test]
fn unreadable_pieces_are_told_with_their_names() {
    let (_directory, options) = export();
    fs::write(
        options.from.join("model.onnx"),
        "version https://git-lfs.github.com/spec/v1",
    )
    .unwrap();
    fs::write(options.from.join("am.mvn"), "<Nnet>\n").unwrap();
    fs::write(options.from.join("config.yaml"), "model: SenseVoiceSmall\n").unwrap();
    fs::write(options.from.join(TOKENIZER), "nothing").unwrap();
    let problems = problems(&options);
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
    let (_directory, options) = export();
    fs::write(
        options.from.join("config.yaml"),
        "frontend_conf:\n    n_mels: 40\n",
    )
    .unwrap();
    let other = layout()
        .project
        .join("crates/asr-decode/tests/data/tokenizer.bpe.model");
    fs::copy(other, options.from.join(TOKENIZER)).unwrap();
    assert_eq!(
        problems(&options),
        [
            "am.mvn has 560 values per frame, config.yaml makes 280 (n_mels 40 x lfr_m 7)",
            "model.onnx: input speech takes 560 values per frame, config.yaml makes 280",
            "model.onnx: output ctc_logits scores 178 pieces, the tokenizer chn_jpn_yue_eng_ko_spectok.bpe.model has 25055",
        ]
    );
}

#[test]
fn the_template_writes_feature_dims_as_expected() {
    let config = |model: &str| {
        fs::read_to_string(
            layout()
                .project
                .join(TEMPLATE)
                .join(model)
                .join("config.pbtxt"),
        )
        .unwrap()
    };
    assert_eq!(config("feature_extractor").matches(FEATURE_DIMS).count(), 1);
    assert_eq!(config("encoder").matches(FEATURE_DIMS).count(), 1);
    assert!(config("scoring").contains(TOKENIZER));
}
