//! The one signature of the engine: a cell applied to its inputs, with gradients.
//!
//! Contract: inputs `[batch, channels, height, width]`, the weights as one flat vector laid out by
//! the plan, the mixture as one weight per choice in the order of the plan's edges. Gradients flow
//! to whichever of the three is tracked by Burn's autodiff, and to nothing else.

use std::sync::Arc;

use burn::tensor::Tensor;
use da2s_kernels::Level;
use da2s_plan::CellPlan;

use crate::fused::{self, IdleKernels, Memory};
#[cfg(feature = "gpu")]
use crate::gpu::{self, Programs};
use crate::plain;

/// Which implementation runs the cells of a network.
#[derive(Clone, Debug)]
pub enum Engine {
    /// Burn's own operations: any device, slow on the CPU, the reference.
    Plain,
    /// Hand-written kernels: the CPU device only. The cells share one memory.
    Fused(Memory),
    /// Hand-written kernels for GPUs.
    #[cfg(feature = "gpu")]
    Gpu,
}

/// A cell that can be run.
#[derive(Clone, Debug)]
pub struct Cell {
    plan: Arc<CellPlan>,
    path: Path,
}

#[derive(Clone, Debug)]
enum Path {
    Plain,
    Fused(IdleKernels),
    #[cfg(feature = "gpu")]
    Gpu(Programs),
}

/// What a cell is applied to.
#[derive(Clone, Debug)]
pub struct Call {
    /// One tensor per input of the plan, `[batch, channels, height, width]`.
    pub inputs: Vec<Tensor<4>>,
    /// `[weight_count]`.
    pub weights: Tensor<1>,
    /// `[choice_count]`; `None` weighs every choice 1.
    pub mixture: Option<Tensor<1>>,
    /// One flag per choice; a choice whose flag is false is not computed. `None` computes all. It
    /// is for choices whose weight is exactly 0: there is no threshold below which a choice is left
    /// out.
    pub active: Option<Arc<[bool]>>,
    /// Drop-path: `[choice_count, batch]`, multiplied onto each choice's output.
    pub drop_path: Option<Tensor<2>>,
    /// Statistics that the batch norms use; `None` takes them from the batch and returns them in
    /// [`Output::statistics`].
    pub statistics: Option<NormStatistics>,
}

/// Statistics of every batch norm of a plan, outside of autodiff.
#[derive(Clone, Debug)]
pub struct NormStatistics {
    /// Means, `[norm_channels]`.
    pub mean: Tensor<1>,
    /// Variances, `[norm_channels]`; unbiased where they come from a batch.
    pub variance: Tensor<1>,
    /// Which channels they say something about: not those of choices that were not computed. `None`
    /// is all.
    pub live: Option<Arc<[bool]>>,
}

/// What a cell yields.
#[derive(Clone, Debug)]
pub struct Output {
    /// `[batch, channels, height, width]`.
    pub output: Tensor<4>,
    /// The batch's statistics where they were used; `None` for a plan without batch norm.
    pub statistics: Option<NormStatistics>,
}

impl Cell {
    /// A cell that runs `plan` on `engine`.
    pub fn new(plan: CellPlan, engine: &Engine) -> Self {
        let path = match engine {
            Engine::Plain => Path::Plain,
            Engine::Fused(memory) => Path::Fused(IdleKernels::new(memory)),
            #[cfg(feature = "gpu")]
            Engine::Gpu => Path::Gpu(Programs::default()),
        };
        Self {
            plan: Arc::new(plan),
            path,
        }
    }

    /// The plan that the cell runs.
    pub fn plan(&self) -> &CellPlan {
        &self.plan
    }

    /// Applies the cell.
    ///
    /// # Panics
    /// If a shape in `call` is not what the plan says: callers build both from one plan.
    pub fn forward(&self, call: Call) -> Output {
        let plan = &*self.plan;
        assert_eq!(call.inputs.len(), plan.input_channels.len(), "number of inputs");
        assert_eq!(call.weights.dims(), [plan.weight_count], "length of the weight vector");
        match &self.path {
            Path::Plain => plain::forward(plan, call),
            Path::Fused(pool) => fused::forward(plan, pool, call),
            #[cfg(feature = "gpu")]
            Path::Gpu(programs) => {
                gpu::forward(&self.plan, programs, call).unwrap_or_else(|call| plain::forward(plan, call))
            }
        }
    }
}

/// The name of a level in settings: that of its widest instructions.
fn short(level: Level) -> &'static str {
    level.name().split('+').next().unwrap_or_default()
}

impl Engine {
    /// The fused engine with a memory of its own.
    pub fn fused() -> Self {
        Self::Fused(Memory::default())
    }

    /// The fused engine for GPUs; none where no GPU's runtime is compiled in.
    pub fn gpu() -> Option<Self> {
        #[cfg(feature = "gpu")]
        let engine = Some(Self::Gpu);
        #[cfg(not(feature = "gpu"))]
        let engine = None;
        engine
    }

    /// The fused engine with the instructions called `level`, as in [`Engine::levels`]; none if
    /// this CPU has not got them.
    pub fn fused_at(level: &str) -> Option<Self> {
        let level = Level::available().into_iter().find(|one| short(*one) == level)?;
        Some(Self::Fused(Memory::at_level(level)))
    }

    /// Names of the sets of instructions that this CPU has, the best first.
    pub fn levels() -> Vec<&'static str> {
        Level::available().into_iter().map(short).collect()
    }

    /// The instructions that the engine's own kernels use.
    pub fn level(&self) -> &'static str {
        match self {
            Self::Plain => crate::cpu_level(),
            Self::Fused(memory) => memory.level().name(),
            #[cfg(feature = "gpu")]
            Self::Gpu => crate::cpu_level(),
        }
    }

    /// The name in files and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Fused(_) => "fused",
            #[cfg(feature = "gpu")]
            Self::Gpu => "gpu",
        }
    }
}
