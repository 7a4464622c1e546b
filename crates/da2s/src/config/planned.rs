//! Estimates the memory of the stages before there is a run, for `da2s config --memory`.
//!
//! Contract: no image is read, so the estimate does not include images in memory. The final network
//! is unknown before the search, so its estimate is for the largest operations on as many edges as
//! the target keeps: an upper bound.

use std::cmp::Reverse;

use da2s_engine::{Block, Engine, PoolKind};

use super::{Config, ConfigError, Origin};
use crate::memory::Needs;
use crate::network::network;
use crate::space::{CellGenotype, Genotype, HostNetwork, KeptEdge, KindTarget, Operation, PerKind, Space, Target};
use crate::supernet::supernet;

/// Number of classes if the data set does not define it: it has little influence.
const CLASSES: usize = 10;

/// The memory that the stages of a run need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// A step of the search.
    pub search: Needs,
    /// A step of the training of the final network, upper bound.
    pub train: Needs,
}

impl Planned {
    /// For a run of `config` on the CPU, with the fused engine and this number of threads.
    ///
    /// # Errors
    /// If the target does not fit the space, or the size of the images is unknown.
    pub fn new(config: &Config, threads: usize) -> Result<Self, ConfigError> {
        let shape = config.data.shape().ok_or_else(|| ConfigError::Missing {
            key: "data.image_size",
            expected: "a number of pixels: files in a folder may have any size".to_owned(),
        })?;
        let engine = Engine::fused();
        let space = config.space.build();
        let target = config.target.resolve(&space).map_err(|error| ConfigError::Target {
            place: Box::new(Origin::Settings.into()),
            error,
        })?;
        let search = supernet(
            &space,
            config.search.size(&config.space, shape, CLASSES),
            config.search.partial(),
            &engine,
        );
        let genotype = largest(&space, &target);
        // An image too small for the auxiliary head was refused earlier.
        let size = config.network.shape.size(&config.space, shape, CLASSES);
        let final_network = network(&genotype, size, &engine).map_err(|error| ConfigError::Missing {
            key: "network.auxiliary",
            expected: format!("false: {error}"),
        })?;
        Ok(Self {
            search: Needs::of_search(
                &search,
                config.search.batch_size,
                shape.height,
                threads,
                config.search.second_order,
            ),
            train: Needs::of_training(
                &final_network,
                config.network.training.batch_size,
                shape.height,
                threads,
            )
            .with_vectors(config.network.training.extra_vectors()),
        })
    }
}

/// The genotype of `target` whose network needs the most memory.
fn largest(space: &Space, target: &Target) -> Genotype {
    Genotype {
        cells: PerKind::new(space.kinds(), |kind| kept(space, target.kind(kind))),
    }
}

/// The first edges into each node, as many as are kept, with the largest candidates.
fn kept(space: &Space, target: &KindTarget) -> CellGenotype {
    let graph = space.graph;
    let mut operations = largest_first(space);
    operations.truncate(target.operations);
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    let first_of = |group| graph.edges_of(group).take(target.kept(group));
    let edges = graph.groups().flat_map(first_of).map(|edge| KeptEdge {
        from: ends[edge].0,
        to: ends[edge].1,
        operations: operations.clone(),
    });
    space.cell(edges.collect())
}

/// The candidates that may be kept, those that need the most memory first.
fn largest_first(space: &Space) -> Vec<Operation> {
    let stay = |operation: &Operation| space.may_keep(*operation);
    let mut operations: Vec<Operation> = space.operations.iter().copied().filter(stay).collect();
    operations.sort_by_key(|&operation| Reverse(need(operation)));
    operations
}

/// The sort key of operations: one that needs more memory compares as larger. Its parts are the
/// number of consecutive convolutions, the kernel size, and whether a pool averages or a bottleneck
/// has squeeze-and-excitation.
fn need(operation: Operation) -> (usize, usize, bool) {
    match operation.block(1, HostNetwork::Network).0 {
        Block::Separable { stages, kernel, .. } => (stages, kernel, false),
        Block::InvertedBottleneck {
            kernel,
            expansion,
            squeeze,
            ..
        } => (expansion, kernel, squeeze),
        Block::Basic { kernel, .. } => (2, kernel, false),
        Block::Conv { kernel, .. } => (1, kernel, false),
        Block::Pool { kind, kernel, .. } => (0, kernel, kind == PoolKind::Average),
        Block::FactorizedReduce
        | Block::Identity
        | Block::Norm
        | Block::Relu
        | Block::Relu6
        | Block::HardSwish
        | Block::Shuffle { .. }
        | Block::Take { .. }
        | Block::Zero { .. } => (0, 0, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, resolve};

    fn planned(assignments: &[&str]) -> Planned {
        let layers: Vec<Layer> = assignments
            .iter()
            .map(|text| Layer::assignment("set", text).unwrap())
            .collect();
        Planned::new(&resolve(&layers).unwrap(), 2).unwrap()
    }

    #[test]
    fn candidates_that_need_most_come_first() {
        let names: Vec<&str> = largest_first(&Space::darts(true))
            .into_iter()
            .map(Operation::name)
            .collect();
        let expected = [
            "sep_conv_5x5",
            "sep_conv_3x3",
            "dil_conv_5x5",
            "dil_conv_3x3",
            "avg_pool_3x3",
            "max_pool_3x3",
            "skip_connect",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn needs_grow_with_what_makes_them() {
        let plain = planned(&[]);
        let larger = planned(&["search.batch_size=128", "network.channels=64"]);
        assert!(larger.search.activations > plain.search.activations);
        assert_eq!(larger.search.parameters, plain.search.parameters);
        assert!(larger.train.parameters > plain.train.parameters);
        let bench = planned(&["space.name=nas-bench-201", "target.edges=all"]);
        assert!(bench.search.total() > bench.search.program && bench.train.total() > bench.train.program);
        let second = planned(&["search.second_order=true"]);
        assert_eq!(
            second.search.optimiser,
            plain.search.optimiser + 2 * plain.search.parameters
        );
        let partial = planned(&["search.method=pc-darts"]);
        assert!(partial.search.activations < plain.search.activations);
    }
}
