use super::*;

/// A transcript of pieces. The n-th, from 0, is spoken from 100 n to 100 n + 60 ms.
fn heard(subwords: Subwords, pieces: &[&str]) -> Transcript {
    let token = |(place, piece): (u64, &&str)| Token {
        id: 7,
        piece: (*piece).into(),
        frames: None,
        time: Some(Span {
            start_ms: 100 * place,
            end_ms: 100 * place + 60,
        }),
        probability: Some(0.5),
    };
    Transcript {
        tokens: (0..).zip(pieces).map(token).collect(),
        subwords: Some(subwords),
        ..Transcript::default()
    }
}

/// Each word with the hundreds of milliseconds of its first and its last token.
fn words(subwords: Subwords, pieces: &[&str]) -> Vec<(String, u64, u64)> {
    let words = heard(subwords, pieces).words();
    let place = |word: Word| {
        assert!(word.probability.is_some_and(|p| (p - 0.5).abs() < 1e-6));
        let Span { start_ms, end_ms } = word.time.unwrap();
        assert_eq!((start_ms % 100, end_ms % 100), (0, 60));
        (word.text, start_ms / 100, end_ms / 100)
    };
    words.into_iter().map(place).collect()
}

fn started(pieces: &[&str]) -> Vec<(String, u64, u64)> {
    words(Subwords::Started, pieces)
}

fn continued(tokens: &str) -> Vec<(String, u64, u64)> {
    words(Subwords::Continued, &tokens.split(' ').collect::<Vec<_>>())
}

/// Words with the places of their first and last tokens.
fn expected(words: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
    let owned = |&(text, first, last): &(&str, u64, u64)| (text.to_owned(), first, last);
    words.iter().map(owned).collect()
}

#[test]
fn a_latin_word_is_one_and_a_chinese_character_is_one() {
    assert_eq!(
        started(&["▁go", "od", "▁wa", "ter", "再", "见", "▁s", "top"]),
        expected(&[
            ("good", 0, 1),
            ("water", 2, 3),
            ("再", 4, 4),
            ("见", 5, 5),
            ("stop", 6, 7),
        ])
    );
    assert_eq!(
        started(&["▁", "好", "hel", "lo", "好", "▁안녕", "하", "세요"]),
        expected(&[
            ("好", 1, 1),
            ("hello", 2, 3),
            ("好", 4, 4),
            ("안녕하세요", 5, 7),
        ])
    );
    assert_eq!(
        continued("看 hel@@ lo world un@@ be@@ liev@@ able 比 赛"),
        expected(&[
            ("看", 0, 0),
            ("hello", 1, 2),
            ("world", 3, 3),
            ("unbelievable", 4, 7),
            ("比", 8, 8),
            ("赛", 9, 9),
        ])
    );
    // Several words in one piece.
    assert_eq!(started(&["▁a▁b"]), expected(&[("a", 0, 0), ("b", 0, 0)]));
}

#[test]
fn digits_are_words_one_by_one() {
    assert_eq!(
        started(&["再", "7", "9", "29", "▁mp", "3", "x"]),
        expected(&[
            ("再", 0, 0),
            ("7", 1, 1),
            ("9", 2, 2),
            ("29", 3, 3),
            ("mp", 4, 4),
            ("3", 5, 5),
            ("x", 6, 6),
        ])
    );
    assert_eq!(
        continued("1 2 m@@ p@@ 3 啊"),
        expected(&[("1", 0, 0), ("2", 1, 1), ("mp3", 2, 4), ("啊", 5, 5)])
    );
}

#[test]
fn a_sign_belongs_to_the_word_before_it() {
    assert_eq!(
        started(&["再", "见", "。", "▁hello", ",", "▁wor", "ld", "!", "?"]),
        expected(&[
            ("再", 0, 0),
            ("见。", 1, 1),
            ("hello,", 3, 3),
            ("world!?", 5, 6),
        ])
    );
    assert_eq!(
        started(&["你", "，", "hel", "lo", ".", "5", "0", "%"]),
        expected(&[("你，", 0, 0), ("hello.", 2, 3), ("5", 5, 5), ("0%", 6, 6)])
    );
    assert_eq!(
        continued("看 , r & b"),
        expected(&[("看,", 0, 0), ("r&", 2, 2), ("b", 4, 4)])
    );
}

#[test]
fn or_to_the_word_behind_it() {
    // With none before it.
    assert_eq!(
        started(&["。", "▁", "?", "▁so", "▁it"]),
        expected(&[("。?so", 3, 3), ("it", 4, 4)])
    );
    assert_eq!(
        started(&["看", "《", "红", "色", "》", "▁for", "▁$", "5"]),
        expected(&[
            ("看", 0, 0),
            ("《红", 2, 2),
            ("色》", 3, 3),
            ("for", 5, 5),
            ("$5", 7, 7),
        ])
    );
    assert_eq!(
        started(&["▁say", "▁\"", "yes", "\"", "▁'", "t", "is"]),
        expected(&[("say", 0, 0), ("\"yes\"", 2, 2), ("'tis", 5, 6)])
    );
    assert_eq!(
        continued("看 （@@ a@@ b ）"),
        expected(&[("看", 0, 0), ("（ab）", 2, 3)])
    );
    // With none behind it either.
    assert_eq!(started(&["好", "《"]), expected(&[("好《", 0, 0)]));
    assert_eq!(started(&["。", "?"]), expected(&[("。?", 0, 1)]));
}

