//! A network in int8 as an ONNX graph in QDQ form: values are quantised and dequantised again
//! before and after each operator. Runtimes merge these nodes and the operator into an integer
//! operator.
//!
//! Reference: "QDQ format" of the ONNX Runtime's documentation on quantisation. Contract: the graph
//! has the numbers of the [`Int8Network`], and the same arithmetic; where a runtime rounds an
//! average or a sum in another order, a byte may differ by one. The global mean and the classifier
//! compute in float32.

use da2s_engine::{ConvolutionStep, Operation, PoolKind, Step};
use da2s_infer::int8::{Int8Convolution, Int8Network, Quantisation};

use super::graph::{Attribute, Graph};
use super::messages::GraphProto;
use super::{IMAGES, LOGITS};

/// The nodes and constants.
pub(super) fn network(network: &Int8Network) -> GraphProto {
    let mut writer = Writer {
        graph: Graph::default(),
        network,
        values: Vec::new(),
    };
    writer.round_trip(IMAGES, IMAGES, network.tensors[0]);
    for (tensor, step, weights, quantisation) in network.each_step() {
        let value = writer.step(step, weights, tensor);
        let value = match step.activation {
            Some(function) => writer.graph.activation(&step.place, &value, function),
            None => value,
        };
        match step.operation {
            // Zeros are exact without quantisation.
            Operation::Zeros => writer.values.push(value),
            _ => writer.round_trip(&step.place, &value, quantisation),
        }
    }
    writer.classifier();
    GraphProto {
        node: writer.graph.nodes,
        initializer: writer.graph.constants,
        ..GraphProto::default()
    }
}

struct Writer<'a> {
    graph: Graph,
    network: &'a Int8Network,
    /// The dequantised value of each tensor.
    values: Vec<String>,
}

