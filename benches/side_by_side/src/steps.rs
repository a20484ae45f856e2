//! Each step in one server, native and in Python, with the same tensors.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::Pace;
use super::cases::{Case, Laid};
use super::load::{Measured, drive};
use super::report::{Section, Table, Target, Wanted, short};
use super::stats::{median, with_range};

/// The most connections at a time, where throughput counts.
const MANY: usize = 16;

/// What the target of a step's latency asks: a tenth.
const TENTH: f64 = 10.0;
/// Below this a difference of two latencies is noise (ms).
const NOISE: f64 = 0.005;

/// A case at one concurrency.
struct Outcome {
    connections: usize,
    native: Vec<Measured>,
    python: Vec<Measured>,
}

impl Outcome {
    /// Throughput over Python's, round by round.
    fn ratios(&self) -> Vec<f64> {
        let rounds = self.native.iter().zip(&self.python);
        rounds
            .map(|(native, python)| native.throughput / python.throughput)
            .collect()
    }
}

fn percentile(rounds: &[Measured], share: f64) -> f64 {
    let each: Vec<_> = rounds.iter().map(|round| round.percentile(share)).collect();
    median(&each)
}

fn latencies(rounds: &[Measured]) -> String {
    [0.5, 0.95, 0.99]
        .map(|share| short(percentile(rounds, share)))
        .join(" / ")
}

fn throughput(rounds: &[Measured]) -> String {
    short(median(
        &rounds
            .iter()
            .map(|round| round.throughput)
            .collect::<Vec<_>>(),
    ))
}

/// Measures the steps.
pub(super) fn run(address: SocketAddr, cases: &[Case], pace: Pace) -> Result<Section> {
    let mut section = Section::new(
        "Steps",
        "Native steps and Python-backend models with the same tensors and the same scheduling, in one server; both gave the same \
         answers before they were timed. Whole recordings and scores lie in shared memory, as a step finds them within an ensemble; \
         chunks of streams come in the request. Windows of both alternate; a latency is the median over windows of the percentile \
         (p50 / p95 / p99, ms), a ratio that of two neighbouring windows, its median with least and largest. \
         *Transport* is a model with the same inputs, outputs and scheduling that computes nothing.",
    );
    for step in steps_of(cases) {
        let of_step: Vec<_> = cases.iter().filter(|case| case.step == step).collect();
        measure_step(address, step, &of_step, pace, &mut section)
            .with_context(|| step.to_owned())?;
    }
    Ok(section)
}

fn steps_of(cases: &[Case]) -> Vec<&'static str> {
    let mut steps: Vec<_> = cases.iter().map(|case| case.step).collect();
    steps.dedup();
    steps
}

fn measure_step(
    address: SocketAddr,
    step: &'static str,
    cases: &[&Case],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let mut table = Table::new(
        format!("`{step}`:"),
        &[
            "",
            "at a time",
            "native, ms",
            "Python, ms",
            "native, 1/s",
            "Python, 1/s",
            "times the throughput",
        ],
    );
    let (mut throughputs, mut latencies_beyond) = (Vec::new(), Vec::new());
    for case in cases {
        if case.input_size() < 20_000_000 {
            case.check(address)?;
        }
        let laid = Laid::out(case, address, MANY)?;
        let mut run = |model: &str, connections| {
            drive(
                address,
                &laid.scripts(case, model, connections),
                pace.window,
            )
        };
        let transport = [run(&case.transport(), 1)?];
        let crowded = [run(&case.transport(), MANY)?];
        for (connections, measured) in [(1, &transport), (MANY, &crowded)] {
            table.rows.push(vec![
                format!("{}: transport", case.label),
                connections.to_string(),
                latencies(measured),
                String::new(),
                throughput(measured),
                String::new(),
                String::new(),
            ]);
        }
        for &connections in pace.concurrencies {
            pace.tell(&format!("{step}: {}, {connections} at a time", case.label));
            let outcome = in_turns(case, connections, pace, &mut run)?;
            table.rows.push(row(case, &outcome));
            let ratio = median(&outcome.ratios());
            if connections == 1 {
                let beyond =
                    |rounds: &[Measured]| percentile(rounds, 0.5) - percentile(&transport, 0.5);
                latencies_beyond.push((
                    beyond(&outcome.python).max(0.0) / beyond(&outcome.native).max(NOISE),
                    &case.label,
                ));
            }
            if connections == MANY {
                section.ratios.insert(
                    format!("{step}, {}: throughput of 16 / Python", case.label),
                    ratio,
                );
                throughputs.push((ratio, &case.label));
            }
        }
    }
    section.tables.push(table);
    section
        .targets
        .extend(targets(step, &throughputs, &latencies_beyond));
    Ok(())
}

fn in_turns(
    case: &Case,
    connections: usize,
    pace: Pace,
    run: &mut impl FnMut(&str, usize) -> Result<Measured>,
) -> Result<Outcome> {
    let mut outcome = Outcome {
        connections,
        native: Vec::new(),
        python: Vec::new(),
    };
    for _ in 0..pace.rounds {
        outcome.native.push(run(case.model, connections)?);
        outcome.python.push(run(&case.python(), connections)?);
    }
    Ok(outcome)
}

fn row(case: &Case, outcome: &Outcome) -> Vec<String> {
    vec![
        case.label.clone(),
        outcome.connections.to_string(),
        latencies(&outcome.native),
        latencies(&outcome.python),
        throughput(&outcome.native),
        throughput(&outcome.python),
        with_range(&outcome.ratios()),
    ]
}

/// The hardest case of a step decides.
fn targets(
    step: &str,
    throughputs: &[(f64, &String)],
    latencies: &[(f64, &String)],
) -> Vec<Target> {
    let least = |of: &[(f64, &String)]| {
        let least = of.iter().min_by(|left, right| left.0.total_cmp(&right.0));
        least.map(|&(ratio, label)| (ratio, label.clone()))
    };
    let mut targets = Vec::new();
    if let Some((measured, label)) = least(throughputs) {
        targets.push(Target {
            what: format!("`{step}`, {MANY} at a time: times Python's throughput (least, {label})"),
            wanted: Wanted::AtLeast(5.0),
            measured,
            why: why(step),
        });
    }
    if let Some((measured, label)) = least(latencies) {
        targets.push(Target {
            what: format!("`{step}`, one at a time: Python's p50 over ours, beyond the transport (least, {label})"),
            wanted: Wanted::AtLeast(TENTH),
            measured,
            why: why(step),
        });
    }
    targets
}

/// Why a step's targets are missed, where they are.
fn why(step: &str) -> &'static str {
    match step {
        "ctc_scoring" | "paraformer_scoring" => {
            "Both read all scores once, from the same memory, numpy with SIMD too; what Python adds is a copy into the memory it \
             shares with the server, and its interpreter. With few scores the server's own work per request is most of the time; \
             with many, reading them is."
        }
        "cif_search" => {
            "No step answers faster than the transport alone (its rows in the table), and without tokens that is nearly all there is. \
             Where tokens fire, most of the time is the decoder's, the same ONNX model for both."
        }
        "lfr_cmvn_pe" | "online_feature_extractor" => {
            "A chunk is so little work that the server's own, the same for both, is most of the time: carrying the request, and keeping \
             the streams in order. No step answers faster than the transport alone (its rows in the table)."
        }
        _ => "The server's own work per request, the same for both, is a part of the time.",
    }
}
