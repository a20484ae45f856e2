//! What comes of the simulation, as Markdown and as a picture.

use std::path::Path;

use anyhow::Result;

use super::figures::Form;
use super::simulation::{PERIOD, hold, most};
use crate::plot::{Axis, Series, line_chart};

const BEGIN: &str = "<!-- written by cargo xtask capacity: begin -->\n";
const END: &str = "<!-- end -->\n";
/// How long the bench holds a number of streams, and how long one holds that is to hold.
const BENCH_SECONDS: f64 = 8.0;
const LONG_SECONDS: f64 = 600.0;
/// Of the streams that hold for long, how many to plan for.
const PLANNED: [f64; 2] = [1.0, 0.8];
/// Seconds of a stream's audio that are sent anew when its server fails: the gateway's default.
const REPLAYED: f64 = 30.0;
const SECONDS_A_DAY: f64 = 86_400.0;

/// The document with `text` in its place.
pub(super) fn put(document: &str, text: &str) -> Option<String> {
    let begin = document.find(BEGIN)? + BEGIN.len();
    let end = begin + document.get(begin..)?.find(END)?;
    Some(format!("{}{text}{}", &document[..begin], &document[end..]))
}

/// All figures.
pub(super) fn text(forms: &[Form], wanted: usize) -> String {
    let long: Vec<_> = forms
        .iter()
        .map(|form| most(form.machine, LONG_SECONDS))
        .collect();
    let mut text = String::new();
    costs(&mut text, forms);
    held(&mut text, forms, &long);
    knee(&mut text, forms);
    offline(&mut text, forms);
    machines(&mut text, forms, &long, wanted);
    text
}

macro_rules! line {
    ($text:expr, $($words:tt)*) => {{
        $text.push_str(&format!($($words)*));
        $text.push('\n');
    }};
}

fn costs(text: &mut String, forms: &[Form]) {
    line!(text, "### What a chunk costs\n");
    line!(
        text,
        "Processor milliseconds of the server for a chunk of 600 ms, by how many come at a time; and the fit of *a call* and *each chunk in it*:\n"
    );
    let counts: Vec<_> = forms
        .first()
        .map(|form| form.measured.iter().map(|(count, _)| *count).collect())
        .unwrap_or_default();
    let heads: String = counts.iter().map(|count| format!(" {count} |")).collect();
    line!(text, "| form |{heads} a call | each chunk |");
    line!(text, "|---|{}---:|---:|", "---:|".repeat(counts.len()));
    for form in forms {
        let cells: String = form
            .measured
            .iter()
            .map(|(_, cost)| format!(" {cost:.2} |"))
            .collect();
        line!(
            text,
            "| {} |{cells} {:.2} | {:.2} |",
            form.name,
            form.machine.call,
            form.machine.chunk
        );
    }
}

fn held(text: &mut String, forms: &[Form], long: &[usize]) {
    line!(text, "\n### Streams that a machine holds\n");
    line!(
        text,
        "99 % of the chunks answered within 600 ms. *For 8 s* is how the bench holds them; what is a little too much is late only after a while, so *for 10 minutes* is what to \
         count on. Beside what was measured is how far the simulation is from it.\n"
    );
    line!(
        text,
        "| form | processors full at | simulated for 8 s | measured for 8 s | simulated for 10 minutes |"
    );
    line!(text, "|---|---:|---:|---:|---:|");
    for (form, long) in forms.iter().zip(long) {
        let short = most(form.machine, BENCH_SECONDS);
        let measured = form.held.map_or("–".to_owned(), |held| {
            let off = (short as f64 / held as f64 - 1.0) * 100.0;
            format!("{held} ({off:+.0} %)")
        });
        line!(
            text,
            "| {} | {:.0} | {short} | {measured} | {long} |",
            form.name,
            form.machine.saturation()
        );
    }
}

fn knee(text: &mut String, forms: &[Form]) {
    line!(text, "\n### The knee\n");
    line!(
        text,
        "Latency of a chunk by load, the share of the streams at which the processors are full, held for 10 minutes (p50 / p99, ms):\n"
    );
    let loads = [0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05];
    let heads: String = loads
        .iter()
        .map(|load| format!(" {:.0} % |", load * 100.0))
        .collect();
    line!(text, "| form |{heads}");
    line!(text, "|---|{}", "---:|".repeat(loads.len()));
    for form in forms {
        let cells: String = loads
            .iter()
            .map(|load| {
                let streams = (form.machine.saturation() * load).round() as usize;
                let latency = hold(form.machine, streams, LONG_SECONDS);
                format!(" {:.0} / {:.0} |", latency.p50, latency.p99)
            })
            .collect();
        line!(text, "| {} |{cells}", form.name);
    }
    line!(
        text,
        "\n![p99 of a chunk by streams: by this model, and by the bench](benchmarks/capacity.svg)"
    );
}

