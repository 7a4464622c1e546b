//! The plan of a cell: a directed acyclic graph of nodes joined by edges. Each edge is a weighted
//! sum of [`Block`]s; all weights are in one flat vector and all batch-norm statistics in another.
//!
//! Super-network cells, cells of the final network, stems, residual blocks and auxiliary heads are
//! all plans; an engine only sees plans. Contract: nodes `0..inputs` are the (preprocessed) inputs;
//! an edge goes from a smaller to a larger node; every other node is the sum over its edges and
//! over the choices of each edge, weighted by the mixture; the output is the concatenation of
//! `output` along channels.

use crate::block::Block;
use crate::layout::WeightRole;

/// A block at its position in a plan.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The block.
    pub block: Block,
    /// Prefix of its weights' names, for example `_ops.3._ops.4.op`.
    pub name: String,
    /// Index of its first layer in the PyTorch `Sequential` that it mirrors.
    pub first: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Whether its batch norms have a scale and a shift.
    pub affine: bool,
    /// Position of its first weight in the plan's flat vector.
    pub weight_offset: usize,
    /// Position of its first batch-norm channel in the plan's flat statistics.
    pub norm_offset: usize,
}

impl Choice {
    /// Whether drop-path may drop the choice: every block with arithmetic, except a bottleneck with
    /// no residual, which would leave nothing, and a convolution without a norm, which is a
    /// shortcut itself.
    fn can_drop(&self) -> bool {
        let stays = match self.block {
            // A bottleneck that begins with ReLU has no residual.
            Block::InvertedBottleneck { relu, stride, .. } => relu || stride > 1 || self.inputs != self.outputs,
            Block::Conv { norm, .. } => !norm,
            _ => false,
        };
        self.block.can_drop() && !stays
    }
}

/// An edge: every choice reads node `from` and is added to node `to`.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Source node.
    pub from: usize,
    /// Target node.
    pub to: usize,
    /// The candidates, in the order of the mixture.
    pub choices: Vec<Choice>,
}

impl Edge {
    /// Whether drop-path may drop `choice`, which is on this edge: a residual block without a
    /// shortcut beside it would leave nothing.
    pub fn can_drop(&self, choice: &Choice) -> bool {
        let is_alone = self.choices.len() == 1 && matches!(choice.block, Block::Basic { .. });
        choice.can_drop() && !is_alone
    }
}

/// One named tensor in a flat weight vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Full name within the cell, for example `_ops.3._ops.4.op.1.weight`.
    pub name: String,
    /// Shape in PyTorch order.
    pub shape: Vec<usize>,
    /// Position of the first element.
    pub offset: usize,
    /// What the weight is used for.
    pub role: WeightRole,
}

/// One named batch norm in the flat statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Norm {
    /// Full name within the cell (`.running_mean` and `.running_var` follow).
    pub name: String,
    /// Number of channels.
    pub channels: usize,
    /// Position of the first channel.
    pub offset: usize,
}

/// A complete cell. Built by [`CellPlanBuilder`], immutable afterwards.
#[derive(Clone, Debug)]
pub struct CellPlan {
    /// Block applied to each input before it becomes a node; `None` uses the input unchanged.
    pub preprocess: Vec<Option<Choice>>,
    /// Channels of each input tensor.
    pub input_channels: Vec<usize>,
    /// Channels of each node, inputs included.
    pub node_channels: Vec<usize>,
    /// Edges in the order of the mixture.
    pub edges: Vec<Edge>,
    /// Nodes whose concatenation is the output.
    pub output: Vec<usize>,
    /// All weights, in order.
    pub weights: Vec<Weight>,
    /// All batch norms, in order.
    pub norms: Vec<Norm>,
    /// Length of the flat weight vector.
    pub weight_count: usize,
    /// Length of the flat statistics (channels over all batch norms).
    pub norm_channels: usize,
}

impl CellPlan {
    /// Every block: those of the inputs, then those of the edges.
    pub fn choices(&self) -> impl Iterator<Item = &Choice> {
        let of_edges = self.edges.iter().flat_map(|edge| &edge.choices);
        self.preprocess.iter().flatten().chain(of_edges)
    }

    /// Number of choices over all edges: the length of a mixture.
    pub fn choice_count(&self) -> usize {
        self.edges.iter().map(|edge| edge.choices.len()).sum()
    }

    /// Which channels of the flat statistics belong to batch norms that run, given the choices that
    /// run: one flag per choice in `live`.
    pub fn live_norms(&self, live: &[bool]) -> Vec<bool> {
        let mut norms = vec![true; self.norm_channels];
        let choices = self.edges.iter().flat_map(|edge| &edge.choices);
        for choice in choices.zip(live).filter(|(_, live)| !**live).map(|(choice, _)| choice) {
            let channels = choice.layout().norm_channels;
            norms[choice.norm_offset..choice.norm_offset + channels].fill(false);
        }
        norms
    }

    /// Channels of the output.
    pub fn output_channels(&self) -> usize {
        self.output.iter().map(|&node| self.node_channels[node]).sum()
    }

