//! The grammars of a directory, one after the other.

use std::path::Path;

use crate::grammar::{Grammar, ItnError};

/// Writes numbers as they are written.
#[derive(Debug, Clone)]
pub struct Rewriter {
    chinese: Option<Grammar>,
    english: Option<Grammar>,
}

impl Rewriter {
    /// Reads the grammars of a directory.
    ///
    /// # Errors
    /// If it has none, or one that cannot be used.
    pub fn read(directory: &Path) -> Result<Self, ItnError> {
        let own = Self {
            chinese: Grammar::read(directory, "zh")?,
            english: Grammar::read(directory, "en")?,
        };
        if own.chinese.is_none() && own.english.is_none() {
            let directory = directory.to_owned();
            return Err(ItnError::Missing { directory });
        }
        Ok(own)
    }

    /// The text with its numbers as they are written. What the grammars have no way for stays as it is.
    #[must_use]
    pub fn written(&self, spoken: &str) -> String {
        let latin = |letter: char| letter.is_ascii_alphabetic();
        let english = self.english.as_ref().filter(|_| spoken.contains(latin));
        let mut text = spoken.to_owned();
        for grammar in [self.chinese.as_ref(), english].into_iter().flatten() {
            text = grammar.written(&text).unwrap_or(text);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::transducer::tests::{Row, file};

    /// A transducer that reads one text and writes another.
    fn changes(from: &str, to: &str) -> Vec<u8> {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let label = |text: &[u8], at: usize| text.get(at).map_or(0, |byte| i32::from(*byte));
        let length = from.len().max(to.len());
        let arcs: Vec<[(i32, i32, f32, i32); 1]> = (0..length)
            .map(|at| [(label(from, at), label(to, at), 0.0, at as i32 + 1)])
            .collect();
        let never: f32 = f32::INFINITY;
        let mut rows: Vec<Row<'_>> = arcs.iter().map(|arcs| (never, &arcs[..])).collect();
        rows.push((0.0, &[]));
        file(&rows)
    }

    const TAGS: &str = r#"fraction { denominator: "三" numerator: "一" }"#;
    const ORDERED: &str = r#"fraction { numerator: "一" denominator: "三" }"#;

    #[test]
    fn grammars_are_found_in_either_layout() {
        for (tagger, verbalizer) in [
            ("zh/itn/tagger.fst", "zh/itn/verbalizer.fst"),
            ("zh_itn_tagger.fst", "zh_itn_verbalizer.fst"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let missing = Rewriter::read(directory.path()).unwrap_err().to_string();
            assert!(missing.contains("has no grammar"), "{missing}");
            fs::create_dir_all(directory.path().join("zh/itn")).unwrap();
            let place = |name: &str| directory.path().join(name);
            fs::write(place(tagger), changes("三分之一", TAGS)).unwrap();
            let error = Rewriter::read(directory.path()).unwrap_err().to_string();
            assert!(error.contains("verbalizer.fst"), "{error}");
            fs::write(place(verbalizer), changes(ORDERED, "1/3")).unwrap();
            let rewriter = Rewriter::read(directory.path()).unwrap();
            assert_eq!(rewriter.written("三分之一"), "1/3");
            assert_eq!(rewriter.written(" 三分之一  "), " 1/3  ");
            for other in ["", " ", "三分", "三分之二", "\"三分之一\""] {
                assert_eq!(rewriter.written(other), other);
            }
            fs::write(place(tagger), "no transducer").unwrap();
            let error = Rewriter::read(directory.path()).unwrap_err().to_string();
            assert!(
                error.ends_with("it is not a transducer of OpenFst"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_english_grammar_sees_texts_with_latin_letters() {
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: Vec<u8>| fs::write(directory.path().join(name), bytes).unwrap();
        write(
            "en_itn_tagger.fst",
            changes("ten", r#"cardinal { value: "ten" }"#),
        );
        write(
            "en_itn_verbalizer.fst",
            changes(r#"cardinal { value: "ten" }"#, "10"),
        );
        let rewriter = Rewriter::read(directory.path()).unwrap();
        assert_eq!(rewriter.written("ten"), "10");
        assert_eq!(rewriter.written("十"), "十");
    }
}
