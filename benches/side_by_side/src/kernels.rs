//! The kernels by themselves, one thread each, in turns with those of other libraries.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Pace;
use super::models::CTC_WIDTH;
use super::report::{Chart, Section, Table, Target, Wanted, short};
use super::stats::{median, with_range};
use super::tools::{Programs, Tools};
use crate::plot::{Axis, Series};
use crate::{prerequisites, process};

/// What `kernels.py` ends with where a library is not installed.
const NOT_INSTALLED: i32 = 3;
/// Frames of 10 s of audio, as SenseVoice scores them.
const FRAMES: usize = 171;

/// A program that prints nanoseconds, one line per round.
struct Program {
    name: &'static str,
    command: Vec<String>,
    python: bool,
}

impl Program {
    fn native(
        built: &Programs,
        name: &'static str,
        file: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        let path = built.path(file)?.to_string_lossy().into_owned();
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        Ok(Self {
            name,
            command: std::iter::once(path).chain(arguments).collect(),
            python: false,
        })
    }

    fn python(name: &'static str, arguments: &[&str]) -> Self {
        Self {
            name,
            command: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            python: true,
        }
    }

    /// The numbers of each round, or nothing where the library is not installed.
    fn run(&self, tools: &Tools, rounds: usize) -> Result<Option<Vec<Vec<f64>>>> {
        let mut command = if self.python {
            let benches = tools.layout.project.join("benches");
            let mut path = tools.packages.clone().into_os_string();
            path.push(":");
            path.push(benches.join("python_steps"));
            let mut command = prerequisites::python();
            command
                .arg(benches.join("kernels.py"))
                .env("PYTHONPATH", path)
                .env("PYTHONDONTWRITEBYTECODE", "1");
            command
        } else {
            Command::new(&self.command[0])
        };
        let arguments = if self.python {
            &self.command[..]
        } else {
            &self.command[1..]
        };
        command.args(arguments).arg(rounds.to_string());
        // One thread, whatever libraries would start.
        for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            command.env(variable, "1");
        }
        if self.python {
            let output = command.output()?;
            match output.status.code() {
                Some(0) => numbers(&String::from_utf8_lossy(&output.stdout)).map(Some),
                Some(NOT_INSTALLED) => Ok(None),
                _ => bail!(
                    "{} failed: {}",
                    self.name,
                    String::from_utf8_lossy(&output.stderr)
                ),
            }
        } else {
            numbers(&process::output_of(&mut command)?).map(Some)
        }
    }
}

fn numbers(text: &str) -> Result<Vec<Vec<f64>>> {
    let line = |line: &str| -> Result<Vec<f64>> {
        line.split_whitespace()
            .map(|number| {
                number
                    .parse()
                    .with_context(|| format!("no number: {number}"))
            })
            .collect()
    };
    text.lines().map(line).collect()
}

/// The median milliseconds of each turn of each program, the programs one after the other in every turn.
fn in_turns(
    tools: &Tools,
    programs: &[Program],
    turns: usize,
    rounds: usize,
) -> Result<Vec<Option<Vec<f64>>>> {
    let mut times: Vec<Option<Vec<f64>>> = vec![Some(Vec::new()); programs.len()];
    for _ in 0..turns {
        for (program, times) in programs.iter().zip(&mut times) {
            let Some(so_far) = times else { continue };
            match program.run(tools, rounds)? {
                Some(lines) => {
                    let nanoseconds: Vec<_> = lines
                        .iter()
                        .filter_map(|line| line.first())
                        .copied()
                        .collect();
                    so_far.push(median(&nanoseconds) / 1e6);
                }
                None => *times = None,
            }
        }
    }
    Ok(times)
}

/// How many times as fast the first is, turn by turn.
fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter()
        .zip(theirs)
        .map(|(ours, theirs)| theirs / ours)
        .collect()
}

/// Measures the kernels.
pub(super) fn run(tools: &Tools, pace: Pace) -> Result<Section> {
    let mut section = Section::new(
        "Kernels",
        "One thread each. The programs take turns, one process each, some rounds a turn: a time is the median over turns of the \
         median over rounds, with the fastest and slowest turn; a ratio is that of the same turn, its median with least and largest.",
    );
    let built = tools.kernels()?;
    features(tools, &built, pace, &mut section)?;
    by_length(tools, &built, pace, &mut section)?;
    argmax(tools, &built, pace, &mut section)?;
    Ok(section)
}

fn features(tools: &Tools, built: &Programs, pace: Pace, section: &mut Section) -> Result<()> {
    pace.tell("kernels: features of 10 s of audio");
    let programs = [
        Program::native(
            built,
            "here: filter bank, LFR, CMVN",
            "time_features",
            &["10"],
        )?,
        Program::python("asrfront: filter bank, LFR, CMVN", &["asrfront", "10"]),
        Program::native(
            built,
            "kaldi-native-fbank, C++: filter bank",
            "time-kaldi",
            &["10"],
        )?,
        Program::python("kaldi-native-fbank, Python: filter bank", &["kaldi", "10"]),
        Program::python("torchaudio: filter bank", &["torchaudio", "10"]),
    ];
    let times = in_turns(tools, &programs, pace.pick(12, 5), pace.pick(30, 12))?;
    let ours = times[0].clone().context("no times of our own")?;
    let mut table = Table::new(
        "Features of 10 s of audio:",
        &["", "ms", "times as fast here"],
    );
    for (program, times) in programs.iter().zip(&times) {
        let cells = match times {
            Some(times) => {
                let ratios = ratios(&ours, times);
                [with_range(times), with_range(&ratios)]
            }
            None => ["not installed".to_owned(), "–".to_owned()],
        };
        table
            .rows
            .push([program.name.to_owned()].into_iter().chain(cells).collect());
    }
    section.tables.push(table);
    for (at, key, wanted, why) in [
        (
            1,
            "asrfront",
            Some(1.5),
            "asrfront computes frames side by side in SIMD lanes too.",
        ),
        (
            2,
            "kaldi-native-fbank in C++",
            Some(5.0),
            "The transform and the logarithm set the pace.",
        ),
        (3, "kaldi-native-fbank in Python", None, ""),
    ] {
        let Some(theirs) = &times[at] else { continue };
        let ratio = median(&ratios(&ours, theirs));
        section
            .ratios
            .insert(format!("features of 10 s: {key} / here"), ratio);
        if let Some(wanted) = wanted {
            section.targets.push(Target {
                what: format!("features of 10 s: times as fast as {key}"),
                wanted: Wanted::AtLeast(wanted),
                measured: ratio,
                why,
            });
        }
    }
    Ok(())
}

