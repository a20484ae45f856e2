//! The table of recordings that are sent whole.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::console::{BAD, GOOD, STRONG};
use crate::http::{Client, Input};
use crate::recording::Recording;

/// A text, and how long it took.
pub(super) struct Answer {
    pub(super) text: String,
    latency: Duration,
}

/// Asks a model for the only transcript of a request.
pub(super) fn ask(client: &Client, model: &str, inputs: &[Input<'_>]) -> Result<Answer> {
    let started = Instant::now();
    let text = client.text(model, inputs, None)?;
    Ok(Answer {
        text,
        latency: started.elapsed(),
    })
}

/// The table's heading; `first` is over the first column.
pub(super) fn heading(first: &str) {
    anstream::println!(
        "{STRONG}{first:<24} {:>7} {:>9} {:>7}    text{STRONG:#}",
        "audio",
        "latency",
        "RTF"
    );
}

/// Prints one line; returns whether the text is the expected one.
pub(super) fn line(first: &str, recording: &Recording, answer: &Answer, expected: &str) -> bool {
    let right = answer.text == expected;
    let audio = recording.duration().as_secs_f64();
    let latency = answer.latency.as_secs_f64();
    let (mark, style) = if right { ("✓", GOOD) } else { ("✗", BAD) };
    anstream::println!(
        "{first:<24} {audio:>5.2} s {:>6.1} ms {:>7.4}  {style}{mark}{style:#} {}",
        latency * 1000.0,
        latency / audio,
        answer.text
    );
    if !right {
        anstream::println!("{:>45}expected {expected}", "");
    }
    right
}
