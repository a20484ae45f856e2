//! How cost grows with the audio's length, with rows in a request, with requests at a time.

use std::net::SocketAddr;

use anyhow::Result;

use super::Pace;
use super::cases::{self, Laid};
use super::ensembles::FORMS;
use super::load::drive;
use super::report::{Chart, Section, Table, short};
use super::speech::{self, request};
use crate::plot::{Axis, Series};
use crate::repo::Kind;

/// Measures growth.
pub(super) fn run(address: SocketAddr, recordings: &[Vec<f32>], pace: Pace) -> Result<Section> {
    let mut section = Section::new(
        "Growth",
        "How cost grows. Every point is one window; its median where it is a latency.",
    );
    step_by_length(address, recordings, pace, &mut section)?;
    ensemble_by_length(address, recordings, pace, &mut section)?;
    by_rows(address, recordings, pace, &mut section)?;
    by_concurrency(address, recordings, pace, &mut section)?;
    Ok(section)
}

/// A chart, and its numbers as a table.
fn show(section: &mut Section, chart: Chart, first: &str, values: &str) {
    let head: Vec<_> = std::iter::once(first)
        .chain(chart.series.iter().map(|series| series.name.as_str()))
        .collect();
    let mut table = Table::new(format!("{}, {values}:", chart.title), &head);
    let longest = chart.series.iter().max_by_key(|series| series.points.len());
    for (at, (x, _)) in longest
        .into_iter()
        .flat_map(|series| series.points.iter().enumerate())
    {
        let cells = chart.series.iter().map(|series| {
            series
                .points
                .get(at)
                .map_or("–".to_owned(), |point| short(point.1))
        });
        table
            .rows
            .push(std::iter::once(format!("{x}")).chain(cells).collect());
    }
    section.tables.push(table);
    section.charts.push(chart);
}

fn step_by_length(
    address: SocketAddr,
    recordings: &[Vec<f32>],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let mut series = [("native", Vec::new()), ("Python", Vec::new())];
    for &seconds in pace.pick(&[1, 2, 5, 10, 30, 60, 120, 300][..], &[1, 10, 60][..]) {
        pace.tell(&format!("growth: feature_extractor, {seconds} s"));
        let speech = speech::of_seconds(recordings, seconds);
        let case = cases::features(seconds, 1, &speech);
        let laid = Laid::out(&case, address, 1)?;
        for ((_, points), model) in series
            .iter_mut()
            .zip([case.model.to_owned(), case.python()])
        {
            let measured = drive(address, &laid.scripts(&case, &model, 1), pace.window)?;
            points.push((seconds as f64, measured.percentile(0.5)));
        }
    }
    let chart = Chart {
        file: "step_by_length",
        title: "feature_extractor: latency by length of the audio".to_owned(),
        axes: (
            Axis::logarithmic("audio (s)"),
            Axis::logarithmic("p50, one at a time (ms)"),
        ),
        series: named(series),
    };
    show(section, chart, "audio, s", "p50 in ms");
    Ok(())
}

fn ensemble_by_length(
    address: SocketAddr,
    recordings: &[Vec<f32>],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let mut series = FORMS.map(|(name, _)| (name, Vec::new()));
    for &seconds in pace.pick(&[1, 2, 5, 10, 30, 60][..], &[1, 10][..]) {
        pace.tell(&format!("growth: sensevoice, {seconds} s"));
        let speech = speech::of_seconds(recordings, seconds);
        for ((_, points), (_, form)) in series.iter_mut().zip(FORMS) {
            let message = request(Kind::Sensevoice, &format!("{form}sensevoice"), &speech);
            let measured = drive(address, &[vec![message]], pace.window)?;
            points.push((seconds as f64, measured.percentile(0.5)));
        }
    }
    let chart = Chart {
        file: "ensemble_by_length",
        title: "sensevoice: latency by length of the audio".to_owned(),
        axes: (
            Axis::logarithmic("audio (s)"),
            Axis::logarithmic("p50, one at a time (ms)"),
        ),
        series: named(series),
    };
    show(section, chart, "audio, s", "p50 in ms");
    Ok(())
}

fn by_rows(
    address: SocketAddr,
    recordings: &[Vec<f32>],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    const SECONDS: usize = 10;
    let speech = speech::of_seconds(recordings, 16 * SECONDS);
    let mut series = [("native", Vec::new()), ("Python", Vec::new())];
    for &rows in pace.pick(&[1, 2, 4, 8, 16][..], &[1, 8][..]) {
        pace.tell(&format!("growth: feature_extractor, {rows} rows"));
        let case = cases::features(SECONDS, rows, &speech);
        let laid = Laid::out(&case, address, 1)?;
        for ((_, points), model) in series
            .iter_mut()
            .zip([case.model.to_owned(), case.python()])
        {
            let measured = drive(address, &laid.scripts(&case, &model, 1), pace.window)?;
            points.push((rows as f64, measured.percentile(0.5) / rows as f64));
        }
    }
    let chart = Chart {
        file: "step_by_rows",
        title: "feature_extractor: cost of a row of 10 s by rows in a request".to_owned(),
        axes: (
            Axis::linear("rows in the request"),
            Axis::logarithmic("p50 per row (ms)"),
        ),
        series: named(series),
    };
    show(section, chart, "rows", "p50 per row in ms");
    Ok(())
}

fn by_concurrency(
    address: SocketAddr,
    recordings: &[Vec<f32>],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let mut series = FORMS.map(|(name, _)| (name, Vec::new()));
    for &connections in pace.pick(&[1, 2, 4, 8, 16, 32][..], &[1, 4, 16][..]) {
        pace.tell(&format!("growth: sensevoice, {connections} at a time"));
        for ((_, points), (_, form)) in series.iter_mut().zip(FORMS) {
            let model = format!("{form}sensevoice");
            let messages: Vec<_> = recordings
                .iter()
                .map(|samples| request(Kind::Sensevoice, &model, samples))
                .collect();
            let scripts: Vec<_> = (0..connections)
                .map(|at| {
                    let mut own = messages.clone();
                    own.rotate_left(at % messages.len());
                    own
                })
                .collect();
            let measured = drive(address, &scripts, pace.window)?;
            points.push((connections as f64, measured.throughput));
        }
    }
    let chart = Chart {
        file: "ensemble_by_concurrency",
        title: "sensevoice: throughput by requests at a time".to_owned(),
        axes: (
            Axis::linear("requests at a time"),
            Axis::linear("requests per second"),
        ),
        series: named(series),
    };
    show(section, chart, "at a time", "requests per second");
    Ok(())
}

fn named<const N: usize>(series: [(&str, Vec<(f64, f64)>); N]) -> Vec<Series> {
    series
        .into_iter()
        .map(|(name, points)| Series {
            name: name.to_owned(),
            points,
        })
        .collect()
}
