//! What decoders return: the same text as their plain functions, and every token with its frames.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use asr_decode::cif::{Cif, CifOptions};
use asr_decode::paraformer::{self, Heard};
use asr_decode::sentencepiece::Tokenizer;
use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use asr_decode::{Frames, Probabilities, Tags, Transcript, ctc};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_file(data("demo.model")).unwrap()
}

/// Id of a piece.
fn id(tokenizer: &Tokenizer, piece: &str) -> u32 {
    (0..tokenizer.len() as u32)
        .find(|&id| tokenizer.piece(id) == Some(piece))
        .unwrap()
}

/// Scores `[frames, vocab]` with 2.0 for the given id of each frame and else 0.
fn scores(best: &[u32], vocab: usize) -> Vec<f32> {
    let mut scores = vec![0.0; best.len() * vocab];
    for (frame, &id) in best.iter().enumerate() {
        scores[frame * vocab + id as usize] = 2.0;
    }
    scores
}

fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 1u32;
    move |below| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    }
}

/// Id, piece, first and last frame of each token.
fn tokens(transcript: &Transcript) -> Vec<(u32, &str, u64, u64)> {
    let token = |token: &asr_decode::Token| token.frames.unwrap();
    transcript
        .tokens
        .iter()
        .map(|it| (it.id, token(it)))
        .zip(transcript.tokens.iter().map(|token| &*token.piece))
        .map(|((id, frames), piece)| (id, piece, frames.first, frames.last))
        .collect()
}

#[test]
fn a_row_of_sense_voice() {
    let tokenizer = tokenizer();
    let id = |piece| id(&tokenizer, piece);
    let (zh, sad, speech, with) = (
        id("<|zh|>"),
        id("<|SAD|>"),
        id("<|Speech|>"),
        id("<|withitn|>"),
    );
    let (see, again) = (id("再"), id("见"));
    // A unit right behind its like is the same one; a blank between them makes it two.
    let best = [
        zh, sad, speech, with, 0, see, see, again, again, again, 0, again, 0, 0,
    ];
    let mut scores = scores(&best, tokenizer.len());
    let vocab = tokenizer.len();
    // Surer of its second frame than of its first.
    scores[6 * vocab + see as usize] = 9.0;
    let heard = ctc::transcript(&scores, 0, &tokenizer, Probabilities::Computed).unwrap();
    assert_eq!(heard.raw, "<|zh|><|SAD|><|Speech|><|withitn|>再见见");
    assert_eq!(heard.text(), "再见见");
    let named = |name: &str| Some(name.into());
    let Tags {
        language,
        emotion,
        event,
        text_norm,
        ..
    } = heard.tags.clone();
    assert_eq!((language, emotion), (named("zh"), named("SAD")));
    assert_eq!((event, text_norm), (named("Speech"), named("withitn")));
    assert_eq!(
        tokens(&heard),
        [
            (zh, "<|zh|>", 0, 0),
            (sad, "<|SAD|>", 1, 1),
            (speech, "<|Speech|>", 2, 2),
            (with, "<|withitn|>", 3, 3),
            (see, "再", 5, 6),
            (again, "见", 7, 9),
            (again, "见", 11, 11),
        ]
    );
    let softmax = |score: f64| score.exp() / (score.exp() + vocab as f64 - 1.0);
    for token in &heard.tokens {
        let expected = softmax(if token.id == see { 9.0 } else { 2.0 });
        let probability = f64::from(token.probability.unwrap());
        assert!(
            (probability - expected).abs() < 1e-5,
            "{probability} {expected}"
        );
    }
    let absent = ctc::transcript(&scores, 0, &tokenizer, Probabilities::Absent).unwrap();
    assert!(
        absent
            .tokens
            .iter()
            .all(|token| token.probability.is_none())
    );
    assert_eq!((absent.raw, tokens(&heard).len()), (heard.raw.clone(), 7));
}

#[test]
fn rows_with_nothing_in_them() {
    let tokenizer = tokenizer();
    for frames in [0, 1, 5] {
        let blanks = scores(&vec![0; frames], tokenizer.len());
        let heard = ctc::transcript(&blanks, 0, &tokenizer, Probabilities::Computed).unwrap();
        assert_eq!(heard, Transcript::default());
        assert_eq!(heard.text(), "");
    }
}

#[test]
fn scores_that_are_none_are_errors() {
    let tokenizer = tokenizer();
    let vocab = tokenizer.len();
    let error = |scores: &[f32]| {
        ctc::transcript(scores, 0, &tokenizer, Probabilities::Absent)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(&vec![0.0; vocab + 1]),
        format!(
            "{} CTC scores are not a whole number of frames of {vocab} units",
            vocab + 1
        )
    );
    let mut broken = scores(&[3, 4], vocab);
    broken[vocab..].fill(f32::NAN);
    assert!(error(&broken).starts_with("frame 1 has no score but NaN"));
}

