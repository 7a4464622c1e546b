//! The fused path in Burn: the CPU executor as one differentiable operation on Flex tensors.
//!
//! Contract: runs on the CPU device only. Images are `[batch, channels, height, width]` outside and lie channels-last in
//! memory; tensors that already do are used where they are, others are copied. Each forward pass that keeps activations for
//! its backward pass has a kernel of its own, which goes back to the cell's pool when the graph lets go of it. Gradients of a
//! tensor that several cells read are added here, on all threads: Burn would add tensors that lie channels-last a number at a
//! time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients as GraphGradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Device, Tensor, TensorData};
use da2s_kernels::Level;
use rayon::prelude::*;

use crate::cell::{Call, NormStatistics, Output};
use crate::cpu::{CellKernel, Forward, Gradients, Statistics, Workspace};
use crate::plan::CellPlan;
use crate::tensor_memory::{TensorMemory, TensorPool};

/// Most inputs that a cell may have.
const INPUTS: usize = 2;
/// Places of the weights and the mixture among the parents; the inputs come first.
const WEIGHTS: usize = INPUTS;
const MIXTURE: usize = INPUTS + 1;
const PARENTS: usize = INPUTS + 2;

/// What all cells of a network share; clones share it too.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The instructions of the kernels; none for the best of this CPU.
    level: Option<Level>,
    workspace: Workspace,
    tensors: TensorPool,
    /// The nodes of cells whose backward pass is still to come, and whether another cell has given them a gradient.
    given: Arc<Mutex<HashMap<NodeId, bool>>>,
}

impl Memory {
    /// A memory for kernels with the instructions of `level`.
    pub(crate) fn at_level(level: Level) -> Self {
        Self {
            level: Some(level),
            ..Self::default()
        }
    }

    /// The instructions of the kernels.
    pub(crate) fn level(&self) -> Level {
        self.level.unwrap_or_else(da2s_kernels::cpu_level)
    }

    fn given(&self) -> MutexGuard<'_, HashMap<NodeId, bool>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernels of one cell that no graph holds.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    memory: Memory,
    idle: Arc<Mutex<Vec<SizedKernel>>>,
}

/// A kernel and what it was made for.
#[derive(Debug)]
struct SizedKernel {
    sizes: Vec<(usize, usize)>,
    batch: usize,
    kernel: CellKernel,
}

impl Pool {
    pub(crate) fn new(memory: &Memory) -> Self {
        Self {
            memory: memory.clone(),
            idle: Arc::default(),
        }
    }

    fn take(&self, plan: &CellPlan, sizes: Vec<(usize, usize)>, batch: usize) -> SizedKernel {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match idle.iter().position(|one| one.sizes == sizes && one.batch == batch) {
            Some(at) => idle.swap_remove(at),
            None => {
                let kernel = CellKernel::with_level(plan, &sizes, batch, &self.memory.workspace, self.memory.level());
                SizedKernel { sizes, batch, kernel }
            }
        }
    }

    fn put_back(&self, kernel: SizedKernel) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(kernel);
    }
}

/// Applies `plan`; see [`Cell::forward`](crate::Cell::forward).
pub(crate) fn forward(plan: &CellPlan, pool: &Pool, call: Call) -> Output {
    assert!(call.inputs.len() <= INPUTS, "a cell has at most {INPUTS} inputs");
    let on_graph = call.inputs.iter().any(Tensor::is_autodiff)
        || call.weights.is_autodiff()
        || call.mixture.as_ref().is_some_and(Tensor::is_autodiff);
    if on_graph {
        graph_forward(plan, pool, call)
    } else {
        plain_forward(plan, pool, call)
    }
}

/// Outside of autodiff.
fn plain_forward(plan: &CellPlan, pool: &Pool, call: Call) -> Output {
    let inputs = call
        .inputs
        .into_iter()
        .map(|input| channels_last(primitive(input)))
        .collect();
    let operands = Operands {
        inputs,
        weights: primitive(call.weights).to_contiguous(),
        mixture: call.mixture.map(|mixture| primitive(mixture).to_contiguous()),
        active: call.active,
        drop_path: call.drop_path,
        given: call.statistics,
    };
    let ran = operands.run(plan, pool, false, false);
    pool.put_back(ran.kernel);
    Output {
        output: Tensor::from_primitive::<Flex>(ran.output),
        statistics: ran.statistics,
    }
}

