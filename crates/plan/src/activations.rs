//! The activations of a network: every tensor that its inference on one image writes, and for how
//! long it is needed.
//!
//! The layers run one after another in the order of the plan. Contract: a layer is a convolution, a
//! pool, a batch norm without a convolution, a sum, a concatenation, the global mean or the
//! classifier, and writes a tensor of its own; activation functions and batch norm after a
//! convolution belong to the layer that they follow or precede. In int8, where hard-swish is a step
//! of its own, it counts as computed in place. A sum is written over one of its terms if that term
//! is not needed otherwise; an identity writes nothing. The image counts; scratch memory inside a
//! layer does not.

use crate::block::Block;
use crate::cell::{CellPlan, Choice};

/// A tensor and the steps between which it must stay in memory: the usage record of Pisarchyk and
/// Lee (see `arena.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Number of values.
    pub len: usize,
    /// The step that writes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

impl Activation {
    /// Whether both are in memory at some step.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// A stage of a network: its cell, the source of each input (an earlier stage, or `None` for the
/// image), and height and width of each input.
#[derive(Clone, Debug)]
pub struct RunningStage<'a> {
    /// The cell.
    pub cell: &'a CellPlan,
    /// The sources.
    pub sources: &'a [Option<usize>],
    /// Heights and widths.
    pub sizes: &'a [(usize, usize)],
}

/// The activations of the network of `stages` with this number of classes; 0 classes leave out the
/// global mean and the classifier.
pub fn activations<'a>(stages: impl IntoIterator<Item = RunningStage<'a>>, classes: usize) -> Vec<Activation> {
    let mut walk = Walk::default();
    let mut image = None;
    let mut outputs: Vec<usize> = Vec::new();
    let mut features = 0;
    for stage in stages {
        let inputs = stage.sources.iter().enumerate().map(|(input, source)| match *source {
            Some(earlier) => outputs[earlier],
            None => {
                let (height, width) = stage.sizes[input];
                *image.get_or_insert_with(|| walk.write(stage.cell.input_channels[input] * height * width))
            }
        });
        let inputs: Vec<usize> = inputs.collect();
        outputs.push(walk.cell(stage.cell, &inputs, stage.sizes));
        features = stage.cell.output_channels();
    }
    if let Some(&last) = outputs.last().filter(|_| classes > 0) {
        let mean = walk.layer(&[last], features);
        walk.layer(&[mean], classes);
    }
    walk.tensors
}

/// A tensor as a value of a node.
#[derive(Clone, Copy)]
struct Value {
    tensor: usize,
    /// Whether nothing else reads the tensor, so that a sum may be written over it.
    own: bool,
}

/// The walk over the layers.
#[derive(Default)]
struct Walk {
    tensors: Vec<Activation>,
    step: usize,
}

impl Walk {
    fn write(&mut self, len: usize) -> usize {
        self.tensors.push(Activation {
            len,
            first: self.step,
            last: self.step,
        });
        self.tensors.len() - 1
    }

    /// A layer that reads tensors and writes one of `len` values.
    fn layer(&mut self, sources: &[usize], len: usize) -> usize {
        self.step += 1;
        for &source in sources {
            self.tensors[source].last = self.step;
        }
        self.write(len)
    }

    fn cell(&mut self, cell: &CellPlan, inputs: &[usize], sizes: &[(usize, usize)]) -> usize {
        let nodes = cell.node_sizes(sizes);
        let len = |node: usize| cell.node_channels[node] * nodes[node].0 * nodes[node].1;
        let mut values: Vec<Option<Value>> = vec![None; nodes.len()];
        for (node, (&tensor, block)) in inputs.iter().zip(&cell.preprocess).enumerate() {
            values[node] = Some(match block {
                Some(choice) => self.block(choice, tensor, sizes[node]),
                None => Value { tensor, own: false },
            });
        }
        for edge in &cell.edges {
            let computed = |choice: &&Choice| !matches!(choice.block, Block::Zero { .. });
            for choice in edge.choices.iter().filter(computed) {
                let source = self.read(&mut values[edge.from], len(edge.from));
                let term = self.block(choice, source, nodes[edge.from]);
                values[edge.to] = Some(match values[edge.to] {
                    Some(sum) => self.sum(sum, term, len(edge.to)),
                    None => term,
                });
            }
        }
        let parts = cell.output.iter().map(|&node| self.read(&mut values[node], len(node)));
        match parts.collect::<Vec<usize>>().as_slice() {
            [one] => *one,
            parts => self.layer(parts, cell.output.iter().map(|&node| len(node)).sum()),
        }
    }