fn offline(text: &mut String, forms: &[Form]) {
    line!(text, "\n### Recordings\n");
    line!(
        text,
        "| form | recordings | processor time for a second of audio | hours of audio a machine and day, processors full | at 70 % |"
    );
    line!(text, "|---|---|---:|---:|---:|");
    for form in forms {
        for (kind, cost) in &form.offline {
            let hours = form.machine.cores * SECONDS_A_DAY * 1000.0 / cost / 3600.0;
            line!(
                text,
                "| {} | {kind} | {cost:.2} ms | {hours:.0} | {:.0} |",
                form.name,
                hours * 0.7
            );
        }
    }
}

fn machines(text: &mut String, forms: &[Form], long: &[usize], wanted: usize) {
    line!(text, "\n### What {} streams need\n", grouped(wanted));
    line!(
        text,
        "Machines so that the streams hold for long with one of them away; *at 80 %* of what holds. When one fails, its streams begin anew on the others, each with up to {REPLAYED:.0} s \
         of audio sent again; *late for* is until that is worked off.\n"
    );
    line!(
        text,
        "| form | planned | streams a machine, all there | one away | machines | late for |"
    );
    line!(text, "|---|---|---:|---:|---:|---:|");
    for (form, long) in forms.iter().zip(long) {
        for share in PLANNED {
            let each = (*long as f64 * share).floor().max(1.0);
            let machines = (wanted as f64 / each).ceil() + 1.0;
            let (there, away) = (wanted as f64 / machines, wanted as f64 / (machines - 1.0));
            let again = there / (machines - 1.0) * REPLAYED * 1000.0 / PERIOD;
            let free = 1.0 - away / form.machine.saturation();
            let work = again * form.machine.chunk / form.machine.cores / 1000.0;
            let late = if free > 0.005 {
                format!("{:.0} s", (work / free).ceil())
            } else {
                "for good".to_owned()
            };
            line!(
                text,
                "| {} | at {:.0} % | {there:.0} | {away:.0} | {machines:.0} | {late} |",
                form.name,
                share * 100.0
            );
        }
    }
}

/// As in `10 000`.
fn grouped(number: usize) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    format!("{} {:03}", number / 1000, number % 1000)
}

/// Simulated and measured p99 by streams, as the bench holds them.
pub(super) fn draw(forms: &[Form], path: &Path) -> Result<()> {
    let mut series = Vec::new();
    for form in forms {
        let most = form.machine.saturation() * 1.3;
        let steps = 1..=26_u32;
        let points = steps.map(|step| {
            let streams = most * f64::from(step) / 26.0;
            let latency = hold(form.machine, streams.round() as usize, BENCH_SECONDS);
            (streams, latency.p99)
        });
        series.push(Series {
            name: format!("{}, model", form.name),
            points: points.collect(),
        });
        if !form.curve.is_empty() {
            series.push(Series {
                name: format!("{}, bench", form.name),
                points: form.curve.clone(),
            });
        }
    }
    let most = series
        .iter()
        .flat_map(|each| each.points.iter().map(|point| point.0))
        .fold(0.0, f64::max);
    series.push(Series {
        name: "limit".to_owned(),
        points: vec![(0.0, PERIOD), (most, PERIOD)],
    });
    line_chart(
        path,
        "p99 of a 600 ms chunk by live streams, held for 8 s",
        (Axis::linear("streams"), Axis::logarithmic("p99 (ms)")),
        &series,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_take_the_place_of_older_ones_and_nothing_else() {
        let document = format!("# Title\n{BEGIN}old\n{END}\n## After\n");
        let put_once = put(&document, "new\n").unwrap();
        assert_eq!(put_once, format!("# Title\n{BEGIN}new\n{END}\n## After\n"));
        assert_eq!(put(&put_once, "new\n").unwrap(), put_once);
        assert_eq!(put("# Title\n", "new\n"), None);
        assert_eq!(
            (grouped(10_000), grouped(640)),
            ("10 000".into(), "640".into())
        );
    }
}
