//! A whole network as data that can be written to a file: stages that read the image or earlier
//! stages, and a classifier on the global mean of the last stage.
//!
//! Contract: a plan contains only names and blocks; offsets follow from them, so a plan in a file
//! cannot contradict itself. [`NetworkPlan::check`] finds what cannot run in a plan from a file,
//! and limits the memory that running it may allocate.

use serde::{Deserialize, Serialize};

use crate::block::Block;
use crate::cell::{CellPlan, CellPlanBuilder, Choice};

/// The stages of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// The stages in order.
    pub stages: Vec<StagePlan>,
    /// Whether ReLU comes between the last stage and the global mean.
    pub last_relu: bool,
}

/// A cell at its position in the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Prefix of the names of its weights.
    pub prefix: String,
    /// The source of each input: an earlier stage, or `None` for the image.
    pub sources: Vec<Option<usize>>,
    /// The inputs.
    pub inputs: Vec<InputPlan>,
    /// Channels of the nodes after the inputs.
    pub nodes: Vec<usize>,
    /// The edges in order.
    pub edges: Vec<EdgePlan>,
    /// Nodes whose concatenation is the output.
    pub output: Vec<usize>,
}

/// An input and its preprocessing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputPlan {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the node.
    pub outputs: usize,
    /// The block that turns one into the other; `None` uses the input unchanged.
    pub block: Option<PlacedBlock>,
}

/// An edge of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgePlan {
    /// Source node.
    pub from: usize,
    /// Target node.
    pub to: usize,
    /// The blocks on the edge.
    pub blocks: Vec<PlacedBlock>,
}

/// A block with the prefix of its weights and the index of its first layer; see [`Choice`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedBlock {
    /// The block.
    pub block: Block,
    /// Prefix of its weights' names.
    pub name: String,
    /// Index of its first layer.
    pub first: usize,
}

/// A stage that can run.
#[derive(Clone, Debug)]
pub struct CheckedStage {
    /// Its cell.
    pub cell: CellPlan,
    /// Height and width of each of its inputs.
    pub sizes: Vec<(usize, usize)>,
}

/// A plan that cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stage {stage}: {problem}")]
pub struct PlanError {
    /// Index of the stage, from 0.
    pub stage: usize,
    /// What is wrong.
    pub problem: String,
}

/// Limit on the number of stages, nodes or blocks of one kind.
const MOST: usize = 4096;
/// Limit on the bytes of a prefix or a name.
const LONGEST_NAME: usize = 256;
/// Limit on the channels of a tensor.
const MOST_CHANNELS: usize = 1 << 16;
/// Limit on the numbers in a tensor of one image.
const MOST_NUMBERS: usize = 1 << 27;
/// Limit on the numbers in all nodes and outputs together, for one image: a gigabyte. Networks for
/// 224 pixels use a twentieth of it.
const MOST_NUMBERS_OF_ALL: usize = 1 << 28;
/// Largest side of a kernel or window, and largest stride.
const LARGEST_KERNEL: usize = 11;

impl StagePlan {
    /// The stage that runs `cell`, whose batch norms have a scale and a shift.
    pub fn new(prefix: &str, sources: Vec<Option<usize>>, cell: &CellPlan) -> Self {
        let placed = |choice: &Choice| PlacedBlock {
            block: choice.block,
            name: choice.name.clone(),
            first: choice.first,
        };
        let inputs = cell
            .preprocess
            .iter()
            .zip(&cell.input_channels)
            .zip(&cell.node_channels);
        let edges = cell.edges.iter().map(|edge| EdgePlan {
            from: edge.from,
            to: edge.to,
            blocks: edge.choices.iter().map(placed).collect(),
        });
        Self {
            prefix: prefix.to_owned(),
            sources,
            inputs: inputs
                .map(|((block, &channels), &outputs)| InputPlan {
                    channels,
                    outputs,
                    block: block.as_ref().map(placed),
                })
                .collect(),
            nodes: cell.node_channels[cell.input_channels.len()..].to_vec(),
            edges: edges.collect(),
            output: cell.output.clone(),
        }
    }