/// Inside of autodiff: the parents are the inputs, the weights and the mixture; what is absent is filled up with a leaf
/// that nothing tracks.
fn graph_forward(plan: &CellPlan, pool: &Pool, call: Call) -> Output {
    let filler = || parent(Tensor::<1>::zeros([1], &Device::flex()));
    let count = call.inputs.len();
    let mut images = call.inputs.into_iter();
    let (mut inputs, mut tracked) = (Vec::with_capacity(count), false);
    let mut input_node = || -> NodeGuard {
        let Some(image) = images.next() else {
            return filler().into_parts().1;
        };
        let image = parent(image);
        tracked |= image.is_tracked();
        let (image, node) = image.into_parts();
        inputs.push(channels_last(image));
        node
    };
    let (first, second) = (input_node(), input_node());
    let weights = parent(call.weights);
    tracked |= weights.is_tracked();
    let (weights, weights_node) = weights.into_parts();
    let (mixture, mixture_node, mixture_gradient) = match call.mixture {
        None => (None, filler().into_parts().1, false),
        Some(mixture) => {
            let mixture = parent(mixture);
            let gradient = mixture.is_tracked();
            let (mixture, node) = mixture.into_parts();
            (Some(mixture.to_contiguous()), node, gradient)
        }
    };
    let keep = tracked || mixture_gradient;
    let operands = Operands {
        inputs,
        weights: weights.to_contiguous(),
        mixture,
        active: call.active,
        drop_path: call.drop_path.map(Tensor::without_autodiff),
        given: call.statistics,
    };
    let ran = operands.run(plan, pool, keep, mixture_gradient);
    let prepared = CellBackward
        .prepare::<NoCheckpointing>([first, second, weights_node, mixture_node])
        .compute_bound()
        .stateful();
    let output = match prepared {
        OpsKind::Tracked(prepared) => {
            let kept = Kept {
                kernel: Some(ran.kernel),
                pool: pool.clone(),
                choices: plan.choice_count(),
                inputs: operands.inputs,
                weights: operands.weights,
                node: None,
            };
            let state = Arc::new(Mutex::new(kept));
            let output = prepared.finish(Arc::clone(&state), ran.output);
            pool.memory.given().insert(output.id(), false);
            state.lock().unwrap_or_else(PoisonError::into_inner).node = Some(output.id());
            output
        }
        OpsKind::UnTracked(prepared) => {
            pool.put_back(ran.kernel);
            prepared.finish(ran.output)
        }
    };
    Output {
        output: Tensor::from_primitive::<Autodiff<Flex>>(output),
        statistics: ran.statistics,
    }
}

/// What a kernel runs on.
struct Operands {
    /// Channels-last and contiguous, `[batch, height, width, channels]`.
    inputs: Vec<FlexTensor>,
    weights: FlexTensor,
    mixture: Option<FlexTensor>,
    active: Option<Arc<[bool]>>,
    drop_path: Option<Tensor<2>>,
    given: Option<NormStatistics>,
}

/// What a kernel leaves.
struct Ran {
    kernel: SizedKernel,
    /// `[batch, channels, height, width]`, channels-last in memory.
    output: FlexTensor,
    statistics: Option<NormStatistics>,
}

