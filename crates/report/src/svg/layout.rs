//! Computes the layout of a cell: a layered drawing that runs downward, one layer per node.
//!
//! The layers are given (every node may have an edge from every earlier one), so only the
//! horizontal positions are free. They are found by coordinate descent on a cost that counts edges
//! too close to nodes or to each other, and labels that cover something. Kept edges count more than
//! those that the search will drop. A general layout crate would solve the layering, which is easy
//! here, but not the labels, which are hard. The result is deterministic: the same graph always
//! looks the same.

use super::graph::DrawnGraph;

/// Width of the drawing.
pub(super) const WIDTH: f64 = 440.0;
/// Height of a node's box.
pub(super) const NODE_HEIGHT: f64 = 26.0;
/// Height of a line of a label.
pub(super) const LABEL_LINE: f64 = 13.0;
const TOP: f64 = 22.0;
const LAYER: f64 = 92.0;
/// Width of a label.
pub(super) const LABEL_WIDTH: f64 = 90.0;
const SAMPLES: usize = 20;
const SWEEPS: usize = 3;
/// Weight of an edge that the search drops, relative to 1 for a kept one.
const DROPPED_WEIGHT: f64 = 0.1;

/// A point of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A cubic curve that leaves and arrives vertically.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Curve {
    pub(super) start: Point,
    pub(super) end: Point,
}

/// Points of a curve between its ends, and their bounding box. A layout needs them thousands of
/// times.
struct Sampled {
    points: [Point; SAMPLES - 1],
    low: Point,
    high: Point,
}

/// The positions of all elements.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) height: f64,
    pub(super) nodes: Vec<Point>,
    pub(super) output: Point,
    /// One curve per edge of the graph.
    pub(super) edges: Vec<Curve>,
    /// Centre of each edge's label.
    pub(super) labels: Vec<Point>,
    /// One curve per concatenated node.
    pub(super) outputs: Vec<Curve>,
}

impl Curve {
    /// Vertical distance of the control points.
    pub(super) fn bend(&self) -> f64 {
        (self.end.y - self.start.y) * 0.42
    }

    fn at(&self, t: f64) -> Point {
        let (u, bend) = (1.0 - t, self.bend());
        let [a, b, c, d] = [u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t];
        Point {
            x: (a + b) * self.start.x + (c + d) * self.end.x,
            y: a * self.start.y + b * (self.start.y + bend) + c * (self.end.y - bend) + d * self.end.y,
        }
    }

    fn sampled(&self) -> Sampled {
        let points = std::array::from_fn(|step| self.at((step + 1) as f64 / SAMPLES as f64));
        let corner = |of: fn(f64, f64) -> f64| {
            let corner = |a: Point, b: &Point| Point {
                x: of(a.x, b.x),
                y: of(a.y, b.y),
            };
            points[1..].iter().fold(points[0], corner)
        };
        Sampled {
            low: corner(f64::min),
            high: corner(f64::max),
            points,
        }
    }
}

impl Sampled {
    /// Number of the points within the box around `centre`.
    fn inside(&self, centre: Point, half_width: f64, half_height: f64) -> usize {
        let beside = self.low.x - centre.x >= half_width || centre.x - self.high.x >= half_width;
        if beside || self.low.y - centre.y >= half_height || centre.y - self.high.y >= half_height {
            return 0;
        }
        let covered =
            |point: &&Point| (point.x - centre.x).abs() < half_width && (point.y - centre.y).abs() < half_height;
        self.points.iter().filter(covered).count()
    }

    /// Distance of the nearest point to `place`, if there is one within `reach`.
    fn nearest(&self, place: Point, reach: f64) -> Option<f64> {
        let near = |point: &&Point| (point.x - place.x).abs() < reach && (point.y - place.y).abs() < reach;
        let distances = self.points.iter().filter(near).map(|point| distance(*point, place));
        distances.reduce(f64::min).filter(|least| *least < reach)
    }
}

