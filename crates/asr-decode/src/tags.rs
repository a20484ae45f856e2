//! The tags that SenseVoice puts in front of a text.

/// SenseVoice's tags, without their signs: `zh` for `<|zh|>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tags {
    /// `zh`, `en`, `yue`, `ja`, `ko`, `nospeech`.
    pub language: Option<Box<str>>,
    /// `NEUTRAL`, `HAPPY`, …, `EMO_UNKNOWN`.
    pub emotion: Option<Box<str>>,
    /// `Speech`, `BGM`, …, `Event_UNK`.
    pub event: Option<Box<str>>,
    /// `withitn` or `woitn`.
    pub text_norm: Option<Box<str>>,
}

impl Tags {
    /// The tags in front of the first piece that is none; of two of a kind, the first.
    pub(crate) fn of<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tags = Self::default();
        for name in pieces.into_iter().map_while(tag) {
            let place = match name {
                "withitn" | "woitn" => &mut tags.text_norm,
                _ if EMOTIONS.contains(&name) => &mut tags.emotion,
                _ if is_language(name) => &mut tags.language,
                // Events have a capital letter.
                _ if name.starts_with(|first: char| first.is_ascii_uppercase()) => &mut tags.event,
                _ => continue,
            };
            place.get_or_insert_with(|| name.into());
        }
        tags
    }
}

/// SenseVoice's emotions; what else has a capital letter is an event.
const EMOTIONS: [&str; 9] = [
    "HAPPY",
    "SAD",
    "ANGRY",
    "NEUTRAL",
    "FEARFUL",
    "DISGUSTED",
    "SURPRISED",
    "EMO_UNKNOWN",
    "EMO_UNK",
];

/// A code of two or three letters, as ISO 639 has them, or what stands in its place.
fn is_language(name: &str) -> bool {
    let is_code = matches!(name.len(), 2 | 3) && name.bytes().all(|c| c.is_ascii_lowercase());
    is_code || name == "nospeech"
}

/// What stands in a tag; `None` for any other piece.
pub(crate) fn tag(piece: &str) -> Option<&str> {
    let name = piece.strip_prefix("<|")?.strip_suffix("|>")?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_apart_by_their_names() {
        let tokens = [
            "<|yue|>",
            "<|EMO_UNKNOWN|>",
            "<|BGM|>",
            "<|withitn|>",
            "好",
            "<|en|>",
        ];
        let tags = Tags::of(tokens);
        assert_eq!(tags.language.as_deref(), Some("yue"));
        assert_eq!(tags.emotion.as_deref(), Some("EMO_UNKNOWN"));
        assert_eq!(tags.event.as_deref(), Some("BGM"));
        assert_eq!(tags.text_norm.as_deref(), Some("withitn"));
        // One of them may be missing, or none be there.
        let tags = Tags::of(["<|nospeech|>", "<|Event_UNK|>"]);
        assert_eq!(tags.language.as_deref(), Some("nospeech"));
        assert_eq!(tags.event.as_deref(), Some("Event_UNK"));
        assert_eq!((tags.emotion, tags.text_norm), (None, None));
        assert_eq!(Tags::of(["hello", "<|en|>"]), Tags::default());
    }
}