impl Operands {
    fn run(&self, plan: &CellPlan, pool: &Pool, keep: bool, mixture_gradient: bool) -> Ran {
        let shape = |input: &FlexTensor| -> [usize; 4] { std::array::from_fn(|at| input.layout().shape()[at]) };
        let batch = self.inputs.first().map_or(0, |input| shape(input)[0]);
        let sizes: Vec<(usize, usize)> = self
            .inputs
            .iter()
            .map(|input| (shape(input)[1], shape(input)[2]))
            .collect();
        let nodes = plan.node_sizes(&sizes);
        let (height, width) = plan.output.first().map_or((0, 0), |&node| nodes[node]);
        let mut kernel = pool.take(plan, sizes, batch);
        let mut output = pool.memory.tensors.take(kernel.kernel.output_len());

        let inputs: Vec<&[f32]> = self.inputs.iter().map(slice).collect();
        let drop = self.drop_path.clone().map(|factors| primitive(factors).to_contiguous());
        let (mut mean, mut variance) = (Vec::new(), Vec::new());
        let running = match &self.given {
            None => {
                mean.resize(plan.norm_channels, 0.0);
                variance.resize(plan.norm_channels, 0.0);
                None
            }
            Some(NormStatistics { mean, variance, .. }) => {
                let flat = |tensor: &Tensor<1>| primitive(tensor.clone().without_autodiff()).to_contiguous();
                Some((flat(mean), flat(variance)))
            }
        };
        let statistics = match &running {
            None => Statistics::Batch {
                mean: &mut mean,
                variance: &mut variance,
            },
            Some((mean, variance)) => Statistics::Running {
                mean: slice(mean),
                variance: slice(variance),
            },
        };
        let call = Forward {
            inputs: &inputs,
            weights: slice(&self.weights),
            mixture: self.mixture.as_ref().map(slice),
            active: self.active.as_deref(),
            drop: drop.as_ref().map(slice),
            statistics,
            keep,
            mixture_gradient,
        };
        kernel.kernel.forward(call, output.as_mut_slice());
        let channels = plan.output_channels();
        let seen = running.is_none() && plan.norm_channels > 0;
        let flat = |data: Vec<f32>| Tensor::from_primitive::<Flex>(flex(data, &[plan.norm_channels]));
        Ran {
            kernel,
            output: output
                .into_tensor(&[batch, height, width, channels])
                .permute(&[0, 3, 1, 2]),
            statistics: seen.then(|| NormStatistics {
                mean: flat(mean),
                variance: flat(variance),
                live: self
                    .live(plan, keep && mixture_gradient)
                    .map(|live| plan.live_norms(&live).into()),
            }),
        }
    }

    /// Which choices the kernel computes: it leaves out those that are inactive, and those that weigh 0 where nobody asks for
    /// the gradient of their weight. `None` is all.
    fn live(&self, plan: &CellPlan, mixture_gradient: bool) -> Option<Vec<bool>> {
        let weights = self.mixture.as_ref().map(slice).filter(|_| !mixture_gradient);
        let is_live = |choice: usize| {
            self.active.as_ref().is_none_or(|active| active[choice])
                && weights.is_none_or(|weights| weights[choice] != 0.0)
        };
        let live: Vec<bool> = (0..plan.choice_count()).map(is_live).collect();
        live.contains(&false).then_some(live)
    }
}

/// A kernel that holds what its backward pass needs.
#[derive(Debug)]
struct Kept {
    kernel: Option<SizedKernel>,
    pool: Pool,
    choices: usize,
    inputs: Vec<FlexTensor>,
    weights: FlexTensor,
    /// The cell in the graph.
    node: Option<NodeId>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(node) = self.node {
            self.pool.memory.given().remove(&node);
        }
        if let Some(kernel) = self.kernel.take() {
            self.pool.put_back(kernel);
        }
    }
}

/// The backward pass of a cell.
#[derive(Debug)]
struct CellBackward;

impl Backward<Flex, PARENTS> for CellBackward {
    type State = Arc<Mutex<Kept>>;

