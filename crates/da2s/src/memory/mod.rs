//! Memory estimates: what a step will need, and what this process can allocate.
//!
//! Contract: estimates are computed from plans, batch and threads for the fused engine on the CPU,
//! where they are within a tenth of the measured peak (table in the book, *Memory*). The plain
//! engine needs more, so some of its runs fail only later. There are no estimates for GPUs.

mod available;
mod largest;

pub use available::{Available, Bound, available};
pub(crate) use largest::largest_first;

use std::fmt;

use da2s_engine::cpu::{CellNeeds, Lent};
use da2s_engine::{CellPlan, Engine};

use crate::backbone::{Backbone, Source};
use crate::data::{Dataset, Part};
use crate::hint::Hint;

/// Memory of the program itself, its code and the threads' stacks: measured.
const PROGRAM_BYTES: u64 = 22 << 20;
/// Number of vectors as long as the weights. A step has four: weights, gradient, velocity, new
/// values. Writing a checkpoint adds four: weights and velocity, both as tensors and as bytes of
/// the file. The allocator has not yet released the memory of the step by then (measured).
const OPTIMISER_VECTORS: u64 = 8;
/// Bytes of a float.
const FLOAT: u64 = size_of::<f32>() as u64;

/// The memory that a step needs, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The program itself.
    pub program: u64,
    /// Images in memory, and the list of their files.
    pub images: u64,
    /// The batches in use, and those prepared ahead.
    pub batches: u64,
    /// Weights.
    pub parameters: u64,
    /// Gradients, velocities, the new values of a step, and the copies in a checkpoint.
    pub optimiser: u64,
    /// What the cells keep and output, and the gradients of their inputs.
    pub activations: u64,
    /// Scratch memory that the cells use in turn.
    pub workspace: u64,
}

impl Needs {
    /// The sum of all parts.
    pub fn total(&self) -> u64 {
        self.rows().into_iter().map(|(_, bytes)| bytes).sum()
    }

    /// The parts with their names, in the order of their declaration.
    pub fn rows(&self) -> [(&'static str, u64); 7] {
        [
            ("program", self.program),
            ("images", self.images),
            ("batches", self.batches),
            ("parameters", self.parameters),
            ("optimiser", self.optimiser),
            ("activations", self.activations),
            ("workspace", self.workspace),
        ]
    }

    /// For a training step of `network` on `batch` images of `side` × `side` pixels, and the next
    /// batch if there is a thread that can prepare it ahead.
    pub fn of_training(network: &Backbone, batch: usize, side: usize, threads: usize) -> Self {
        let cells = cells(network, side, |plan, sizes| {
            CellNeeds::of_training(plan, sizes, batch, threads)
        });
        let kept: usize = cells.iter().map(|cell| cell.kept + cell.output).sum();
        // In the backward pass: the gradients of two cells' inputs and outputs.
        let gradients = cells.iter().map(|cell| cell.inputs + cell.output).max().unwrap_or(0);
        Self {
            batches: batch_bytes(network, batch, side) * if threads > 1 { 2 } else { 1 },
            optimiser: (OPTIMISER_VECTORS - 1) * parameters(network),
            ..Self::of(network, kept + gradients, &cells)
        }
    }

    /// For a step of the search of `supernet`, like [`Self::of_training`], but with the batches of
    /// two loaders: for the architecture and for the weights. A second-order step needs two more
    /// vectors as long as the weights: the unrolled weights and the direction of the finite
    /// difference.
    pub fn of_search(supernet: &Backbone, batch: usize, side: usize, threads: usize, second_order: bool) -> Self {
        let needs = Self::of_training(supernet, batch, side, threads);
        Self {
            batches: 2 * needs.batches,
            ..needs.with_vectors(if second_order { 2 } else { 0 })
        }
    }

    /// The same, plus `count` vectors as long as the weights.
    #[must_use]
    pub fn with_vectors(self, count: u64) -> Self {
        Self {
            optimiser: self.optimiser + count * self.parameters,
            ..self
        }
    }

    /// For forward and backward passes of single cells if all their graphs exist at the same time;
    /// each cell has the height and width of its inputs.
    pub fn of_cells<'a>(
        cells: impl IntoIterator<Item = (&'a CellPlan, (usize, usize))>,
        batch: usize,
        threads: usize,
    ) -> Self {
        let cells: Vec<CellNeeds> = cells
            .into_iter()
            .map(|(plan, size)| {
                let sizes = vec![size; plan.input_channels.len()];
                CellNeeds::of_training(plan, &sizes, batch, threads)
            })
            .collect();
        let held: usize = cells.iter().map(|cell| cell.inputs + cell.kept + cell.output).sum();
        let gradients = cells.iter().map(|cell| cell.inputs + cell.output).max().unwrap_or(0);
        Self {
            program: PROGRAM_BYTES,
            activations: (held + gradients) as u64,
            workspace: lent(&cells).bytes() as u64,
            ..Self::default()
        }
    }

    /// For the evaluation of `network` on one batch of `batch` images of `side` × `side` pixels.
    pub fn of_inference(network: &Backbone, batch: usize, side: usize, threads: usize) -> Self {
        let cells = cells(network, side, |plan, sizes| {
            CellNeeds::of_inference(plan, sizes, batch, threads)
        });
        let outputs = cells.iter().map(|cell| cell.output).sum();
        Self {
            batches: batch_bytes(network, batch, side),
            ..Self::of(network, outputs, &cells)
        }
    }

    fn of(network: &Backbone, activations: usize, cells: &[CellNeeds]) -> Self {
        Self {
            program: PROGRAM_BYTES,
            parameters: parameters(network),
            activations: activations as u64,
            workspace: lent(cells).bytes() as u64,
            ..Self::default()
        }
    }

    /// The same, plus the images of `dataset`.
    #[must_use]
    pub fn beside(self, dataset: &Dataset) -> Self {
        let images = Part::ALL
            .into_iter()
            .map(|part| dataset.part(part).resident_bytes() as u64);
        Self {
            images: self.images + images.sum::<u64>(),
            ..self
        }
    }

    /// Fails if this process cannot allocate that much. `what` needs the memory; `lower` names
    /// settings whose reduction helps.
    ///
    /// # Errors
    /// If the memory is not enough, with both numbers.
    pub fn check(
        &self,
        what: &'static str,
        lower: &'static [&'static str],
        engine: &Engine,
    ) -> Result<(), MemoryError> {
        let is_estimated = matches!(engine, Engine::Plain | Engine::Fused(_));
        let Some(available) = available().filter(|_| is_estimated) else {
            return Ok(());
        };
        // Memory that the process already uses counts as needed, but is not part of what is left.
        if self.total().saturating_sub(PROGRAM_BYTES + self.images) <= available.bytes {
            return Ok(());
        }
        Err(MemoryError {
            what,
            needed: Bytes(self.total()),
            available,
            hint: Hint::Lower(lower),
        })
    }
}

