//! Paths that lead to no file, or to none that fits: the vocabulary and the tokenizer are read by the same rules.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use asr_decode::sentencepiece::Tokenizer;
use asr_decode::vocabulary::Vocabulary;

fn errors(path: &Path) -> [String; 2] {
    [
        Vocabulary::from_file(path).unwrap_err().to_string(),
        Tokenizer::from_file(path).unwrap_err().to_string(),
    ]
}

#[test]
fn what_is_no_file_or_too_large_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let status = Command::new("mkfifo").arg(place("pipe")).status().unwrap();
    assert!(status.success());
    symlink("loop", place("loop")).unwrap();
    File::create(place("large"))
        .and_then(|file| file.set_len(10 << 30))
        .unwrap();
    for (path, message) in [
        (
            directory.path().to_owned(),
            "it is a directory, expected a file",
        ),
        (place("pipe"), "it is a pipe or a device, expected a file"),
        (
            PathBuf::from("/dev/zero"),
            "it is a pipe or a device, expected a file",
        ),
        (place("loop"), "symbolic links"),
        (place("large"), "it has more than 16 MB, expected no more"),
        (place("absent"), "No such file"),
    ] {
        let [vocabulary, tokenizer] = errors(&path);
        let path = path.display();
        let start = format!("cannot read the vocabulary {path}: ");
        assert!(
            vocabulary.starts_with(&start) && vocabulary.contains(message),
            "{vocabulary}"
        );
        let start = format!("cannot read the tokenizer {path}: ");
        assert!(
            tokenizer.starts_with(&start) && tokenizer.contains(message),
            "{tokenizer}"
        );
    }
}

#[test]
fn what_is_not_text_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.json");
    std::fs::write(&path, b"[\"\xe9\"]").unwrap();
    let [vocabulary, tokenizer] = errors(&path);
    let path = path.display();
    assert_eq!(
        vocabulary,
        format!("{path}: not a vocabulary: the byte at offset 2 is not UTF-8")
    );
    assert!(
        tokenizer.starts_with(&format!("{path}: not a SentencePiece model")),
        "{tokenizer}"
    );
}
