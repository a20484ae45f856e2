//! Vocabulary files, good, bad and hostile.

#![allow(clippy::unwrap_used, reason = "a test")]

use asr_decode::vocabulary::{Vocabulary, VocabularyError};
use asr_decode::words::Subwords;
use proptest::prelude::*;

fn tokens(text: &str) -> Result<Vec<String>, VocabularyError> {
    let vocabulary = Vocabulary::from_bytes(text.as_bytes())?;
    Ok((0..vocabulary.len() as u32)
        .map(|id| vocabulary.token(id).unwrap().to_owned())
        .collect())
}

fn error(text: &str) -> String {
    tokens(text).unwrap_err().to_string()
}

#[test]
fn yaml_scalars_stay_what_is_written() {
    let text = "\
config: a.yaml
token_list: &tokens
- <blank>
- 0
- 007
- 1.50
- 1e3
- 0x1F
- no
- on
- Off
- Yes
- null
- ~
- .
- .inf
- -
- --
- -1
- 2024-01-01
- 12:30
- '0'
- ''''
- '''s'
- \"@\"
- \"\\u597d\"
- it's
- i'
- hel@@ # a comment
- a b
- 好
- ''
- -
ctc_conf: {}
";
    let expected = [
        "<blank>",
        "0",
        "007",
        "1.50",
        "1e3",
        "0x1F",
        "no",
        "on",
        "Off",
        "Yes",
        "null",
        "~",
        ".",
        ".inf",
        "-",
        "--",
        "-1",
        "2024-01-01",
        "12:30",
        "0",
        "'",
        "'s",
        "@",
        "好",
        "it's",
        "i'",
        "hel@@",
        "a b",
        "好",
        "",
        "-",
    ];
    assert_eq!(tokens(text).unwrap(), expected);
    assert_eq!(tokens(&text.replace('\n', "\r\n")).unwrap(), expected);
    assert_eq!(tokens(&format!("\u{feff}{text}")).unwrap(), expected);
}

#[test]
fn the_list_is_found_among_other_keys() {
    let expected = ["<blank>", "a"];
    let nested = "a: {token_list: [x]}\nb:\n- token_list: [y]\n- [[z]]\n? [k]\n: v\nc: token_list\ntoken_list:\n  - <blank>\n  - a\n";
    assert_eq!(tokens(nested).unwrap(), expected);
    assert_eq!(
        tokens("%YAML 1.2\n--- # here\ntoken_list: [<blank>, a]\n...\nx: [").unwrap(),
        expected
    );
    assert_eq!(tokens("\"token_list\":\n- <blank>\n- a").unwrap(), expected);
    assert_eq!(
        tokens("{\"token_list\": [\"<blank>\", \"a\"]}").unwrap(),
        expected
    );
    // What comes behind the list may be anything.
    assert_eq!(
        tokens("token_list:\n- <blank>\n- a\nx: *nowhere\n").unwrap(),
        expected
    );
}

#[test]
fn json_arrays_of_strings() {
    assert_eq!(
        tokens(" \n[\"<blank>\", \"\\u597d\", \"\\\"\", \"no\"]").unwrap(),
        ["<blank>", "好", "\"", "no"]
    );
    let message = error("[\"a\",\n 3]");
    assert!(
        message.starts_with("not a vocabulary: expected a JSON array of strings: "),
        "{message}"
    );
    assert!(
        message.contains("integer `3`") && message.contains("line 2"),
        "{message}"
    );
    assert!(error("[\"a\", \"b\"").contains("EOF while parsing a list at line 1"));
    assert!(error("[\"a\"] x").contains("trailing characters"));
    assert_eq!(
        error("[]"),
        "unusable vocabulary: the list of tokens is empty"
    );
}

