//! A network as a sequence of elementary steps on tensors, each of which a kernel or an operator of
//! another tool computes.
//!
//! Contract: tensor 0 is the image, and step i writes tensor i + 1 from earlier ones. A batch norm
//! belongs to the convolution before it, as in Jacob et al. 2018, section 3.2; one without a
//! convolution is a depthwise convolution with weights of 1. ReLU and ReLU6 belong to the step that
//! they follow if nothing else reads its tensor. Steps that do not reach the output are left out.
//! The global mean and the classifier, which follow the last tensor, are not steps.

mod lowering;

use crate::activation_function::ActivationFunction;
use crate::block::PoolKind;
use crate::network::{CheckedStage, NetworkPlan};

use lowering::Lowering;

/// The steps of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The image's channels and size.
    pub image: TensorShape,
    /// The steps.
    pub steps: Vec<Step>,
    /// The tensor that the global mean reads.
    pub output: usize,
}

/// Channels, height and width of a tensor of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorShape {
    /// Channels.
    pub channels: usize,
    /// Height and width.
    pub size: (usize, usize),
}

/// Rows and columns around an image that a window reaches into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Border {
    /// Rows above the image, and columns to the left of it.
    pub before: usize,
    /// Rows below it.
    pub below: usize,
    /// Columns to the right of it.
    pub right: usize,
}

impl Border {
    /// Makes it as wide as `other` on every side.
    pub fn widen(&mut self, other: Self) {
        self.before = self.before.max(other.before);
        self.below = self.below.max(other.below);
        self.right = self.right.max(other.right);
    }
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// A name for messages and graphs: the prefix of a block's names, or what it is computed for.
    pub place: String,
    /// The tensors that it reads.
    pub inputs: Vec<usize>,
    /// What it computes.
    pub operation: Operation,
    /// The activation function that belongs to it: ReLU or ReLU6.
    pub activation: Option<ActivationFunction>,
    /// The shape of its tensor.
    pub shape: TensorShape,
}

/// What a step computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A convolution with its bias and batch norm.
    Convolution(ConvolutionStep),
    /// A pool; padding never counts.
    Pool {
        /// The value that a window yields.
        kind: PoolKind,
        /// Window side.
        kernel: usize,
        /// Spatial stride.
        stride: usize,
        /// Padding on each side.
        padding: usize,
    },
    /// An activation function: hard-swish; or ReLU or ReLU6 of a tensor that other steps read, too.
    Activation(ActivationFunction),
    /// The sum of all inputs.
    Sum,
    /// The inputs one after another along the channels.
    Concatenation,
    /// Squeeze-and-excitation: each channel times a gate that depends on the means of all.
    Squeeze(SqueezeStep),
    /// Zeros.
    Zeros,
}

/// The two pointwise convolutions of a squeeze-and-excitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqueezeStep {
    /// Channels.
    pub channels: usize,
    /// Channels between the two.
    pub squeezed: usize,
    /// The names of the weights and of the bias of each.
    pub weights: [[String; 2]; 2],
}

/// A convolution with its bias and batch norm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvolutionStep {
    /// Whether it is depthwise.
    pub depthwise: bool,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Kernel side.
    pub kernel: usize,
    /// Spatial stride.
    pub stride: usize,
    /// Dilation.
    pub dilation: usize,
    /// How many rows and columns before the image the first window begins; negative if it begins
    /// inside the image.
    pub padding: isize,
    /// The name of its weights; `None`: they are all 1.
    pub weights: Option<String>,
    /// The name of its bias.
    pub bias: Option<String>,
    /// Its batch norm, and the first channel of it that is for this convolution.
    pub norm: Option<(String, usize)>,
}

/// A step without an int8 kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{block} has squeeze-and-excitation, for which there are no int8 kernels: it runs in float32 only")]
pub struct NotInteger {
    /// The prefix of its block's names.
    pub block: String,
}

impl ConvolutionStep {
    /// The shape of its weights: outputs, inputs of each, height, width.
    pub fn weight_shape(&self) -> [usize; 4] {
        let inputs = if self.depthwise { 1 } else { self.inputs };
        [self.outputs, inputs, self.kernel, self.kernel]
    }

    /// Number of weights of each output, and of products in each of its sums.
    pub fn per_output(&self) -> usize {
        self.weight_shape()[1..].iter().product()
    }
}

