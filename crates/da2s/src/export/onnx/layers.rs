//! Converts the plan of a cell to ONNX operators, as the engine's plain path does with Burn's
//! operations.
//!
//! Contract: works for any plan of a final network, and so for every space; weights keep the names
//! of DARTS. Batch norms use the running statistics; on request each is folded into the preceding
//! convolution of its block, as in `norm.rs`. Batch norms without one remain: after a pool, and
//! between stages, even if a cell ends in a convolution.

use std::collections::HashMap;

use da2s_engine::{ActivationFunction, Block, Choice, ConvolutionWeights, Layout, NORM_EPSILON, PoolKind};
use da2s_records::Named;

use super::graph::{Attribute, Graph};
use super::norm::Norm;
use crate::backbone::NetworkStage;
use crate::export::ExportError;

/// A value of the graph: its name, height and width.
#[derive(Clone)]
pub(super) struct Value {
    pub name: String,
    pub size: (usize, usize),
}

/// Adds stages to a graph.
pub(super) struct Layers<'a> {
    pub graph: Graph,
    tensors: HashMap<&'a str, &'a Named>,
    fold: bool,
}

/// The shape of a convolution.
#[derive(Clone, Copy)]
struct ConvolutionShape {
    stride: usize,
    /// Padding: top, left, bottom, right.
    pads: [usize; 4],
    dilation: usize,
    groups: usize,
}

impl ConvolutionShape {
    /// A 1×1 convolution.
    const POINT: Self = Self {
        stride: 1,
        pads: [0; 4],
        dilation: 1,
        groups: 1,
    };
}

impl<'a> Layers<'a> {
    pub(super) fn new(tensors: &'a [Named], fold: bool) -> Self {
        Self {
            graph: Graph::default(),
            tensors: tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect(),
            fold,
        }
    }

    /// Adds a tensor of the network as a constant of the graph.
    pub(super) fn weight(&mut self, name: &str) -> Result<String, ExportError> {
        let tensor = self.tensor(name)?;
        Ok(self.graph.constant(name, &tensor.shape, &tensor.data))
    }

    /// Adds a stage that reads `inputs`.
    pub(super) fn stage(&mut self, stage: &NetworkStage, inputs: &[Value]) -> Result<Value, ExportError> {
        let plan = stage.cell.plan();
        let sizes = plan.node_sizes(&inputs.iter().map(|input| input.size).collect::<Vec<_>>());
        let mut nodes: Vec<Option<String>> = vec![None; plan.node_channels.len()];
        for ((node, input), preprocess) in nodes.iter_mut().zip(inputs).zip(&plan.preprocess) {
            *node = Some(match preprocess {
                Some(choice) => self.choice(&stage.prefix, choice, input)?,
                None => input.name.clone(),
            });
        }
        for edge in &plan.edges {
            for choice in &edge.choices {
                // Unreachable choices add nothing; the batch norm of a node without inputs outputs
                // its shift.
                if matches!(choice.block, Block::Zero { .. }) {
                    continue;
                }
                let size = sizes[edge.from];
                let source = match &nodes[edge.from] {
                    Some(name) => name.clone(),
                    None => {
                        let place = format!("{}node.{}", stage.prefix, edge.from);
                        self.graph
                            .zeros(&place, &inputs[0].name, plan.node_channels[edge.from], size)
                    }
                };
                nodes[edge.from] = Some(source.clone());
                let value = self.choice(&stage.prefix, choice, &Value { name: source, size })?;
                let place = format!("{}node.{}", stage.prefix, edge.to);
                nodes[edge.to] = Some(match nodes[edge.to].take() {
                    Some(sum) => self.graph.node(&place, "Add", &[&sum, &value], []),
                    None => value,
                });
            }
        }
        let mut parts = Vec::with_capacity(plan.output.len());
        for &node in &plan.output {
            parts.push(match &nodes[node] {
                Some(name) => name.clone(),
                None => {
                    let place = format!("{}node.{node}", stage.prefix);
                    self.graph
                        .zeros(&place, &inputs[0].name, plan.node_channels[node], sizes[node])
                }
            });
        }
        let name = match parts.as_slice() {
            [one] => one.clone(),
            parts => {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                let place = format!("{}output", stage.prefix);
                self.graph.node(&place, "Concat", &parts, [("axis", Attribute::Int(1))])
            }
        };
        let size = plan.output.first().map_or((0, 0), |&node| sizes[node]);
        Ok(Value { name, size })
    }

