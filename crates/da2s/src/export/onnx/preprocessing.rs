//! Preprocessing as part of the graph: from bytes of any size to the network's input.
//!
//! Contract: `images` is uint8, `[batch, height, width, 3]`, upright, red, green, blue; the result
//! is that of `Image::preprocessed` (crates/images), except that a sum halfway between two bytes
//! may be rounded the other way.
//!
//! Resizing multiplies by the same matrix on both sides, since the cropped image is square. ONNX
//! has an operator for it, `Resize` with `antialias`, but OpenVINO accepts it and computes without
//! antialiasing. Positions and weights are integers until they are divided by their sum, so that
//! runtimes that compute in bfloat16 keep them exact. Rows and columns are gathered individually,
//! since tract cannot infer the length of a slice between two computed bounds.

use da2s_records::schema::{Preprocessing, PreprocessingRules};

use super::graph::{Attribute, Graph};
use super::messages::{FLOAT, INT64};

/// Prefix of the names of nodes and constants.
const PLACE: &str = "preprocessing";

/// Adds the preprocessing of `images`; returns the name of the network's input.
pub(super) fn preprocessed(graph: &mut Graph, images: &str, what: &Preprocessing) -> String {
    let mut step = Step { graph };
    let (side, square) = step.centred_square(images, what.centre_crop);
    let floats = step.cast(&square, FLOAT);
    let order = [("perm", Attribute::Ints(vec![0, 3, 1, 2]))];
    let mut planes = step.graph.node(PLACE, "Transpose", &[&floats], order);
    if what.channels == 1 {
        planes = step.grey(&planes);
    }
    let matrix = step.resampling(&side, what.image_size);
    let order = [("perm", Attribute::Ints(vec![1, 0]))];
    let transposed = step.graph.node(PLACE, "Transpose", &[&matrix], order);
    let rows = step.node("MatMul", &[&matrix, &planes]);
    let resized = step.node("MatMul", &[&rows, &transposed]);
    let bytes = step.rounded(&resized);
    step.normalised(&bytes, what)
}

/// Adds nodes one after the other.
struct Step<'a> {
    graph: &'a mut Graph,
}

