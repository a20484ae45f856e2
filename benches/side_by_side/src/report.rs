//! What was measured, as Markdown: tables, charts, and how each target was met.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::console::{BAD, GOOD, STRONG};
use crate::plot::{self, Axis, Series};

/// Between these lines of the document stands what people wrote; it is kept.
const BY_HAND: [&str; 2] = [
    "<!-- written by hand: begin -->",
    "<!-- written by hand: end -->",
];

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// The line above it.
    pub(super) caption: String,
    /// Names of the columns.
    pub(super) head: Vec<String>,
    /// As many cells as names.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(caption: impl Into<String>, head: &[&str]) -> Self {
        Self {
            caption: caption.into(),
            head: head.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<_> = (0..self.head.len())
            .map(|at| if at == 0 { "---" } else { "---:" }.to_owned())
            .collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let (head, rule) = (line(&self.head), line(&rule).replace(' ', ""));
        format!("{}\n\n{head}{rule}{rows}\n", self.caption)
    }
}

/// A line chart.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// The file's name without its ending.
    pub(super) file: &'static str,
    pub(super) title: String,
    pub(super) axes: (Axis<'static>, Axis<'static>),
    pub(super) series: Vec<Series>,
}

/// What was wanted, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// What is measured, with its unit.
    pub(super) what: String,
    pub(super) wanted: Wanted,
    pub(super) measured: f64,
    /// Why it is missed, where it is.
    pub(super) why: &'static str,
}

/// A limit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    pub(super) fn met(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(limit) => self.measured >= limit,
            Wanted::AtMost(limit) => self.measured <= limit,
        }
    }

    fn limit(&self) -> String {
        match self.wanted {
            Wanted::AtLeast(limit) => format!("≥ {}", short(limit)),
            Wanted::AtMost(limit) => format!("≤ {}", short(limit)),
        }
    }

    fn line(&self) -> String {
        let verdict = if self.met() { "met" } else { "**missed**" };
        let (limit, measured) = (self.limit(), short(self.measured));
        format!("| {} | {limit} | {measured} | {verdict} |\n", self.what)
    }

    /// By how much it is missed, and why.
    fn excuse(&self) -> String {
        let (Wanted::AtLeast(limit) | Wanted::AtMost(limit)) = self.wanted;
        let percent = (self.measured / limit - 1.0).abs() * 100.0;
        let side = match self.wanted {
            Wanted::AtLeast(_) => "below",
            Wanted::AtMost(_) => "above",
        };
        format!(
            "- {}: {} where {} was wanted, {percent:.0} % {side} it. {}\n",
            self.what,
            short(self.measured),
            self.limit(),
            self.why
        )
    }
}

/// What one part of the bench found.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) title: &'static str,
    /// How it was measured.
    pub(super) intro: String,
    pub(super) tables: Vec<Table>,
    pub(super) charts: Vec<Chart>,
    pub(super) targets: Vec<Target>,
    /// What the guard compares: larger is better.
    pub(super) ratios: BTreeMap<String, f64>,
}

impl Section {
    pub(super) fn new(title: &'static str, intro: impl Into<String>) -> Self {
        Self {
            title,
            intro: intro.into(),
            ..Self::default()
        }
    }

    /// Shows it to the person at the terminal.
    pub(super) fn print(&self) {
        anstream::println!("\n{STRONG}{}{STRONG:#}\n", self.title);
        for table in &self.tables {
            anstream::println!("{}", aligned(table));
        }
        for target in &self.targets {
            let (style, verdict) = if target.met() {
                (GOOD, "met")
            } else {
                (BAD, "missed")
            };
            let (limit, measured) = (target.limit(), short(target.measured));
            anstream::println!(
                "{style}{verdict:>8}{style:#}  {}: {measured} ({limit})",
                target.what
            );
        }
    }

    fn markdown(&self, pictures: &str) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.intro);
        self.tables
            .iter()
            .for_each(|table| text.push_str(&table.markdown()));
        for chart in &self.charts {
            let _ = write!(
                text,
                "![{}]({pictures}/{}.svg)\n\n",
                chart.title, chart.file
            );
        }
        text
    }
}

/// Writes the document and, beside it, a directory of charts. Whatever people wrote into the document stays.
pub(super) fn write(path: &Path, head: &str, sections: &[Section]) -> Result<()> {
    write_as("Benchmarks", path, head, sections)
}

