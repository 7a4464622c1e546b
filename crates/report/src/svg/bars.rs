//! Horizontal bars, made of segments in the colours of the operations: the name on the left, the
//! value on the right.

use maud::{Markup, html};

use super::px;

const WIDTH: f64 = 380.0;
const LEFT: f64 = 112.0;
const RIGHT: f64 = 288.0;
const ROW: f64 = 20.0;
const BAR: f64 = 13.0;
const TOP: f64 = 2.0;

/// A bar.
pub(crate) struct Bar {
    pub(crate) name: String,
    /// Its total length as text.
    pub(crate) text: String,
    /// Lengths, each with its colour class and its meaning.
    pub(crate) segments: Vec<Segment>,
}

/// A part of a bar.
pub(crate) struct Segment {
    pub(crate) length: u64,
    pub(crate) class: String,
    pub(crate) title: String,
}

/// The picture; the longest bar fills the width.
pub(crate) fn bars(spoken: &str, bars: &[Bar]) -> Markup {
    // Lengths from untrusted files may overflow when added.
    let length = |bar: &Bar| {
        bar.segments
            .iter()
            .map(|segment| segment.length)
            .fold(0, u64::saturating_add)
    };
    let longest = bars.iter().map(length).max().unwrap_or(0).max(1) as f64;
    let x = |length: u64| LEFT + (RIGHT - LEFT) * length as f64 / longest;
    let height = TOP + ROW * bars.len() as f64;
    html! {
        svg.bars viewBox={ "0 0 " (px(WIDTH)) " " (px(height)) } role="img" aria-label=(spoken) {
            line.base x1=(px(LEFT)) x2=(px(LEFT)) y1="0" y2=(px(height)) {}
            @for (index, bar) in bars.iter().enumerate() {
                @let top = TOP + ROW * index as f64;
                text.axis x=(px(LEFT - 7.0)) y=(px(top + 10.5)) text-anchor="end" { (bar.name) }
                @for (start, segment) in starts(&bar.segments) {
                    @if segment.length > 0 {
                        rect class=(segment.class) x=(px(x(start))) y=(px(top)) height=(px(BAR))
                            width=(px((x(start.saturating_add(segment.length)) - x(start)).max(0.3))) {
                            title { (segment.title) }
                        }
                    }
                }
                text.axis.value x=(px(WIDTH - 2.0)) y=(px(top + 10.5)) text-anchor="end" { (bar.text) }
            }
        }
    }
}

/// Each segment with the sum of the previous ones.
fn starts(segments: &[Segment]) -> impl Iterator<Item = (u64, &Segment)> {
    segments.iter().scan(0u64, |before, segment| {
        let start = *before;
        *before = before.saturating_add(segment.length);
        Some((start, segment))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_adjacent_and_the_longest_bar_fills_the_width() {
        let segment = |length, class: &str| Segment {
            length,
            class: class.to_owned(),
            title: format!("{length}"),
        };
        let bar = |name: &str, segments| Bar {
            name: name.to_owned(),
            text: String::new(),
            segments,
        };
        let picture = bars(
            "costs",
            &[
                bar("a", vec![segment(30, "op1"), segment(0, "op2"), segment(70, "fixed")]),
                bar("b", vec![segment(50, "op1")]),
                bar("none", Vec::new()),
            ],
        );
        let text = picture.into_string();
        let document = roxmltree::Document::parse(&text).unwrap();
        let rects: Vec<(f64, f64)> = document
            .descendants()
            .filter(|node| node.has_tag_name("rect"))
            .map(|rect| {
                ["x", "width"]
                    .map(|name| rect.attribute(name).unwrap().parse().unwrap())
                    .into()
            })
            .collect();
        assert_eq!(rects.len(), 3, "an entry without cost has no length");
        assert_eq!(rects[0].0, LEFT);
        assert!((rects[0].0 + rects[0].1 - rects[1].0).abs() < 0.11);
        assert!((rects[1].0 + rects[1].1 - RIGHT).abs() < 0.11);
        assert!((rects[2].1 - (RIGHT - LEFT) / 2.0).abs() < 0.11);
        assert!(bars("nothing", &[]).into_string().contains("aria-label=\"nothing\""));
    }
}
