//! Estimates the memory of the stages before there is a run, for `da2s config --memory`.
//!
//! Contract: no image is read, so the estimate does not include images in memory. The final network
//! is unknown before the search, so its estimate is an upper bound: for the largest operations on
//! as many edges as the target keeps, and for the maximum width if the network may be widened.

use da2s_engine::Engine;

use super::{Config, ConfigError, Origin};
use crate::memory::{Needs, largest_first};
use crate::network::network;
use crate::search::needs;
use crate::space::{CellGenotype, Genotype, KeptEdge, KindTarget, PerKind, Space, Target};

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
        let genotype = largest(&space, &target);
        // An image too small for the auxiliary head was refused earlier.
        let mut size = config.network.shape.size(&config.space, shape, CLASSES);
        if let Some([_, widest]) = config.widths_to_try() {
            size.channels = widest;
        }
        let final_network = network(&genotype, size, &engine).map_err(|error| ConfigError::Missing {
            key: "network.auxiliary",
            expected: format!("false: {error}"),
        })?;
        Ok(Self {
            search: needs(&config.search, &config.space, (shape, CLASSES), threads),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Request};

    fn planned(assignments: &[&str]) -> Planned {
        planned_on(2, assignments)
    }

    fn planned_on(threads: usize, assignments: &[&str]) -> Planned {
        let layers: Vec<Layer> = assignments
            .iter()
            .map(|text| Layer::assignment("set", text).unwrap())
            .collect();
        let request = Request {
            layers,
            ..Request::default()
        };
        Planned::new(&request.resolve().unwrap(), threads).unwrap()
    }

    #[test]
    fn needs_grow_with_their_causes() {
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

    #[test]
    fn a_second_thread_prepares_a_batch_ahead_for_each_loader() {
        let of = |threads| {
            let sizes = ["data.image_size=16", "search.batch_size=8", "network.batch_size=32"];
            let planned = planned_on(threads, &sizes);
            [planned.search.batches, planned.train.batches]
        };
        let values = 16 * 16 * 4;
        assert_eq!(of(1), [2 * 8 * values, 32 * values]);
        assert_eq!(of(2), [4 * 8 * values, 2 * 32 * values]);
    }

    #[test]
    fn if_the_network_may_be_widened_the_estimate_is_for_the_maximum_width() {
        let train = |more: &[&str]| planned(&[&["space.name=mobile"], more].concat()).train;
        let own = train(&[]);
        let limited = ["target.max_multiply_adds=20000000"];
        assert_eq!(
            train(&["network.channels=64"]),
            train(&[&limited[..], &["network.channels=32"]].concat())
        );
        assert_eq!(own, train(&[&limited[..], &["network.widen_up_to=1.0"]].concat()));
    }

    #[test]
    fn a_search_in_stages_needs_as_much_memory_as_its_largest_stage() {
        let planned = |more: &str| planned(&["search.method=p-darts", more]).search;
        let first = planned("search.stages.cells=[9,3,3]");
        assert!(first.total() > planned("search.stages.cells=[3,3,3]").total());
        // With all candidates in every stage, the last stage needs the most memory; with few
        // candidates in the later stages, it does not.
        let all = planned("search.stages.candidates=[7,7,7]");
        let few = planned("search.stages.candidates=[7,2,1]");
        assert!(all.total() > few.total() && all.activations > few.activations);
    }
}