impl Step<'_> {
    fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.graph.node(PLACE, operator, inputs, [])
    }

    fn cast(&mut self, x: &str, to: i32) -> String {
        let to = [("to", Attribute::Int(i64::from(to)))];
        self.graph.node(PLACE, "Cast", &[x], to)
    }

    /// Rounds to the nearest integer, halves up; the input is not negative.
    fn rounded(&mut self, x: &str) -> String {
        let half = self.graph.number(0.5);
        let sum = self.node("Add", &[x, &half]);
        self.node("Floor", &[&sum])
    }

    /// The side and the pixels of the centred square, whose side is `fraction` of the shorter side.
    fn centred_square(&mut self, images: &str, fraction: f32) -> (String, String) {
        let middle = [("start", Attribute::Int(1)), ("end", Attribute::Int(3))];
        let sides = self.graph.node(PLACE, "Shape", &[images], middle);
        let scalar = [("keepdims", Attribute::Int(0))];
        let shorter = self.graph.node(PLACE, "ReduceMin", &[&sides], scalar);
        let [zero, one, two] = [0, 1, 2].map(|value| self.graph.integer(value));

        let (length, fraction) = (self.cast(&shorter, FLOAT), self.graph.number(fraction));
        let part = self.node("Mul", &[&length, &fraction]);
        let whole = self.rounded(&part);
        let whole = self.cast(&whole, INT64);
        let least = self.node("Max", &[&whole, &one]);
        let side = self.node("Min", &[&least, &shorter]);

        let outside = self.node("Sub", &[&sides, &side]);
        let first = self.node("Div", &[&outside, &two]);
        let within = self.node("Range", &[&zero, &side, &one]);
        let mut square = images.to_owned();
        for (which, axis) in [(&zero, 1), (&one, 2)] {
            let first = self.node("Gather", &[&first, which]);
            let places = self.node("Add", &[&within, &first]);
            let axis = [("axis", Attribute::Int(axis))];
            square = self.graph.node(PLACE, "Gather", &[&square, &places], axis);
        }
        (side, square)
    }

    /// The luma of red, green and blue planes. Its sums are integers that floats represent exactly.
    fn grey(&mut self, planes: &str) -> String {
        let weights = PreprocessingRules::GREY.map(f32::from);
        let weights = self.graph.constant(&format!("{PLACE}.grey"), &[1, 3, 1, 1], &weights);
        let sum = self.node("Conv", &[planes, &weights]);
        let scale = self.graph.number(1e4);
        let luma = self.node("Div", &[&sum, &scale]);
        self.rounded(&luma)
    }

    /// The weights of the `side` pixels of a line in each of `size` output pixels: `[size, side]`,
    /// rows whose sum is 1.
    ///
    /// The centre of output pixel o is `(o + ½)·side/size − ½`. The weight of pixel i falls
    /// linearly with its distance from there, to 0 at `max(side/size, 1)`. Positions and weights
    /// are multiplied by `2·size`.
    fn resampling(&mut self, side: &str, size: usize) -> String {
        let length = size as i64;
        let [zero, one, two] = [0, 1, 2].map(|value| self.graph.integer(value));
        let [length, twice] = [length, 2 * length].map(|value| self.graph.integer(value));
        let odd: Vec<i64> = (0..size as i64).map(|o| 2 * o + 1).collect();
        let odd = self.graph.integer_tensor(format!("{PLACE}.odd"), &[size, 1], &odd);

        let pixels = self.node("Range", &[&zero, side, &one]);
        let scaled = self.node("Mul", &[&pixels, &twice]);
        let places = self.node("Add", &[&scaled, &length]);
        let centres = self.node("Mul", &[&odd, side]);
        let apart = self.node("Sub", &[&places, &centres]);
        let distance = self.node("Abs", &[&apart]);
        let larger = self.node("Max", &[side, &length]);
        let width = self.node("Mul", &[&larger, &two]);
        let above = self.node("Sub", &[&width, &distance]);
        let weights = self.node("Max", &[&above, &zero]);

        let weights = self.cast(&weights, FLOAT);
        let columns = self.graph.integers(&[1]);
        let sum = self.node("ReduceSum", &[&weights, &columns]);
        self.node("Div", &[&weights, &sum])
    }

    /// `(byte / 255 − mean) / std` of each channel.
    fn normalised(&mut self, bytes: &str, what: &Preprocessing) -> String {
        let full = self.graph.number(255.0);
        let [mean, std] = [("mean", &what.mean), ("std", &what.std)].map(|(name, values)| {
            let name = format!("{PLACE}.{name}");
            self.graph.constant(&name, &[what.channels, 1, 1], values)
        });
        let fraction = self.node("Div", &[bytes, &full]);
        let centred = self.node("Sub", &[&fraction, &mean]);
        self.node("Div", &[&centred, &std])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(channels: usize) -> (Graph, String) {
        let what = Preprocessing {
            rules: PreprocessingRules::default(),
            channels,
            centre_crop: 0.875,
            image_size: 8,
            mean: vec![0.5; channels],
            std: vec![0.25; channels],
            classes: vec!["a".to_owned()],
        };
        let mut graph = Graph::default();
        let seen = preprocessed(&mut graph, "images", &what);
        (graph, seen)
    }

    #[test]
    fn every_node_reads_what_is_there() {
        for channels in [1, 3] {
            let (graph, seen) = graph(channels);
            let mut known: Vec<&str> = graph.constants.iter().map(|constant| constant.name.as_str()).collect();
            known.push("images");
            for node in &graph.nodes {
                for input in &node.input {
                    assert!(known.contains(&input.as_str()), "{input} of {}", node.name);
                }
                known.push(&node.output[0]);
            }
            assert_eq!(known.last(), Some(&seen.as_str()));
            let names: std::collections::HashSet<_> = known.iter().collect();
            assert_eq!(names.len(), known.len(), "a name stands for one value");
        }
    }

    #[test]
    fn colours_become_grey_only_for_networks_with_one_channel() {
        let operators = |channels| {
            let (graph, _) = graph(channels);
            let operators = graph.nodes.into_iter().map(|node| node.op_type);
            operators.collect::<Vec<_>>()
        };
        assert!(operators(1).contains(&"Conv".to_owned()) && !operators(3).contains(&"Conv".to_owned()));
        for channels in [1, 3] {
            let (graph, _) = graph(channels);
            let mean = graph
                .constants
                .iter()
                .find(|constant| constant.name == "preprocessing.mean");
            assert_eq!(mean.unwrap().dims, [channels as i64, 1, 1]);
            assert_eq!(operators(channels).iter().filter(|name| *name == "MatMul").count(), 2);
        }
    }
}
