//! What the model takes as a word.

/// The words of a text: what stands between white space, but every character beyond ASCII is a word of its own.
///
/// ```
/// use speech_segments::punctuation::words;
///
/// assert_eq!(words("我们去 New York吧 a-b"), ["我", "们", "去", "New", "York", "吧", "a-b"]);
/// ```
#[must_use]
pub fn words(text: &str) -> Vec<&str> {
    text.split(is_space).flat_map(parts).collect()
}

/// White space as Python has it, which is Unicode's and four separators.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// The words of a text without white space.
fn parts(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let first = text.chars().next()?;
        let length = if first.is_ascii() {
            text.find(|character: char| !character.is_ascii())
                .unwrap_or(text.len())
        } else {
            first.len_utf8()
        };
        let (word, rest) = text.split_at(length);
        text = rest;
        Some(word)
    })
}

/// Whether a word is an English one, or a number: of ASCII.
pub(super) fn is_ascii(word: &str) -> bool {
    word.starts_with(|character: char| character.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_scripts_part_words() {
        assert!(words("").is_empty());
        assert!(words(" \t\u{1c}\u{3000}\n").is_empty());
        assert_eq!(words("a\u{1f}b\u{a0}c\u{85}d"), ["a", "b", "c", "d"]);
        assert_eq!(words("ok吗ok"), ["ok", "吗", "ok"]);
        assert_eq!(words("é3.5"), ["é", "3.5"]);
    }
}
