//! What was heard beside what was said.

/// The words of a text: a run of Latin letters and digits is one, any other letter is one. Case and punctuation are left out.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.chars().flat_map(char::to_lowercase) {
        let latin = c.is_ascii_alphanumeric();
        match words.last_mut() {
            Some(word) if open && latin => word.push(c),
            _ if c.is_alphanumeric() => words.push(c.to_string()),
            _ => {}
        }
        open = latin;
    }
    words
}

/// What was heard, word by word beside what was said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Aligned {
    /// For each word that was heard, whether it stands for the same word that was said.
    pub(super) right: Vec<bool>,
    /// Words that were said, and nothing was heard for them.
    pub(super) missed: usize,
}

/// An alignment with the fewest words inserted, deleted and replaced (Levenshtein); of those with equally many, one that replaces.
pub(super) fn align(said: &[String], heard: &[String]) -> Aligned {
    let width = heard.len() + 1;
    // How many edits turn the first words said into the first words heard.
    let mut edits = vec![0_usize; (said.len() + 1) * width];
    for row in 0..=said.len() {
        for column in 0..=heard.len() {
            edits[row * width + column] = match (row, column) {
                (0, edits) | (edits, 0) => edits,
                _ => {
                    let above = (row - 1) * width + column;
                    let replaced = usize::from(said[row - 1] != heard[column - 1]);
                    let left = edits[row * width + column - 1] + 1;
                    (edits[above - 1] + replaced)
                        .min(edits[above] + 1)
                        .min(left)
                }
            };
        }
    }
    let (mut right, mut missed) = (vec![false; heard.len()], 0);
    let (mut row, mut column) = (said.len(), heard.len());
    while row > 0 && column > 0 {
        let here = edits[row * width + column];
        let above = (row - 1) * width + column;
        let same = said[row - 1] == heard[column - 1];
        if here == edits[above - 1] + usize::from(!same) {
            right[column - 1] = same;
            (row, column) = (row - 1, column - 1);
        } else if here == edits[above] + 1 {
            row -= 1;
            missed += 1;
        } else {
            column -= 1;
        }
    }
    Aligned {
        right,
        missed: missed + row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_latin_words_and_chinese_characters() {
        assert_eq!(
            words("再见, Hello World2。"),
            ["再", "见", "hello", "world2"]
        );
        assert_eq!(words("a好b"), ["a", "好", "b"]);
        assert!(words(" ，").is_empty());
    }

    #[test]
    fn words_are_right_where_they_were_said() {
        let aligned = |said: &str, heard: &str| {
            let Aligned { right, missed } = align(&words(said), &words(heard));
            (right, missed)
        };
        assert_eq!(aligned("四七零", "四七零"), (vec![true; 3], 0));
        // Replaced, left out, put in.
        assert_eq!(aligned("四七零", "四一零"), (vec![true, false, true], 0));
        assert_eq!(aligned("四七零", "四零"), (vec![true, true], 1));
        let put_in = (vec![true, false, true, false], 0);
        assert_eq!(aligned("四零", "四七零九"), put_in);
        assert_eq!(aligned("", "四"), (vec![false], 0));
        assert_eq!(aligned("四七", ""), (vec![], 2));
        // Two words in the other order: replaced, since that takes as many edits as to leave one out and put it in.
        let replaced = (vec![false, false, true, false], 0);
        let (said, heard) = ("doctor eight left world", "eight doctor left word");
        assert_eq!(aligned(said, heard), replaced);
    }
}
