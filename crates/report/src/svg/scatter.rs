//! A scatter plot of accuracy against a cost: a dot per network with its interval, the front as
//! steps, and names that do not cover each other.
//!
//! Contract: every finite dot is drawn inside the axes; costs that differ tenfold have a
//! logarithmic axis. A name is inside the picture and covers neither another name nor a dot. If its
//! dot is not on the front, the name covers no line either. A name that does not fit anywhere is
//! left out; the dot still has it as its title.

use maud::{Markup, html};

use super::px;
use crate::number::{significant, tick_label, ticks};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 40.0;
/// Radius of a dot with its outline.
const RADIUS: f64 = 5.0;
/// An upper bound on the width of a letter of a name, and its height above and below the line.
const LETTER: f64 = 6.8;
const ASCENT: f64 = 9.0;
const DESCENT: f64 = 3.0;

/// A network.
pub(crate) struct Dot {
    pub(crate) label: String,
    /// The cost.
    pub(crate) x: f64,
    /// The accuracy, percent.
    pub(crate) y: f64,
    /// The interval of the accuracy.
    pub(crate) interval: Option<[f64; 2]>,
    /// Whether it is on the front.
    pub(crate) filled: bool,
}

/// A scatter plot.
pub(crate) struct Scatter<'a> {
    pub(crate) title: &'a str,
    /// Label of the horizontal axis.
    pub(crate) axis: &'a str,
    /// The axis shows costs divided by this number.
    pub(crate) scale: f64,
    pub(crate) dots: &'a [Dot],
}

/// A rectangle: left, top, right, bottom.
type Area = [f64; 4];

/// A dot in the picture.
struct Drawn<'a> {
    dot: &'a Dot,
    x: f64,
    y: f64,
    /// Its interval from top to bottom.
    bar: Option<[f64; 2]>,
}

/// The horizontal axis.
struct Axis {
    /// Its labels; the first and the last are its limits.
    marks: Vec<f64>,
    logarithmic: bool,
}

/// Where a name is written.
#[derive(Clone, Copy, Debug)]
struct Place {
    x: f64,
    y: f64,
    anchor: &'static str,
}

