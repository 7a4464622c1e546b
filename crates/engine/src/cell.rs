//! The engine's interface: a cell applied to its inputs, with gradients.
//!
//! Contract: inputs are `[batch, channels, height, width]`; the weights are one flat vector in the
//! plan's layout; the mixture has one weight per choice, in the order of the plan's edges.
//! Gradients flow to those of the three that Burn's autodiff tracks, and to nothing else.

use std::sync::Arc;

use burn::tensor::Tensor;
use da2s_kernels::Level;
use da2s_plan::CellPlan;

use crate::fused::{self, IdleKernels, Memory};
#[cfg(feature = "gpu")]
use crate::gpu::{self, Programs};
use crate::plain;

/// The implementation that runs the cells of a network.
#[derive(Clone, Debug)]
pub enum Engine {
    /// Burn's own operations: the reference. Runs on any device; slow on the CPU.
    Plain,
    /// Hand-written kernels, on the CPU device only. All cells share one memory.
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

/// The operands of a cell.
#[derive(Clone, Debug)]
pub struct Call {
    /// One tensor per input of the plan, `[batch, channels, height, width]`.
    pub inputs: Vec<Tensor<4>>,
    /// `[weight_count]`.
    pub weights: Tensor<1>,
    /// `[choice_count]`; `None` gives every choice the weight 1.
    pub mixture: Option<Tensor<1>>,
    /// One flag per choice; a choice whose flag is false is not computed. `None` computes all. This
    /// is for choices whose weight is exactly 0; there is no threshold below which a choice is
    /// skipped.
    pub active: Option<Arc<[bool]>>,
    /// Drop-path: `[choice_count, batch]`, the factors of each choice's output.
    pub drop_path: Option<Tensor<2>>,
    /// Statistics for the batch norms. With `None` they are computed from the batch and returned in
    /// [`Output::statistics`].
    pub statistics: Option<NormStatistics>,
}

/// Statistics of every batch norm of a plan, without autodiff.
#[derive(Clone, Debug)]
pub struct NormStatistics {
    /// Means, `[norm_channels]`.
    pub mean: Tensor<1>,
    /// Variances, `[norm_channels]`; unbiased if they were computed from a batch.
    pub variance: Tensor<1>,
    /// Whether each channel has statistics; the channels of choices that were not computed have
    /// none. `None` means that all channels have them.
    pub live: Option<Arc<[bool]>>,
}

/// The result of a cell.
#[derive(Clone, Debug)]
pub struct Output {
    /// `[batch, channels, height, width]`.
    pub output: Tensor<4>,
    /// The batch's statistics, if they were used; `None` for a plan without batch norm.
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

    /// Frees the memory that the engine keeps for the next call.
    pub fn free_memory(&self) {
        if let Path::Fused(pool) = &self.path {
            pool.free();
        }
    }

    /// Applies the cell.
    ///
    /// # Panics
    /// If a shape in `call` differs from the plan's: callers build both from the same plan.
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

/// The name of a level in settings: that of its widest instruction set.
fn short(level: Level) -> &'static str {
    level.name().split('+').next().unwrap_or_default()
}

impl Engine {
    /// The fused CPU engine with its own memory.
    pub fn fused() -> Self {
        Self::Fused(Memory::default())
    }

    /// The fused engine for GPUs; `None` if no GPU runtime is compiled in.
    pub fn gpu() -> Option<Self> {
        #[cfg(feature = "gpu")]
        let engine = Some(Self::Gpu);
        #[cfg(not(feature = "gpu"))]
        let engine = None;
        engine
    }

    /// The fused CPU engine with the instruction set called `level`, one of [`Engine::levels`];
    /// `None` if this CPU lacks it.
    pub fn fused_at(level: &str) -> Option<Self> {
        let level = Level::available().into_iter().find(|one| short(*one) == level)?;
        Some(Self::Fused(Memory::at_level(level)))
    }

    /// Names of the instruction sets of this CPU, the best first.
    pub fn levels() -> Vec<&'static str> {
        Level::available().into_iter().map(short).collect()
    }

    /// The instruction set that the engine's own kernels use.
    pub fn level(&self) -> &'static str {
        match self {
            Self::Plain => crate::cpu_level(),
            Self::Fused(memory) => memory.level().name(),
            #[cfg(feature = "gpu")]
            Self::Gpu => crate::cpu_level(),
        }
    }

    /// The engine's name in files and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Fused(_) => "fused",
            #[cfg(feature = "gpu")]
            Self::Gpu => "gpu",
        }
    }
}
