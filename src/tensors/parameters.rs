//! The parameters that configs may have: each stands once, with its type, default, range and meaning. Reading, the warning about
//! unknown ones, and the tables of docs/configuration.md come from here.
//!
//! A parameter is a constant beside what reads it; what is read together is a [`Table`]; `src/registry.rs` says which tables a
//! component takes.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use triton_backend::{Error, ModelContext, excerpt};

/// A parameter of type `V`.
pub(crate) struct Parameter<V: Value> {
    name: &'static str,
    meaning: &'static str,
    absent: Absent<V::Default>,
    allowed: Option<Allowed<V::Read>>,
}

/// What holds where a config does not have a parameter.
#[derive(Clone, Copy)]
enum Absent<D> {
    /// Then the model does not load.
    Required,
    /// This value.
    Default(D),
    /// What these words say; nothing if there are none.
    Otherwise(&'static str),
}

/// A range, and the words for it.
struct Allowed<R> {
    words: &'static str,
    contains: fn(&R) -> bool,
    show: fn(&R) -> String,
}

/// A type of parameter.
pub(crate) trait Value: Sized + 'static {
    /// How a default is written down.
    type Default: Copy + Display + Sync + 'static;
    /// What is read.
    type Read;
    /// The type's name in documents.
    const KIND: &'static str;

    /// The value of the parameter called `name`, if the config has it.
    fn read(context: &ModelContext, name: &str) -> Result<Option<Self::Read>, Error>;

    /// The value where the config has none.
    fn of_default(
        context: &ModelContext,
        name: &str,
        default: Self::Default,
    ) -> Result<Self::Read, Error>;
}

macro_rules! numbers {
    ($($number:ty: $kind:literal),*) => {$(
        impl Value for $number {
            type Default = Self;
            type Read = Self;
            const KIND: &'static str = $kind;

            fn read(context: &ModelContext, name: &str) -> Result<Option<Self>, Error> {
                context.config.parameters.get(name)
            }

            fn of_default(_: &ModelContext, _: &str, default: Self) -> Result<Self, Error> {
                Ok(default)
            }
        }
    )*};
}

numbers!(f32: "number", f64: "number", u32: "whole number", u64: "whole number", usize: "whole number");

/// A number of things, at least one.
pub(crate) struct Count;

impl Value for Count {
    type Default = usize;
    type Read = usize;
    const KIND: &'static str = "whole number from 1";

    fn read(context: &ModelContext, name: &str) -> Result<Option<usize>, Error> {
        let count = context.config.parameters.get::<NonZeroUsize>(name)?;
        Ok(count.map(NonZeroUsize::get))
    }

    fn of_default(_: &ModelContext, _: &str, default: usize) -> Result<usize, Error> {
        Ok(default)
    }
}

impl Value for bool {
    type Default = Self;
    type Read = Self;
    const KIND: &'static str = "true or false";

    fn read(context: &ModelContext, name: &str) -> Result<Option<Self>, Error> {
        context.config.parameters.flag(name)
    }

    fn of_default(_: &ModelContext, _: &str, default: Self) -> Result<Self, Error> {
        Ok(default)
    }
}

/// A text as it stands.
pub(crate) struct Text;

impl Value for Text {
    type Default = &'static str;
    type Read = String;
    const KIND: &'static str = "text";

    fn read(context: &ModelContext, name: &str) -> Result<Option<String>, Error> {
        Ok(context.config.parameters.text(name).map(str::to_owned))
    }

    fn of_default(_: &ModelContext, _: &str, default: &'static str) -> Result<String, Error> {
        Ok(default.to_owned())
    }
}

/// A file, found where [`ModelContext::resolve`] looks.
pub(crate) struct File;

impl Value for File {
    type Default = &'static str;
    type Read = PathBuf;
    const KIND: &'static str = "file";

    fn read(context: &ModelContext, name: &str) -> Result<Option<PathBuf>, Error> {
        match context.config.parameters.text(name) {
            Some(_) => context.file(name).map(Some),
            None => Ok(None),
        }
    }

    fn of_default(
        context: &ModelContext,
        name: &str,
        default: &'static str,
    ) -> Result<PathBuf, Error> {
        let missing = |error: Error| Error::parameter(name, format!("is missing, and {error}"));
        context.resolve(default).map_err(missing)
    }
}

/// A type of parameter that is written in a way of its own, its default too.
pub(crate) trait Written: Sized + 'static {
    /// Its name in documents.
    const KIND: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the text, as in "'these' is not those".
    fn parse(text: &str) -> Result<Self, &'static str>;
}

impl<T: Written> Value for T {
    type Default = &'static str;
    type Read = T;
    const KIND: &'static str = T::KIND;

    fn read(context: &ModelContext, name: &str) -> Result<Option<T>, Error> {
        let text = context.config.parameters.text(name);
        text.map(|text| parse(name, text)).transpose()
    }

    fn of_default(_: &ModelContext, name: &str, default: &'static str) -> Result<T, Error> {
        parse(name, default)
    }
}

