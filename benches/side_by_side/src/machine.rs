//! The machine and the versions of everything, as the head of the document.

use std::fmt::Write as _;
use std::fs;

use super::tools::{Tools, first_line};

/// A Markdown table of both, and the command that measured.
pub(super) fn head(tools: &Tools, command: &str) -> String {
    let project = tools.layout.project.to_string_lossy().into_owned();
    let commit = first_line(
        "git",
        &[
            "-C",
            &project,
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
        ],
    );
    let mut rows = vec![("command", format!("`{command}`"))];
    rows.extend(hardware());
    rows.extend([
        (
            "this project",
            format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        ),
        ("rustc", first_line("rustc", &["--version"])),
        (
            "server",
            pins(&tools.layout.project.join("crates/cli/wheels.txt")),
        ),
        ("Python", first_line("python3", &["--version"])),
        ("Python packages", packages(tools)),
    ]);
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

/// When, and on what.
pub(super) fn hardware() -> Vec<(&'static str, String)> {
    vec![
        ("date", first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("processor", field("/proc/cpuinfo", "model name")),
        ("instruction sets", instruction_sets()),
        ("cores", cores()),
        ("memory", memory()),
        ("kernel", first_line("uname", &["-sr"])),
        ("load before", load()),
    ]
}

/// The first value of a field in a file of `name: value` lines.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name);
    value.map_or("–".to_owned(), |(_, value)| value.trim().to_owned())
}

fn instruction_sets() -> String {
    let flags = field("/proc/cpuinfo", "flags");
    let known = ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "amx_tile"];
    let found: Vec<_> = known
        .into_iter()
        .filter(|set| flags.split_whitespace().any(|flag| flag == *set))
        .collect();
    found.join(", ")
}

fn cores() -> String {
    std::thread::available_parallelism().map_or("–".to_owned(), |cores| cores.to_string())
}

fn memory() -> String {
    let kilobytes = field("/proc/meminfo", "MemTotal");
    let number = kilobytes
        .split_whitespace()
        .next()
        .and_then(|number| number.parse::<f64>().ok());
    number.map_or("–".to_owned(), |number| {
        format!("{:.0} GiB", number / 1024.0 / 1024.0)
    })
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = text.split_whitespace().next().unwrap_or("–").to_owned();
    format!("{minute} (average of a minute)")
}

/// The packages that a requirements file pins.
fn pins(path: &std::path::Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pins = text
        .lines()
        .filter(|line| line.contains("==") && !line.starts_with('#'))
        .filter_map(|line| line.split([' ', ';']).next())
        .map(|pin| pin.replace("==", " "));
    pins.collect::<Vec<_>>().join(", ")
}

/// What was installed of the bench's packages.
fn packages(tools: &Tools) -> String {
    let mut names: Vec<_> = fs::read_dir(&tools.packages)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some(name.strip_suffix(".dist-info")?.replacen('-', " ", 1))
        })
        .collect();
    names.sort();
    names.join(", ")
}
