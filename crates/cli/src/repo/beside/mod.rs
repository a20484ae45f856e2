//! Repositories of the small models beside a recogniser: voice activity detection, punctuation.

mod config;
mod export;
mod kind;
mod plan;
mod silero;

use std::path::Path;

use anyhow::{Context, Result};

use self::export::Export;
pub(super) use self::kind::Beside;
pub(super) use self::plan::{Plan, write_model};
use super::device::Device;
use super::options::{Common, Options};
use super::target::{check_target, make};
use crate::console;

/// Finds and checks the pieces.
pub(super) fn plan(kind: Beside, options: &Options) -> Result<Plan> {
    if kind == Beside::Silero {
        return silero::plan(options);
    }
    let export = Export::read(kind, options)?;
    let inner = kind.models()[2];
    let (outer, of_inner, batched) = match (kind, export.realtime) {
        (Beside::Vad | Beside::Silero, _) => (&kind.models()[..2], "fsmn_vad/config.pbtxt", false),
        (Beside::Punctuation, true) => (
            &kind.models()[1..2],
            "ct_transformer/configs/realtime.pbtxt",
            false,
        ),
        (Beside::Punctuation, false) => (&kind.models()[..1], "ct_transformer/config.pbtxt", true),
    };
    let mut models = Vec::new();
    for model in outer {
        let text = kind.template(&format!("{model}/config.pbtxt"))?;
        models.push((*model, text.to_owned()));
    }
    let template = kind.template(of_inner)?;
    let text = config::with_tensors(template, &export.onnx.content, batched)
        .with_context(|| export.onnx.name())?;
    let text = match options.common.device.map(Device::replacement) {
        Some((from, to)) => text.replace(&from, &to),
        None => text,
    };
    models.push((inner, text));
    let mut files = export.onnx.places(&format!("{inner}/1"), "model.onnx");
    for file in export.beside {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{inner}/{name}");
        files.push((file, place));
    }
    Ok(Plan {
        models,
        files,
        edit: None,
        notes: export.notes,
        facts: export.facts,
    })
}

/// The same for a repository with other models, which may be quantized where these are not, or the other way round.
pub(super) fn plan_as_there_is(kind: Beside, mut options: Options) -> Result<Plan> {
    let wanted = options.common.quantized;
    let quantized = kind != Beside::Silero && export::is_quantized(&options.from, wanted);
    options.common.quantized = quantized;
    let mut plan = plan(kind, &options)?;
    if quantized != wanted {
        let directory = options.from.display();
        plan.notes.push(match quantized {
            true => format!("{directory} has a quantized file alone: it is taken"),
            false => format!("{directory} has no quantized file: the plain one is taken"),
        });
    }
    Ok(plan)
}

/// The kind of voice activity detection that a directory has.
pub(super) fn vad(directory: &Path) -> Beside {
    match silero::is_here(directory) {
        true => Beside::Silero,
        false => Beside::Vad,
    }
}

/// Checks the export and assembles the repository; returns what it holds in a few words.
pub(super) fn assemble(beside: Beside, options: &Options) -> Result<String> {
    let plan = plan(beside, options)?;
    let part = |name: &str| beside.has_part(name);
    let Common { to, force, .. } = &options.common;
    check_target(beside.name(), part, to, *force)?;
    make(to, |partial| plan.write(partial, options.common.large()))?;
    plan.notes.iter().for_each(console::warn);
    Ok(plan.facts)
}

#[cfg(test)]
mod tests;