    /// The tensor of a node; zeros if nothing leads to it.
    fn read(&mut self, value: &mut Option<Value>, len: usize) -> usize {
        value
            .get_or_insert_with(|| Value {
                tensor: self.layer(&[], len),
                own: false,
            })
            .tensor
    }

    fn sum(&mut self, one: Value, other: Value, len: usize) -> Value {
        let Some(over) = [one, other].into_iter().find(|value| value.own) else {
            let tensor = self.layer(&[one.tensor, other.tensor], len);
            return Value { tensor, own: true };
        };
        self.step += 1;
        for value in [one, other] {
            self.tensors[value.tensor].last = self.step;
        }
        over
    }

    /// Squeeze-and-excitation: the mean of each of `hidden` channels, the layer of `squeezed`
    /// values, the gates; then the image is multiplied in place.
    fn squeeze(&mut self, image: usize, hidden: usize, squeezed: usize) {
        let mean = self.layer(&[image], hidden);
        let reduced = self.layer(&[mean], squeezed);
        let gates = self.layer(&[reduced], hidden);
        self.step += 1;
        for read in [image, gates] {
            self.tensors[read].last = self.step;
        }
    }

    /// The layers of a block on an image of this height and width.
    fn block(&mut self, choice: &Choice, source: usize, (height, width): (usize, usize)) -> Value {
        let before = height * width;
        let after = choice.block.output_side(height) * choice.block.output_side(width);
        let (inputs, outputs) = (choice.inputs, choice.outputs);
        let lens = match choice.block {
            // An activation function is computed by the sum or the layer before or after it.
            Block::Identity | Block::Relu | Block::Relu6 | Block::HardSwish => {
                return Value {
                    tensor: source,
                    own: false,
                };
            }
            Block::Zero { .. }
            | Block::Norm
            | Block::Take { .. }
            | Block::Shuffle { .. }
            | Block::Pool { .. }
            | Block::FactorizedReduce
            | Block::Conv { .. } => vec![outputs * after],
            Block::Basic { .. } => vec![outputs * after; 2],
            Block::Separable { stages, .. } => {
                let of_stage = |stage| [inputs, if stage + 1 == stages { outputs } else { inputs }];
                (0..stages)
                    .flat_map(of_stage)
                    .map(|channels| channels * after)
                    .collect()
            }
            Block::InvertedBottleneck { expansion, .. } => {
                let hidden = inputs * expansion;
                let expanded = (expansion > 1).then_some(hidden * before);
                expanded.into_iter().chain([hidden * after, outputs * after]).collect()
            }
        };
        let count = lens.len();
        let mut tensor = source;
        for (index, len) in lens.into_iter().enumerate() {
            if let Some((hidden, squeezed)) = choice.block.squeezed(inputs).filter(|_| index + 1 == count) {
                self.squeeze(tensor, hidden, squeezed);
            }
            tensor = self.layer(&[tensor], len);
        }
        Value { tensor, own: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation_function::ActivationFunction;
    use crate::arena::{Arena, breadth};
    use crate::block::PoolKind;
    use crate::cell::CellPlanBuilder;

    fn bottleneck(kernel: usize, stride: usize, expansion: usize) -> Block {
        Block::InvertedBottleneck {
            relu: false,
            kernel,
            stride,
            expansion,
            activation: ActivationFunction::Relu,
            squeeze: false,
        }
    }

    /// (length, first, last) of the activations of one cell on an image of 4×4 pixels.
    fn of(cell: &CellPlan, inputs: usize) -> Vec<(usize, usize, usize)> {
        let stage = RunningStage {
            cell,
            sources: &vec![None; inputs],
            sizes: &vec![(4, 4); inputs],
        };
        let all = activations([stage], 0);
        all.iter().map(|one| (one.len, one.first, one.last)).collect()
    }

    #[test]
    fn a_residual_keeps_its_input_and_is_added_in_place() {
        let name = String::new;
        let cell = CellPlanBuilder::new(true)
            .input(2)
            .node(2)
            .edge(0, 1, [(bottleneck(3, 1, 3), name(), 0), (Block::Identity, name(), 0)])
            .output([1]);
        // The image, which the sum reads again; the expanded image; the image after the depthwise
        // convolution; the output.
        assert_eq!(of(&cell, 1), [(32, 0, 4), (96, 1, 2), (96, 2, 3), (32, 3, 4)]);
    }

    #[test]
    fn a_stride_shrinks_what_the_depthwise_convolution_writes() {
        let cell = CellPlanBuilder::new(true)
            .input(2)
            .node(3)
            .edge(0, 1, [(bottleneck(5, 2, 6), String::new(), 0)])
            .output([1]);
        assert_eq!(of(&cell, 1), [(32, 0, 1), (192, 1, 2), (48, 2, 3), (12, 3, 3)]);
    }

    #[test]
    fn squeeze_and_excitation_multiplies_in_place() {
        let block = Block::InvertedBottleneck {
            relu: false,
            kernel: 3,
            stride: 1,
            expansion: 3,
            activation: ActivationFunction::Relu,
            squeeze: true,
        };
        let builder = CellPlanBuilder::new(true).input(2).node(3);
        let cell = builder.edge(0, 1, [(block, String::new(), 0)]).output([1]);
        // The depthwise convolution's image stays until the last convolution has read it; 6 means,
        // 2 squeezed values and 6 gates are beside it.
        let small = [(6, 3, 4), (2, 4, 5), (6, 5, 6)];
        let expected = [
            (32, 0, 1),
            (96, 1, 2),
            (96, 2, 7),
            small[0],
            small[1],
            small[2],
            (48, 7, 7),
        ];
        assert_eq!(of(&cell, 1), expected);
    }

    #[test]
    fn identities_share_the_tensor_that_they_read() {
        let pool = Block::Pool {
            kind: PoolKind::Max,
            kernel: 3,
            stride: 1,
            padding: 1,
            norm: false,
        };
        let one = |block| [(block, String::new(), 0)];
        // Node 1 is the image. Node 2 sums it with itself, and needs a tensor; node 3 writes over
        // the pool.
        let cell = CellPlanBuilder::new(true)
            .input(2)
            .node(2)
            .node(2)
            .node(2)
            .edge(0, 1, one(Block::Identity))
            .edge(0, 2, one(Block::Identity))
            .edge(1, 2, one(Block::Identity))
            .edge(0, 3, one(pool))
            .edge(2, 3, one(Block::Identity))
            .output([1, 3]);
        assert_eq!(of(&cell, 1), [(32, 0, 4), (32, 1, 3), (32, 2, 4), (64, 4, 4)]);
    }

    #[test]
    fn a_chain_fits_into_what_its_largest_layer_needs() {
        let mut builder = CellPlanBuilder::new(true).input(3);
        let layers = [(8, 3, 1, 3), (8, 5, 1, 6), (12, 7, 2, 6), (12, 3, 1, 1), (20, 3, 2, 3)];
        for (channels, ..) in layers {
            builder = builder.node(channels);
        }
        let mut inputs = 3;
        for (at, (channels, kernel, stride, expansion)) in layers.into_iter().enumerate() {
            let block = (bottleneck(kernel, stride, expansion), String::new(), 0);
            let residual = (stride == 1 && channels == inputs).then(|| (Block::Identity, String::new(), 0));
            builder = builder.edge(at, at + 1, [block].into_iter().chain(residual));
            inputs = channels;
        }
        let cell = builder.output([layers.len()]);
        let stage = RunningStage {
            cell: &cell,
            sources: &[None],
            sizes: &[(32, 32)],
        };
        let all = activations([stage], 10);
        // The second layer: its input, and 48 channels twice.
        assert_eq!(breadth(&all), 32 * 32 * (8 + 48 + 48));
        assert_eq!(Arena::new(&all).len, breadth(&all));
        assert_eq!(
            all[all.len() - 2..].iter().map(|one| one.len).collect::<Vec<_>>(),
            [20, 10]
        );
    }
}
