//! The languages of the models: SenseVoice's numbers for them, and their names.

/// A language that SenseVoice can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language {
    /// As in `zh`.
    pub(crate) code: &'static str,
    /// What the input `LANGUAGE` takes.
    pub(crate) number: i32,
    /// As Whisper spells it.
    pub(crate) name: &'static str,
}

impl Language {
    /// The model finds out.
    pub(crate) const AUTO: Self = Self {
        code: "auto",
        number: 0,
        name: "",
    };

    /// All that can be told.
    const ALL: [Self; 5] = [
        Self {
            code: "zh",
            number: 3,
            name: "chinese",
        },
        Self {
            code: "en",
            number: 4,
            name: "english",
        },
        Self {
            code: "yue",
            number: 7,
            name: "cantonese",
        },
        Self {
            code: "ja",
            number: 11,
            name: "japanese",
        },
        Self {
            code: "ko",
            number: 12,
            name: "korean",
        },
    ];

    /// Of a code, with or without a region as in `en-US`, or a name.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let code = text.split(['-', '_']).next().unwrap_or_default();
        if code.is_empty() || code == Self::AUTO.code {
            return Some(Self::AUTO);
        }
        Self::ALL
            .into_iter()
            .find(|own| own.code == code || own.name == code)
    }

    /// The codes, for a person.
    pub(crate) fn codes() -> String {
        Self::ALL.map(|own| own.code).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_regions_and_names() {
        let number = |text| Language::of(text).map(|language| language.number);
        assert_eq!(number("zh"), Some(3));
        assert_eq!(number(" EN-us"), Some(4));
        assert_eq!(number("Cantonese"), Some(7));
        assert_eq!((number("auto"), number("")), (Some(0), Some(0)));
        assert_eq!(number("fr"), None);
        assert_eq!(Language::codes(), "zh, en, yue, ja, ko");
    }
}