    /// Adds a block with its prefix; returns the name of its output.
    fn choice(&mut self, prefix: &str, choice: &Choice, x: &Value) -> Result<String, ExportError> {
        let Choice {
            block, inputs, affine, ..
        } = *choice;
        let place = format!("{prefix}{}", choice.name);
        let Layout {
            convolutions,
            norms,
            squeeze,
            ..
        } = choice.layout();
        let mut weights = convolutions.iter();
        let mut weight = || {
            let next = weights.next();
            next.map_or_else(String::new, |weights| format!("{prefix}{}", weights.kernel.name))
        };
        let mut norms = norms.iter();
        let mut norm = || norms.next().map(|norm| format!("{prefix}{}", norm.statistics.name));
        match block {
            Block::Identity => Ok(x.name.clone()),
            Block::Relu => Ok(self.graph.relu(&x.name)),
            Block::Relu6 => Ok(self.graph.activation(&x.name, &x.name, ActivationFunction::Relu6)),
            Block::HardSwish => Ok(self.graph.activation(&x.name, &x.name, ActivationFunction::HardSwish)),
            Block::Norm => {
                let norm = norm().map(|name| self.norm(name, affine)).transpose()?;
                Ok(self.normalised(x.name.clone(), norm))
            }
            Block::Pool {
                kind,
                kernel,
                stride,
                padding,
                ..
            } => {
                let sides = |side: usize, count: usize| Attribute::Ints(vec![side as i64; count]);
                let window = [
                    ("kernel_shape", sides(kernel, 2)),
                    ("strides", sides(stride, 2)),
                    ("pads", sides(padding, 4)),
                ];
                let pooled = match kind {
                    PoolKind::Max => self.graph.node(&place, "MaxPool", &[&x.name], window),
                    PoolKind::Average => {
                        let [kernel, strides, pads] = window;
                        let inside = ("count_include_pad", Attribute::Int(0));
                        self.graph
                            .node(&place, "AveragePool", &[&x.name], [kernel, strides, pads, inside])
                    }
                };
                let norm = norm().map(|name| self.norm(name, affine)).transpose()?;
                Ok(self.normalised(pooled, norm))
            }
            Block::FactorizedReduce => {
                let (one, two) = (weight(), weight());
                let norm = self.norm(norm().unwrap_or_default(), affine)?;
                self.factorized_reduce(&place, x, [one, two], norm)
            }
            Block::Conv {
                relu,
                stride,
                padding,
                bias,
                norm: normed,
                ..
            } => {
                let x = if relu { self.graph.relu(&x.name) } else { x.name.clone() };
                let window = ConvolutionShape {
                    stride,
                    pads: [padding; 4],
                    ..ConvolutionShape::POINT
                };
                let weight = weight();
                let bias = bias.then(|| format!("{}bias", weight.trim_end_matches("weight")));
                let norm = match norm().filter(|_| normed) {
                    Some(name) => Some(self.norm(name, affine)?),
                    None => None,
                };
                self.convolution(&place, &x, window, &weight, bias.as_deref(), norm)
            }
            Block::Separable {
                kernel,
                stride,
                dilation,
                stages,
            } => {
                let mut x = x.name.clone();
                for stage in 0..stages {
                    let depthwise = ConvolutionShape {
                        stride: if stage == 0 { stride } else { 1 },
                        pads: [dilation * (kernel - 1) / 2; 4],
                        dilation,
                        groups: inputs,
                    };
                    let rectified = self.graph.relu(&x);
                    let between = self.convolution(&place, &rectified, depthwise, &weight(), None, None)?;
                    let norm = self.norm(norm().unwrap_or_default(), affine)?;
                    x = self.convolution(&place, &between, ConvolutionShape::POINT, &weight(), None, Some(norm))?;
                }
                Ok(x)
            }
            Block::Basic { kernel, stride } => {
                let mut y = x.name.clone();
                for stride in [stride, 1] {
                    let window = ConvolutionShape {
                        stride,
                        pads: [kernel / 2; 4],
                        ..ConvolutionShape::POINT
                    };
                    y = self.graph.relu(&y);
                    let norm = self.norm(norm().unwrap_or_default(), affine)?;
                    y = self.convolution(&place, &y, window, &weight(), None, Some(norm))?;
                }
                Ok(y)
            }
            Block::InvertedBottleneck {
                relu,
                kernel,
                stride,
                expansion,
                activation,
                squeeze: _,
            } => {
                let mut y = x.name.clone();
                let count = convolutions.len();
                for index in 0..count {
                    let window = if index + 2 == count {
                        ConvolutionShape {
                            stride,
                            pads: [kernel / 2; 4],
                            groups: inputs * expansion,
                            ..ConvolutionShape::POINT
                        }
                    } else {
                        ConvolutionShape::POINT
                    };
                    if index > 0 && activation != ActivationFunction::Relu {
                        y = self.graph.activation(&y, &y, activation);
                    } else if relu || index > 0 {
                        y = self.graph.relu(&y);
                    }
                    if let Some(weights) = squeeze.as_ref().filter(|_| index + 1 == count) {
                        y = self.squeezed(prefix, &place, &y, weights)?;
                    }
                    let norm = self.norm(norm().unwrap_or_default(), affine)?;
                    y = self.convolution(&place, &y, window, &weight(), None, Some(norm))?;
                }
                Ok(y)
            }
            Block::Zero { .. } | Block::Take { .. } | Block::Shuffle { .. } => Err(ExportError::Layer {
                place,
                problem: "only cells of super-networks have it".to_owned(),
            }),
        }
    }