impl Layout {
    /// Lays out `graph`, with space for labels of `label_lines` lines; `stays` marks the edges to
    /// favour.
    pub(super) fn new(graph: &DrawnGraph, stays: &[bool], label_lines: usize) -> Self {
        if graph.is_chain() {
            let middle = vec![WIDTH / 2.0; graph.nodes];
            return Self::with_places(graph, stays, &middle, label_lines).0;
        }
        let mut places: Vec<f64> = (0..graph.nodes).map(|node| first_place(graph, node)).collect();
        let (mut best, mut best_cost) = Self::with_places(graph, stays, &places, label_lines);
        for _ in 0..SWEEPS {
            for node in graph.inputs..graph.nodes {
                for candidate in (0..=10).map(|step| 50.0 + (WIDTH - 100.0) * f64::from(step) / 10.0) {
                    let before = std::mem::replace(&mut places[node], candidate);
                    let (layout, cost) = Self::with_places(graph, stays, &places, label_lines);
                    if cost < best_cost {
                        (best, best_cost) = (layout, cost);
                    } else {
                        places[node] = before;
                    }
                }
            }
        }
        best
    }

    /// The drawing with the nodes at these horizontal positions, and its cost.
    fn with_places(graph: &DrawnGraph, stays: &[bool], places: &[f64], label_lines: usize) -> (Self, f64) {
        let layers = graph.nodes - graph.inputs + 1;
        let layer_of = |node: usize| (node + 1).saturating_sub(graph.inputs);
        let nodes: Vec<Point> = (0..graph.nodes)
            .map(|node| Point {
                x: places[node],
                y: TOP + LAYER * layer_of(node) as f64,
            })
            .collect();
        let output = Point {
            x: WIDTH / 2.0,
            y: TOP + LAYER * layers as f64,
        };
        let edges: Vec<Curve> = (0..graph.edges.len())
            .map(|edge| edge_curve(graph, stays, &nodes, edge))
            .collect();
        let outputs: Vec<Curve> = graph
            .concat
            .iter()
            .map(|node| curve(nodes[*node], output, 0.0))
            .collect();

        let sampled: Vec<Sampled> = edges.iter().chain(&outputs).map(Curve::sampled).collect();

        let (labels, mut cost) = place_labels(&edges, &sampled, stays, &nodes, label_lines);
        cost += crowding(&sampled, stays);
        let kept = stays.iter().map(|stays| if *stays { 1.0 } else { DROPPED_WEIGHT });
        let ends = graph.edges.iter().map(|(from, to)| (*from, Some(*to))).zip(kept);
        let output_ends = graph.concat.iter().map(|node| ((*node, None), 0.5));
        for (line, ((from, to), weight)) in sampled.iter().zip(ends.chain(output_ends)) {
            for (node, place) in nodes
                .iter()
                .enumerate()
                .filter(|(node, _)| *node != from && Some(*node) != to)
            {
                let reach = if node < graph.inputs { 42.0 } else { 34.0 };
                if let Some(least) = line.nearest(*place, reach) {
                    cost += weight * 2.0 * (reach - least).powi(2);
                }
            }
        }
        (
            Self {
                height: output.y + TOP,
                nodes,
                output,
                edges,
                labels,
                outputs,
            },
            cost,
        )
    }
}

/// Start of the descent: inputs spread over the width, the others in a zigzag.
fn first_place(graph: &DrawnGraph, node: usize) -> f64 {
    if node < graph.inputs {
        return WIDTH * (node as f64 + 0.5) / graph.inputs as f64;
    }
    [WIDTH * 0.5, WIDTH * 0.2, WIDTH * 0.8][(node - graph.inputs) % 3]
}

fn curve(from: Point, to: Point, port: f64) -> Curve {
    let half = NODE_HEIGHT / 2.0;
    Curve {
        start: Point {
            x: from.x,
            y: from.y + half,
        },
        end: Point {
            x: to.x + port,
            y: to.y - half,
        },
    }
}

/// The curve of an edge. Edges into one node arrive side by side, in the order of their sources.
/// Kept edges and the others are spaced separately, both around the middle of the node's box.
fn edge_curve(graph: &DrawnGraph, stays: &[bool], nodes: &[Point], edge: usize) -> Curve {
    let (from, to) = graph.edges[edge];
    let beside = graph
        .edges
        .iter()
        .zip(stays)
        .filter(|(other, kept)| other.1 == to && **kept == stays[edge]);
    let sources: Vec<usize> = beside.map(|(other, _)| other.0).collect();
    let before = |other: usize| (nodes[other].x, other) < (nodes[from].x, from);
    let rank = sources.iter().filter(|other| before(**other)).count() as f64;
    let step = (22.0 / sources.len() as f64).min(10.0);
    curve(
        nodes[from],
        nodes[to],
        (rank - (sources.len() as f64 - 1.0) / 2.0) * step,
    )
}