#[test]
fn the_raw_text_is_that_of_the_plain_functions() {
    let mut random = numbers();
    for name in [
        "demo",
        "bytes",
        "bytes_keep",
        "keep_spaces",
        "no_prefix",
        "suffix",
        "verbatim",
    ] {
        let tokenizer = Tokenizer::from_file(data(&format!("{name}.model"))).unwrap();
        let vocab = tokenizer.len();
        for _ in 0..200 {
            let best: Vec<u32> = (0..random(30)).map(|_| random(vocab) as u32).collect();
            let scores = scores(&best, vocab);
            let heard = ctc::transcript(&scores, 0, &tokenizer, Probabilities::Absent).unwrap();
            let mut ids = Vec::new();
            ctc::greedy(&scores, vocab, 0, &mut ids).unwrap();
            assert_eq!(
                heard.raw,
                tokenizer.decode(&ids).unwrap(),
                "{name}: {ids:?}"
            );
            assert_eq!(
                heard
                    .tokens
                    .iter()
                    .map(|token| token.id)
                    .collect::<Vec<_>>(),
                ids
            );
            for (_, _, first, last) in tokens(&heard) {
                let run = &best[first as usize..=last as usize];
                assert!(run.iter().all(|&id| id == run[0]));
            }
        }
    }
    let vocabulary = Vocabulary::from_file(data("tokens.json")).unwrap();
    for _ in 0..20 {
        let best: Vec<u32> = (0..random(30))
            .map(|_| random(vocabulary.len()) as u32)
            .collect();
        let scores = scores(&best, vocabulary.len());
        for join in [Join::Words, Join::Raw] {
            let rows = best.len();
            let heard =
                paraformer::transcript(&scores, rows, &vocabulary, join, Probabilities::Absent);
            let heard = heard.unwrap();
            let mut ids = Vec::new();
            paraformer::greedy(&scores, vocabulary.len(), rows, &mut ids).unwrap();
            let text = paraformer::text(&ids, &vocabulary, join).unwrap();
            assert_eq!((&heard.raw, heard.text()), (&text, text.clone()));
            assert_eq!(
                heard
                    .tokens
                    .iter()
                    .map(|token| token.id)
                    .collect::<Vec<_>>(),
                ids
            );
        }
    }
}

/// The transcripts of a stream whose frames come in windows that end at `cuts`. Its decoder answers these ids, one after the
/// other.
fn stream(alphas: &[f32], ids: &[i64], cuts: &[usize]) -> Vec<Transcript> {
    let tokens = br#"["<blank>", "<s>", "</s>", "\u770b", "n", "b", "a", "hel@@", "lo"]"#;
    let vocabulary = Vocabulary::from_bytes(tokens).unwrap();
    let mut cif = Cif::new(CifOptions {
        hidden_size: 1,
        ..CifOptions::default()
    })
    .unwrap();
    let mut joiner = vocabulary.joiner(Join::Words);
    let mut answers = ids.iter();
    let hidden = vec![1.0; alphas.len()];
    let mut start = 0;
    let window = |(index, &end): (usize, &usize)| {
        let mut embeddings = Vec::new();
        let mut fired = cif
            .integrate(&hidden, alphas, start..end, &mut embeddings)
            .unwrap();
        start = end;
        let last = index + 1 == cuts.len();
        if last {
            fired += cif.tail(&mut embeddings);
        }
        assert_eq!((fired, embeddings.len()), (cif.fires().len(), fired));
        let heard = cif
            .fires()
            .iter()
            .map(|&frames| Heard::in_frames(*answers.next().unwrap(), frames));
        let mut delta = Transcript::default();
        paraformer::append(heard, &vocabulary, &mut joiner, &mut delta).unwrap();
        if last {
            joiner.finish(&mut delta.raw);
        }
        delta
    };
    cuts.iter().enumerate().map(window).collect()
}

#[test]
fn a_stream_is_the_same_however_it_is_cut() {
    let alphas: Vec<f32> = (0..61)
        .map(|frame| [0.0, 0.1, 0.4, 0.3][frame / 2 % 4])
        .collect();
    let ids = [3, 4, 5, 6, 7, 8, 7, 8, 2, 4, 3, 8];
    let whole = stream(&alphas, &ids, &[61]);
    assert_eq!(whole[0].raw, "看NBA hello hello n看lo");
    let of_two = Frames { first: 0, last: 5 };
    assert_eq!(whole[0].tokens[0].frames, Some(of_two));
    let mut random = numbers();
    for round in 0..100 {
        let mut cuts: Vec<usize> = (0..random(12)).map(|_| random(61)).chain([61]).collect();
        cuts.sort_unstable();
        let deltas = stream(&alphas, &ids, &cuts);
        let raw: String = deltas.iter().map(|delta| delta.raw.as_str()).collect();
        let text: String = deltas.iter().map(Transcript::text).collect();
        assert_eq!(
            (&raw, &text),
            (&whole[0].raw, &whole[0].raw),
            "{round}: {cuts:?}"
        );
        let tokens: Vec<_> = deltas.into_iter().flat_map(|delta| delta.tokens).collect();
        assert_eq!(tokens, whole[0].tokens, "{round}: {cuts:?}");
    }
}