    /// `x`, each channel multiplied by its gate.
    fn squeezed(
        &mut self,
        prefix: &str,
        place: &str,
        x: &str,
        weights: &[ConvolutionWeights; 2],
    ) -> Result<String, ExportError> {
        let named = |one: &ConvolutionWeights| {
            let bias = one.bias.as_ref().map(|bias| format!("{prefix}{}", bias.name));
            (format!("{prefix}{}", one.kernel.name), bias)
        };
        let [(reduce, reduce_bias), (excite, excite_bias)] = weights.each_ref().map(named);
        let place = format!("{place}.squeeze");
        let mean = self.graph.node(&place, "GlobalAveragePool", &[x], []);
        let point = ConvolutionShape::POINT;
        let reduced = self.convolution(&place, &mean, point, &reduce, reduce_bias.as_deref(), None)?;
        let reduced = self.graph.relu(&reduced);
        let excited = self.convolution(&place, &reduced, point, &excite, excite_bias.as_deref(), None)?;
        // ONNX's default slope is 0.2.
        let slope = [("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))];
        let gate = self.graph.node(&place, "HardSigmoid", &[&excited], slope);
        Ok(self.graph.node(&place, "Mul", &[x, &gate], []))
    }

    /// Two 1×1 convolutions of stride 2 of the rectified image. The second starts at the second row
    /// and column; an odd side is padded with a zero at its end.
    fn factorized_reduce(
        &mut self,
        place: &str,
        x: &Value,
        [one, two]: [String; 2],
        norm: Norm<'_>,
    ) -> Result<String, ExportError> {
        let (height, width) = x.size;
        let rectified = self.graph.relu(&x.name);
        let half = self.tensor(&one)?.shape[0];
        // An image with one row has no second row: a zero is read instead, here as padding in front
        // of the image.
        let start = [height, width].map(|side| i64::from(side > 1));
        let (start, axes) = (self.graph.integers(&start), self.graph.integers(&[2, 3]));
        let end = self.graph.integers(&[i64::from(i32::MAX); 2]);
        let shifted = self.graph.node(place, "Slice", &[&rectified, &start, &end, &axes], []);
        let window = |pads| ConvolutionShape {
            stride: 2,
            pads,
            ..ConvolutionShape::POINT
        };
        let around = |side: usize| if side == 1 { (1, 0) } else { (0, side % 2) };
        let ((top, bottom), (left, right)) = (around(height), around(width));
        let (plain, after) = (window([0; 4]), window([top, left, bottom, right]));
        let (first, second, rest) = if self.fold {
            let (upper, lower) = norm.split(half);
            let first = self.convolution(place, &rectified, plain, &one, None, Some(upper))?;
            (
                first,
                self.convolution(place, &shifted, after, &two, None, Some(lower))?,
                None,
            )
        } else {
            let first = self.convolution(place, &rectified, plain, &one, None, None)?;
            (
                first,
                self.convolution(place, &shifted, after, &two, None, None)?,
                Some(norm),
            )
        };
        let axis = [("axis", Attribute::Int(1))];
        let joined = self.graph.node(place, "Concat", &[&first, &second], axis);
        Ok(self.normalised(joined, rest))
    }

    /// Adds a convolution with the weights called `weight`, and its batch norm.
    fn convolution(
        &mut self,
        place: &str,
        x: &str,
        window: ConvolutionShape,
        weight: &str,
        bias: Option<&str>,
        norm: Option<Norm<'_>>,
    ) -> Result<String, ExportError> {
        let kernel = self.tensor(weight)?;
        let (outputs, side) = (kernel.shape[0], kernel.shape[2]);
        let mut bias_name = None;
        let mut rest = norm;
        if let Some(norm) = rest.take_if(|_| self.fold) {
            let scale = norm.scale();
            let length = (kernel.data.len() / outputs.max(1)).max(1);
            let rows = kernel.data.chunks(length).zip(&scale);
            let scaled: Vec<f32> = rows
                .flat_map(|(row, scale)| row.iter().map(move |value| (f64::from(*value) * scale) as f32))
                .collect();
            self.graph.constant(weight, &kernel.shape, &scaled);
            let bias: Option<&Named> = bias.map(|name| self.tensor(name)).transpose()?;
            let shift = norm.shift(&scale, bias.map(|bias| bias.data.as_slice()));
            bias_name = Some(
                self.graph
                    .constant(&format!("{}.folded", norm.name), &[outputs], &shift),
            );
        } else {
            self.graph.constant(weight, &kernel.shape, &kernel.data);
            if let Some(name) = bias {
                bias_name = Some(self.weight(name)?);
            }
        }
        let sides = |side: usize| Attribute::Ints(vec![side as i64; 2]);
        let attributes = [
            ("kernel_shape", sides(side)),
            ("strides", sides(window.stride)),
            ("dilations", sides(window.dilation)),
            ("pads", Attribute::Ints(window.pads.map(|pad| pad as i64).to_vec())),
            ("group", Attribute::Int(window.groups as i64)),
        ];
        let inputs: Vec<&str> = [x, weight].into_iter().chain(bias_name.as_deref()).collect();
        let y = self.graph.node(place, "Conv", &inputs, attributes);
        Ok(self.normalised(y, rest))
    }

    /// Adds a batch norm after `x`, if there is one.
    fn normalised(&mut self, x: String, norm: Option<Norm<'_>>) -> String {
        let Some(norm) = norm else { return x };
        let mut vector = |part: &str, data: &[f32]| {
            let name = format!("{}.{part}", norm.name);
            self.graph.constant(&name, &[data.len()], data)
        };
        let constants = [
            vector("weight", &norm.gamma),
            vector("bias", &norm.beta),
            vector("running_mean", norm.mean),
            vector("running_var", norm.variance),
        ];
        let [gamma, beta, mean, variance] = constants.each_ref().map(String::as_str);
        let epsilon = [("epsilon", Attribute::Float(NORM_EPSILON as f32))];
        let inputs = [&x, gamma, beta, mean, variance];
        self.graph.node(&norm.name, "BatchNormalization", &inputs, epsilon)
    }

    fn tensor(&self, name: &str) -> Result<&'a Named, ExportError> {
        self.tensors.get(name).copied().ok_or_else(|| ExportError::Layer {
            place: name.to_owned(),
            problem: "the network has no such tensor".to_owned(),
        })
    }

    /// The batch norm called `name`.
    fn norm(&self, name: String, affine: bool) -> Result<Norm<'a>, ExportError> {
        Norm::of(|name| self.tensor(name), name, affine)
    }
}
