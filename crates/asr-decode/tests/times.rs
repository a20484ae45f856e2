//! Times and words are those that FunASR's own code gives for the same scores and weights; data/make_times.py says how.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use asr_decode::sentencepiece::Tokenizer;
use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use asr_decode::{Best, Span, Transcript, ctc, ctc_times, paraformer, paraformer_times};
use ndarray::Array1;
use ndarray_npy::NpzReader;
use serde::Deserialize;
use serde::de::DeserializeOwned;

const PROMPT: usize = 4;

type Times = Vec<(u64, u64)>;

#[derive(Deserialize)]
struct Ctc {
    ids: Vec<i32>,
    times: Times,
    words: Option<Vec<(String, u64, u64)>>,
}

#[derive(Deserialize)]
struct Paraformer {
    tokens: usize,
    times: Option<Times>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn open(name: &str) -> File {
    File::open(data(name)).unwrap()
}

fn cases<T: DeserializeOwned>(name: &str) -> BTreeMap<String, T> {
    serde_json::from_reader(open(name)).unwrap()
}

fn pair(Span { start_ms, end_ms }: Span) -> (u64, u64) {
    (start_ms, end_ms)
}

/// Times of the tokens that have one.
fn times(transcript: &Transcript) -> Times {
    let times = transcript.tokens.iter().filter_map(|token| token.time);
    times.map(pair).collect()
}

/// What is heard in frames with these best units.
fn heard(ids: &[i32], model: &str) -> Transcript {
    let tokenizer = Tokenizer::from_file(data(model)).unwrap();
    let certain = vec![0.0; ids.len()];
    let best = Best::new(ids, &certain, tokenizer.len()).unwrap();
    let mut heard = ctc::transcript_of_best(&best, 0, &tokenizer).unwrap();
    ctc_times::set_times(&mut heard, PROMPT);
    heard
}

#[test]
fn times_of_random_scores_are_those_of_funasr() {
    let mut counts = Vec::new();
    for (case, expected) in cases::<Ctc>("ctc_times.json") {
        if expected.words.is_none() {
            let found = times(&heard(&expected.ids, "bytes.model"));
            assert_eq!(found, expected.times, "{case}");
            counts.push(found.len());
        }
    }
    // All blank has none, the long one has many.
    assert_eq!(counts.len(), 14);
    assert!(counts.contains(&0) && counts.contains(&1) && counts.iter().any(|many| *many > 100));
}

#[test]
fn times_and_words_of_the_demos_recordings_are_those_of_funasr() {
    let mut recordings = 0;
    for (case, expected) in cases::<Ctc>("ctc_times.json") {
        let Some(words) = &expected.words else {
            continue;
        };
        recordings += 1;
        let heard = heard(&expected.ids, "demo.model");
        assert_eq!(times(&heard), expected.times, "{case}");
        // FunASR keeps the mark of the first word, and has signs for words of their own.
        let is_word = |(text, ..): &&(String, u64, u64)| text.contains(char::is_alphanumeric);
        let theirs = words.iter().filter(is_word).map(|(text, start, end)| {
            let text = text.trim_start_matches('\u{2581}');
            (text.to_owned(), Some((*start, *end)))
        });
        let theirs: Vec<_> = theirs.collect();
        let ours = heard.words().into_iter().map(|word| {
            let text = word.text.trim_matches(|c: char| !c.is_alphanumeric());
            (text.to_owned(), word.time.map(pair))
        });
        let ours: Vec<_> = ours.collect();
        assert_eq!(ours, theirs, "{case}");
    }
    assert_eq!(recordings, 22);
}

#[test]
fn times_of_paraformer_are_those_of_funasr() {
    let mut arrays = NpzReader::new(open("paraformer_times.npz")).unwrap();
    let mut array = |name: String| -> Array1<f32> { arrays.by_name(&name).unwrap() };
    let expected = cases::<Paraformer>("paraformer_times.json");
    let vocabulary = br#"["<blank>", "<s>", "</s>", "\u770b"]"#;
    let vocabulary = Vocabulary::from_bytes(vocabulary).unwrap();
    assert!(expected.len() > 50);
    let mut summed = 0;
    for (case, expected) in expected {
        let alphas = array(format!("{case}.alphas")).to_vec();
        let peaks = array(format!("{case}.peaks")).to_vec();
        let found = paraformer_times::spans(&alphas, &peaks, expected.tokens).unwrap();
        let found: Option<Times> = found.map(|spans| spans.into_iter().map(pair).collect());
        assert_eq!(found, expected.times, "{case}");
        // Where a case's peaks are made up, its weights are not those that lead to them.
        let made_up = ["end_", "long_token_", "border_"];
        if made_up.iter().any(|made_up| case.starts_with(made_up)) {
            continue;
        }
        summed += 1;
        assert_eq!(paraformer_times::sums(&alphas), peaks, "{case}");
        // As tokens of a transcript.
        let (ids, certain) = (vec![3; expected.tokens], vec![0.0; expected.tokens]);
        let best = Best::new(&ids, &certain, vocabulary.len()).unwrap();
        let mut heard = paraformer::transcript_of_best(&best, &vocabulary, Join::Words).unwrap();
        paraformer_times::set_times(&mut heard, &alphas).unwrap();
        assert_eq!(times(&heard), expected.times.unwrap_or_default(), "{case}");
    }
    assert!(summed > 30, "{summed}");
}