    /// The cell for inputs of these heights and widths.
    fn cell(&self, sizes: &[(usize, usize)]) -> Result<CellPlan, String> {
        short("a prefix", &self.prefix)?;
        let inputs = self.inputs.len();
        if inputs == 0 || inputs > 2 || self.sources.len() != inputs {
            return Err("it must have one or two inputs, each with its source".to_owned());
        }
        let count = inputs + self.nodes.len();
        let channels = |node: usize| match self.inputs.get(node) {
            Some(input) => input.outputs,
            None => self.nodes[node - inputs],
        };
        if count > MOST || self.edges.iter().map(|edge| edge.blocks.len()).sum::<usize>() > MOST {
            return Err(format!("more than {MOST} nodes or blocks"));
        }
        let mut builder = CellPlanBuilder::new(true);
        // Height and width of every node that has an incoming edge.
        let mut reached: Vec<Option<(usize, usize)>> = vec![None; count];
        for (node, (input, &size)) in self.inputs.iter().zip(sizes).enumerate() {
            for channels in [input.channels, input.outputs] {
                in_range("the number of channels", channels, MOST_CHANNELS)?;
            }
            builder = match &input.block {
                None if input.channels != input.outputs => {
                    return Err(format!("input {node} changes its channels without a block"));
                }
                None => {
                    reached[node] = Some(size);
                    builder.input(input.channels)
                }
                Some(placed) => {
                    reached[node] = Some(placed.after(input.channels, input.outputs, size)?);
                    builder.preprocessed_input(input.channels, input.outputs, placed.block, &placed.name, placed.first)
                }
            };
        }
        for &channels in &self.nodes {
            in_range("the number of channels", channels, MOST_CHANNELS)?;
            builder = builder.node(channels);
        }
        let mut last = 0;
        for edge in &self.edges {
            let (from, to) = (edge.from, edge.to);
            if from >= to || to >= count || to < inputs || to < last {
                return Err(format!("the edge {from} → {to} does not go forward in order"));
            }
            last = to;
            for placed in &edge.blocks {
                let size =
                    reached[from].ok_or_else(|| format!("the edge {from} → {to} reads a node without inputs"))?;
                let after = placed.after(channels(from), channels(to), size)?;
                if *reached[to].get_or_insert(after) != after {
                    return Err(format!("node {to} sums images of different sizes"));
                }
            }
            let blocks = edge
                .blocks
                .iter()
                .map(|placed| (placed.block, placed.name.clone(), placed.first));
            builder = builder.edge(from, to, blocks);
        }
        for (node, size) in reached.iter().enumerate() {
            let (height, width) = size.unwrap_or_default();
            let numbers = channels(node)
                .checked_mul(height)
                .and_then(|area| area.checked_mul(width));
            if numbers.is_none_or(|numbers| numbers > MOST_NUMBERS) {
                return Err(format!(
                    "node {node} would be larger than {MOST_NUMBERS} numbers per image"
                ));
            }
        }
        let sizes: Vec<_> = self
            .output
            .iter()
            .map(|&node| reached.get(node).copied().flatten())
            .collect();
        match sizes.split_first() {
            Some((Some(first), others)) if others.iter().all(|size| *size == Some(*first)) => {}
            _ => return Err("its output must be nodes of equal size that have inputs".to_owned()),
        }
        Ok(builder.output(self.output.iter().copied()))
    }
}

impl NetworkPlan {
    /// The cell of every stage and the sizes of its inputs, for an image of `channels` and `size`
    /// and for `classes`.
    ///
    /// # Errors
    /// If a stage cannot run.
    pub fn check(&self, channels: usize, size: (usize, usize), classes: usize) -> Result<Vec<CheckedStage>, PlanError> {
        if self.stages.is_empty() || self.stages.len() > MOST || classes == 0 {
            let problem = format!("a network has 1 to {MOST} stages and at least one class");
            return Err(PlanError { stage: 0, problem });
        }
        let mut cells = Vec::new();
        let mut left: Vec<(usize, (usize, usize))> = Vec::new();
        let mut numbers = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            let fail = |problem: String| PlanError { stage: index, problem };
            let mut sizes = Vec::new();
            for (source, input) in stage.sources.iter().zip(&stage.inputs) {
                let found = match *source {
                    None => Some((channels, size)),
                    Some(earlier) => left.get(earlier).copied(),
                };
                match found {
                    Some((channels, size)) if channels == input.channels => sizes.push(size),
                    _ => {
                        return Err(fail(format!(
                            "its source {source:?} does not have {} channels",
                            input.channels
                        )));
                    }
                }
            }
            let cell = stage.cell(&sizes).map_err(fail)?;
            let nodes = cell.node_sizes(&sizes);
            let output = (cell.output_channels(), nodes[cell.output[0]]);
            // A bottleneck may be many times as large as what it reads.
            let hidden = cell.edges.iter().flat_map(|edge| {
                let size = nodes[edge.from];
                edge.choices.iter().flat_map(move |choice| match choice.block {
                    Block::InvertedBottleneck { expansion, .. } => vec![(choice.inputs * expansion, size); 2],
                    _ => Vec::new(),
                })
            });
            let hidden: Vec<_> = hidden.collect();
            let tensors = cell.node_channels.iter().copied().zip(nodes);
            for (channels, (height, width)) in tensors.chain([output]).chain(hidden) {
                numbers = channels
                    .saturating_mul(height)
                    .saturating_mul(width)
                    .saturating_add(numbers);
            }
            if numbers > MOST_NUMBERS_OF_ALL {
                return Err(fail(format!(
                    "the network would be larger than {MOST_NUMBERS_OF_ALL} numbers per image"
                )));
            }
            in_range(
                "the number of channels of the output",
                cell.output_channels(),
                MOST_CHANNELS,
            )
            .map_err(fail)?;
            left.push(output);
            cells.push(CheckedStage { cell, sizes });
        }
        Ok(cells)
    }
}

