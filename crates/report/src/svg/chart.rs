//! A line chart over epochs: axes with units, a legend with values, and a link to its data.

use std::borrow::Cow;

use maud::{Markup, html};

use super::px;
use crate::data_link::CsvTable;
use crate::number::{significant, tick_label, ticks, whole_marks};

pub(super) const WIDTH: f64 = 380.0;
pub(super) const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 36.0;

/// One line of a chart.
pub(crate) struct Series {
    pub(crate) name: String,
    /// (epoch, value) in increasing order of epochs; epochs without a value are left out.
    pub(crate) points: Vec<(usize, f64)>,
}

impl Series {
    /// The values of `records` that exist and are not NaN.
    pub(crate) fn of<R>(
        name: impl Into<String>,
        records: &[R],
        epoch: impl Fn(&R) -> usize,
        value: impl Fn(&R) -> Option<f64>,
    ) -> Self {
        let point = |record: &R| Some((epoch(record), value(record).filter(|value| value.is_finite())?));
        Self {
            name: name.into(),
            points: records.iter().filter_map(point).collect(),
        }
    }
}

/// A series with the number of its line style.
pub(super) type Line<'a> = (usize, &'a Series);

/// The ranges of the axes of a chart.
pub(super) struct Frame {
    first: usize,
    last: usize,
    /// Values of the vertical axis; the first and the last are its limits.
    marks: Vec<f64>,
}

impl Frame {
    fn x(&self, epoch: f64) -> f64 {
        let share = if self.last > self.first {
            (epoch - self.first as f64) / (self.last - self.first) as f64
        } else {
            0.5
        };
        LEFT + (RIGHT - LEFT) * share
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = (self.marks[0], self.marks[self.marks.len() - 1]);
        // Values beyond the axis are drawn at its end.
        BOTTOM - (BOTTOM - TOP) * ((value.clamp(low, high) - low) / (high - low))
    }
}

/// The range of the vertical axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scale {
    /// Exactly this range.
    Fixed(f64, f64),
    /// From 0 (or below, if a value is) to a round number above the values.
    FromZero,
}

/// A chart.
pub(crate) struct Chart {
    /// Name of the saved data file, and part of element identifiers.
    pub(crate) id: Cow<'static, str>,
    pub(crate) title: Cow<'static, str>,
    /// Unit of the vertical axis.
    pub(crate) unit: &'static str,
    /// A sentence that explains the chart.
    pub(crate) note: &'static str,
    pub(crate) scale: Scale,
    pub(crate) series: Vec<Series>,
}

impl Chart {
    /// The figure; `None` if no series has a value. Charts with `film` follow the page's epoch
    /// slider.
    pub(crate) fn figure(&self, film: bool) -> Option<Markup> {
        let series = self.there();
        let frame = self.frame(&series)?;
        let (first, last) = (frame.first, frame.last);
        Some(html! {
            figure.chart data-film[film] {
                h3 { (self.title) }
                (legend(&series))
                svg viewBox={ "0 0 " (px(WIDTH)) " " (px(HEIGHT)) } role="img" aria-label=(self.spoken(&series))
                    data-left=(px(frame.x(first as f64))) data-right=(px(frame.x(last as f64)))
                    data-first=(first) data-last=(last) {
                    (self.axes(&frame))
                    line.now x1="0" x2="0" y1=(px(TOP)) y2=(px(BOTTOM)) {}
                    (lines(&frame, &series))
                }
                figcaption { (self.note) " " (self.table(&series).link(&self.id, &self.title)) }
            }
        })
    }

