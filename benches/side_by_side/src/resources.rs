//! Memory of the steps, and how soon a server with them is ready.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Pace;
use super::cases::{Case, Laid};
use super::load::drive;
use super::models::Models;
use super::report::{Section, Table, Target, Wanted, short};
use super::stats::{median, with_range};
use super::tools::{Tools, address_of};

/// Connections that make a server use its memory.
const CONNECTIONS: usize = 4;

/// Proportional set size in MB of a process and all its descendants: pages that several of them share count once.
pub(super) fn memory(root: u32) -> Result<f64> {
    let parents: BTreeMap<u32, u32> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, parent_of(id)?)))
        .collect();
    let belongs = |mut id: u32| {
        while id != root {
            match parents.get(&id) {
                Some(&parent) => id = parent,
                None => return false,
            }
        }
        true
    };
    let ids = parents.keys().copied().filter(|&id| belongs(id));
    let kilobytes: f64 = ids.filter_map(proportional).sum();
    Ok(kilobytes / 1000.0 * 1.024)
}

fn parent_of(id: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn proportional(id: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What a server with one repository takes.
#[derive(Default)]
struct Taken {
    /// Seconds from its start until all models are ready.
    ready: Vec<f64>,
    /// MB once it is ready.
    idle: Vec<f64>,
    /// MB after work.
    worked: Vec<f64>,
}

fn start(
    tools: &Tools,
    repository: &Path,
    cases: &[(&Case, String)],
    pace: Pace,
    taken: &mut Taken,
) -> Result<()> {
    let started = Instant::now();
    let server = tools.serve(repository, &[])?;
    taken.ready.push(started.elapsed().as_secs_f64());
    taken.idle.push(memory(server.id())?);
    let address = address_of(&server)?;
    for (case, model) in cases {
        let laid = Laid::out(case, address, CONNECTIONS)?;
        drive(
            address,
            &laid.scripts(case, model, CONNECTIONS),
            pace.window,
        )
        .with_context(|| model.clone())?;
    }
    taken.worked.push(memory(server.id())?);
    Ok(())
}

/// Measures memory and readiness, into the steps' section.
pub(super) fn run(
    tools: &Tools,
    models: &Models,
    cases: &[Case],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    // The first start of all reads the libraries from disk.
    start(tools, &models.empty, &[], pace, &mut Taken::default())?;
    let asked = |python: bool| -> Vec<(&Case, String)> {
        let wanted = |case: &&Case| {
            // The decoder is not in these servers.
            case.step != "cif_search" || case.label.contains("no token")
        };
        let longest = |case: &&Case| case.streaming || case.label == "10 s";
        let model = |case: &Case| match python {
            true => case.python(),
            false => case.model.to_owned(),
        };
        cases
            .iter()
            .filter(wanted)
            .filter(longest)
            .filter(|case| !case.model.starts_with("wide"))
            .map(|case| (case, model(case)))
            .collect()
    };
    let plan = [
        ("nothing", &models.empty, Vec::new()),
        ("native steps alone", &models.native_steps, asked(false)),
        ("Python steps alone", &models.python_steps, asked(true)),
        ("ONNX models alone", &models.onnx, Vec::new()),
        ("ONNX models and native steps", &models.native, Vec::new()),
        ("ONNX models and Python steps", &models.python, Vec::new()),
    ];
    let mut all: Vec<Taken> = plan.iter().map(|_| Taken::default()).collect();
    for round in 0..pace.pick(3, 1) {
        for ((name, repository, cases), taken) in plan.iter().zip(&mut all) {
            pace.tell(&format!("a server with {name}, start {}", round + 1));
            start(tools, repository, cases, pace, taken).with_context(|| (*name).to_owned())?;
        }
    }
    let mut table = Table::new(
        "Servers from start to ready, and their memory: the proportional set size of the server and the Python processes, whose shared \
         pages count once. *After work*: front end and streaming steps were asked with 10 s of audio or chunks of it, 4 at a \
         time. The steps are seven models with 11 instances; in Python each instance is a process.",
        &["the server has", "ready, s", "memory, MB", "after work, MB"],
    );
    for ((name, _, cases), taken) in plan.iter().zip(&all) {
        let worked = if cases.is_empty() {
            "–".to_owned()
        } else {
            with_range(&taken.worked)
        };
        table.rows.push(vec![
            (*name).to_owned(),
            with_range(&taken.ready),
            with_range(&taken.idle),
            worked,
        ]);
    }
    section.tables.push(table);
    let empty = median(&all[0].idle);
    let (native, python) = (
        median(&all[1].worked) - empty,
        median(&all[2].worked) - empty,
    );
    section.tables.push(summary(native, python, &all));
    section.ratios.insert(
        "memory of the steps: Python / native".to_owned(),
        python / native,
    );
    section.targets.push(Target {
        what: "memory of all native steps after work, beyond an empty server (MB)".to_owned(),
        wanted: Wanted::AtMost(60.0),
        measured: native,
        why: "Tables, vocabularies and the workspaces of all instances are in it, and what the server and its allocator keep of buffers of requests.",
    });
    section.targets.push(Target {
        what: "ready with native steps, beyond the ONNX models alone (s)".to_owned(),
        wanted: Wanted::AtMost(1.0),
        measured: median(&all[4].ready) - median(&all[3].ready),
        why: "The models load in parallel on few cores.",
    });
    Ok(())
}

fn summary(native: f64, python: f64, all: &[Taken]) -> Table {
    let mut table = Table::new("What the steps add:", &["", "native", "Python"]);
    let ready = |at: usize| short((median(&all[at].ready) - median(&all[3].ready)).max(0.0));
    table.rows.push(vec![
        "memory after work, MB".to_owned(),
        short(native),
        short(python),
    ]);
    table.rows.push(vec![
        "seconds until ready, beside the ONNX models".to_owned(),
        ready(4),
        ready(5),
    ]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_memory_and_has_a_parent() {
        let id = std::process::id();
        assert!(parent_of(id).unwrap() > 0);
        let taken = memory(id).unwrap();
        assert!(taken > 0.5 && taken < 4_000.0, "{taken} MB");
    }
}
