//! `cargo xtask capacity`: how many streams a machine holds, where the knee is, and how many machines many streams need; simulated from
//! what a chunk costs. It writes the figures of docs/scaling.md.

mod figures;
mod report;
mod simulation;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::console;
use crate::layout::Layout;

const FIGURES: &str = "benches/capacity/figures.json";
const DOCUMENT: &str = "docs/scaling.md";
const PICTURE: &str = "docs/benchmarks/capacity.svg";

/// Which figures.
#[derive(Debug, clap::Args)]
pub(crate) struct Capacity {
    /// What your machine was measured to cost, in the form of benches/capacity/figures.json; printed, and nothing is written
    #[arg(long, value_name = "FILE")]
    figures: Option<PathBuf>,
    /// Live streams that the machines are to hold together
    #[arg(long, value_name = "N", default_value = "10000")]
    streams: usize,
    /// Fail where docs/scaling.md is not what would be written
    #[arg(long, conflicts_with = "figures")]
    check: bool,
}

/// Simulates, and writes or prints what comes of it.
pub(crate) fn capacity(layout: &Layout, options: &Capacity) -> Result<()> {
    let own = options.figures.is_some();
    let file = options
        .figures
        .clone()
        .unwrap_or_else(|| layout.project.join(FIGURES));
    let forms = figures::read(&file)?;
    let text = report::text(&forms, options.streams);
    if own {
        anstream::println!("{text}");
        return Ok(());
    }
    let document = layout.project.join(DOCUMENT);
    let before = fs::read_to_string(&document)
        .with_context(|| format!("cannot read {}", document.display()))?;
    let after = report::put(&before, &text)
        .with_context(|| format!("{DOCUMENT} has no place for the figures"))?;
    if options.check {
        if after != before {
            bail!("{DOCUMENT} is not what {FIGURES} says: cargo xtask capacity");
        }
        return Ok(());
    }
    fs::write(&document, after).with_context(|| format!("cannot write {}", document.display()))?;
    report::draw(&forms, &layout.project.join(PICTURE))?;
    console::step("Wrote", document.display());
    Ok(())
}
