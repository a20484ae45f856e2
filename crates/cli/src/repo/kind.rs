//! The kinds of models.

use super::templates::Template;

/// A kind of model, each with its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// SenseVoice
    Sensevoice,
    /// Paraformer for whole recordings
    Paraformer,
    /// Paraformer for streams
    ParaformerOnline,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sensevoice, Self::Paraformer, Self::ParaformerOnline];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensevoice => "SenseVoice",
            Self::Paraformer => "Paraformer",
            Self::ParaformerOnline => "streaming Paraformer",
        }
    }

    /// The configurations that its repositories are made from, unless an export asks for others.
    pub(super) fn template(self) -> Template {
        match self {
            Self::Sensevoice => Template::Sensevoice,
            Self::Paraformer => Template::Paraformer,
            Self::ParaformerOnline => Template::ParaformerOnline,
        }
    }

    /// The models that a repository of it may have.
    pub(super) fn models(self) -> impl Iterator<Item = &'static str> {
        let seaco = (self == Self::Paraformer).then_some(Template::Seaco);
        let templates = std::iter::once(self.template()).chain(seaco);
        templates.flat_map(|template| template.models()).copied()
    }
}