impl Writer<'_> {
    /// Adds the value of a tensor, quantised and dequantised.
    fn round_trip(&mut self, place: &str, value: &str, quantisation: Quantisation) {
        let value = self.quantised(place, value, quantisation);
        self.values.push(value);
    }

    fn quantised(&mut self, place: &str, value: &str, quantisation: Quantisation) -> String {
        let scale = self.graph.number(quantisation.scale);
        let zero_point = self.graph.byte(quantisation.zero_point);
        let quantised = self
            .graph
            .node(place, "QuantizeLinear", &[value, &scale, &zero_point], []);
        self.graph
            .node(place, "DequantizeLinear", &[&quantised, &scale, &zero_point], [])
    }

    /// The value of a step's tensor before it is quantised.
    fn step(&mut self, step: &Step, weights: Option<&Int8Convolution>, tensor: usize) -> String {
        let inputs: Vec<String> = step.inputs.iter().map(|&input| self.values[input].clone()).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let place = &step.place;
        match (&step.operation, weights) {
            (Operation::Convolution(one), Some(weights)) => self.convolution(step, one, weights, inputs[0]),
            // An int8 network has weights for every convolution, and no squeeze-and-excitation.
            (Operation::Convolution(_), None) | (Operation::Squeeze(_) | Operation::Zeros, _) => {
                self.zeros(tensor, step)
            }
            (&Operation::Activation(function), _) => self.graph.activation(place, inputs[0], function),
            (Operation::Sum, _) => {
                let mut sum = inputs[0].to_owned();
                for input in &inputs[1..] {
                    sum = self.graph.node(place, "Add", &[&sum, input], []);
                }
                sum
            }
            (Operation::Concatenation, _) => self.graph.node(place, "Concat", &inputs, [("axis", Attribute::Int(1))]),
            (
                &Operation::Pool {
                    kind,
                    kernel,
                    stride,
                    padding,
                },
                _,
            ) => {
                let sides = |side: usize, count: usize| Attribute::Ints(vec![side as i64; count]);
                let window = [
                    ("kernel_shape", sides(kernel, 2)),
                    ("strides", sides(stride, 2)),
                    ("pads", sides(padding, 4)),
                ];
                match kind {
                    PoolKind::Max => self.graph.node(place, "MaxPool", &inputs, window),
                    PoolKind::Average => {
                        let [kernel, strides, pads] = window;
                        let inside = ("count_include_pad", Attribute::Int(0));
                        let attributes = [kernel, strides, pads, inside];
                        self.graph.node(place, "AveragePool", &inputs, attributes)
                    }
                }
            }
        }
    }

    fn convolution(&mut self, step: &Step, one: &ConvolutionStep, weights: &Int8Convolution, x: &str) -> String {
        let place = &step.place;
        let input = self.network.tensors[step.inputs[0]];
        let (height, width) = self.network.steps.shape(step.inputs[0]).size;
        let mut x = x.to_owned();
        let mut sides = [height, width];
        // Padding above and to the left of the image.
        let mut before = [one.padding.max(0) as usize; 2];
        if one.padding < 0 {
            // A side of one pixel has no second pixel: a zero before the first one is read instead.
            let skipped = one.padding.unsigned_abs();
            let start = sides.map(|side| if side > skipped { skipped } else { 0 });
            before = start.map(|start| usize::from(start == 0));
            sides = [sides[0] - start[0], sides[1] - start[1]];
            let start = self.graph.integers(&start.map(|start| start as i64));
            let (end, axes) = (
                self.graph.integers(&[i64::from(i32::MAX); 2]),
                self.graph.integers(&[2, 3]),
            );
            x = self.graph.node(place, "Slice", &[&x, &start, &end, &axes], []);
            x = self.quantised(place, &x, input);
        }
        let after = |axis: usize, outputs: usize| {
            let last = (outputs - 1) * one.stride + (one.kernel - 1) * one.dilation + 1;
            last.saturating_sub(before[axis] + sides[axis])
        };
        let (below, right) = (after(0, step.shape.size.0), after(1, step.shape.size.1));
        let pads = [before[0], before[1], below, right];

        let name = format!("weights.{}", self.graph.nodes.len());
        let kernel = self.graph.int8(&name, &one.weight_shape(), &weights.weights);
        let scales = self
            .graph
            .constant(&format!("{name}.scale"), &[one.outputs], &weights.scales);
        let axis = || [("axis", Attribute::Int(0))];
        let kernel = self.graph.node(place, "DequantizeLinear", &[&kernel, &scales], axis());
        let units: Vec<f32> = weights.scales.iter().map(|scale| input.scale * scale).collect();
        let bias = self.graph.int32(&format!("{name}.bias"), &weights.bias);
        let units = self
            .graph
            .constant(&format!("{name}.bias.scale"), &[one.outputs], &units);
        let bias = self.graph.node(place, "DequantizeLinear", &[&bias, &units], axis());
        let both = |side: usize| Attribute::Ints(vec![side as i64; 2]);
        let attributes = [
            ("kernel_shape", both(one.kernel)),
            ("strides", both(one.stride)),
            ("dilations", both(one.dilation)),
            ("pads", Attribute::Ints(pads.map(|pad| pad as i64).to_vec())),
            (
                "group",
                Attribute::Int(if one.depthwise { one.inputs as i64 } else { 1 }),
            ),
        ];
        self.graph.node(place, "Conv", &[&x, &kernel, &bias], attributes)
    }

    /// Zeros for as many images as there are.
    fn zeros(&mut self, tensor: usize, step: &Step) -> String {
        let shape = self.network.steps.shape(tensor);
        self.graph.zeros(&step.place, IMAGES, shape.channels, shape.size)
    }

    fn classifier(&mut self) {
        let classifier = &self.network.classifier;
        let classes = classifier.bias.len();
        let last = self.values[self.network.steps.output].clone();
        let graph = &mut self.graph;
        let mean = graph.node("global_mean", "GlobalAveragePool", &[&last], []);
        let features = graph.node("global_mean", "Flatten", &[&mean], [("axis", Attribute::Int(1))]);
        let shape = [classes, classifier.weights.len() / classes];
        let matrix = graph.int8("classifier.weight", &shape, &classifier.weights);
        let scales = graph.constant("classifier.scale", &[classes], &classifier.scales);
        let axis = [("axis", Attribute::Int(0))];
        let matrix = graph.node("classifier", "DequantizeLinear", &[&matrix, &scales], axis);
        let bias = graph.constant("classifier.bias", &[classes], &classifier.bias);
        let transposed = [("transB", Attribute::Int(1))];
        graph.node_to(LOGITS, "Gemm", &[&features, &matrix, &bias], transposed);
    }
}
