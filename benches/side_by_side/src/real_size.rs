//! `cargo xtask bench --real-size`: models of the published sizes, served in each form, beside ONNX Runtime with nothing around it and
//! sherpa-onnx.
//!
//! There the encoder is nearly all of the work, and what counts is how much of the machine the server leaves it.

mod compared;
mod figures;
mod forms;
mod model;
mod recordings;
mod repository;
mod streams;

use std::fs;

use anyhow::Result;
use xtask::real_size::{self, RealSize};

use self::model::{MODELS, Model, STREAMING};
use self::recordings::{LEAST_SECONDS, MOST_SECONDS, recordings};
pub(super) use self::recordings::{cut_from, seconds, turn};
use super::Pace;
use super::report::{self, Section};
use super::tools::Tools;
use crate::layout::Layout;
use crate::repo::Kind;
use crate::{console, machine};

const DOCUMENT: &str = "docs/benchmarks/real_size.md";

/// Makes the models if need be, measures, prints, and writes a document.
pub(super) fn bench(layout: &Layout, quick: bool, only: &[Kind], command: &str) -> Result<()> {
    let wanted = |model: &&Model| only.is_empty() || only.contains(&model.kind);
    let models: Vec<_> = MODELS.iter().filter(wanted).collect();
    let streaming = Some(&STREAMING).filter(wanted);
    let kinds = models
        .iter()
        .copied()
        .chain(streaming)
        .map(|model| model.kind);
    let exports = real_size::real_size(layout, &RealSize::of(&kinds.collect::<Vec<_>>()))?;
    let tools = Tools::prepare(layout)?;
    let head = machine::head(&tools, command);
    let bar = console::spinner_of("Measuring");
    let pace = Pace::of_real_size(quick, &bar);
    let recordings = recordings(&tools, pace.pick(60, 24))?;
    let mut section = Section::new(
        "Real sizes",
        format!(
            "Models of the published sizes with random weights. {} recordings of {LEAST_SECONDS} to {MOST_SECONDS} s, {:.1} s on average, each \
             sent once, the next one when an answer has come. All take turns; figures are medians over turns, \
             ratios those of the same round.\n\n\
             ONNX Runtime alone gets the features ready-made, has the server's number of threads, and a call for each recording. The \
             ensemble and the pipeline are as `triton-funasr repo` makes them, with ids in place of scores; \"scores\" is with `--keep-logits`. The \
             Python steps are better than those this project takes the place of ([how to read this](../benchmarks.md)). sherpa-onnx runs the \
             same exported file on as many threads as there are processors, in a process of its own, with nothing between it and the \
             callers, while all others are asked over HTTP: each caller by itself, or a worker that takes up to {} that wait.\n\n\
             The streaming model gets the same recordings in chunks, the next one when the one before is answered: as fast as it goes, not as \
             somebody speaks.",
            recordings.len(),
            seconds(&recordings) / recordings.len() as f64,
            forms::TOGETHER,
        ),
    );
    for model in models {
        let measured = forms::measure(&tools, &exports, model, &recordings, pace)?;
        figures::add(&measured, &mut section);
    }
    if let Some(model) = streaming {
        let (compared, sherpa) = streams::measure(&tools, &exports, model, &recordings, pace)?;
        figures::add_streams(model.top, &compared, &sherpa, &mut section);
    }
    bar.finish_and_clear();
    section.print();
    let directory = match only.is_empty() {
        true => pace.pick(&layout.project, &tools.directory),
        false => &tools.directory,
    };
    let document = directory.join(DOCUMENT);
    if let Some(parent) = document.parent() {
        fs::create_dir_all(parent)?;
    }
    report::write(&document, &head, &[section])?;
    console::step("Wrote", document.display());
    Ok(())
}
