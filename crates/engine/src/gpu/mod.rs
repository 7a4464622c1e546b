//! The fused path on GPUs: a cell as one differentiable operation on tensors of Burn's CubeCL
//! backend.
//!
//! Contract: that of [`Cell::forward`](crate::Cell::forward), in float32. Neither the output of a
//! batch norm nor its gradient is stored: both are computed where they are read, forward as
//! `scale·x + shift`, backward as a linear combination of the gradient, x and a constant. All
//! candidates that end in a node are computed by the same launches ([`table`]). There are no atomic
//! additions, so every run gives the same numbers. A plan that contains a block without kernels, or
//! is too large for their 32-bit indices, takes the plain path.

mod backward;
mod build;
mod executor;
mod kernels;
mod launch;
mod memory;
mod program;
mod table;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients as GraphGradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::{Autodiff, BackendTypes, Cube};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use da2s_plan::CellPlan;

use crate::cell::{Call, NormStatistics, Output};
use backward::Wanted;
use executor::{Executor, Memory, Operands};
use memory::{Floats, Loaded};
use program::Program;

/// Largest number of inputs of a cell.
const INPUTS: usize = 2;
/// Positions of the weights and the mixture among the parents; the inputs come first.
const WEIGHTS: usize = INPUTS;
const MIXTURE: usize = INPUTS + 1;
const PARENTS: usize = INPUTS + 2;

/// The programs of a cell that are on the device, by the properties of the calls that they are for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs(Arc<Mutex<HashMap<Key, Option<Arc<Loaded>>>>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    sizes: Vec<(usize, usize)>,
    batch: usize,
    active: Option<Arc<[bool]>>,
    running: bool,
}

/// Limit on the programs that a cell keeps: methods that sample candidates have a different set of
/// active ones in every step.
const MOST_PROGRAMS: usize = 16;

impl Programs {
    /// The program for `call`; `None` if the kernels cannot run it.
    fn of(&self, plan: &CellPlan, call: &Call) -> Option<Arc<Loaded>> {
        if !Program::knows(plan) || call.inputs.len() > INPUTS {
            return None;
        }
        let dims: Vec<[usize; 4]> = call.inputs.iter().map(Tensor::dims).collect();
        let key = Key {
            sizes: dims.iter().map(|dims| (dims[2], dims[3])).collect(),
            batch: dims.first().map_or(0, |dims| dims[0]),
            active: call.active.clone(),
            running: call.statistics.is_some(),
        };
        let mut programs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = programs.get(&key) {
            return known.clone();
        }
        if programs.len() >= MOST_PROGRAMS {
            programs.clear();
        }
        let program = Program::new(plan, &key.sizes, key.batch, key.active.as_deref(), key.running);
        let client = primitive(call.weights.clone()).client;
        let loaded = program.map(|program| Arc::new(Loaded::new(&client, program)));
        programs.insert(key, loaded.clone());
        loaded
    }
}

/// Applies `plan` if the kernels can run it; returns `call` if they cannot.
#[allow(
    clippy::result_large_err,
    reason = "the call itself is returned, for the plain path to run"
)]
pub(crate) fn forward(plan: &Arc<CellPlan>, programs: &Programs, call: Call) -> Result<Output, Call> {
    let Some(loaded) = programs.of(plan, &call) else {
        return Err(call);
    };
    let on_graph = call.inputs.iter().any(Tensor::is_autodiff)
        || call.weights.is_autodiff()
        || call.mixture.as_ref().is_some_and(Tensor::is_autodiff);
    Ok(if on_graph {
        graph_forward(plan, &loaded, call)
    } else {
        let ran = Ran::new(plan, &loaded, &Parts::of(call));
        Output {
            output: Tensor::from_primitive::<Cube>(ran.output),
            statistics: ran.statistics,
        }
    })
}