fn by_length(tools: &Tools, built: &Programs, pace: Pace, section: &mut Section) -> Result<()> {
    let seconds: &[usize] = pace.pick(&[1, 3, 10, 60, 600, 3600], &[1, 10, 60]);
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for &length in seconds {
        pace.tell(&format!("kernels: features of {length} s of audio"));
        let text = length.to_string();
        let programs = [
            Program::native(built, "here", "time_features", &[&text])?,
            Program::python("asrfront", &["asrfront", &text]),
        ];
        let rounds = (2_000 / length).clamp(2, 200);
        let times = in_turns(tools, &programs, pace.pick(3, 3), rounds)?;
        let per_second = |times: &Option<Vec<f64>>| {
            let least = times
                .iter()
                .flatten()
                .copied()
                .fold(f64::INFINITY, f64::min);
            (length as f64, least * 1000.0 / length as f64)
        };
        ours.push(per_second(&times[0]));
        theirs.push(per_second(&times[1]));
    }
    let mut table = Table::new(
        "Features by length, µs per second of audio, the fastest turn:",
        &["audio", "here", "asrfront"],
    );
    for ((length, here), (_, there)) in ours.iter().zip(&theirs) {
        table
            .rows
            .push(vec![format!("{length} s"), short(*here), short(*there)]);
    }
    section.tables.push(table);
    let at = |wanted: f64| {
        ours.iter()
            .find(|point| point.0 == wanted)
            .map(|point| point.1)
    };
    if let (Some(one), Some(ten)) = (at(1.0), at(10.0)) {
        section.targets.push(Target {
            what: "features of 1 s: cost per second of audio beside that of 10 s".to_owned(),
            wanted: Wanted::AtMost(1.3),
            measured: one / ten,
            why: "What is done once per call weighs more in a short one.",
        });
    }
    section.charts.push(Chart {
        file: "features_by_length",
        title: "Features: cost by length of the audio".to_owned(),
        axes: (
            Axis::logarithmic("audio (s)"),
            Axis::linear("µs per second of audio"),
        ),
        series: [("here", ours), ("asrfront", theirs)]
            .map(|(name, points)| Series {
                name: name.to_owned(),
                points,
            })
            .to_vec(),
    });
    Ok(())
}

fn argmax(tools: &Tools, built: &Programs, pace: Pace, section: &mut Section) -> Result<()> {
    pace.tell("kernels: CTC argmax");
    let (frames, width) = (FRAMES.to_string(), CTC_WIDTH.to_string());
    let here = Program::native(built, "here", "time_argmax", &[&frames, &width])?;
    let numpy = Program::python("numpy", &["argmax", &frames, &width]);
    let (mut ours, mut reads, mut shares, mut theirs) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pace.pick(12, 5) {
        let lines = here.run(tools, pace.pick(40, 15))?.unwrap_or_default();
        let column = |at: usize| -> Vec<f64> {
            lines
                .iter()
                .filter_map(|line| line.get(at))
                .copied()
                .collect()
        };
        let (argmax, read) = (column(0), column(1));
        shares.extend(ratios(&argmax, &read));
        ours.push(median(&argmax) / 1e6);
        reads.push(median(&read) / 1e6);
        let lines = numpy.run(tools, pace.pick(20, 8))?.unwrap_or_default();
        theirs.push(
            median(
                &lines
                    .iter()
                    .filter_map(|line| line.first())
                    .copied()
                    .collect::<Vec<_>>(),
            ) / 1e6,
        );
    }
    let mut table = Table::new(
        format!(
            "Greedy CTC over scores [{FRAMES}, {CTC_WIDTH}], 10 s of audio ({:.1} MB):",
            FRAMES as f64 * CTC_WIDTH as f64 * 4e-6
        ),
        &["", "ms", "times as fast here"],
    );
    for (name, times) in [
        ("here: argmax, collapse, drop", &ours),
        ("a plain read of the same bytes", &reads),
        ("numpy: argmax", &theirs),
    ] {
        table.rows.push(vec![
            name.to_owned(),
            with_range(times),
            with_range(&ratios(&ours, times)),
        ]);
    }
    section.tables.push(table);
    let share = median(&shares);
    section
        .ratios
        .insert("CTC argmax: plain read / here".to_owned(), share);
    section.ratios.insert(
        "CTC argmax: numpy / here".to_owned(),
        median(&ratios(&ours, &theirs)),
    );
    section.targets.push(Target {
        what: "CTC argmax: share of the read bandwidth".to_owned(),
        wanted: Wanted::AtLeast(0.8),
        measured: share,
        why: "The comparisons do not keep up with this machine's memory.",
    });
    Ok(())
}