impl Scatter<'_> {
    /// The picture; `None` without a finite dot.
    pub(crate) fn draw(&self) -> Option<Markup> {
        let finite = |dot: &&Dot| dot.x.is_finite() && dot.y.is_finite();
        let dots: Vec<&Dot> = self.dots.iter().filter(finite).collect();
        dots.first()?;
        let ends = dots.iter().flat_map(|dot| dot.interval.into_iter().flatten());
        let accuracies = dots.iter().map(|dot| dot.y).chain(ends.filter(|end| end.is_finite()));
        let across = Axis::over(dots.iter().map(|dot| dot.x / self.scale));
        let upward = marks(accuracies, 5);
        let x = |value: f64| LEFT + (RIGHT - LEFT) * across.share(value);
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * share(value, &upward);
        let finite_bar = |ends: &[f64; 2]| ends.iter().all(|end| end.is_finite());
        let drawn: Vec<Drawn<'_>> = dots
            .iter()
            .map(|&dot| Drawn {
                dot,
                x: x(dot.x / self.scale),
                y: y(dot.y),
                bar: dot.interval.filter(finite_bar).map(|[low, high]| [y(high), y(low)]),
            })
            .collect();
        let steps = steps(&drawn);
        let names = places(&drawn, &steps);
        Some(html! {
            svg.scatter viewBox={ "0 0 " (px(WIDTH)) " " (px(HEIGHT)) } role="img" aria-label=(self.spoken(&dots)) {
                text.axis x="4" y="13" { "%" }
                @for mark in &upward {
                    line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(y(*mark))) y2=(px(y(*mark))) {}
                    text.axis x=(px(LEFT - 6.0)) y=(px(y(*mark) + 4.0)) text-anchor="end" {
                        (tick_label(*mark, upward[1] - upward[0]))
                    }
                }
                @for mark in &across.marks {
                    line.tick x1=(px(x(*mark))) x2=(px(x(*mark))) y1=(px(BOTTOM)) y2=(px(BOTTOM + 4.0)) {}
                    text.axis x=(px(x(*mark))) y=(px(BOTTOM + 17.0)) text-anchor="middle" {
                        (across.label(*mark))
                    }
                }
                text.axis x=(px((LEFT + RIGHT) / 2.0)) y=(px(HEIGHT - 6.0)) text-anchor="middle" { (self.axis) }
                @if steps.len() > 1 { path.steps d=(path(&steps)) {} }
                @for one in &drawn {
                    @if let Some([top, bottom]) = one.bar {
                        line.bar.off[!one.dot.filled] x1=(px(one.x)) x2=(px(one.x)) y1=(px(top)) y2=(px(bottom)) {}
                    }
                }
                @for one in &drawn {
                    circle.dot.on[one.dot.filled] cx=(px(one.x)) cy=(px(one.y)) r="4.4" {
                        title { (self.named(one.dot)) }
                    }
                }
                @for (one, place) in drawn.iter().zip(&names) {
                    @if let Some(place) = place {
                        text.name.off[!one.dot.filled] x=(px(place.x)) y=(px(place.y)) text-anchor=(place.anchor) {
                            (one.dot.label)
                        }
                    }
                }
            }
        })
    }

    fn named(&self, dot: &Dot) -> String {
        let cost = significant(dot.x / self.scale, 3);
        format!("{}: {} %, {cost} {}", dot.label, significant(dot.y, 4), self.axis)
    }

    fn spoken(&self, dots: &[&Dot]) -> String {
        let one = |dot: &&Dot| {
            let on = if dot.filled { "on the front" } else { "not on the front" };
            format!("{}, {on}", self.named(dot))
        };
        format!(
            "{}. {}",
            self.title,
            dots.iter().map(one).collect::<Vec<_>>().join("; ")
        )
    }
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (low, high) = ends(values.clone());
        // Outside these limits, powers of ten are not exact.
        let logarithmic = low >= 1e-9 && high <= 1e15 && high >= 10.0 * low;
        let marks = if logarithmic {
            powers(low, high)
        } else {
            marks(values, 5)
        };
        Self { marks, logarithmic }
    }

    fn share(&self, value: f64) -> f64 {
        if !self.logarithmic {
            return share(value, &self.marks);
        }
        let ends = [self.marks[0], self.marks[self.marks.len() - 1]].map(f64::ln);
        share(value.ln(), &ends)
    }

    fn label(&self, mark: f64) -> String {
        if self.logarithmic {
            significant(mark, 2)
        } else {
            tick_label(mark, self.marks[1] - self.marks[0])
        }
    }
}

/// The smallest and the largest value.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// Round values of an axis over `values`.
fn marks(values: impl Iterator<Item = f64>, wanted: usize) -> Vec<f64> {
    let (low, high) = ends(values);
    ticks(low, high, wanted)
}

/// Round values of a logarithmic axis: 1, 2 and 5 times powers of ten, or the powers alone if there
/// would be too many.
fn powers(low: f64, high: f64) -> Vec<f64> {
    const MOST: usize = 8;
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let of = |factors: &[f64]| {
        let all: Vec<f64> = decades
            .clone()
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .collect();
        // Rounding errors of a logarithm must not leave a value outside.
        let first = all.iter().rposition(|mark| *mark <= low).unwrap_or(0);
        let last = all.iter().position(|mark| *mark >= high).unwrap_or(all.len() - 1);
        all[first..=last].to_vec()
    };
    let fine = of(&[1.0, 2.0, 5.0]);
    if fine.len() <= MOST { fine } else { of(&[1.0]) }
}

/// The position of `value` on an axis, between 0 and 1; values beyond the axis are at its end.
fn share(value: f64, marks: &[f64]) -> f64 {
    let (first, last) = (marks[0], marks[marks.len() - 1]);
    (value.clamp(first, last) - first) / (last - first)
}