fn parse<T: Written>(name: &str, text: &str) -> Result<T, Error> {
    T::parse(text).map_err(|what| Error::parameter(name, format!("'{}' {what}", excerpt(text))))
}

impl<V: Value> Parameter<V> {
    /// A parameter that may be absent.
    pub(crate) const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            absent: Absent::Otherwise(""),
            allowed: None,
        }
    }

    /// The same, without which the model does not load.
    pub(crate) const fn required(mut self) -> Self {
        self.absent = Absent::Required;
        self
    }

    /// The same, with this value where it is absent.
    pub(crate) const fn default(mut self, value: V::Default) -> Self {
        self.absent = Absent::Default(value);
        self
    }

    /// The same, with words for what holds where it is absent.
    pub(crate) const fn otherwise(mut self, words: &'static str) -> Self {
        self.absent = Absent::Otherwise(words);
        self
    }

    /// Its name in a config.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Its value; the default, or an error, where a config does not have it. A parameter that may be absent is read with
    /// [`Parameter::find`].
    pub(crate) fn read(&self, context: &ModelContext) -> Result<V::Read, Error> {
        match (self.find(context)?, self.absent) {
            (Some(value), _) => Ok(value),
            (None, Absent::Default(default)) => V::of_default(context, self.name, default),
            (None, _) => {
                let missing = context.config.parameters.require(self.name);
                Err(missing
                    .err()
                    .unwrap_or_else(|| Error::parameter(self.name, "is missing")))
            }
        }
    }

    /// Its value, if a config has it.
    pub(crate) fn find(&self, context: &ModelContext) -> Result<Option<V::Read>, Error> {
        let value = V::read(context, self.name)?;
        if let (Some(value), Some(allowed)) = (&value, &self.allowed)
            && !(allowed.contains)(value)
        {
            let message = format!("{} is not {}", (allowed.show)(value), allowed.words);
            return Err(Error::parameter(self.name, message));
        }
        Ok(value)
    }

    /// Whether a value is in its range, if it has one.
    pub(crate) fn allows(&self, value: &V::Read) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|allowed| (allowed.contains)(value))
    }
}

impl<V: Value<Read: Display>> Parameter<V> {
    /// The same, with a range.
    pub(crate) const fn within(
        mut self,
        words: &'static str,
        contains: fn(&V::Read) -> bool,
    ) -> Self {
        self.allowed = Some(Allowed {
            words,
            contains,
            show: |value| value.to_string(),
        });
        self
    }
}

/// A parameter whatever its type: a line of a table.
pub(crate) trait Line: Sync {
    /// The name in a config.
    fn name(&self) -> &'static str;

    /// What a document says of it.
    #[cfg_attr(not(test), allow(dead_code, reason = "a test writes the documents"))]
    fn words(&self) -> Words;
}

/// What a document says of a parameter, in Markdown.
#[cfg_attr(not(test), expect(dead_code, reason = "a test writes the documents"))]
pub(crate) struct Words {
    /// Type and range.
    pub(crate) kind: String,
    /// What holds where it is absent.
    pub(crate) absent: String,
    pub(crate) meaning: &'static str,
}

impl<V: Value> Line for Parameter<V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn words(&self) -> Words {
        Words {
            kind: match &self.allowed {
                Some(allowed) => format!("{} {}", V::KIND, allowed.words),
                None => V::KIND.to_owned(),
            },
            absent: match self.absent {
                Absent::Required => "required".to_owned(),
                Absent::Default(value) => value.to_string(),
                Absent::Otherwise(words) => words.to_owned(),
            },
            meaning: self.meaning,
        }
    }
}

/// Parameters that are read together.
pub(crate) struct Table {
    /// The heading that its table has in docs/configuration.md; a component's name if they are that component's own.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test writes the documents"))]
    pub(crate) name: &'static str,
    pub(crate) lines: &'static [&'static dyn Line],
}

/// The known name that a wrong one was probably meant to be.
pub(crate) fn nearest<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised() {
        let known = || ["max_audio_seconds", "threads", "dither", "dither_seed"].into_iter();
        assert_eq!(
            nearest("max_audio_second", known()),
            Some("max_audio_seconds")
        );
        assert_eq!(nearest("dithr", known()), Some("dither"));
        assert_eq!(nearest("colour", known()), None);
    }

    #[test]
    fn a_line_says_all_there_is_to_say() {
        let cells = |line: &dyn Line| {
            let words = line.words();
            [words.kind, words.absent, words.meaning.to_owned()]
        };
        const SHARE: Parameter<f64> = Parameter::new("share", "how much of it")
            .default(20.0)
            .within("from 0 to 100", |share| (0.0..=100.0).contains(share));
        assert_eq!(
            cells(&SHARE),
            ["number from 0 to 100", "20", "how much of it"]
        );
        const TOKENS: Parameter<File> = Parameter::new("tokens", "the vocabulary").required();
        assert_eq!(cells(&TOKENS), ["file", "required", "the vocabulary"]);
    }
}
