//! Line charts as SVG files, light and readable in a browser and in a rendered README.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const SIZE: (u32, u32) = (960, 480);
/// Room for the legend right of the chart, where it hides no line.
const LEGEND: i32 = 190;
const LINE_HEIGHT: i32 = 24;
const FONT: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";
const TEXT: RGBColor = RGBColor(50, 54, 62);
const GRID: RGBColor = RGBColor(228, 231, 236);
/// Distinguishable for most colour-blind readers too (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(150, 115, 0),
    RGBColor(80, 80, 80),
];

/// How an axis is labelled and divided.
#[derive(Debug, Clone, Copy)]
pub struct Axis<'a> {
    /// What it shows, with the unit.
    pub label: &'a str,
    /// Powers of ten are equally far apart; values at or below zero are left out.
    pub logarithmic: bool,
}

impl<'a> Axis<'a> {
    /// From zero, or the lowest value below, in equal steps.
    pub fn linear(label: &'a str) -> Self {
        Self {
            label,
            logarithmic: false,
        }
    }

    /// In powers of ten.
    pub fn logarithmic(label: &'a str) -> Self {
        Self {
            label,
            logarithmic: true,
        }
    }

    fn shows(self, value: f64) -> bool {
        value.is_finite() && (!self.logarithmic || value > 0.0)
    }

    /// The ends of the axis: a little more than the values need.
    fn ends(self, values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if self.logarithmic {
            (low / 1.3, high * 1.3)
        } else if low == 0.0 && high == 0.0 {
            (0.0, 1.0)
        } else {
            (low.min(0.0) * 1.05, high.max(0.0) * 1.05)
        }
    }
}

/// A line with a name, from points `(x, y)` in ascending order of x.
#[derive(Debug, Clone)]
pub struct Series {
    /// As the legend has it.
    pub name: String,
    /// In the axes' units.
    pub points: Vec<(f64, f64)>,
}

/// Draws `series` into the SVG file at `path`. Few points are marked, many are only joined.
///
/// # Errors
///
/// When there is no point to draw, or the file cannot be written.
pub fn line_chart(
    path: &Path,
    title: &str,
    (x, y): (Axis<'_>, Axis<'_>),
    series: &[Series],
) -> Result<()> {
    let series: Vec<_> = series
        .iter()
        .map(|each| Series {
            name: each.name.clone(),
            points: each
                .points
                .iter()
                .copied()
                .filter(|point| x.shows(point.0) && y.shows(point.1))
                .collect(),
        })
        .collect();
    let points = series.iter().flat_map(|each| &each.points);
    if points.clone().next().is_none() {
        bail!("the chart \"{title}\" has nothing to show");
    }
    let (left, right) = x.ends(points.clone().map(|point| point.0));
    let (bottom, top) = y.ends(points.map(|point| point.1));
    let chart = Chart {
        title,
        labels: [x.label, y.label],
        series: &series,
    };
    let mut svg = String::new();
    match (x.logarithmic, y.logarithmic) {
        (false, false) => chart.draw(&mut svg, left..right, bottom..top),
        (true, false) => chart.draw(&mut svg, (left..right).log_scale(), bottom..top),
        (false, true) => chart.draw(&mut svg, left..right, (bottom..top).log_scale()),
        (true, true) => chart.draw(
            &mut svg,
            (left..right).log_scale(),
            (bottom..top).log_scale(),
        ),
    }
    .with_context(|| format!("cannot draw the chart \"{title}\""))?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

struct Chart<'a> {
    title: &'a str,
    labels: [&'a str; 2],
    series: &'a [Series],
}

impl Chart<'_> {
    fn draw<X, Y>(&self, svg: &mut String, x: X, y: Y) -> Result<()>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(plain)?;
        let area = area.margin(12, 12, 12, 24);
        let area = area.titled(self.title, text(20)).map_err(plain)?;
        let (left, right) = area.split_horizontally(SIZE.0.cast_signed() - LEGEND);
        let mut chart = ChartBuilder::on(&left)
            .margin_top(8)
            .x_label_area_size(52)
            .y_label_area_size(84)
            .build_cartesian_2d(x, y)
            .map_err(plain)?;
        chart
            .configure_mesh()
            .x_desc(self.labels[0])
            .y_desc(self.labels[1])
            .axis_desc_style(text(15))
            .label_style(text(14))
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .axis_style(TEXT)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(plain)?;
        for (each, colour) in self.coloured() {
            let line = LineSeries::new(each.points.iter().copied(), colour.stroke_width(2));
            // Few points were measured each by itself; many are a recording.
            let line = if each.points.len() <= 40 {
                line.point_size(3)
            } else {
                line
            };
            chart.draw_series(line).map_err(plain)?;
        }
        self.legend(&right)?;
        area.present().map_err(plain)
    }

    /// The lines' names, one below the other.
    fn legend(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<()> {
        let middles = (1..).map(|line| line * LINE_HEIGHT);
        for ((each, colour), middle) in self.coloured().zip(middles) {
            let dash = PathElement::new([(14, middle), (36, middle)], colour.stroke_width(3));
            area.draw(&dash).map_err(plain)?;
            let beside = text(14).pos(Pos::new(HPos::Left, VPos::Center));
            let name = Text::new(each.name.as_str(), (44, middle), beside);
            area.draw(&name).map_err(plain)?;
        }
        Ok(())
    }

    fn coloured(&self) -> impl Iterator<Item = (&Series, &'static RGBColor)> {
        self.series.iter().zip(COLOURS.iter().cycle())
    }
}

