//! Where one server's text ends and another's goes on.

/// So many letters in a row are the same by more than chance.
const ALIKE: usize = 4;

/// What is between what was told and what the next answer adds. Mostly nothing: servers answer the same to the same audio. A sequence that was
/// begun elsewhere, or on another kind of processor, may have said a word with an earlier chunk, or with a later one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seam {
    /// Was said, and not told yet.
    missing: String,
    /// Was told, and will be said once more.
    owed: String,
}

impl Seam {
    /// `told` is what the client has of this audio, `said` what it is to the server that heard it again.
    pub(super) fn of(told: &str, said: &str) -> Self {
        if let Some(missing) = said.strip_prefix(told) {
            return Self {
                missing: missing.to_owned(),
                ..Self::default()
            };
        }
        if let Some(owed) = told.strip_prefix(said) {
            return Self {
                owed: owed.to_owned(),
                ..Self::default()
            };
        }
        // Texts that differ in the beginning are mostly the same in the end: the longest end of one is looked for in the other.
        if let Some(at) = behind(told, said) {
            return Self {
                missing: said[at..].to_owned(),
                ..Self::default()
            };
        }
        Self {
            owed: behind(said, told).map_or_else(String::new, |at| told[at..].to_owned()),
            ..Self::default()
        }
    }

    /// What the client is to be told when the server adds this.
    pub(super) fn behind(&mut self, added: &str) -> String {
        let mut text = std::mem::take(&mut self.missing);
        if self.owed.is_empty() || added.is_empty() {
            text.push_str(added);
            return text;
        }
        if let Some(owed) = self.owed.strip_prefix(added) {
            self.owed = owed.to_owned();
            return text;
        }
        // Something else than was told is no repetition.
        let owed = std::mem::take(&mut self.owed);
        text.push_str(added.strip_prefix(&*owed).unwrap_or(added));
        text
    }
}

/// Where in `other` the longest end of `text` that is there ends, if it is long enough. The last one if it is there more than once.
fn behind(text: &str, other: &str) -> Option<usize> {
    let starts = text.char_indices().map(|(start, _)| &text[start..]);
    let long = starts.filter(|end| end.chars().count() >= ALIKE);
    let mut found = long.filter_map(|end| other.rfind(end).map(|at| at + end.len()));
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of the answers behind the seam.
    fn after(told: &str, said: &str, answers: &[&str]) -> Vec<String> {
        let mut seam = Seam::of(told, said);
        answers.iter().map(|added| seam.behind(added)).collect()
    }

    #[test]
    fn the_same_text_goes_on() {
        assert_eq!(after("good day", "good day", &["", " all"]), ["", " all"]);
        assert_eq!(after("", "", &["good"]), ["good"]);
    }

    #[test]
    fn a_word_that_was_said_sooner_is_told_and_one_that_comes_later_is_not_told_twice() {
        assert_eq!(after("good", "good day", &["", "x"]), [" day", "x"]);
        assert_eq!(after("你好再", "你", &["", "好", "再见"]), ["", "", "见"]);
        assert_eq!(after("你好", "你", &["坏"]), ["坏"]);
    }

    #[test]
    fn texts_that_begin_otherwise_are_joined_where_they_are_the_same() {
        assert_eq!(
            after("七 water world please", "water world please you", &["r"]),
            [" your"]
        );
        assert_eq!(
            after("一二三四五六七", "九二三四五六", &["七", "八"]),
            ["", "八"]
        );
        // Nothing in common: what was heard was told.
        assert_eq!(after("一二三四五", "六七八九十", &["a"]), ["a"]);
    }
}