/// The corners of the front's steps, from left to right: the best accuracy for at most a cost.
fn steps(drawn: &[Drawn<'_>]) -> Vec<(f64, f64)> {
    let mut front: Vec<&Drawn<'_>> = drawn.iter().filter(|one| one.dot.filled).collect();
    front.sort_by(|a, b| a.x.total_cmp(&b.x).then(b.y.total_cmp(&a.y)));
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for one in front {
        if let Some(&(_, y)) = corners.last() {
            corners.push((one.x, y));
        }
        corners.push((one.x, one.y));
    }
    if let Some(&(_, y)) = corners.last() {
        corners.push((RIGHT, y));
    }
    corners
}

fn path(corners: &[(f64, f64)]) -> String {
    let corners: Vec<String> = corners.iter().map(|(x, y)| format!("{} {}", px(*x), px(*y))).collect();
    format!("M{}", corners.join("L"))
}

/// Where the name of each dot is written. Dots on the front get their places first. Each name gets
/// the free place that covers the fewest lines.
fn places(drawn: &[Drawn<'_>], steps: &[(f64, f64)]) -> Vec<Option<Place>> {
    let dots: Vec<Area> = drawn
        .iter()
        .map(|one| [one.x - RADIUS, one.y - RADIUS, one.x + RADIUS, one.y + RADIUS])
        .collect();
    let bars = drawn
        .iter()
        .filter_map(|one| one.bar.map(|[top, bottom]| [one.x, top, one.x, bottom]));
    let between = steps.windows(2).map(|ends| {
        let [(a, b), (c, d)] = [ends[0], ends[1]];
        [a.min(c), b.min(d), a.max(c), b.max(d)]
    });
    let lines: Vec<Area> = bars.chain(between).collect();
    let mut order: Vec<usize> = (0..drawn.len()).collect();
    order.sort_by_key(|&at| !drawn[at].dot.filled);
    let mut names: Vec<Option<Place>> = vec![None; drawn.len()];
    let mut taken: Vec<Area> = Vec::new();
    for at in order {
        let on_front = drawn[at].dot.filled;
        let free = candidates(&drawn[at], on_front).into_iter().filter_map(|place| {
            let area = area(place, &drawn[at].dot.label);
            let inside = area[0] >= LEFT && area[1] >= 2.0 && area[2] <= WIDTH - 2.0 && area[3] <= BOTTOM - 1.0;
            let covers = |others: &[Area]| others.iter().filter(|other| overlap(&area, other)).count();
            let free = inside && covers(&dots) == 0 && covers(&taken) == 0;
            free.then(|| (covers(&lines), place, area))
        });
        let free = free.filter(|(covered, ..)| on_front || *covered == 0);
        if let Some((_, place, area)) = free.min_by_key(|(covered, ..)| *covered) {
            names[at] = Some(place);
            taken.push(area);
        }
    }
    names
}

/// Places around a dot, the best first. Only dots on the front have places further away.
fn candidates(one: &Drawn<'_>, on_front: bool) -> Vec<Place> {
    let distances: &[f64] = if on_front { &[0.0, 7.0, 16.0] } else { &[0.0] };
    let mut places = Vec::new();
    for far in distances {
        let [near, above, below] = [RADIUS + 3.0 + far, RADIUS + 4.0 + far, RADIUS + ASCENT + 3.0 + far];
        let around = [
            (near, 4.0, "start"),
            (-near, 4.0, "end"),
            (0.0, -above, "middle"),
            (0.0, below, "middle"),
            (near, -above, "start"),
            (near, below, "start"),
            (-near, -above, "end"),
            (-near, below, "end"),
        ];
        places.extend(around.map(|(x, y, anchor)| Place {
            x: one.x + x,
            y: one.y + y,
            anchor,
        }));
    }
    places
}

fn area(place: Place, label: &str) -> Area {
    let width = LETTER * label.chars().count() as f64;
    let left = match place.anchor {
        "start" => place.x,
        "end" => place.x - width,
        _ => place.x - width / 2.0,
    };
    [left, place.y - ASCENT, left + width, place.y + DESCENT]
}

fn overlap(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dots(values: &[(f64, f64, bool)]) -> Vec<Dot> {
        let dot = |(at, &(x, y, filled)): (usize, &(f64, f64, bool))| Dot {
            label: format!("c{}-n{at}", 10 + at),
            x,
            y,
            interval: Some([y - 3.0, y + 2.0]),
            filled,
        };
        values.iter().enumerate().map(dot).collect()
    }

    fn drawn(dots: &[Dot]) -> Option<String> {
        let scatter = Scatter {
            title: "Accuracy & <size>",
            axis: "KB",
            scale: 1e3,
            dots,
        };
        scatter.draw().map(Markup::into_string)
    }

    /// Every name with its area, and every dot, in the drawn picture.
    fn read(text: &str) -> (Vec<(String, Area)>, Vec<Area>) {
        let document = roxmltree::Document::parse(text).unwrap();
        let number = |node: &roxmltree::Node<'_, '_>, key: &str| node.attribute(key).unwrap().parse::<f64>().unwrap();
        let nodes = || document.descendants();
        let is_name =
            |node: &roxmltree::Node<'_, '_>| node.attribute("class").is_some_and(|class| class.starts_with("name"));
        let names = nodes().filter(is_name).map(|node| {
            let anchor = match node.attribute("text-anchor").unwrap() {
                "start" => "start",
                "end" => "end",
                _ => "middle",
            };
            let (x, y) = (number(&node, "x"), number(&node, "y"));
            let label = node.text().unwrap().to_owned();
            let area = area(Place { x, y, anchor }, &label);
            (label, area)
        });
        let circles = nodes().filter(|node| node.has_tag_name("circle")).map(|node| {
            let (x, y) = (number(&node, "cx"), number(&node, "cy"));
            [x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS]
        });
        (names.collect(), circles.collect())
    }

    /// Shrunk by the rounding error of coordinates.
    fn shrunk([left, top, right, bottom]: Area) -> Area {
        [left + 0.2, top + 0.2, right - 0.2, bottom - 0.2]
    }

    #[test]
    fn a_logarithmic_axis_has_round_values_that_enclose_the_costs() {
        assert_eq!(powers(3.0, 40.0), [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(powers(1.0, 10.0), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(powers(0.3, 7e5), [0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
        let axis = Axis::over([3.0, 40.0].into_iter());
        assert!(
            axis.logarithmic && (axis.share(10.0) - 0.5).abs() < 1e-9,
            "{}",
            axis.share(10.0)
        );
        assert!(!Axis::over([3.0, 29.0].into_iter()).logarithmic && !Axis::over([0.0, 29.0].into_iter()).logarithmic);
    }

    #[test]
    fn dots_far_from_each_other_all_have_names() {
        let text = drawn(&dots(&[
            (1e4, 60.0, true),
            (2e4, 70.0, true),
            (3e4, 65.0, false),
            (4e4, 80.0, true),
        ]))
        .unwrap();
        let (names, circles) = read(&text);
        assert_eq!((names.len(), circles.len()), (4, 4));
        // Four dots, three of them on the front: two steps, and the way to the right end.
        let document = roxmltree::Document::parse(&text).unwrap();
        let steps = document
            .descendants()
            .find(|node| node.attribute("class") == Some("steps"))
            .unwrap();
        assert_eq!(steps.attribute("d").unwrap().matches('L').count(), 5);
        assert!(drawn(&[]).is_none() && drawn(&dots(&[(f64::NAN, 1.0, true)])).is_none());
        let one = drawn(&dots(&[(1.0, 50.0, true)])).unwrap();
        assert_eq!(read(&one).0.len(), 1);
    }

    proptest! {
        #[test]
        fn names_cover_neither_each_other_nor_a_dot(
            values in prop::collection::vec((1.0f64..1e6, 0.0f64..100.0, any::<bool>()), 1..24),
        ) {
            let text = drawn(&dots(&values)).unwrap();
            let (names, circles) = read(&text);
            prop_assert_eq!(circles.len(), values.len());
            for (at, (label, area)) in names.iter().enumerate() {
                let area = shrunk(*area);
                prop_assert!(area[0] >= 0.0 && area[1] >= 0.0 && area[2] <= WIDTH && area[3] <= BOTTOM, "{label}");
                prop_assert!(names[..at].iter().all(|(_, other)| !overlap(&area, &shrunk(*other))), "{label}");
                prop_assert!(circles.iter().all(|circle| !overlap(&area, &shrunk(*circle))), "{label}");
            }
        }

        #[test]
        fn every_number_is_drawn_inside(bits in prop::collection::vec(any::<u64>(), 3..9)) {
            let values: Vec<(f64, f64, bool)> = bits
                .windows(2)
                .map(|pair| (f64::from_bits(pair[0]), f64::from_bits(pair[1]), pair[0] % 2 == 0))
                .collect();
            if let Some(text) = drawn(&dots(&values)) {
                let (_, circles) = read(&text);
                for [left, top, right, bottom] in circles {
                    prop_assert!(left >= LEFT - 6.0 && right <= RIGHT + 6.0 && top >= TOP - 6.0 && bottom <= BOTTOM + 6.0);
                }
            }
        }
    }
}
