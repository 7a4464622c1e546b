//! The super-network: a backbone whose cells mix all candidates on all edges.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, section 2.1, with the edge weights of Tian et al.
//! 2021; Dong, Yang, "NAS-Bench-201", 2020. Contract: it has the skeleton of its space; batch norms
//! of searched cells have no scale and no shift.

mod cell;
mod chain;
mod partial_cell;

pub(crate) use cell::{preprocessed, stride};
pub(crate) use chain::{input as chain_input, residual};

use da2s_engine::Engine;

use crate::backbone::{Backbone, NetworkSize, Skeleton};
use crate::space::{Space, SpaceName};

/// The super-network of `space`. One in `partial` channels goes through the candidates; 1 means
/// all, and is required for a chain.
pub fn supernet(space: &Space, size: NetworkSize, partial: usize, engine: &Engine) -> Backbone {
    let skeleton = Skeleton::new(space.name, &size);
    let (layers, activation) = (size.chain.layers(size.channels), size.chain.activation);
    let stages = skeleton.stages(engine, |slot, inputs| match space.name {
        SpaceName::Mobile | SpaceName::Plain => chain::plan(space, &layers, activation),
        _ if partial > 1 => partial_cell::plan(space, slot, inputs, partial),
        SpaceName::Darts => cell::darts(space, slot, inputs),
        SpaceName::NasBench201 => cell::nas_bench_201(space, slot),
    });
    let backbone = Backbone::new(&skeleton, stages, None, engine);
    match space.name {
        SpaceName::Mobile | SpaceName::Plain => backbone.with_mixture_order(chain::mixture_order(space, &layers)),
        _ if partial > 1 => backbone.with_mixture_order(partial_cell::mixture_order(space)),
        SpaceName::Darts | SpaceName::NasBench201 => backbone,
    }
}