/// A style of so many pixels.
fn text(pixels: u32) -> TextStyle<'static> {
    // The library takes a font's size for the height of its line.
    (FONT, f64::from(pixels) * 1.24).into_font().color(&TEXT)
}

/// The drawing library's errors borrow what was drawn on.
fn plain(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

/// A tick's number as a person writes it: no more decimals than tell it from its neighbours.
fn number(value: f64) -> String {
    let rounded = if value == 0.0 {
        0.0
    } else {
        // Four significant digits: ticks are round numbers, all beyond is arithmetic.
        let unit = 10f64.powf(value.abs().log10().floor() - 3.0);
        (value / unit).round() * unit
    };
    let text = format!("{rounded:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "" | "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        Series {
            name: name.to_owned(),
            points: points.to_vec(),
        }
    }

    #[test]
    fn a_chart_names_its_axes_and_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/chart.svg");
        let lines = [
            series("native", &[(1.0, 2.0), (10.0, 20.0), (100.0, 200.0)]),
            series("Python", &[(1.0, 40.0), (10.0, 400.0), (0.0, 7.0)]),
        ];
        for axes in [
            (Axis::linear("audio (s)"), Axis::linear("latency (ms)")),
            (Axis::logarithmic("audio (s)"), Axis::linear("latency (ms)")),
            (
                Axis::logarithmic("audio (s)"),
                Axis::logarithmic("latency (ms)"),
            ),
        ] {
            line_chart(&path, "Cost by length", axes, &lines).unwrap();
            let svg = std::fs::read_to_string(&path).unwrap();
            for text in [
                "Cost by length",
                "audio (s)",
                "latency (ms)",
                "native",
                "Python",
                // The lines' colours.
                "#0072B2",
                "#D55E00",
            ] {
                assert!(svg.contains(text), "{text} is missing in {svg}");
            }
        }
    }

    #[test]
    fn a_chart_without_points_is_refused() {
        let path = Path::new("nowhere.svg");
        let axes = (Axis::logarithmic("x"), Axis::linear("y"));
        let error = line_chart(path, "Empty", axes, &[series("a", &[(0.0, 1.0)])]).unwrap_err();
        assert!(error.to_string().contains("Empty"), "{error}");
    }

    #[test]
    fn ticks_are_written_plainly() {
        let texts = [0.0, 1.0, 0.30000000000000004, 1500.0, 0.001, -2.5].map(number);
        assert_eq!(texts, ["0", "1", "0.3", "1500", "0.001", "-2.5"]);
    }
}
