//! What is sent to the demo's models, and what they answer.

use std::path::PathBuf;

use anyhow::Result;

use crate::golden::{self, Golden};
use crate::layout::Layout;
use crate::recording::Recording;
use crate::repo::Kind;

/// The two forms that the models come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `config.pbtxt`: steps tied together by the server.
    Ensemble,
    /// `configs/pipeline.pbtxt`: one model that calls the others.
    Pipeline,
}

/// The demo's model of a kind, in the project.
pub(super) fn export(kind: Kind) -> &'static str {
    match kind {
        Kind::Sensevoice => "demo/sensevoice",
        Kind::Paraformer => "demo/paraformer",
        Kind::ParaformerOnline => "demo/paraformer_online",
    }
}

/// The recordings, and what a model answers for them.
pub(super) struct Samples {
    /// The directory of the model's export.
    pub(super) export: PathBuf,
    pub(super) recordings: Vec<(Golden, Recording)>,
}

impl Samples {
    pub(super) fn read(layout: &Layout, kind: Kind) -> Result<Self> {
        let export = layout.project.join(export(kind));
        let recordings = golden::read(&export.join("golden.tsv"))?
            .into_iter()
            .map(|golden| {
                let recording = Recording::read(&recording_path(layout, &golden.recording))?;
                Ok((golden, recording))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { export, recordings })
    }
}

pub(super) fn recording_path(layout: &Layout, name: &str) -> PathBuf {
    layout.project.join("demo/recordings").join(name)
}

/// How many texts were asked for, and how many were not the expected ones.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Score {
    pub(super) texts: usize,
    pub(super) wrong: usize,
}

impl Score {
    pub(super) fn count(&mut self, right: bool) {
        self.texts += 1;
        self.wrong += usize::from(!right);
    }

    /// Prints how many are those of the file `expected`; returns what is wrong, if anything is.
    pub(super) fn told(self, what: &str, expected: &str) -> Option<String> {
        let Self { texts, wrong } = self;
        anstream::println!(
            "{} of {texts} {what} are those of {expected}\n",
            texts - wrong
        );
        (wrong > 0).then(|| format!("{wrong} {what} differ from {expected}"))
    }
}