    /// The series that have a value. Each has the number of its line style, which does not depend
    /// on the other series.
    pub(super) fn there(&self) -> Vec<Line<'_>> {
        let there = |line: &Line<'_>| !line.1.points.is_empty();
        self.series.iter().enumerate().filter(there).collect()
    }

    /// The ranges of the axes; `None` without a value.
    pub(super) fn frame(&self, series: &[Line<'_>]) -> Option<Frame> {
        let points = || series.iter().flat_map(|(_, series)| &series.points);
        Some(Frame {
            first: points().map(|point| point.0).min()?,
            last: points().map(|point| point.0).max()?,
            marks: self.marks(points().map(|point| point.1)),
        })
    }

    /// Axes, grid and their labels.
    pub(super) fn axes(&self, frame: &Frame) -> Markup {
        let marks = &frame.marks;
        html! {
            text.axis x="4" y="13" { (self.unit) }
            @for mark in marks {
                line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(frame.y(*mark))) y2=(px(frame.y(*mark))) {}
                text.axis x=(px(LEFT - 6.0)) y=(px(frame.y(*mark) + 4.0)) text-anchor="end" {
                    (tick_label(*mark, marks[1] - marks[0]))
                }
            }
            @for epoch in whole_marks(frame.first, frame.last) {
                @let x = px(frame.x(epoch));
                line.tick x1=(x) x2=(x) y1=(px(BOTTOM)) y2=(px(BOTTOM + 4.0)) {}
                text.axis x=(x) y=(px(BOTTOM + 17.0)) text-anchor="middle" { (epoch) }
            }
            text.axis x=(px((LEFT + RIGHT) / 2.0)) y=(px(HEIGHT - 4.0)) text-anchor="middle" { "epoch" }
        }
    }

    /// The axis values; the first and the last are the limits of the axis.
    fn marks(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        match self.scale {
            Scale::Fixed(low, high) => ticks(low, high, 5),
            Scale::FromZero => {
                let (low, high) = values.fold((0.0, 0.0), |(low, high), value: f64| {
                    (f64::min(low, value), f64::max(high, value))
                });
                if low == high {
                    vec![0.0, 0.5, 1.0]
                } else {
                    ticks(low, high, 4)
                }
            }
        }
    }

    fn spoken(&self, series: &[Line<'_>]) -> String {
        let ends = |(_, series): &Line<'_>| {
            let last = series.points.last().map_or(f64::NAN, |point| point.1);
            format!("{}, at the end {}", series.name, significant(last, 4))
        };
        let lines: Vec<String> = series.iter().map(ends).collect();
        format!("{} over epochs, {}: {}", self.title, self.unit, lines.join("; "))
    }

    /// One row per epoch and one column per series, in the order of the legend.
    fn table(&self, series: &[Line<'_>]) -> CsvTable {
        let mut table =
            CsvTable::new(std::iter::once("epoch").chain(series.iter().map(|(_, series)| series.name.as_str())));
        let mut epochs: Vec<usize> = series
            .iter()
            .flat_map(|(_, series)| &series.points)
            .map(|point| point.0)
            .collect();
        epochs.sort_unstable();
        epochs.dedup();
        for epoch in epochs {
            let value = |(_, series): &Line<'_>| {
                let place = series.points.binary_search_by_key(&epoch, |point| point.0);
                place.map_or(String::new(), |place| significant(series.points[place].1, 5))
            };
            table.row(std::iter::once(epoch.to_string()).chain(series.iter().map(value)));
        }
        table
    }
}

/// The legend names every line and shows its value: the last one, until the reader selects another
/// epoch.
fn legend(series: &[Line<'_>]) -> Markup {
    html! {
        ul.legend {
            @for (line, series) in series {
                li {
                    svg.swatch viewBox="0 0 26 8" aria-hidden="true" {
                        path class={ "line s" (line) } d="M1 4H25" {}
                    }
                    (series.name) " "
                    b.value { (significant(series.points.last().map_or(f64::NAN, |point| point.1), 4)) }
                }
            }
        }
    }
}

/// One path per series.
pub(super) fn lines(frame: &Frame, series: &[Line<'_>]) -> Markup {
    html! {
        @for (line, series) in series {
            path class={ "line s" (line) } d=(path_data(frame, series)) {}
        }
    }
}

fn path_data(frame: &Frame, series: &Series) -> String {
    let points: Vec<String> = series
        .points
        .iter()
        .map(|(epoch, value)| format!("{} {}", px(frame.x(*epoch as f64)), px(frame.y(*value))))
        .collect();
    // A single point would be an empty path; a line of zero length with round ends is a dot.
    let dot = if points.len() == 1 { "h0" } else { "" };
    format!("M{}{dot}", points.join("L"))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// A chart is drawn for all values, including subnormal, huge, NaN and infinite ones.
        #[test]
        fn every_number_is_drawn_inside(bits in proptest::collection::vec(proptest::num::u64::ANY, 0..5), epoch: usize) {
            let records: Vec<f64> = bits.into_iter().map(f64::from_bits).chain([5e-324, f64::NAN]).collect();
            for scale in [Scale::FromZero, Scale::Fixed(0.0, 100.0)] {
                let chart = Chart {
                    id: "a".into(),
                    title: "loss".into(),
                    unit: "",
                    note: "",
                    scale,
                    series: vec![Series::of("loss", &records, |_| epoch, |value| Some(*value))],
                };
                let drawn = chart.figure(false).map(Markup::into_string).unwrap_or_default();
                let lone = chart.stand_alone().unwrap_or_default();
                for text in [drawn, lone] {
                    let places = ["=\"inf", "=\"NaN", "=\"-inf", " inf", " NaN"];
                    proptest::prop_assert!(places.iter().all(|place| !text.contains(place)), "{text}");
                }
            }
        }
    }
}
