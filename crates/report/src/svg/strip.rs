//! A strip chart: one row per group, one dot per value, a bar at the mean. Labels are above their
//! rows, so that the chart fits a phone.

use maud::{Markup, html};

use super::px;
use crate::number::{significant, tick_label, ticks};

const WIDTH: f64 = 380.0;
const LEFT: f64 = 16.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 6.0;
/// Height of a row: the label, then the dots.
const ROW: f64 = 46.0;
/// Distance from the top of a row to the middle of its dots.
const TRACK: f64 = 30.0;
/// Neighbouring dots are offset by this much, so that equal values can be counted.
const JITTER: f64 = 4.0;

/// The values of one group.
pub(crate) struct Strip {
    pub(crate) label: String,
    /// The mean as text.
    pub(crate) mean_text: String,
    pub(crate) mean: f64,
    /// Description and value of each dot.
    pub(crate) dots: Vec<(String, f64)>,
}

/// The chart of the finite values; `None` if there are none. `unit` is the label of the axis.
pub(crate) fn strip_chart(title: &str, unit: &str, strips: &[Strip]) -> Option<Markup> {
    let values = || {
        let dots = strips.iter().flat_map(|strip| strip.dots.iter().map(|dot| dot.1));
        dots.filter(|value| value.is_finite())
    };
    values().next()?;
    let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let marks = ticks(low, high, 4);
    let (first, last) = (marks[0], marks[marks.len() - 1]);
    // Values beyond the axis are drawn at its end.
    let x = |value: f64| LEFT + (RIGHT - LEFT) * ((value.clamp(first, last) - first) / (last - first));
    let bottom = TOP + ROW * strips.len() as f64;
    let spoken: Vec<String> = strips
        .iter()
        .map(|strip| format!("{}: {}", strip.label, strip.mean_text))
        .collect();
    Some(html! {
        svg.strip viewBox={ "0 0 " (px(WIDTH)) " " (px(bottom + 36.0)) } role="img"
            aria-label={ (title) ", " (unit) ": " (spoken.join("; ")) } {
            @for mark in &marks {
                line.grid x1=(px(x(*mark))) x2=(px(x(*mark))) y1=(px(TOP)) y2=(px(bottom)) {}
                text.axis x=(px(x(*mark))) y=(px(bottom + 15.0)) text-anchor="middle" {
                    (tick_label(*mark, marks[1] - marks[0]))
                }
            }
            text.axis x=(px((LEFT + RIGHT) / 2.0)) y=(px(bottom + 31.0)) text-anchor="middle" { (unit) }
            @for (index, strip) in strips.iter().enumerate() {
                @let top = TOP + ROW * index as f64;
                @let middle = top + TRACK;
                text.label x=(px(LEFT - 8.0)) y=(px(top + 14.0)) { (strip.label) }
                text.label.value x=(px(RIGHT + 8.0)) y=(px(top + 14.0)) text-anchor="end" { (strip.mean_text) }
                line.track x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(middle)) y2=(px(middle)) {}
                @if strip.mean.is_finite() {
                    line.mean x1=(px(x(strip.mean))) x2=(px(x(strip.mean))) y1=(px(middle - 10.0)) y2=(px(middle + 10.0)) {}
                }
                @for (at, (what, value)) in strip.dots.iter().filter(|dot| dot.1.is_finite()).enumerate() {
                    circle.dot cx=(px(x(*value))) cy=(px(middle + JITTER * offset(at))) r="4.2" {
                        title { (what) ": " (significant(*value, 5)) }
                    }
                }
            }
        }
    })
}

/// −1, 0, 1, 0, and so on.
fn offset(at: usize) -> f64 {
    [-1.0, 0.0, 1.0, 0.0][at % 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_a_dot_inside() {
        let strip = |values: &[f64]| Strip {
            label: "da2s".to_owned(),
            mean_text: "97".to_owned(),
            mean: 97.0,
            dots: values.iter().map(|value| ("seed 1".to_owned(), *value)).collect(),
        };
        assert!(strip_chart("gap", "points", &[strip(&[])]).is_none());
        assert!(strip_chart("gap", "points", &[strip(&[f64::NAN])]).is_none());
        let odd = strip_chart("gap", "points", &[strip(&[f64::MAX, f64::MIN, 5e-324, f64::INFINITY])]).unwrap();
        let odd = odd.into_string();
        assert_eq!(odd.matches("<circle").count(), 3);
        assert!(!odd.contains("inf\"") && !odd.contains("NaN\""), "{odd}");
        let text = strip_chart("gap", "points", &[strip(&[97.0]), strip(&[97.0])])
            .unwrap()
            .into_string();
        let document = roxmltree::Document::parse(&text).unwrap();
        let dots: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("circle"))
            .collect();
        assert_eq!(dots.len(), 2);
        for dot in dots {
            let at: f64 = dot.attribute("cx").unwrap().parse().unwrap();
            assert!((LEFT..=RIGHT).contains(&at), "{at}");
        }
    }
}