/// The cost of kept edges that run close to each other or cross. It ignores the ends of the edges,
/// which they may share.
fn crowding(edges: &[Sampled], stays: &[bool]) -> f64 {
    const NEAR: f64 = 16.0;
    let kept: Vec<&[Point]> = edges
        .iter()
        .zip(stays)
        .filter(|(_, kept)| **kept)
        .map(|(line, _)| &line.points[4..SAMPLES - 5])
        .collect();
    let near = |a: Point, b: Point| (a.x - b.x).abs() < NEAR && (a.y - b.y).abs() < NEAR && distance(a, b) < NEAR;
    let mut close = 0;
    for (place, line) in kept.iter().enumerate() {
        for other in &kept[place + 1..] {
            close += line
                .iter()
                .filter(|point| other.iter().any(|sample| near(**point, *sample)))
                .count();
        }
    }
    close as f64 * 60.0
}

fn distance(a: Point, b: Point) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Places each label on its edge where it covers the least. Kept edges come first, and among them
/// short ones, which have the fewest options.
fn place_labels(
    edges: &[Curve],
    sampled: &[Sampled],
    stays: &[bool],
    nodes: &[Point],
    lines: usize,
) -> (Vec<Point>, f64) {
    let (half_width, half_height) = (LABEL_WIDTH / 2.0, LABEL_LINE * lines as f64 / 2.0 + 1.0);
    let mut order: Vec<usize> = (0..edges.len()).collect();
    let length = |edge: usize| distance(edges[edge].start, edges[edge].end);
    order.sort_by(|a, b| stays[*b].cmp(&stays[*a]).then(length(*a).total_cmp(&length(*b))));
    let mut placed: Vec<Point> = Vec::with_capacity(edges.len());
    let mut labels = vec![Point { x: 0.0, y: 0.0 }; edges.len()];
    let mut total = 0.0;
    for edge in order {
        let cost = |point: Point| {
            let over_labels: f64 = placed
                .iter()
                .map(|other| overlap(point, *other, 2.0 * half_width, 2.0 * half_height))
                .sum();
            let over_nodes: f64 = nodes
                .iter()
                .map(|node| overlap(point, *node, half_width + 22.0, half_height + NODE_HEIGHT / 2.0))
                .sum();
            let weight_of = |other: usize| if stays[other] { 20.0 } else { 20.0 * DROPPED_WEIGHT };
            let others = sampled[..edges.len()].iter().enumerate();
            let over_edges: f64 = others
                .filter(|(other, _)| *other != edge)
                .map(|(other, line)| weight_of(other) * line.inside(point, half_width, half_height) as f64)
                .sum();
            let outside = (half_width - point.x).max(0.0) + (point.x - (WIDTH - half_width)).max(0.0);
            over_labels * 6.0 + over_nodes * 6.0 + over_edges + outside * 200.0
        };
        let candidates = (4..=16)
            .map(|step| edges[edge].at(f64::from(step) / 20.0))
            .map(|point| (cost(point), point));
        if let Some((least, point)) = candidates.min_by(|a, b| a.0.total_cmp(&b.0)) {
            labels[edge] = point;
            placed.push(point);
            total += if stays[edge] { least } else { least * DROPPED_WEIGHT };
        }
    }
    (labels, total)
}

/// Area of the overlap of two boxes with centres `a` and `b`, whose half extents sum to `width` and
/// `height`.
fn overlap(a: Point, b: Point, width: f64, height: f64) -> f64 {
    (width - (a.x - b.x).abs()).max(0.0) * (height - (a.y - b.y).abs()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_a_straight_line() {
        let graph = DrawnGraph {
            inputs: 1,
            nodes: 5,
            edges: (0..4).map(|node| (node, node + 1)).collect(),
            concat: vec![4],
        };
        let layout = Layout::new(&graph, &[true; 4], 1);
        let all = [&layout.nodes[..], &layout.labels[..], &[layout.output]].concat();
        assert!(all.iter().all(|point| (point.x - WIDTH / 2.0).abs() < 1e-9), "{all:?}");
    }
}
