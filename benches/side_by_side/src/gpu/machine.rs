//! The machine, as the head of the report.

use std::fmt::Write as _;

use super::kit::Kit;
use crate::tools::first_line;

/// A Markdown table of it.
pub(super) fn head(kit: &Kit, command: &str) -> String {
    let gpu = "--query-gpu=name,driver_version,memory.total";
    let mut rows = crate::machine::hardware();
    rows.insert(0, ("command", format!("`{}`", command.trim())));
    rows.push((
        "GPU",
        first_line("nvidia-smi", &[gpu, "--format=csv,noheader"]),
    ));
    rows.push(("this project", env!("CARGO_PKG_VERSION").to_owned()));
    rows.push(("made of", kit.versions()));
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

/// Megabytes of the GPU's memory that are in use, and how busy it is, in percent.
pub(super) fn in_use() -> Option<(f64, f64)> {
    let query = [
        "--query-gpu=memory.used,utilization.gpu",
        "--format=csv,noheader,nounits",
    ];
    let line = first_line("nvidia-smi", &query);
    let (memory, busy) = line.split_once(',')?;
    Some((memory.trim().parse().ok()?, busy.trim().parse().ok()?))
}