    /// Height and width of every node, given the height and width of every input.
    ///
    /// A node without incoming edges has the size of node 0.
    pub fn node_sizes(&self, inputs: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let through =
            |choice: &Choice, (h, w): (usize, usize)| (choice.block.output_side(h), choice.block.output_side(w));
        let mut sizes: Vec<Option<(usize, usize)>> = vec![None; self.node_channels.len()];
        for (node, (&size, block)) in inputs.iter().zip(&self.preprocess).enumerate() {
            sizes[node] = Some(block.as_ref().map_or(size, |choice| through(choice, size)));
        }
        for edge in &self.edges {
            if let (Some(size), Some(choice)) = (sizes[edge.from], edge.choices.first()) {
                sizes[edge.to].get_or_insert(through(choice, size));
            }
        }
        let fallback = sizes.first().copied().flatten().unwrap_or((0, 0));
        sizes.into_iter().map(|size| size.unwrap_or(fallback)).collect()
    }

    /// Multiply-adds of the cell for one image, over all choices.
    pub fn multiply_adds(&self, inputs: &[(usize, usize)]) -> u64 {
        let sizes = self.node_sizes(inputs);
        let count =
            |choice: &Choice, (h, w): (usize, usize)| choice.block.multiply_adds(choice.inputs, choice.outputs, h, w);
        let before: u64 = self
            .preprocess
            .iter()
            .zip(inputs)
            .filter_map(|(choice, &size)| choice.as_ref().map(|choice| count(choice, size)))
            .sum();
        let edges: u64 = self
            .edges
            .iter()
            .flat_map(|edge| edge.choices.iter().map(|choice| count(choice, sizes[edge.from])))
            .sum();
        before + edges
    }
}

/// Builds a [`CellPlan`]; weights and statistics are laid out in the order of the calls.
#[derive(Debug)]
pub struct CellPlanBuilder {
    plan: CellPlan,
    affine: bool,
}

impl CellPlanBuilder {
    /// Starts a plan whose batch norms have a scale and a shift if `affine`.
    pub fn new(affine: bool) -> Self {
        let plan = CellPlan {
            preprocess: Vec::new(),
            input_channels: Vec::new(),
            node_channels: Vec::new(),
            edges: Vec::new(),
            output: Vec::new(),
            weights: Vec::new(),
            norms: Vec::new(),
            weight_count: 0,
            norm_channels: 0,
        };
        Self { plan, affine }
    }

    /// Adds an input tensor with `channels`, used unchanged.
    pub fn input(mut self, channels: usize) -> Self {
        self.plan.input_channels.push(channels);
        self.plan.node_channels.push(channels);
        self.plan.preprocess.push(None);
        self
    }

    /// Adds an input tensor with `channels` that `block` turns into a node of `outputs` channels.
    pub fn preprocessed_input(
        mut self,
        channels: usize,
        outputs: usize,
        block: Block,
        name: &str,
        first: usize,
    ) -> Self {
        let choice = self.place(block, name, first, channels, outputs);
        self.plan.input_channels.push(channels);
        self.plan.node_channels.push(outputs);
        self.plan.preprocess.push(Some(choice));
        self
    }

    /// Adds a node of `channels` after all inputs.
    pub fn node(mut self, channels: usize) -> Self {
        self.plan.node_channels.push(channels);
        self
    }

    /// Adds an edge with its choices `(block, name, first layer index)`.
    ///
    /// # Panics
    /// If the edge does not go from an existing node to a later existing node that is not an input.
    pub fn edge(mut self, from: usize, to: usize, choices: impl IntoIterator<Item = (Block, String, usize)>) -> Self {
        assert!(
            from < to && to < self.plan.node_channels.len(),
            "edge {from} → {to} does not go forward"
        );
        assert!(
            to >= self.plan.input_channels.len(),
            "edge {from} → {to} ends in an input"
        );
        let (inputs, outputs) = (self.plan.node_channels[from], self.plan.node_channels[to]);
        let choices = choices
            .into_iter()
            .map(|(block, name, first)| self.place(block, &name, first, inputs, outputs))
            .collect();
        self.plan.edges.push(Edge { from, to, choices });
        self
    }

    /// Completes the plan: the output is the concatenation of `nodes`.
    pub fn output(mut self, nodes: impl IntoIterator<Item = usize>) -> CellPlan {
        self.plan.output = nodes.into_iter().collect();
        self.plan
    }

    fn place(&mut self, block: Block, name: &str, first: usize, inputs: usize, outputs: usize) -> Choice {
        let plan = &mut self.plan;
        let choice = Choice {
            block,
            name: name.to_owned(),
            first,
            inputs,
            outputs,
            affine: self.affine,
            weight_offset: plan.weight_count,
            norm_offset: plan.norm_channels,
        };
        let layout = choice.layout();
        plan.weights.extend(layout.weights().into_iter().cloned());
        plan.norms.extend(layout.norms.into_iter().map(|norm| norm.statistics));
        plan.weight_count += layout.weight_count;
        plan.norm_channels += layout.norm_channels;
        choice
    }
}
