//! A chart as a separate picture: its title, axes, lines and legend in one SVG file for a light
//! background.
//!
//! Contract: it uses no external style, so every SVG viewer draws it the same way.

use std::fmt::Write;

use maud::{PreEscaped, html};

use super::chart::{Chart, HEIGHT, Line, WIDTH, lines};
use super::colour::LINE_STYLES;
use super::px;

/// Height of the title, and of a row of the legend.
const HEAD: f64 = 26.0;
const LEGEND_ROW: f64 = 18.0;
/// Width of a line sample in the legend, and an upper bound on the width of a letter.
const SAMPLE: f64 = 34.0;
const LETTER: f64 = 6.9;
const GAP: f64 = 14.0;
const MARGIN: f64 = 12.0;

impl Chart {
    /// The picture; `None` if no series has a value.
    pub(crate) fn stand_alone(&self) -> Option<String> {
        let series = self.there();
        let frame = self.frame(&series)?;
        let places = legend_places(&series);
        let rows = places.last().map_or(0.0, |place| place.1 / LEGEND_ROW + 1.0);
        let height = HEAD + HEIGHT + LEGEND_ROW * rows + 8.0;
        let picture = html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(px(WIDTH)) height=(px(height))
                viewBox={ "0 0 " (px(WIDTH)) " " (px(height)) } role="img" aria-label=(self.title)
                font-family="system-ui, sans-serif" {
                style { (PreEscaped(style())) }
                rect width=(px(WIDTH)) height=(px(height)) fill="#fff" {}
                text.title x=(px(MARGIN)) y="18" { (self.title) }
                g transform={ "translate(0 " (px(HEAD)) ")" } { (self.axes(&frame)) (lines(&frame, &series)) }
                g transform={ "translate(0 " (px(HEAD + HEIGHT + 12.0)) ")" } {
                    @for ((line, series), (x, y)) in series.iter().zip(&places) {
                        path class={ "line s" (line) } d={ "M" (px(*x)) " " (px(y - 4.0)) "h26" } {}
                        text.name x=(px(x + SAMPLE)) y=(px(*y)) { (series.name) }
                    }
                }
            }
        };
        Some(picture.into_string())
    }
}

/// Positions of the legend entries, row by row.
fn legend_places(series: &[Line<'_>]) -> Vec<(f64, f64)> {
    let (mut x, mut y) = (MARGIN, 0.0);
    let mut places = Vec::with_capacity(series.len());
    for (_, one) in series {
        let width = SAMPLE + LETTER * one.name.chars().count() as f64;
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + LEGEND_ROW);
        }
        places.push((x, y));
        x += width + GAP;
    }
    places
}

fn style() -> String {
    let mut style = "text{fill:#1a1d20;font-size:12px}.title{font-size:14px;font-weight:bold}\
         .axis{font-size:11px;fill:#5c6269}.grid{stroke:#e7e4de}.tick{stroke:#5c6269}\
         .line{fill:none;stroke-width:2.1;stroke-linejoin:round;stroke-linecap:round}"
        .to_owned();
    for (line, (light, _, dashes)) in LINE_STYLES.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(style, ".s{line}{{stroke:{light};stroke-dasharray:{dashes}}}");
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svg::chart::{Scale, Series};

    #[test]
    fn a_plot_stands_alone_and_names_every_line() {
        let chart = |names: &[&str]| Chart {
            id: "a".into(),
            title: "Accuracy & <more>".into(),
            unit: "%",
            note: "",
            scale: Scale::FromZero,
            series: names
                .iter()
                .map(|name| Series {
                    name: (*name).to_owned(),
                    points: vec![(1, 2.0), (2, 3.0)],
                })
                .collect(),
        };
        assert_eq!(chart(&[]).stand_alone(), None);
        let names = ["a line with a rather long name", "another that is as long", "b", "<c>"];
        let text = chart(&names).stand_alone().unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let legend: Vec<_> = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("name"))
            .collect();
        assert_eq!(legend.iter().filter_map(|node| node.text()).collect::<Vec<_>>(), names);
        let row = |index: usize| legend[index].attribute("y").unwrap();
        assert_ne!(row(0), row(1), "two long names do not fit in a row");
        assert_eq!(row(1), row(2));
        assert!(!text.contains("var(") && !text.contains("light-dark"));
    }
}