impl Steps {
    /// The steps of `plan`, whose stages were checked, on an image of this shape.
    pub fn new(plan: &NetworkPlan, stages: &[CheckedStage], image: TensorShape) -> Self {
        let mut lowering = Lowering::new(image);
        let mut outputs: Vec<usize> = Vec::with_capacity(stages.len());
        for (stage, checked) in plan.stages.iter().zip(stages) {
            let inputs = stage.sources.iter().map(|source| match *source {
                None => 0,
                Some(earlier) => outputs[earlier],
            });
            let inputs: Vec<usize> = inputs.collect();
            outputs.push(lowering.cell(&stage.prefix, &checked.cell, &inputs, &checked.sizes));
        }
        let mut output = outputs.pop().unwrap_or(0);
        if plan.last_relu {
            output = lowering.activated(output, ActivationFunction::Relu);
        }
        let mut steps = Self {
            image,
            steps: lowering.steps,
            output,
        };
        steps.fuse_activations();
        steps.without_dead()
    }

    /// Checks that all steps have int8 kernels.
    ///
    /// # Errors
    /// If there is a squeeze-and-excitation.
    pub fn check_integer(&self) -> Result<(), NotInteger> {
        let squeezes = |step: &&Step| matches!(step.operation, Operation::Squeeze(_));
        match self.steps.iter().find(squeezes) {
            Some(step) => Err(NotInteger {
                block: step.place.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The shape of a tensor.
    pub fn shape(&self, tensor: usize) -> TensorShape {
        match tensor.checked_sub(1) {
            None => self.image,
            Some(step) => self.steps[step].shape,
        }
    }

    /// Number of tensors.
    pub fn tensors(&self) -> usize {
        self.steps.len() + 1
    }

    /// How many steps read each tensor; the global mean reads the output.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.tensors()];
        for &input in self.steps.iter().flat_map(|step| &step.inputs) {
            readers[input] += 1;
        }
        readers[self.output] += 1;
        readers
    }

    /// The border that the convolutions which read each tensor need.
    pub fn borders(&self) -> Vec<Border> {
        let mut borders = vec![Border::default(); self.tensors()];
        for step in &self.steps {
            let Operation::Convolution(one) = &step.operation else {
                continue;
            };
            let input = step.inputs[0];
            let (height, width) = self.shape(input).size;
            let beyond = |outputs: usize, side: usize| {
                let last = (outputs.saturating_sub(1) * one.stride + (one.kernel - 1) * one.dilation) as isize;
                (last + 1 - one.padding - side as isize).max(0) as usize
            };
            borders[input].widen(Border {
                before: one.padding.max(0) as usize,
                below: beyond(step.shape.size.0, height),
                right: beyond(step.shape.size.1, width),
            });
        }
        borders
    }

    /// For each tensor, the tensor whose quantisation it has. The result of ReLU or a pool has the
    /// quantisation of its input. A convolution or a sum that only a concatenation reads has the
    /// quantisation of the concatenation, which then only copies it.
    pub fn quantised_like(&self) -> Vec<usize> {
        let readers = self.readers();
        let mut like: Vec<usize> = (0..self.tensors()).collect();
        for (index, step) in self.steps.iter().enumerate() {
            if let Operation::Pool { .. } | Operation::Activation(ActivationFunction::Relu) = step.operation {
                like[index + 1] = like[step.inputs[0]];
            }
        }
        for (index, step) in self.steps.iter().enumerate() {
            if step.operation != Operation::Concatenation {
                continue;
            }
            for &input in &step.inputs {
                let written = input.checked_sub(1).map(|at| &self.steps[at].operation);
                if readers[input] == 1 && matches!(written, Some(Operation::Convolution(_) | Operation::Sum)) {
                    like[input] = index + 1;
                }
            }
        }
        like
    }

    /// ReLU and ReLU6 become a part of the step that they follow, if they are the only reader.
    fn fuse_activations(&mut self) {
        let readers = self.readers();
        // The tensor that replaces each.
        let mut now: Vec<usize> = (0..self.tensors()).collect();
        for index in 0..self.steps.len() {
            // The readers are those of the tensor that this step reads in the plan, before
            // activation functions became parts of other steps.
            let alone = self.steps[index]
                .inputs
                .first()
                .is_some_and(|&input| readers[input] == 1);
            for input in &mut self.steps[index].inputs {
                *input = now[*input];
            }
            let Operation::Activation(function) = self.steps[index].operation else {
                continue;
            };
            let input = self.steps[index].inputs[0];
            let Some(before) = input.checked_sub(1) else { continue };
            let takes = matches!(
                self.steps[before].operation,
                Operation::Convolution(_) | Operation::Sum | Operation::Concatenation
            );
            let limits = matches!(function, ActivationFunction::Relu | ActivationFunction::Relu6);
            if limits && takes && alone {
                let own = &mut self.steps[before].activation;
                // Two such functions in sequence compute the same as the narrower one alone.
                if *own != Some(ActivationFunction::Relu6) {
                    *own = Some(function);
                }
                now[index + 1] = input;
            }
        }
        self.output = now[self.output];
    }

    /// Only the steps that reach the output.
    fn without_dead(self) -> Self {
        let mut live = vec![false; self.tensors()];
        live[self.output] = true;
        live[0] = true;
        for (index, step) in self.steps.iter().enumerate().rev() {
            if live[index + 1] {
                for &input in &step.inputs {
                    live[input] = true;
                }
            }
        }
        let mut now = vec![0; self.tensors()];
        let mut steps = Vec::new();
        for (index, mut step) in self.steps.into_iter().enumerate() {
            if live[index + 1] {
                for input in &mut step.inputs {
                    *input = now[*input];
                }
                steps.push(step);
                now[index + 1] = steps.len();
            }
        }
        Self {
            image: self.image,
            steps,
            output: now[self.output],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Block;
    use crate::cell::CellPlan;
    use crate::cell::CellPlanBuilder;
    use crate::network::StagePlan;

    fn steps(cell: &CellPlan, last_relu: bool) -> Steps {
        let plan = NetworkPlan {
            stages: vec![StagePlan::new("a.", vec![None; cell.input_channels.len()], cell)],
            last_relu,
        };
        let image = TensorShape {
            channels: 2,
            size: (5, 4),
        };
        Steps::new(&plan, &plan.check(2, image.size, 3).unwrap(), image)
    }

    fn described(steps: &Steps) -> Vec<String> {
        let one = |step: &Step| {
            let what = match &step.operation {
                Operation::Convolution(one) if one.depthwise => format!("depthwise {}", one.kernel),
                Operation::Convolution(one) => format!("convolution {}", one.kernel),
                Operation::Pool { .. } => "pool".to_owned(),
                Operation::Activation(function) => function.block().name(),
                Operation::Sum => "sum".to_owned(),
                Operation::Concatenation => "concatenation".to_owned(),
                Operation::Squeeze(one) => format!("squeeze {}", one.squeezed),
                Operation::Zeros => "zeros".to_owned(),
            };
            let after = step.activation.map(|function| format!(", {}", function.block().name()));
            format!(
                "{what} {:?}{}: {}×{:?}",
                step.inputs,
                after.unwrap_or_default(),
                step.shape.channels,
                step.shape.size
            )
        };
        steps.steps.iter().map(one).collect()
    }

    fn one(block: Block, name: &str) -> [(Block, String, usize); 1] {
        [(block, name.to_owned(), 0)]
    }

    #[test]
    fn two_functions_in_sequence_equal_the_narrower_one() {
        let convolution = Block::Conv {
            relu: false,
            kernel: 1,
            stride: 1,
            padding: 0,
            bias: false,
            norm: false,
        };
        let chain = |first, second| {
            let builder = CellPlanBuilder::new(true).input(2).node(2).node(2).node(2);
            builder
                .edge(0, 1, one(convolution, "x"))
                .edge(1, 2, one(first, ""))
                .edge(2, 3, one(second, ""))
        };
        let limited = |functions: [Block; 2]| described(&steps(&chain(functions[0], functions[1]).output([3]), false));
        assert_eq!(
            limited([Block::Relu, Block::Relu]),
            ["convolution 1 [0], relu: 2×(5, 4)"]
        );
        for functions in [[Block::Relu, Block::Relu6], [Block::Relu6, Block::Relu]] {
            assert_eq!(limited(functions), ["convolution 1 [0], relu6: 2×(5, 4)"]);
        }
        // Another step reads what ReLU6 would cap.
        let read_twice = chain(Block::Relu, Block::Relu6).output([2, 3]);
        assert_eq!(
            described(&steps(&read_twice, false)),
            [
                "convolution 1 [0], relu: 2×(5, 4)",
                "relu6 [1]: 2×(5, 4)",
                "concatenation [1, 2]: 4×(5, 4)",
            ]
        );
    }

    #[test]
    fn a_residual_is_a_sum_and_relu_belongs_to_the_step_before() {
        let block = Block::InvertedBottleneck {
            relu: false,
            kernel: 3,
            stride: 1,
            expansion: 3,
            activation: ActivationFunction::Relu,
            squeeze: false,
        };
        let choices = one(block, "x").into_iter().chain(one(Block::Identity, "y"));
        let cell = CellPlanBuilder::new(true)
            .input(2)
            .node(2)
            .edge(0, 1, choices)
            .output([1]);
        let found = steps(&cell, true);
        assert_eq!(
            described(&found),
            [
                "convolution 1 [0], relu: 6×(5, 4)",
                "depthwise 3 [1], relu: 6×(5, 4)",
                "convolution 1 [2]: 2×(5, 4)",
                "sum [3, 0], relu: 2×(5, 4)",
            ]
        );
        assert_eq!((found.output, found.quantised_like()), (4, vec![0, 1, 2, 3, 4]));
        let Operation::Convolution(last) = &found.steps[2].operation else {
            panic!("a convolution")
        };
        assert_eq!(last.weights.as_deref(), Some("a.x.6.weight"));
        assert_eq!(last.norm, Some(("a.x.7".to_owned(), 0)));
    }

    #[test]
    fn relu6_belongs_to_the_step_before_and_hard_swish_is_a_step() {
        let of = |activation| {
            let block = Block::InvertedBottleneck {
                relu: false,
                kernel: 3,
                stride: 1,
                expansion: 1,
                activation,
                squeeze: false,
            };
            let cell = CellPlanBuilder::new(true).input(2).node(2).edge(0, 1, one(block, "x"));
            let found = steps(&cell.output([1]), false);
            (described(&found), found.quantised_like())
        };
        let (six, like) = of(ActivationFunction::Relu6);
        assert_eq!(six, ["depthwise 3 [0], relu6: 2×(5, 4)", "convolution 1 [1]: 2×(5, 4)"]);
        assert_eq!(like, [0, 1, 2]);
        let (swish, like) = of(ActivationFunction::HardSwish);
        assert_eq!(
            swish,
            [
                "depthwise 3 [0]: 2×(5, 4)",
                "hard_swish [1]: 2×(5, 4)",
                "convolution 1 [2]: 2×(5, 4)",
            ]
        );
        assert_eq!(like, [0, 1, 2, 3]);
    }

    #[test]
    fn a_reduction_is_two_convolutions_that_begin_one_pixel_apart() {
        let cell = CellPlanBuilder::new(true)
            .input(2)
            .node(5)
            .node(2)
            .node(2)
            .edge(0, 1, one(Block::FactorizedReduce, "r"))
            .edge(0, 2, one(Block::Zero { stride: 2 }, "z"))
            // Nothing reads it.
            .edge(0, 3, one(Block::Identity, "i"))
            .output([1, 2]);
        let found = steps(&cell, false);
        assert_eq!(
            described(&found),
            [
                "relu [0]: 2×(5, 4)",
                "convolution 1 [1]: 2×(3, 2)",
                "convolution 1 [1]: 3×(3, 2)",
                "concatenation [2, 3]: 5×(3, 2)",
                "zeros []: 2×(3, 2)",
                "concatenation [4, 5]: 7×(3, 2)",
            ]
        );
        let padding = |at: usize| match &found.steps[at].operation {
            Operation::Convolution(one) => (one.padding, one.norm.clone().map(|(_, first)| first)),
            _ => panic!("a convolution"),
        };
        assert_eq!([padding(1), padding(2)], [(0, Some(0)), (-1, Some(2))]);
        // The ReLU has the image's quantisation, and both halves have that of the concatenation.
        assert_eq!(found.quantised_like(), [0, 0, 4, 4, 4, 5, 6]);
    }

    #[test]
    fn what_is_read_before_and_after_relu_is_two_tensors() {
        let conv = Block::Conv {
            relu: true,
            kernel: 1,
            stride: 1,
            padding: 0,
            bias: false,
            norm: true,
        };
        let pool = Block::Pool {
            kind: PoolKind::Max,
            kernel: 3,
            stride: 1,
            padding: 1,
            norm: true,
        };
        let cell = CellPlanBuilder::new(true)
            .input(2)
            .node(2)
            .node(2)
            .node(2)
            .edge(0, 1, one(conv, "a"))
            .edge(1, 2, one(conv, "b"))
            .edge(1, 3, one(pool, "c"))
            .edge(2, 3, one(Block::Identity, "d"))
            .output([3]);
        let found = steps(&cell, false);
        assert_eq!(
            described(&found),
            [
                "relu [0]: 2×(5, 4)",
                "convolution 1 [1]: 2×(5, 4)",
                "relu [2]: 2×(5, 4)",
                "convolution 1 [3]: 2×(5, 4)",
                "pool [2]: 2×(5, 4)",
                "depthwise 1 [5]: 2×(5, 4)",
                "sum [6, 4]: 2×(5, 4)",
            ]
        );
        assert_eq!(found.quantised_like(), [0, 0, 2, 2, 4, 2, 6, 7]);
    }
}