/// The same under another title.
pub(super) fn write_as(title: &str, path: &Path, head: &str, sections: &[Section]) -> Result<()> {
    let by_hand = fs::read_to_string(path)
        .ok()
        .and_then(|text| Some(between(&text)?.to_owned()))
        .unwrap_or_else(|| "\n".to_owned());
    let mut text = format!("# {title}\n\n{head}\n");
    text.push_str(&targets(sections));
    let [begin, end] = BY_HAND;
    let _ = write!(text, "{begin}{by_hand}{end}\n\n");
    let directory = path.with_extension("");
    let pictures = directory.file_name().unwrap_or_default().to_string_lossy();
    for section in sections {
        text.push_str(&section.markdown(&pictures));
    }
    for chart in sections.iter().flat_map(|section| &section.charts) {
        let file = directory.join(chart.file).with_extension("svg");
        plot::line_chart(&file, &chart.title, chart.axes, &chart.series)?;
    }
    fs::write(path, text.trim_end().to_owned() + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

fn between(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(BY_HAND[0])?;
    Some(rest.split_once(BY_HAND[1])?.0)
}

fn targets(sections: &[Section]) -> String {
    let all: Vec<_> = sections.iter().flat_map(|each| &each.targets).collect();
    if all.is_empty() {
        return String::new();
    }
    let missed: Vec<_> = all.iter().filter(|target| !target.met()).collect();
    let met = all.len() - missed.len();
    let mut text = format!("## Targets\n\n{met} of {} are met.\n\n", all.len());
    text.push_str("| | target | measured | |\n|---|---:|---:|---|\n");
    all.iter().for_each(|target| text.push_str(&target.line()));
    if !missed.is_empty() {
        text.push_str("\nWhat is missed, and why:\n\n");
        missed
            .iter()
            .for_each(|target| text.push_str(&target.excuse()));
    }
    text + "\n"
}

/// A table for a terminal.
fn aligned(table: &Table) -> String {
    let lines: Vec<_> = std::iter::once(&table.head).chain(&table.rows).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..table.head.len()).map(width).collect();
    let mut text = format!("{}\n", table.caption);
    for line in lines {
        for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match at {
                0 => write!(text, "  {cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

/// A number with three significant digits.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size => usize::try_from(2 - size.log10().floor() as i64).unwrap_or(0),
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(wanted: Wanted, measured: f64) -> Target {
        Target {
            what: "memory (MB)".to_owned(),
            wanted,
            measured,
            why: "Models are large.",
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        let texts = [1234.5, 12.345, 1.2345, 0.012345, 0.0, f64::NAN].map(short);
        assert_eq!(texts, ["1234", "12.3", "1.23", "0.0123", "0", "–"]);
    }

    #[test]
    fn a_missed_target_says_by_how_much_and_why() {
        let missed = target(Wanted::AtMost(60.0), 75.0);
        assert!(!missed.met());
        assert_eq!(
            missed.excuse(),
            "- memory (MB): 75.0 where ≤ 60.0 was wanted, 25 % above it. Models are large.\n"
        );
        assert!(target(Wanted::AtLeast(5.0), 5.0).met());
    }

    #[test]
    fn what_people_wrote_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("benchmarks.md");
        let mut section = Section::new("Kernels", "In turns.");
        section.targets.push(target(Wanted::AtMost(60.0), 75.0));
        let mut table = Table::new("Times", &["kernel", "ms"]);
        table.rows.push(vec!["ours".to_owned(), "1.5".to_owned()]);
        section.tables.push(table);
        section.charts.push(Chart {
            file: "length",
            title: "Length".to_owned(),
            axes: (Axis::linear("s"), Axis::linear("ms")),
            series: vec![Series {
                name: "ours".to_owned(),
                points: vec![(1.0, 2.0), (2.0, 4.0)],
            }],
        });
        write(&path, "A machine.", &[section.clone()]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("| kernel | ms |\n|---|---:|\n| ours | 1.5 |\n"),
            "{text}"
        );
        assert!(text.contains("0 of 1 are met"), "{text}");
        assert!(directory.path().join("benchmarks/length.svg").exists());
        let edited = text.replace(BY_HAND[0], &format!("{}\nMind the wind.\n", BY_HAND[0]));
        fs::write(&path, edited).unwrap();
        write(&path, "Another machine.", &[section]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("Mind the wind.") && text.contains("Another machine."));
    }
}