/// A step needs more memory than is available.
#[derive(Debug, thiserror::Error)]
#[error("{what} needs about {needed} of memory, and {available}")]
pub struct MemoryError {
    /// The operation that needs it.
    pub what: &'static str,
    /// The memory needed.
    pub needed: Bytes,
    /// The memory available.
    pub available: Available,
    /// How to reduce it.
    pub hint: Hint,
}

/// Buffers that are large enough for every cell; the cells use them in turn.
fn lent(cells: &[CellNeeds]) -> Lent {
    cells.iter().fold(Lent::default(), |lent, cell| lent.max(cell.lent))
}

/// The memory of every cell of `network` according to `of`.
fn cells(network: &Backbone, side: usize, of: impl Fn(&CellPlan, &[(usize, usize)]) -> CellNeeds) -> Vec<CellNeeds> {
    let mut sizes: Vec<(usize, usize)> = Vec::new();
    let mut cells = Vec::new();
    let stages = network
        .stages()
        .iter()
        .map(|stage| (stage.cell.plan(), stage.sources.clone()));
    let auxiliary = network
        .auxiliary()
        .map(|head| (head.cell.plan(), vec![Source::Stage(head.stage)]));
    for (plan, sources) in stages.chain(auxiliary) {
        let inputs: Vec<(usize, usize)> = sources
            .iter()
            .map(|source| match source {
                Source::Image => (side, side),
                Source::Stage(earlier) => sizes[*earlier],
            })
            .collect();
        cells.push(of(plan, &inputs));
        let nodes = plan.node_sizes(&inputs);
        sizes.push(plan.output.first().map_or((0, 0), |&node| nodes[node]));
    }
    cells
}

/// Bytes of `batch` images as the first cell reads them.
fn batch_bytes(network: &Backbone, batch: usize, side: usize) -> u64 {
    let channels = network
        .stages()
        .first()
        .map_or(0, |stage| stage.cell.plan().input_channels[0]);
    FLOAT * (batch * channels * side * side) as u64
}

/// Bytes of the weights.
fn parameters(network: &Backbone) -> u64 {
    FLOAT * network.parts().iter().map(|part| part.weight_count as u64).sum::<u64>()
}

/// A number of bytes, displayed in a readable unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.0 as f64 / f64::from(1 << 20);
        match mebibytes {
            small if small < 1024.0 => write!(f, "{small:.0} MiB"),
            large if large < f64::from(1 << 20) => write!(f, "{:.1} GiB", large / 1024.0),
            huge => write!(f, "{:.1} TiB", huge / f64::from(1 << 20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_units_of_their_size() {
        let words = [3 << 20, 1500 << 20, 3 << 40].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(words, ["3 MiB", "1.5 GiB", "3.0 TiB"]);
    }
}
