//! The super-networks of the stages of a search, and the memory of the one that needs most.

use da2s_engine::Engine;

use super::SearchSettings;
use super::stages::StagePlan;
use crate::backbone::{Backbone, NetworkSize};
use crate::data::ImageShape;
use crate::memory::{Needs, largest_first};
use crate::space::{Space, SpaceSettings};
use crate::supernet::supernet;

/// The super-network of the stage `plan` of a search in `space`. The stage determines the number of
/// cells and the partial channels; the other sizes are those of `size`.
pub(super) fn supernet_of(
    settings: &SearchSettings,
    plan: StagePlan,
    space: &Space,
    size: &NetworkSize,
    engine: &Engine,
) -> Backbone {
    let cells = settings.cells_in(plan);
    let size = NetworkSize { cells, ..size.clone() };
    supernet(space, size, settings.partial_in(plan), engine)
}

/// The memory of a step in the stage that needs most, for images of the given shape and number of
/// classes. Contract: on the CPU with the fused engine. In a stage with fewer candidates than the
/// space, the largest ones are assumed to remain, which gives an upper bound. The removed ones keep
/// their weights, but are not computed.
pub(crate) fn needs(
    settings: &SearchSettings,
    space: &SpaceSettings,
    (shape, classes): (ImageShape, usize),
    threads: usize,
) -> Needs {
    let size = settings.size(space, shape, classes);
    let space = space.build();
    let of_stage = |plan: StagePlan| {
        let of = |space: &Space| {
            let backbone = supernet_of(settings, plan, space, &size, &Engine::Plain);
            let (batch, second_order) = (settings.batch_size, settings.second_order);
            Needs::of_search(&backbone, batch, shape.height, threads, second_order)
        };
        let all = of(&space);
        if plan.candidates >= space.operations.len() {
            return all;
        }
        let mut operations = largest_first(&space);
        operations.truncate(plan.candidates);
        let computed = of(&Space {
            operations,
            ..space.clone()
        });
        Needs {
            activations: computed.activations,
            workspace: computed.workspace,
            ..all
        }
    };
    let stages = settings.stage_plans(space.operations.len()).into_iter().map(of_stage);
    stages.max_by_key(Needs::total).unwrap_or_default()
}
