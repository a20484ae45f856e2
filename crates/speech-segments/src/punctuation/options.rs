//! The marks, and how they are set.

use std::path::Path;

use crate::config::{self, ConfigError, Value, invalid};

/// Where a config.yaml has the marks.
const SECTION: &str = "model_conf";
/// The mark that stands for none.
pub(super) const NO_MARK: &str = "_";
pub(super) const COMMA: &str = "，";
pub(super) const PERIOD: &str = "。";
pub(super) const QUESTION: &str = "？";
pub(super) const PAUSE: &str = "、";

/// Which marks stand behind words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MarkStyle {
    /// Chinese ones behind all words, as `funasr_onnx` has them.
    #[default]
    Chinese,
    /// English ones behind English words (`,`, `.`, `?`), Chinese ones behind Chinese words.
    ByWord,
}

/// How a text is punctuated.
#[derive(Debug, Clone, PartialEq)]
pub struct PunctuationOptions {
    /// What the model's classes stand for (`punc_list`); `_` is no mark.
    pub marks: Vec<String>,
    /// Which marks stand behind words.
    pub style: MarkStyle,
    /// Words that are added for a call, 20.
    pub split_size: usize,
    /// With more words than this in a call, an unfinished sentence is cut at its last comma, 200.
    pub longest_sentence: usize,
    /// With more words than this in a call, and no comma among them, what the model says of them counts as it is, 2000. FunASR
    /// asks for more and more words.
    pub longest_call: usize,
}

impl PunctuationOptions {
    /// With these marks, and defaults. A `,` or `?` among them is the Chinese one.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(marks: impl IntoIterator<Item = String>) -> Result<Self, ConfigError> {
        let chinese = |mark: String| match mark.as_str() {
            "," => COMMA.to_owned(),
            "?" => QUESTION.to_owned(),
            _ => mark,
        };
        let options = Self {
            marks: marks.into_iter().map(chinese).collect(),
            style: MarkStyle::default(),
            split_size: 20,
            longest_sentence: 200,
            longest_call: 2000,
        };
        options.validate()?;
        Ok(options)
    }

    /// With `punc_list` of `model_conf` of the config.yaml at `path`, and defaults.
    ///
    /// # Errors
    /// As [`PunctuationOptions::from_yaml`], and when the file cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::from_yaml(&config::read(path.as_ref())?)
    }

    /// With `punc_list` of `model_conf` of a config.yaml, and defaults.
    ///
    /// # Errors
    /// When it is not there, or is no list of marks.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let expected = "a list of marks, `_` for none";
        let section = config::section(text, &[SECTION])?;
        match section.into_iter().find(|(key, _)| key == "punc_list") {
            Some((_, Value::List(marks))) => Self::new(marks),
            Some(_) => Err(invalid("punc_list", "no list", expected)),
            None => Err(ConfigError::MissingKey {
                section: SECTION.to_owned(),
                key: "punc_list",
                expected: expected.to_owned(),
            }),
        }
    }

    /// Checks that the values make sense.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.marks.is_empty() {
            return Err(invalid("punc_list", "[]", "at least one mark"));
        }
        if let Some(empty) = self.marks.iter().position(String::is_empty) {
            let place = format!("empty at place {empty}");
            return Err(invalid("punc_list", place, "a mark, `_` for none"));
        }
        for (key, least, value) in [
            ("split_size", 2, self.split_size),
            ("longest_sentence", 1, self.longest_sentence),
            ("longest_call", self.split_size, self.longest_call),
        ] {
            if value < least {
                return Err(invalid(key, value, format!("at least {least}")));
            }
        }
        Ok(())
    }

    /// The class of the period; the first, if there is none.
    pub(super) fn period(&self) -> usize {
        let periods = self.marks.iter().rposition(|mark| mark == PERIOD);
        periods.unwrap_or(0)
    }

    /// Whether a class ends a sentence.
    pub(super) fn ends(&self, class: usize) -> bool {
        matches!(self.mark(class), Some(PERIOD | QUESTION))
    }

    /// The mark of a class, if it is one.
    pub(super) fn mark(&self, class: usize) -> Option<&str> {
        let mark = self.marks.get(class).map(String::as_str);
        mark.filter(|&mark| mark != NO_MARK)
    }

    /// The mark as it stands behind such a word.
    pub(super) fn shown<'m>(&self, mark: &'m str, behind_ascii: bool) -> &'m str {
        match (self.style, behind_ascii, mark) {
            (MarkStyle::ByWord, true, COMMA) => ",",
            (MarkStyle::ByWord, true, PERIOD) => ".",
            (MarkStyle::ByWord, true, QUESTION) => "?",
            _ => mark,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_of_a_published_config_are_read() {
        let text = "model: CTTransformer\nmodel_conf:\n    ignore_id: 0\n    embed_unit: 256\n    punc_list:\n    - <unk>\n    - _\n    - ','\n    - 。\n    - '?'\n    - 、\n";
        let options = PunctuationOptions::from_yaml(text).unwrap();
        assert_eq!(options.marks, ["<unk>", "_", "，", "。", "？", "、"]);
        assert_eq!(options.period(), 3);
    }

    #[test]
    fn what_is_no_list_of_marks_is_an_error() {
        for (text, words) in [
            ("model_conf: {}", "`model_conf` has no `punc_list`"),
            ("model_conf: {punc_list: 3}", "punc_list is no list"),
            ("model_conf: {punc_list: []}", "punc_list is []"),
            (
                "model_conf: {punc_list: [_, '']}",
                "punc_list is empty at place 1",
            ),
            ("encoder: x", "no mapping `model_conf`"),
        ] {
            let error = PunctuationOptions::from_yaml(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let mut options = PunctuationOptions::new(["_".to_owned()]).unwrap();
        options.split_size = 1;
        assert_eq!(
            options.validate().unwrap_err().to_string(),
            "split_size is 1, expected at least 2"
        );
    }
}
