use std::fs;
use std::path::Path;

use super::*;

/// What the table of docs/operations.md begins and ends with.
const BEGINS: &str = "<!-- metrics of the backend -->\n";
const ENDS: &str = "<!-- end -->";

/// What a metric is, its labels beside `model` and `version`, and which components have it.
struct Line {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    label: Option<&'static str>,
    components: &'static str,
}

fn counter(of: &Counters, label: Option<&'static str>, components: &'static str) -> Line {
    line((of.name(), of.help()), "counter", label, components)
}

fn gauge(of: &Gauges, label: Option<&'static str>, components: &'static str) -> Line {
    line((of.name(), of.help()), "gauge", label, components)
}

fn histogram(of: &Histograms, label: Option<&'static str>, components: &'static str) -> Line {
    line((of.name(), of.help()), "histogram", label, components)
}

fn line(
    (name, help): (&'static str, &'static str),
    kind: &'static str,
    label: Option<&'static str>,
    components: &'static str,
) -> Line {
    Line {
        name,
        help,
        kind,
        label,
        components,
    }
}

const WITH_AUDIO: &str =
    "`sensevoice`, `paraformer`, `streaming_paraformer`, `vad`, `transcribe`, `two_pass`";
const STREAMS: &str = "`streaming_paraformer`, `vad` and `punctuation` of streams, `two_pass`, `online_feature_extractor`, `cif_search`";
const QUEUES: &str = "`sensevoice`, `paraformer`, `streaming_paraformer`, `vad`, `punctuation`";
const PADDED: &str = "`sensevoice`, `paraformer`, `feature_extractor`";

fn table() -> Vec<Line> {
    let audio = "the same, `feature_extractor`, `online_feature_extractor`";
    vec![
        histogram(&REAL_TIME_FACTOR, None, WITH_AUDIO),
        counter(&AUDIO_SECONDS, None, audio),
        histogram(
            &CHUNK_LATENESS,
            None,
            "`streaming_paraformer`, `vad` of streams, `two_pass`",
        ),
        gauge(&LIVE_STREAMS, None, STREAMS),
        gauge(
            &PENDING_ROWS,
            None,
            "`sensevoice`, `paraformer`, `streaming_paraformer`, `vad`, `punctuation`, `transcribe`, `two_pass`",
        ),
        gauge(&QUEUE_ROWS, Some(CALLEE), QUEUES),
        histogram(&QUEUE_WAIT, Some(CALLEE), QUEUES),
        counter(&FRAMES, None, PADDED),
        counter(&PADDING_FRAMES, None, PADDED),
        counter(&FAILURES, Some(REASON), "all"),
    ]
}

fn markdown() -> String {
    let mut text = "| metric | kind | label | | components |\n|---|---|---|---|---|\n".to_owned();
    for line in table() {
        let label = line
            .label
            .map_or(String::new(), |label| format!("`{label}`"));
        let Line {
            name,
            help,
            kind,
            components,
            ..
        } = line;
        text += &format!("| `{name}` | {kind} | {label} | {help} | {components} |\n");
    }
    text += "\n| `reason` | |\n|---|---|\n";
    text += "| `max_pending_rows`, `max_pending_seconds`, `max_pending_bytes`, `max_pending_texts`, `max_pending_text_bytes` | overload: this parameter leaves no room for it |\n";
    text += "| `max_audio_seconds` | a row, or a chunk, is longer than this parameter allows |\n";
    for (reason, meaning) in REASONS {
        text += &format!("| `{reason}` | {meaning} |\n");
    }
    text.replace("|  |", "| |")
}

#[test]
fn docs_have_the_table_of_metrics() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGINS).unwrap();
    let (_, after) = rest.split_once(ENDS).unwrap();
    let wanted = format!("{before}{BEGINS}{}{ENDS}{after}", markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(
        document == wanted,
        "docs/operations.md differs from the metrics in src/; `UPDATE_DOCS=1 cargo test -p triton-funasr docs` writes it anew:\n{}",
        markdown()
    );
}

#[test]
fn every_metric_is_in_the_table() {
    let code = include_str!("../metrics.rs");
    let declared: Vec<&str> = code
        .split("s::new(\n    \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let mut listed: Vec<&str> = table().iter().map(|line| line.name).collect();
    listed.sort_unstable();
    let mut declared = declared;
    declared.sort_unstable();
    assert_eq!(declared, listed);
}

#[test]
fn errors_have_a_reason() {
    let of = |code| reason(&Error::new(code, "no"));
    assert_eq!(of(ErrorCode::InvalidArgument), INVALID);
    assert_eq!(of(ErrorCode::Unavailable), UNAVAILABLE);
    assert_eq!(of(ErrorCode::Cancelled), CANCELLED);
    assert_eq!(of(ErrorCode::NotFound), INTERNAL);
    let full = Error::new(ErrorCode::Unavailable, "no").because("max_pending_rows");
    assert_eq!(reason(&full.context("here")), "max_pending_rows");
}

#[test]
fn parameters_that_limit_are_reasons() {
    let names = [
        "threads",
        "max_pending_rows",
        "max_audio_seconds",
        "max_rows_per_call",
    ];
    let found: Vec<&str> = names.into_iter().filter(limits).collect();
    assert_eq!(found, ["max_pending_rows", "max_audio_seconds"]);
}
