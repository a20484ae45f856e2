use proptest::prelude::*;

use super::*;

/// Joins tokens that are written with blanks between them.
fn words(tokens: &str) -> String {
    join(Join::Words, tokens.split(' '))
}

#[test]
fn chinese_characters_stand_close() {
    assert_eq!(words("红 色 空 调"), "红色空调");
    assert_eq!(words("𫖯 冲 㐂"), "𫖯冲㐂");
    assert_eq!(words("こ ん に ち は カ ー ド"), "こんにちはカード");
}

#[test]
fn latin_words_get_one_space() {
    assert_eq!(words("water world please stop"), "water world please stop");
    assert_eq!(words("i'm fine it's ok"), "i'm fine it's ok");
    assert_eq!(words("привет мир 안녕 세계"), "привет мир 안녕 세계");
}

#[test]
fn subwords_are_joined() {
    assert_eq!(words("hel@@ lo wor@@ ld"), "hello world");
    assert_eq!(words("un@@ be@@ liev@@ able story"), "unbelievable story");
    assert_eq!(words("n@@ b@@ a game"), "nba game");
    assert_eq!(words("hel@@ <unk> lo"), "hello");
    assert_eq!(words("hel@@ <space> lo"), "hel lo");
    // A word that never ends is still heard.
    assert_eq!(words("good mor@@"), "good mor");
    assert_eq!(words("w172@@ 啊 好"), "w172啊好");
    assert_eq!(words("@@ a @@"), "a");
}

#[test]
fn mixed_text() {
    assert_eq!(words("我 love 你"), "我love你");
    assert_eq!(
        words("打 开 micro@@ soft office 软 件"),
        "打开microsoft office软件"
    );
    assert_eq!(words("k歌 很 好"), "k歌很好");
}

#[test]
fn digits_stand_close() {
    assert_eq!(words("一 共 1 2 3 个"), "一共123个");
    assert_eq!(words("iphone 1 5 pro"), "iphone15pro");
    assert_eq!(words("3 . 1 4 和 5 0 %"), "3.14和50%");
    assert_eq!(
        words("mp3 player m@@ p@@ 3 player hello 3d"),
        "mp3 player mp3 player hello 3d"
    );
}

#[test]
fn spelled_letters_are_an_abbreviation() {
    assert_eq!(words("n b a"), "NBA");
    assert_eq!(words("看 n b a 比 赛"), "看NBA比赛");
    assert_eq!(words("the n b a game and c n n"), "the NBA game and CNN");
    assert_eq!(words("c c t v 5 h d"), "CCTV5HD");
    assert_eq!(words("N b A"), "NBA");
}

#[test]
fn a_lone_letter_is_a_word() {
    assert_eq!(words("i like it"), "i like it");
    assert_eq!(words("it is i"), "it is i");
    assert_eq!(words("x 光 片"), "x光片");
    assert_eq!(words("a 4 纸 m 4 a"), "a4纸m4a");
    assert_eq!(words("r & b"), "r&b");
    assert_eq!(words("n b@@ a"), "n ba");
    assert_eq!(words("é é"), "é é");
}

#[test]
fn symbols() {
    assert_eq!(words("wi - fi"), "wi-fi");
    assert_eq!(words("hello , world ! 3 , 5"), "hello, world!3,5");
    assert_eq!(words("你 好 ， hello 。"), "你好，hello。");
}

#[test]
fn explicit_spaces() {
    assert_eq!(words("<space> 你 <space> <space> 好 <space>"), "你 好");
    assert_eq!(words("hello <space> world"), "hello world");
    assert_eq!(words("a <space> b"), "a b");
    assert_eq!(join(Join::Words, ["a", " ", "3", "\u{3000}"]), "a 3");
}

#[test]
fn what_is_no_text_is_left_out() {
    assert_eq!(words("<s> 你 <unk> 好 <OOV> </s> <blank>"), "你好");
    assert_eq!(words("n <unk> b"), "NB");
    assert_eq!(join(Join::Words, []), "");
    assert_eq!(join(Join::Words, ["", ""]), "");
}