/// Refuses a text that would take much memory: the names of tensors contain it.
fn short(what: &str, text: &str) -> Result<(), String> {
    match text.len() {
        0..=LONGEST_NAME => Ok(()),
        length => Err(format!("{what} of {length} bytes, more than {LONGEST_NAME}")),
    }
}

impl PlacedBlock {
    /// Height and width of the block's output, if the block accepts these channels and this image
    /// size.
    fn after(&self, inputs: usize, outputs: usize, (height, width): (usize, usize)) -> Result<(usize, usize), String> {
        let Self { block, name, first } = self;
        short("a name", name)?;
        in_range("the index of a layer", first.saturating_add(1), MOST)?;
        let same = inputs == outputs;
        let fits = match *block {
            Block::Zero { stride } => in_range("a stride", stride, LARGEST_KERNEL).map(|()| true)?,
            Block::Identity | Block::Norm | Block::Relu | Block::Relu6 | Block::HardSwish => same,
            // Only cells of super-networks move channels.
            Block::Take { .. } | Block::Shuffle { .. } => false,
            Block::FactorizedReduce => outputs >= 2,
            Block::Pool {
                kernel,
                stride,
                padding,
                ..
            } => {
                in_range("a window", kernel, LARGEST_KERNEL)?;
                in_range("a stride", stride, LARGEST_KERNEL)?;
                same && padding <= kernel / 2
            }
            Block::Conv {
                kernel,
                stride,
                padding,
                ..
            } => {
                in_range("a kernel", kernel, LARGEST_KERNEL)?;
                in_range("a stride", stride, LARGEST_KERNEL)?;
                padding <= kernel
            }
            Block::Separable {
                kernel,
                stride,
                dilation,
                stages,
            } => {
                in_range("a kernel", kernel, LARGEST_KERNEL)?;
                in_range("a stride", stride, LARGEST_KERNEL)?;
                in_range("a dilation", dilation, LARGEST_KERNEL)?;
                in_range("a repetition", stages, LARGEST_KERNEL)?;
                kernel % 2 == 1
            }
            Block::Basic { kernel, stride } => {
                in_range("a kernel", kernel, LARGEST_KERNEL)?;
                in_range("a stride", stride, LARGEST_KERNEL)?;
                kernel % 2 == 1
            }
            Block::InvertedBottleneck {
                kernel,
                stride,
                expansion,
                ..
            } => {
                in_range("a kernel", kernel, LARGEST_KERNEL)?;
                in_range("a stride", stride, LARGEST_KERNEL)?;
                in_range("an expansion", expansion, LARGEST_KERNEL)?;
                let hidden = inputs * expansion;
                in_range("the number of channels", hidden, MOST_CHANNELS)?;
                let numbers = hidden.checked_mul(height).and_then(|row| row.checked_mul(width));
                kernel % 2 == 1 && numbers.is_some_and(|numbers| numbers <= MOST_NUMBERS)
            }
        };
        // The output size can be computed only for a block whose numbers are in range.
        let after = fits.then(|| (block.output_side(height), block.output_side(width)));
        after.filter(|size| size.0 > 0 && size.1 > 0).ok_or_else(|| {
            format!("{name} ({block:?}) cannot map {inputs} to {outputs} channels on {height}×{width} pixels")
        })
    }
}

fn in_range(what: &str, value: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("{what} is {value}, not 1 to {most}"))
    }
}