/// The forward pass with autodiff. The parents are the inputs, the weights and the mixture; an
/// untracked leaf takes the place of what is absent.
fn graph_forward(plan: &Arc<CellPlan>, loaded: &Arc<Loaded>, call: Call) -> Output {
    let device = call.weights.device().without_autodiff();
    let filler = || parent(Tensor::<1>::zeros([1], &device)).into_parts().1;
    let mut inputs = Vec::with_capacity(call.inputs.len());
    let mut nodes: Vec<NodeGuard> = Vec::with_capacity(PARENTS);
    for image in call.inputs {
        let (image, node) = parent(image).into_parts();
        inputs.push(Tensor::from_primitive::<Cube>(image));
        nodes.push(node);
    }
    while nodes.len() < INPUTS {
        nodes.push(filler());
    }
    let (weights, node) = parent(call.weights).into_parts();
    nodes.push(node);
    let mixture = match call.mixture {
        None => {
            nodes.push(filler());
            None
        }
        Some(mixture) => {
            let (mixture, node) = parent(mixture).into_parts();
            nodes.push(node);
            Some(Tensor::from_primitive::<Cube>(mixture))
        }
    };
    let parts = Parts::of(Call {
        inputs,
        weights: Tensor::from_primitive::<Cube>(weights),
        mixture,
        ..call
    });
    let ran = Ran::new(plan, loaded, &parts);
    let Ok(nodes) = <[NodeGuard; PARENTS]>::try_from(nodes) else {
        unreachable!("a cell has {PARENTS} parents");
    };
    let prepared = CellBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful();
    let output = match prepared {
        OpsKind::Tracked(prepared) => {
            let kept = Kept {
                plan: Arc::clone(plan),
                loaded: Arc::clone(loaded),
                memory: ran.memory,
                shapes: parts.inputs.iter().map(|input| input.meta.shape().clone()).collect(),
            };
            prepared.finish(kept, ran.output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(ran.output),
    };
    Output {
        output: Tensor::from_primitive::<Autodiff<Cube>>(output),
        statistics: ran.statistics,
    }
}

/// A call without autodiff, with every tensor contiguous.
struct Parts {
    inputs: Vec<CubeTensor>,
    weights: CubeTensor,
    mixture: Option<CubeTensor>,
    drop_path: Option<CubeTensor>,
    statistics: Option<CubeTensor>,
}

impl Parts {
    fn of(call: Call) -> Self {
        let given = call.statistics.map(|given| {
            let flat = |tensor: Tensor<1>| tensor.without_autodiff();
            Tensor::cat(vec![flat(given.mean), flat(given.variance)], 0)
        });
        Self {
            inputs: call.inputs.into_iter().map(contiguous).collect(),
            weights: contiguous(call.weights),
            mixture: call.mixture.map(contiguous),
            drop_path: call.drop_path.map(contiguous),
            statistics: given.map(contiguous),
        }
    }
}

/// The results of a forward pass.
struct Ran {
    memory: Memory,
    output: CubeTensor,
    statistics: Option<NormStatistics>,
}

impl Ran {
    fn new(plan: &CellPlan, loaded: &Loaded, parts: &Parts) -> Self {
        let weights = &parts.weights;
        let executor = Executor {
            client: &weights.client,
            loaded,
        };
        let ones = |length: usize| {
            let device = Tensor::<1>::from_primitive::<Cube>(weights.clone()).device();
            floats(contiguous(Tensor::<1>::ones([length.max(1)], &device)))
        };
        let operands = Operands {
            inputs: parts.inputs.iter().cloned().map(floats).collect(),
            weights: floats(weights.clone()),
            mixture: parts.mixture.clone().map_or_else(|| ones(plan.choice_count()), floats),
            drops: parts.drop_path.clone().map(floats),
            given: parts.statistics.clone().map(floats),
        };
        let (output, memory) = executor.forward(operands, &plan.output);
        let program = &loaded.program;
        let (height, width) = plan
            .output
            .first()
            .map_or((0, 0), |&node| (program.nodes[node].height, program.nodes[node].width));
        let shape = [program.batch, plan.output_channels(), height, width];
        let seen = parts.statistics.is_none() && program.live_norms.contains(&true);
        let statistics = seen.then(|| {
            let both = tensor_like(weights, executor.seen_statistics(&memory), &[2, plan.norm_channels]);
            let both = Tensor::<2>::from_primitive::<Cube>(both);
            let of = |row: usize| both.clone().narrow(0, row, 1).reshape([plan.norm_channels]);
            let live = &program.live_norms;
            NormStatistics {
                mean: of(0),
                variance: of(1),
                live: live.contains(&false).then(|| live.clone().into()),
            }
        });
        Self {
            output: tensor_like(weights, output, &shape),
            memory,
            statistics,
        }
    }
}

/// What a backward pass needs.
#[derive(Clone, Debug)]
struct Kept {
    plan: Arc<CellPlan>,
    loaded: Arc<Loaded>,
    memory: Memory,
    shapes: Vec<Shape>,
}

/// The backward pass of a cell.
#[derive(Debug)]
struct CellBackward;

impl Backward<Cube, PARENTS> for CellBackward {
    type State = Kept;

    fn backward(self, ops: Ops<Self::State, PARENTS>, grads: &mut GraphGradients, _: &mut Checkpointer) {
        let d_output = into_contiguous(grads.consume::<Cube>(&ops.node));
        let kept = ops.state;
        let wants = |at: usize| ops.parents[at].is_some();
        let wanted = Wanted {
            inputs: (0..kept.shapes.len()).map(wants).collect(),
            weights: wants(WEIGHTS),
            mixture: wants(MIXTURE),
        };
        let executor = Executor {
            client: &d_output.client,
            loaded: &kept.loaded,
        };
        let found = executor.backward(&kept.memory, &floats(d_output.clone()), &kept.plan.output, &wanted);
        let mut register = |at: usize, gradient: Option<Floats>, shape: &[usize]| {
            let id: Option<NodeId> = ops.parents[at].as_ref().map(|parent| parent.id);
            if let (Some(id), Some(gradient)) = (id, gradient) {
                grads.register::<Cube>(id, tensor_like(&d_output, gradient, shape));
            }
        };
        for (at, (gradient, shape)) in found.inputs.into_iter().zip(&kept.shapes).enumerate() {
            register(at, gradient, shape);
        }
        register(WEIGHTS, found.weights, &[kept.plan.weight_count]);
        register(MIXTURE, found.mixture, &[kept.plan.choice_count()]);
    }
}

/// A tensor of `shape` on the device of `like`, with the given numbers.
fn tensor_like(like: &CubeTensor, numbers: Floats, shape: &[usize]) -> CubeTensor {
    CubeTensor::new_contiguous(
        like.client.clone(),
        like.device.clone(),
        Shape::from(shape.to_vec()),
        numbers.handle(),
        DType::F32,
    )
}

fn floats(tensor: CubeTensor) -> Floats {
    let length = tensor.meta.shape().num_elements();
    Floats::of(&tensor.client, tensor.handle, length)
}

/// The primitive of a tensor without autodiff.
fn primitive<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    match tensor.without_autodiff().try_into_primitive::<Cube>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("the GPU engine runs on a GPU only: {error:?}"),
    }
}

fn contiguous<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    into_contiguous(primitive(tensor))
}

/// The autodiff primitive of a tensor; a tensor without autodiff enters as a constant.
fn parent<const D: usize>(tensor: Tensor<D>) -> <Autodiff<Cube> as BackendTypes>::FloatTensorPrimitive {
    match tensor.autodiff().try_into_primitive::<Autodiff<Cube>>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("the GPU engine runs on a GPU only: {error:?}"),
    }
}
