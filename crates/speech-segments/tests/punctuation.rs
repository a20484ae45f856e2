//! Texts are those of funasr_onnx's CT_Transformer and CT_Transformer_VadRealtime.
#![allow(clippy::unwrap_used)]

mod goldens;

use goldens::{best, cases, number};
use serde_json::Value;
use speech_segments::punctuation::{
    Cache, MarkStyle, PunctuationError, PunctuationOptions, PunctuationVocabulary, Punctuator,
    vad_mask,
};

const WORDS: &str =
    "我 你 他 们 去 来 吗 好 天 气 很 今 明 hello world it's 3.5 ok New York a <unk>";

fn options() -> PunctuationOptions {
    PunctuationOptions::from_yaml("model_conf: {punc_list: [<unk>, _, ',', 。, '?', 、]}").unwrap()
}

fn punctuator(options: PunctuationOptions) -> Punctuator {
    let words = WORDS.split(' ').map(str::to_owned).collect();
    Punctuator::new(options, PunctuationVocabulary::new(words).unwrap()).unwrap()
}

fn text<'c>(case: &'c Value, key: &str) -> &'c str {
    case[key].as_str().unwrap()
}

/// The text with the marks that a model sets that answers with `model`, and the calls of it.
fn set(
    punctuator: &Punctuator,
    text: &str,
    model: impl Fn(&[i32]) -> Vec<usize>,
) -> (String, Vec<usize>) {
    let (mut text, mut calls) = (punctuator.text(text), Vec::new());
    while let Some(ids) = text.ask() {
        calls.push(ids.len());
        let answer = model(ids);
        punctuator.answer(&mut text, &answer).unwrap();
    }
    (punctuator.finish(text), calls)
}

#[test]
fn texts_are_those_of_ct_transformer() {
    let punctuator = punctuator(options());
    let mut longest = 0;
    for case in cases("text.json") {
        let (seed, style) = (number(&case, "seed"), number(&case, "style"));
        let (answer, calls) = set(&punctuator, text(&case, "text"), |ids| {
            best(seed, style, ids, 0)
        });
        assert_eq!(answer, text(&case, "answer"), "seed {seed}, style {style}");
        longest = longest.max(calls.into_iter().max().unwrap());
    }
    assert_eq!(
        longest, 800,
        "style 3 sets no mark: nothing is ever settled"
    );
}

#[test]
fn pieces_are_those_of_vad_realtime() {
    let punctuator = punctuator(options());
    let mut cached = 0;
    for case in cases("pieces.json") {
        let (seed, style) = (number(&case, "seed"), number(&case, "style"));
        let mut cache = Cache::default();
        for (index, expected) in case["pieces"].as_array().unwrap().iter().enumerate() {
            let mut piece = punctuator.piece(&cache, text(expected, "text"));
            while let Some(ids) = piece.ask() {
                let mask = vad_mask(ids.len(), piece.old());
                let masked = mask.iter().filter(|&&value| value == 0.0).count();
                let answer = best(seed, style, ids, masked);
                punctuator.answer_piece(&mut piece, &answer).unwrap();
            }
            let answer = punctuator.finish_piece(piece, &mut cache);
            let place = format!("seed {seed}, style {style}, piece {index}");
            assert_eq!(answer, text(expected, "answer"), "{place}");
            let words: Vec<String> = serde_json::from_value(expected["cache"].clone()).unwrap();
            assert_eq!(cache.words(), words, "{place}");
            cached += words.len();
        }
    }
    assert!(cached > 300, "{cached} cached words are no comparison");
}