    fn backward(self, ops: Ops<Self::State, PARENTS>, grads: &mut GraphGradients, _: &mut Checkpointer) {
        let d_output = channels_last(grads.consume::<Flex>(&ops.node));
        let mut kept = ops.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept {
            kernel,
            pool,
            choices,
            inputs,
            weights,
            ..
        } = &mut *kept;
        let Some(kernel) = kernel.as_mut() else { return };
        let room = |wanted: bool, length: usize| wanted.then(|| pool.memory.tensors.take(length));
        let mut d_inputs: Vec<Option<TensorMemory>> = inputs
            .iter()
            .zip(&ops.parents)
            .map(|(input, parent)| room(parent.is_some(), slice(input).len()))
            .collect();
        let mut d_weights = room(ops.parents[WEIGHTS].is_some(), slice(weights).len());
        let mut d_mixture = room(ops.parents[MIXTURE].is_some(), *choices);
        let images: Vec<&[f32]> = inputs.iter().map(slice).collect();
        let gradients = Gradients {
            inputs: d_inputs
                .iter_mut()
                .map(|memory| memory.as_mut().map(TensorMemory::as_mut_slice))
                .collect(),
            weights: d_weights.as_mut().map(TensorMemory::as_mut_slice),
            mixture: d_mixture.as_mut().map(TensorMemory::as_mut_slice),
        };
        kernel
            .kernel
            .backward(&images, slice(weights), slice(&d_output), gradients);

        for ((parent, gradient), input) in ops.parents.iter().zip(d_inputs).zip(inputs.iter()) {
            if let (Some(parent), Some(mut gradient)) = (parent, gradient) {
                let before = pool
                    .memory
                    .given()
                    .get_mut(&parent.id)
                    .map(|given| std::mem::replace(given, true));
                if before == Some(true) {
                    add(gradient.as_mut_slice(), &channels_last(grads.consume::<Flex>(parent)));
                }
                let shape: Vec<usize> = input.layout().shape().iter().copied().collect();
                grads.register::<Flex>(parent.id, gradient.into_tensor(&shape).permute(&[0, 3, 1, 2]));
            }
        }
        for (place, gradient) in [(WEIGHTS, d_weights), (MIXTURE, d_mixture)] {
            if let (Some(parent), Some(gradient)) = (&ops.parents[place], gradient) {
                let length = gradient.as_slice().len();
                grads.register::<Flex>(parent.id, gradient.into_tensor(&[length]));
            }
        }
    }
}

/// The primitive of a tensor outside of autodiff.
fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    match tensor.without_autodiff().try_into_primitive::<Flex>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("the fused engine runs on the CPU device only: {error:?}"),
    }
}

/// The primitive of a tensor in autodiff, which it enters as a constant if it is not in it.
fn parent<const D: usize>(tensor: Tensor<D>) -> <Autodiff<Flex> as burn::backend::BackendTypes>::FloatTensorPrimitive {
    match tensor.autodiff().try_into_primitive::<Autodiff<Flex>>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("the fused engine runs on the CPU device only: {error:?}"),
    }
}

/// `[batch, channels, height, width]` → `[batch, height, width, channels]`, contiguous; no copy if it lies so.
fn channels_last(tensor: FlexTensor) -> FlexTensor {
    tensor.permute(&[0, 2, 3, 1]).to_contiguous()
}

/// `to` += `from`.
fn add(to: &mut [f32], from: &FlexTensor) {
    /// Floats a thread adds at a time: more than it costs to hand them over.
    const CHUNK: usize = 1 << 14;
    to.par_chunks_mut(CHUNK)
        .zip(slice(from).par_chunks(CHUNK))
        .for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to += from));
}

fn flex(data: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape.to_vec()))
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    match tensor.as_slice::<f32>() {
        Some(slice) => slice,
        None => panic!("a contiguous tensor of float32"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Cell, CellPlanBuilder, Engine};

    /// Of a graph without a backward pass the nodes stay as long as Burn keeps the graph.
    #[test]
    fn a_backward_pass_leaves_no_nodes_behind() {
        let memory = Memory::default();
        let plan = CellPlanBuilder::new(false)
            .input(2)
            .node(2)
            .edge(0, 1, [(Block::Identity, "identity".to_owned(), 0)])
            .output([1]);
        let cell = Cell::new(plan, &Engine::Fused(memory.clone()));
        let image = Tensor::<4>::ones([1, 2, 3, 3], &Device::flex());
        for _ in 0..3 {
            let call = Call {
                inputs: vec![image.clone().autodiff().require_grad()],
                weights: Tensor::zeros([0], &Device::flex()),
                mixture: None,
                active: None,
                drop_path: None,
                statistics: None,
            };
            cell.forward(call).output.sum().backward();
            assert_eq!(memory.given().len(), 0);
        }
    }
}
