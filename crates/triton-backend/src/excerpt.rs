//! How much of what a client sent an error repeats: little. Clients may send megabytes, and errors are logged and passed on.

use std::borrow::Cow;

/// The most bytes of a client's text that an error repeats.
const LONGEST_TEXT: usize = 100;
/// The most bytes of a client's shape that an error repeats: numbers may stand beside it.
const LONGEST_SHAPE: usize = 64;
const ELLIPSIS: &str = "…";

/// `text`, cut to 100 bytes; an ellipsis at its end says that there was more.
///
/// For everything in an error that a client may have made as long as it likes.
///
/// ```
/// use triton_backend::excerpt;
/// assert_eq!(excerpt("stream 7"), "stream 7");
/// let cut = excerpt(&"七".repeat(1000)).into_owned();
/// assert_eq!(cut, "七".repeat(32) + "…");
/// ```
pub fn excerpt(text: &str) -> Cow<'_, str> {
    cut(text, LONGEST_TEXT)
}

/// A shape in words, `[1, 560]`; of one with many dimensions the first that fit into 64 bytes with the count of all.
pub fn shape_excerpt(shape: &[i64]) -> String {
    // Dimensions beyond these would be cut away in any case.
    let first = &shape[..shape.len().min(LONGEST_SHAPE)];
    let text = format!("{first:?}");
    if first.len() == shape.len() && text.len() <= LONGEST_SHAPE {
        return text;
    }
    let end = format!("{ELLIPSIS}] ({} dimensions)", shape.len());
    let room = text.floor_char_boundary(LONGEST_SHAPE - end.len());
    // After a whole number: a part of one would be another.
    let whole = text[..room].rfind(' ').map_or(1, |space| space + 1);
    format!("{}{end}", &text[..whole])
}

fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(most - ELLIPSIS.len());
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_up_to_the_limit_stand_as_they_are() {
        for length in [0, 1, 99, 100] {
            assert_eq!(excerpt(&"x".repeat(length)), "x".repeat(length));
        }
        assert_eq!(excerpt(&"x".repeat(101)), "x".repeat(97) + "…");
    }

    #[test]
    fn longer_ones_are_cut_between_characters() {
        for character in ["x", "é", "七", "🎤"] {
            for ahead in ["", "a", "ab", "abc"] {
                let text = ahead.to_owned() + &character.repeat(200);
                let cut = excerpt(&text);
                assert!((94..=100).contains(&cut.len()), "{}", cut.len());
                let kept = cut.strip_suffix('…').unwrap();
                assert!(text.starts_with(kept));
            }
        }
    }

    #[test]
    fn shapes_are_cut_to_their_first_dimensions() {
        assert_eq!(shape_excerpt(&[]), "[]");
        assert_eq!(shape_excerpt(&[1, -1, 560]), "[1, -1, 560]");
        let many = shape_excerpt(&[1; 5000]);
        assert_eq!(
            many,
            "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, …] (5000 dimensions)"
        );
        let huge = shape_excerpt(&[i64::MIN; 8]);
        assert_eq!(
            huge,
            "[-9223372036854775808, -9223372036854775808, …] (8 dimensions)"
        );
        let longest = shape_excerpt(&[i64::MAX, i64::MAX, -100, -200, -300]);
        assert!(longest.len() <= 64, "{longest}");
    }
}