#[test]
fn a_text_without_words_stays_one() {
    let punctuator = punctuator(options());
    for empty in ["", " \n"] {
        assert_eq!(
            set(&punctuator, empty, |_| Vec::new()),
            (String::new(), vec![])
        );
    }
    let mut cache = Cache::default();
    let mut piece = punctuator.piece(&cache, "你好");
    punctuator.answer_piece(&mut piece, &[1, 3]).unwrap();
    assert_eq!(punctuator.finish_piece(piece, &mut cache), "你好");
    let before = cache.clone();
    assert_eq!(before.words(), ["你", "好"]);
    let piece = punctuator.piece(&cache, " ");
    assert_eq!(piece.ask(), None);
    assert_eq!(punctuator.finish_piece(piece, &mut cache), "");
    assert_eq!(cache, before);
    // The mark that was taken back comes with the next piece.
    let mut piece = punctuator.piece(&cache, "ok_");
    punctuator.answer_piece(&mut piece, &[1, 3, 1]).unwrap();
    assert_eq!(punctuator.finish_piece(piece, &mut cache), "。ok_");
}

#[test]
fn english_marks_stand_behind_english_words() {
    let by_word = PunctuationOptions {
        style: MarkStyle::ByWord,
        ..options()
    };
    let punctuator = punctuator(by_word);
    let marks = |text: &str, classes: &[usize]| set(&punctuator, text, |_| classes.to_vec()).0;
    assert_eq!(marks("hello world ok", &[2, 4, 1]), "hello, world? ok.");
    assert_eq!(marks("hello world", &[1, 2]), "hello world.");
    assert_eq!(marks("hello world", &[3, 4]), "hello. world?");
    assert_eq!(marks("ok 你好", &[2, 1, 2]), "ok,你好。");
    assert_eq!(marks("你好", &[2, 1]), "你，好。");

    let mut cache = Cache::default();
    let mut piece = punctuator.piece(&cache, "hello 3.5");
    punctuator.answer_piece(&mut piece, &[2, 3]).unwrap();
    assert_eq!(punctuator.finish_piece(piece, &mut cache), "hello, 3.5");
    let mut piece = punctuator.piece(&cache, "ok");
    punctuator.answer_piece(&mut piece, &[2, 3, 1]).unwrap();
    assert_eq!(punctuator.finish_piece(piece, &mut cache), ". ok");
}

#[test]
fn a_text_without_end_is_settled_at_the_longest_call() {
    let short = PunctuationOptions {
        longest_sentence: 30,
        longest_call: 50,
        ..options()
    };
    let text = "你".repeat(130);
    let (answer, calls) = set(&punctuator(short), &text, |ids| vec![1; ids.len()]);
    assert_eq!(answer, format!("{text}。"));
    assert_eq!(calls, [20, 40, 60, 20, 40, 60, 10]);
}

#[test]
fn a_speech_without_end_keeps_its_last_words() {
    let short = PunctuationOptions {
        longest_sentence: 30,
        longest_call: 50,
        ..options()
    };
    let punctuator = punctuator(short);
    let mut cache = Cache::default();
    for piece in 0..20 {
        let mut text = punctuator.piece(&cache, "你好吗");
        while let Some(ids) = text.ask() {
            let none = vec![1; ids.len()];
            punctuator.answer_piece(&mut text, &none).unwrap();
        }
        assert_eq!(punctuator.finish_piece(text, &mut cache), "你好吗");
        assert_eq!(cache.words().len(), (3 * (piece + 1)).min(50));
    }
}

#[test]
fn answers_that_do_not_fit_are_told() {
    let punctuator = punctuator(options());
    let mut text = punctuator.text("你好");
    assert_eq!(
        punctuator.answer(&mut text, &[1]),
        Err(PunctuationError::Words { asked: 2, got: 1 })
    );
    assert_eq!(
        punctuator.answer(&mut text, &[1, 6]),
        Err(PunctuationError::NoSuchMark { class: 6, marks: 6 })
    );
    let scores = [
        0.0, 1.0, 1.0, -1.0, 0.5, 0.5, -3.0, -2.0, -9.0, -2.0, -9.0, -9.0,
    ];
    assert_eq!(punctuator.best(&scores, 2), Ok(vec![1, 1]));
    let error = punctuator.best(&scores, 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model answered 12 scores for 3 words; punc_list has 6 marks"
    );
    // Nothing was taken of what did not fit.
    assert_eq!(text.ask().map(<[i32]>::len), Some(2));
}