#[test]
fn signs_within_a_word_do_not_end_it() {
    assert_eq!(
        started(&[
            "▁it", "'", "s", "▁e", "-", "ma", "il", "▁don", "'t", "▁u", ".", "s", "."
        ]),
        expected(&[
            ("it's", 0, 2),
            ("e-mail", 3, 6),
            ("don't", 7, 8),
            ("u.s.", 9, 11),
        ])
    );
    // An accent of its own.
    assert_eq!(
        started(&["▁caf", "e\u{301}", "s"]),
        expected(&[("cafe\u{301}s", 0, 2)])
    );
}

#[test]
fn tags_and_what_is_no_text_are_no_words() {
    assert_eq!(
        started(&["<|en|>", "▁good", "<|BGM|>", "by", "e", "<unk>", "<s>"]),
        expected(&[("good", 1, 1), ("bye", 3, 4)])
    );
    assert_eq!(
        continued("hel@@ <unk> lo <space> <OOV>"),
        expected(&[("hello", 0, 2)])
    );
    assert_eq!(started(&["<|zh|>", "▁"]), []);
    assert_eq!(Transcript::default().words(), []);
}

#[test]
fn spelled_letters_are_one_word() {
    assert_eq!(
        continued("看 n b a 比 i a@@ m x <space> y z"),
        expected(&[
            ("看", 0, 0),
            ("NBA", 1, 3),
            ("比", 4, 4),
            ("i", 5, 5),
            ("am", 6, 7),
            ("x", 8, 8),
            ("YZ", 10, 11),
        ])
    );
    assert_eq!(
        continued("n <unk> b & c"),
        expected(&[("NB&", 0, 2), ("c", 4, 4)])
    );
    // The marks of a sentencepiece model say what is a word.
    assert_eq!(
        started(&["▁a", "▁b", "c"]),
        expected(&[("a", 0, 0), ("bc", 1, 2)])
    );
}

#[test]
fn marks_that_lead_nowhere_are_passed_over() {
    assert_eq!(continued("@@ a @@ mor@@"), expected(&[("amor", 1, 3)]));
    assert_eq!(continued("hel@@ @@ lo"), expected(&[("hello", 0, 2)]));
    assert_eq!(
        continued("hel@@ <space> lo"),
        expected(&[("hel", 0, 0), ("lo", 2, 2)])
    );
}

#[test]
fn bytes_are_the_character_that_they_are_together() {
    assert_eq!(
        started(&["▁a", "<0xE4>", "<0xBD>", "<0xA0>", "<0x62>", "<0x63>"]),
        expected(&[("a", 0, 0), ("你", 1, 3), ("bc", 4, 5)])
    );
    assert_eq!(
        started(&["<0xE4>", "<0xBD>", "好"]),
        expected(&[("\u{fffd}好", 2, 2)])
    );
    assert_eq!(
        started(&["<0x41>", "<0x20>", "<0x42>", "<0x+1>"]),
        expected(&[("A", 0, 0), ("B", 2, 2), ("<0x+1>", 3, 3)])
    );
}

#[test]
fn a_word_has_the_mean_of_its_tokens_probabilities() {
    let mut transcript = heard(Subwords::Started, &["▁wa", "ter", ",", "好"]);
    for (token, probability) in transcript.tokens.iter_mut().zip([0.5, 0.25, 0.125, 0.9]) {
        token.probability = Some(probability);
    }
    let probabilities = |transcript: &Transcript| -> Vec<Option<f32>> {
        let words = transcript.words().into_iter();
        words.map(|word| word.probability).collect()
    };
    let found = probabilities(&transcript);
    assert!(found[0].is_some_and(|p| (p - 0.25).abs() < 1e-6));
    assert!(found[1].is_some_and(|p| (p - 0.9).abs() < 1e-6));
    transcript.tokens[1].probability = None;
    assert_eq!(probabilities(&transcript)[0], None);
}

#[test]
fn what_has_no_time_is_a_word_all_the_same() {
    let mut transcript = heard(Subwords::Started, &["▁wa", "ter", ",", "好"]);
    transcript.tokens[2].time = None;
    let times = |transcript: &Transcript| -> Vec<bool> {
        let words = transcript.words().into_iter();
        words.map(|word| word.time.is_some()).collect()
    };
    assert_eq!(times(&transcript), [true, true]);
    transcript.tokens[1].time = None;
    assert_eq!(times(&transcript), [false, true]);
}

#[test]
fn a_streams_words_are_told_when_nothing_can_go_on_in_them() {
    let mut words = StreamWords::default();
    let mut push = |pieces: &[&str], last| -> Vec<String> {
        let tokens = pieces.iter().map(|&piece| Token {
            id: 7,
            piece: piece.into(),
            frames: None,
            time: None,
            probability: None,
        });
        let added = Transcript {
            tokens: tokens.collect(),
            subwords: (!pieces.is_empty()).then_some(Subwords::Continued),
            ..Transcript::default()
        };
        let words = words.push(&added, last);
        words.into_iter().map(|word| word.text).collect()
    };
    assert_eq!(push(&["\u{4f60}", "hel@@"], false), ["\u{4f60}"]);
    assert_eq!(push(&["l@@"], false), [""; 0]);
    assert_eq!(push(&["o", "n"], false), ["hello"]);
    assert_eq!(push(&["b", "a"], false), [""; 0]);
    assert_eq!(push(&["\u{6bd4}"], false), ["NBA", "\u{6bd4}"]);
    assert_eq!(push(&["wa@@"], false), [""; 0]);
    assert_eq!(push(&[], true), ["wa"]);
    assert_eq!(push(&[], true), [""; 0]);
    // Whoever spells for ever is not waited for.
    let letters = vec!["x"; MOST_OPEN + 1];
    assert_eq!(push(&letters, false), ["X".repeat(MOST_OPEN + 1)]);
}
