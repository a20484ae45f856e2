//! `triton-funasr repo`: a ready model repository from an exported model.

mod all;
mod assembly;
mod audio;
mod beside;
mod caches;
mod check;
mod device;
mod dims;
mod graph;
mod ids;
mod interface;
mod kind;
mod long;
mod options;
mod outputs;
mod paraformer;
mod paraformer_online;
mod place;
mod plan;
mod seaco;
mod search;
mod sensevoice;
mod target;
mod templates;
mod times;

use anyhow::Result;

pub use self::all::{Options as AllOptions, assemble as assemble_all};
use self::beside::Beside;
pub use self::device::Device;
pub use self::kind::Kind;
pub use self::options::{Common, Options};
use self::plan::plan;
use self::target::{check_target, make};
use crate::console;

/// The repositories that can be assembled.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// SenseVoice, from a directory with model.onnx, am.mvn, config.yaml and a .bpe.model
    Sensevoice(Options),
    /// Paraformer for whole recordings, from a directory with model.onnx, am.mvn, config.yaml and tokens.json; with model_eb.onnx and perhaps
    /// seg_dict it knows hot words
    Paraformer(Options),
    /// Paraformer for streams, from a directory with model.onnx, decoder.onnx, am.mvn, config.yaml and tokens.json
    ParaformerOnline(Options),
    /// Voice activity detection, from a directory with model.onnx, am.mvn and config.yaml (FSMN-VAD), or with silero_vad.onnx (Silero)
    Vad(Options),
    /// Punctuation (CT-Transformer, also of the realtime kind), from a directory with model.onnx, config.yaml and tokens.json
    Punctuation(Options),
    /// Several models in one repository, the recognisers' inner models under names of their own; with voice activity detection also models
    /// that transcribe recordings of any length, and streams in two passes
    All(AllOptions),
}

/// Assembles a repository and says what it holds.
pub fn repo(task: &Task) -> Result<()> {
    let one = |kind, options: &Options| {
        let facts = assemble(kind, options)?;
        Ok::<_, anyhow::Error>((facts, options.common.to.clone()))
    };
    let aside = |beside, options: &Options| {
        let facts = beside::assemble(beside, options)?;
        Ok::<_, anyhow::Error>((facts, options.common.to.clone()))
    };
    let (facts, to) = match task {
        Task::Sensevoice(options) => one(Kind::Sensevoice, options)?,
        Task::Paraformer(options) => one(Kind::Paraformer, options)?,
        Task::ParaformerOnline(options) => one(Kind::ParaformerOnline, options)?,
        Task::Vad(options) => aside(beside::vad(&options.from), options)?,
        Task::Punctuation(options) => aside(Beside::Punctuation, options)?,
        Task::All(options) => (assemble_all(options)?, options.common.to.clone()),
    };
    console::step("Assembled", format!("{} ({facts})", to.display()));
    console::step(
        "Try it",
        format!("triton-funasr serve --repo {}", to.display()),
    );
    Ok(())
}

/// Checks the export and assembles the repository; returns what it holds in a few words.
pub fn assemble(kind: Kind, options: &Options) -> Result<String> {
    let assembly = plan(kind, options)?;
    let part = |name: &str| kind.models().any(|model| model == name);
    let Common { to, force, .. } = &options.common;
    check_target(kind.name(), part, to, *force)?;
    make(to, |partial| {
        assembly.write(str::to_owned, partial, options.common.large())
    })?;
    assembly.notes.iter().for_each(console::warn);
    Ok(assembly.facts)
}

#[cfg(test)]
mod ids_tests;
#[cfg(test)]
mod outputs_tests;
#[cfg(test)]
pub(crate) mod seaco_tests;
#[cfg(test)]
mod tests;
