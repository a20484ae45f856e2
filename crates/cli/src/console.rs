//! What the person at the terminal sees: steps on stderr, results on stdout, colours only where they show.

use std::io::IsTerminal;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

/// Green: what went well.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Red: what did not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Yellow: what deserves a look.
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Bold: headings and addresses.
pub const STRONG: Style = Style::new().bold();

/// Says what is being done, in the manner of cargo: a verb of at most 12 letters, then its object.
pub fn step(verb: &str, what: impl std::fmt::Display) {
    anstream::eprintln!("{GOOD}{verb:>12}{GOOD:#} {what}");
}

/// Says what a person should know although the work goes on.
pub fn warn(what: impl std::fmt::Display) {
    anstream::eprintln!("{WARN}warning{WARN:#}: {what}");
}

/// Says why the work ended.
pub fn error(what: impl std::fmt::Display) {
    anstream::eprintln!("{BAD}error{BAD:#}: {what}");
}

/// A spinner with a running clock; a plain line where stderr is no terminal.
pub fn spinner(what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        step("Waiting", what);
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:>12.green.bold} {msg} {elapsed} {spinner}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner()
        .with_style(style)
        .with_prefix("Waiting")
        .with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A spinner whose message changes; hidden where stderr is no terminal.
pub fn spinner_of(verb: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>12.green.bold} {msg} {elapsed} {spinner}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner()
        .with_style(style)
        .with_prefix(verb);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A bar over `bytes` bytes; nothing where stderr is no terminal.
pub fn bytes_bar(verb: &'static str, bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix:>12.green.bold} [{bar:30}] {bytes}/{total_bytes} {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes)
        .with_style(style.progress_chars("=> "))
        .with_prefix(verb)
}

/// A bar over `count` things; nothing where stderr is no terminal.
pub fn count_bar(verb: &'static str, count: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix:>12.green.bold} [{bar:30}] {pos}/{len} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count)
        .with_style(style.progress_chars("=> "))
        .with_prefix(verb)
}