#[test]
fn what_is_no_vocabulary_is_refused_with_a_reason() {
    let missing = |found: &str| {
        format!(
            "no vocabulary: {found}, expected a top-level `token_list:` with a list of tokens; if a tokens.json lies beside this file, name that one"
        )
    };
    assert_eq!(error(""), missing("the file is empty"));
    assert_eq!(error("just text"), missing("the file has no keys"));
    assert_eq!(error("- a\n- b\n"), missing("the file has no keys"));
    assert_eq!(
        error("fs: 16000\nmodel: {a: b}\n"),
        missing("the key `token_list` is missing")
    );
    assert_eq!(
        error("token_list: null\n"),
        missing("`token_list` is not a list")
    );
    assert_eq!(
        error("token_list: {a: b}\n"),
        missing("`token_list` is not a list")
    );
    assert_eq!(
        error("token_list: []\n"),
        "unusable vocabulary: the list of tokens is empty"
    );
    assert!(error("a: 'b\n").starts_with("not a vocabulary: neither a JSON array nor YAML: "));

    let token = |id: usize, line: usize, reason: &str| {
        format!(
            "unusable vocabulary: token {id} on line {line} {reason}; put it in quotes if it is meant as text"
        )
    };
    assert_eq!(
        error("token_list:\n- a\n- b: c\n"),
        token(1, 3, "is a mapping")
    );
    assert_eq!(error("token_list:\n- a\n- - b\n"), token(1, 3, "is a list"));
    assert_eq!(
        error("token_list:\n- a\n- [b, c]\n"),
        token(1, 3, "is a list")
    );
    assert_eq!(
        error("token_list:\n- &x a\n- *x\n"),
        token(1, 3, "is an alias")
    );
    assert_eq!(
        error("token_list:\n- a\n- #\n- b\n"),
        token(1, 3, "is empty")
    );
    assert!(error("token_list:\n- a\n- &\n").contains("line 3"));

    let not_utf8 = Vocabulary::from_bytes(b"token_list:\n- \xff\n")
        .unwrap_err()
        .to_string();
    assert_eq!(
        not_utf8,
        "not a vocabulary: the byte at offset 14 is not UTF-8"
    );
    for (begin, limit) in [("[", 16), ("a:", 4)] {
        let mut large = begin.as_bytes().to_vec();
        large.resize((limit << 20) + 1, b' ');
        assert_eq!(
            Vocabulary::from_bytes(&large).unwrap_err().to_string(),
            format!("not a vocabulary: larger than {limit} MB")
        );
    }
    let missing = Vocabulary::from_file("/nowhere/tokens.json")
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read the vocabulary /nowhere/tokens.json: "),
        "{missing}"
    );
}

#[test]
fn subword_marks() {
    let marks = |text: &str| Vocabulary::from_bytes(text.as_bytes()).unwrap().subwords();
    assert_eq!(marks(r#"["a", "b@@", "▁c"]"#), Some(Subwords::Continued));
    assert_eq!(marks(r#"["a", "▁c"]"#), Some(Subwords::Started));
    assert_eq!(marks(r#"["a", "@@b", "c▁"]"#), None);
}

#[test]
fn deep_nesting_is_refused_before_it_costs_memory() {
    let nested = |open: &str, depth: usize, close: &str| {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        tokens(&format!("x:\n  {open}b{close}\ntoken_list: [a]"))
    };
    for (open, close) in [("[", "]"), ("- ", "")] {
        assert_eq!(nested(open, 100, close).unwrap(), ["a"]);
        let message = nested(open, 200, close).unwrap_err().to_string();
        assert!(message.contains("nested too deep"), "{message}");
        assert!(nested(open, 50_000, close).is_err());
    }
}

#[test]
fn deep_and_long_files_end_in_time() {
    let long = 200_000;
    for part in [
        "[",
        "- ",
        "{a: ",
        "? ",
        "a: &x\n  ",
        "'",
        "- *a\n",
        "- -\n",
        "- ?\n",
        "!",
        "%A b\n",
        "a:\n",
    ] {
        let text = part.repeat(long / part.len());
        _ = tokens(&text);
        _ = tokens(&format!("token_list:\n{text}"));
        _ = tokens(&format!("x: {text}\ntoken_list: [a]"));
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        _ = Vocabulary::from_bytes(&bytes);
    }

    #[test]
    fn random_yaml(parts in proptest::collection::vec(prop_oneof![
        Just("token_list:"), Just("\n"), Just("- "), Just("  "), Just("a"), Just(": "), Just("["), Just("]"), Just("{"),
        Just("}"), Just("'"), Just("\""), Just("|"), Just(">"), Just("&a "), Just("*a"), Just("!"), Just("? "), Just("#"),
        Just("---\n"), Just("...\n"), Just("%YAML 1.2\n"), Just("\t"), Just(","), Just("好"),
    ], 0..40)) {
        _ = Vocabulary::from_bytes(parts.concat().as_bytes());
        _ = Vocabulary::from_bytes(format!("token_list:\n{}", parts.concat()).as_bytes());
    }

    #[test]
    fn mutated_files(
        yaml in any::<bool>(),
        end in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let good = match yaml {
            true => "fs: 16000\ntoken_list:\n- <blank>\n- '0'\n- \"\\u597d\"\n- a@@\n- -\nx: {a: [b]}\n",
            false => r#"["<blank>", "0", "\u597d", "a@@", "-"]"#,
        };
        let mut bytes = good.as_bytes()[..=end.index(good.len())].to_vec();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(vocabulary) = Vocabulary::from_bytes(&bytes) {
            prop_assert!((1..20).contains(&vocabulary.len()));
        }
    }

    /// A list as a YAML dumper writes it reads back as it was.
    #[test]
    fn quoted_tokens_read_back(list in proptest::collection::vec("\\PC{0,6}", 1..20)) {
        let yaml: String = list.iter().map(|token| format!("- '{}'\n", token.replace('\'', "''"))).collect();
        prop_assert_eq!(&tokens(&format!("token_list:\n{yaml}")).unwrap(), &list);
        prop_assert_eq!(&tokens(&serde_json::to_string(&list).unwrap()).unwrap(), &list);
    }
}
