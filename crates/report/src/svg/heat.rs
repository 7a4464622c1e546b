//! Heat maps: a matrix with a number in every field, and a timeline with epochs from left to right.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::colour::level;
use super::px;
use crate::number::whole_marks;

const WIDTH: f64 = 380.0;
const LEFT: f64 = 70.0;

/// One field of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// Heat level.
    pub(crate) level: usize,
    pub(crate) text: String,
}

/// A matrix of coloured fields, each with its number.
pub(crate) struct Matrix<'a> {
    pub(crate) rows: &'a [String],
    pub(crate) columns: &'a [String],
    /// `[rows][columns]`
    pub(crate) fields: &'a [Vec<Field>],
    /// This column is separated from those before it.
    pub(crate) apart: Option<usize>,
    /// Description for screen readers.
    pub(crate) title: &'a str,
}

impl Matrix<'_> {
    /// The picture. Fields are groups `g.hN` in row order; the script updates them for other
    /// epochs.
    pub(crate) fn draw(&self) -> Markup {
        const ROW: f64 = 19.0;
        // Space for the longest name, written at an angle.
        let longest = self.columns.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let head = 16.0 + 5.2 * longest as f64;
        let apart = |column: usize| {
            if self.apart.is_some_and(|first| column >= first) {
                8.0
            } else {
                0.0
            }
        };
        let step = (WIDTH - LEFT - apart(usize::MAX) - 24.0) / self.columns.len().max(1) as f64;
        let x = |column: usize| LEFT + apart(column) + step * column as f64;
        let y = |row: usize| head + ROW * row as f64;
        let height = y(self.rows.len()) + 2.0;
        html! {
            svg.heat viewBox={ "0 0 " (px(WIDTH)) " " (px(height)) } role="img" aria-label=(self.title) {
                @for (column, name) in self.columns.iter().enumerate() {
                    @let left = x(column) + step / 2.0 - 4.0;
                    @let place = format!("translate({} {}) rotate(-50)", px(left), px(head - 5.0));
                    text.axis transform=(place) { (name) }
                }
                @for (row, name) in self.rows.iter().enumerate() {
                    text.axis.row x=(px(LEFT - 6.0)) y=(px(y(row) + 13.5)) text-anchor="end" { (name) }
                }
                @for (row, fields) in self.fields.iter().enumerate() {
                    @for (column, field) in fields.iter().enumerate() {
                        g class={ "field h" (field.level) } {
                            rect x=(px(x(column))) y=(px(y(row))) width=(px(step - 1.5)) height=(px(ROW - 1.5))
                                rx="2" {}
                            @let middle = x(column) + step / 2.0 - 0.8;
                            text x=(px(middle)) y=(px(y(row) + 12.8)) text-anchor="middle" { (field.text) }
                        }
                    }
                }
            }
        }
    }
}

/// A share with two decimals and no leading zero, so that it fits its field. The script formats
/// numbers the same way.
pub(crate) fn share(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{value:.2}");
    text.strip_prefix('0').map_or(text.clone(), str::to_owned)
}

/// Shares over a numbered axis, such as epochs, without a number in each field.
pub(crate) struct Timeline<'a> {
    pub(crate) rows: &'a [String],
    /// Evenly spaced, in increasing order.
    pub(crate) columns: &'a [usize],
    /// Label of the columns.
    pub(crate) axis: &'a str,
    /// `[rows][columns]`, each between 0 and 1.
    pub(crate) values: &'a [Vec<f64>],
    /// Height of a row; if rows are too low, only some are labelled, at regular intervals.
    pub(crate) row_height: f64,
    /// Description for screen readers.
    pub(crate) title: &'a str,
}

impl Timeline<'_> {
    /// The picture. There is one path per colour and runs of equal colour are joined, so a long
    /// search needs no more space than a short one.
    pub(crate) fn draw(&self) -> Markup {
        const TOP: f64 = 2.0;
        let right = WIDTH - 10.0;
        let step = (right - LEFT) / self.columns.len().max(1) as f64;
        let y = |row: usize| TOP + self.row_height * row as f64;
        let bottom = y(self.rows.len());
        let named = (11.0 / self.row_height).ceil() as usize;
        let first = self.columns.first().copied().unwrap_or(0);
        let last = self.columns.last().copied().unwrap_or(0);
        let scaled = format!("translate({} {TOP}) scale({step:.4} {})", px(LEFT), px(self.row_height));
        html! {
            svg.heat.timeline viewBox={ "0 0 " (px(WIDTH)) " " (px(bottom + 34.0)) } role="img"
                aria-label=(self.title) data-left=(px(LEFT + step / 2.0)) data-right=(px(right - step / 2.0))
                data-first=(first) data-last=(last) {
                @for (row, name) in self.rows.iter().enumerate().step_by(named.max(1)) {
                    @let middle = y(row) + self.row_height / 2.0;
                    text.axis.row x=(px(LEFT - 6.0)) y=(px(middle + 3.5)) text-anchor="end" { (name) }
                }
                g transform=(scaled) shape-rendering="crispEdges" {
                    @for (level, path) in self.paths() { path class={ "h" (level) } d=(path) {} }
                }
                @for label in whole_marks(first, last) {
                    @let share = if last > first { (label - first as f64) / (last - first) as f64 } else { 0.0 };
                    @let x = LEFT + step * 0.5 + share * (right - LEFT - step);
                    text.axis x=(px(x)) y=(px(bottom + 14.0)) text-anchor="middle" { (label) }
                }
                text.axis x=(px((LEFT + right) / 2.0)) y=(px(bottom + 29.0)) text-anchor="middle" { (self.axis) }
                line.now x1="0" x2="0" y1=(px(TOP)) y2=(px(bottom)) {}
            }
        }
    }

    /// Path data by heat level, in units of a column and a row.
    fn paths(&self) -> BTreeMap<usize, String> {
        // A small space between rows helps to follow them, if they are high enough.
        let filled = if self.row_height >= 10.0 { ".93" } else { "1" };
        let mut paths: BTreeMap<usize, String> = BTreeMap::new();
        for (row, values) in self.values.iter().enumerate() {
            let levels: Vec<usize> = values.iter().map(|value| level(*value)).collect();
            let mut column = 0;
            for run in levels.chunk_by(|a, b| a == b) {
                let path = paths.entry(run[0]).or_default();
                path.push_str(&format!("M{column} {row}h{}v{filled}h-{}z", run.len(), run.len()));
                column += run.len();
            }
        }
        paths
    }
}