#[test]
fn raw_is_plain_concatenation() {
    let tokens = ["e626", "挓", "w172@@", "啊", "<space>", "<unk>", "n", "b"];
    assert_eq!(join(Join::Raw, tokens), "e626挓w172@@啊 <unk>nb");
}

#[test]
fn pieces_that_start_words() {
    let mut joiner = Joiner::new(Join::Words, Subwords::Started);
    let mut text = String::new();
    for token in ["▁hel", "lo", "▁a", "▁b", "▁", "c", "<unk>", "▁3", "5", "▁"] {
        joiner.push(token, &mut text);
    }
    joiner.finish(&mut text);
    assert_eq!(text, "hello a b c 35");
}

#[test]
fn deltas_hold_back_one_letter_and_spaces() {
    let mut joiner = Joiner::new(Join::Words, Subwords::Continued);
    let mut delta = |token: &str| {
        let mut delta = String::new();
        match token {
            "END" => joiner.finish(&mut delta),
            token => joiner.push(token, &mut delta),
        }
        delta
    };
    let deltas: Vec<_> = [
        "the", "n", "b", "a", "wi@@", "n", "<space>", "i", "END", "x", "y", "END",
    ]
    .map(&mut delta)
    .into();
    assert_eq!(
        deltas,
        [
            "the", "", " NB", "A", " wi", "n", "", "", " i", "", "XY", ""
        ]
    );
}

#[test]
fn the_ways_to_join_have_names() {
    assert_eq!("raw".parse(), Ok(Join::Raw));
    assert_eq!("words".parse(), Ok(Join::default()));
    let error = "Raw".parse::<Join>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot join tokens by \"Raw\": expected \"words\" or \"raw\""
    );
}

fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]",
        2 => "[a-z]{2,4}(@@)?",
        2 => "[a-c]@@",
        2 => "[一-三]",
        2 => "[0-9,.&]",
        1 => "<space>",
        1 => "<unk>",
        1 => "▁[a-z]{0,3}",
        1 => "\\PC{0,3}",
    ]
}

proptest! {
    /// However a stream is cut into chunks, its deltas add up to the text of all tokens.
    #[test]
    fn deltas_add_up(chunks in proptest::collection::vec(proptest::collection::vec(token(), 0..5), 0..8), raw: bool) {
        let rule = if raw { Join::Raw } else { Join::Words };
        let mut joiner = Joiner::new(rule, Subwords::Continued);
        let mut text = String::new();
        for chunk in &chunks {
            let mut delta = String::new();
            chunk.iter().for_each(|token| joiner.push(token, &mut delta));
            text.push_str(&delta);
        }
        let mut delta = String::new();
        joiner.finish(&mut delta);
        text.push_str(&delta);
        prop_assert_eq!(text, join(rule, chunks.iter().flatten().map(String::as_str)));
    }

    /// A delta is never taken back: the text of a stream that goes on starts with what was given before.
    #[test]
    fn text_only_grows(tokens in proptest::collection::vec(token(), 0..12), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(tokens.len() + 1);
        let mut joiner = Joiner::new(Join::Words, Subwords::Continued);
        let mut given = String::new();
        tokens[..cut].iter().for_each(|token| joiner.push(token, &mut given));
        let whole = join(Join::Words, tokens.iter().map(String::as_str));
        prop_assert!(whole.starts_with(&given), "{whole:?} does not start with {given:?}");
        prop_assert!(!whole.starts_with(' ') && !whole.ends_with(' ') || tokens.iter().any(|token| token.contains(' ')));
    }
}

/// What FunASR's post-processing makes of random tokens (tests/data/make_words.py).
#[test]
fn sentences_are_those_of_funasr() {
    let cases = include_str!("../tests/data/words.tsv");
    assert_eq!(cases.lines().count(), 500);
    for case in cases.lines() {
        let (tokens, sentence) = case.split_once('\t').unwrap();
        assert_eq!(words(tokens), sentence, "{tokens}");
    }
}
