//! The final network: a backbone whose cells have the edges and operations of the genotype.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, section 3.2 and its code for CIFAR and ImageNet.
//! Contract: it has the skeleton of the genotype's space; batch norms with scale and shift, no
//! batch norm after pools.

mod auxiliary;
mod cost;
mod cost_parts;
mod cost_tables;
mod drop_path;
mod latency;
mod peak_table;
mod resource;
mod settings;
mod trained;
mod width;

pub use auxiliary::AuxiliaryError;
pub(crate) use auxiliary::slot as auxiliary_slot;
pub use cost::{Cost, cost};
pub(crate) use cost_parts::cost_parts;
pub(crate) use cost_tables::{Candidate, candidates, cost_table};
pub use drop_path::{DropPath, DropPathRamp};
pub use latency::{Conditions, LatencyError, LatencyTable, TimedBlock, network_blocks, timed_blocks};
pub(crate) use peak_table::peak_table;
pub use resource::Resource;
pub use settings::{BaselineMatch, BaselineSettings, NetworkShape};
pub use trained::{Description, Trained, TrainedError};
pub(crate) use width::{CHANNELS, exceeded, limits, wider, widths_to_try};
pub use width::{Limit, WidthError, channels_at, widest, widest_in_table};

use da2s_engine::{Block, CellPlan, CellPlanBuilder, Engine};

use crate::backbone::{Backbone, CellSlot, NetworkSize, Skeleton};
use crate::space::{CellGenotype, CellGraph, Genotype, HostNetwork, KeptEdge, LayerShape, Operation, SpaceName};
use crate::supernet::{chain_input, preprocessed, residual, stride};

/// The network of `genotype`.
///
/// # Errors
/// If an auxiliary head is requested but the image is too small for it.
pub fn network(genotype: &Genotype, size: NetworkSize, engine: &Engine) -> Result<Backbone, AuxiliaryError> {
    let space = genotype.space();
    let skeleton = Skeleton::new(space, &size);
    let head = auxiliary::slot(&skeleton, &size)?;
    let stages = skeleton.stages(engine, |slot, inputs| {
        let genotype = genotype.kind(slot.kind);
        match space {
            SpaceName::Darts => darts_cell(genotype, slot, inputs),
            SpaceName::NasBench201 => nas_bench_201_cell(genotype, slot),
            SpaceName::Mobile | SpaceName::Plain => chain(genotype, &size),
        }
    });
    let auxiliary = head.map(|slot| auxiliary::head(&stages, slot, size.stem, engine));
    Ok(Backbone::new(&skeleton, stages, auxiliary, engine))
}

/// A cell of DARTS.
fn darts_cell(genotype: &CellGenotype, slot: &CellSlot, inputs: &[usize]) -> CellPlan {
    let graph = CellGraph::new(inputs.len(), genotype.nodes());
    let mut builder = preprocessed(CellPlanBuilder::new(true), slot, inputs);
    for _ in graph.all_nodes() {
        builder = builder.node(slot.channels);
    }
    let mut entry = 0;
    for edge in &genotype.edges {
        let stride = stride(slot.stride, edge.from, graph);
        let choices: Vec<_> = edge
            .operations
            .iter()
            .map(|operation| {
                let (block, inner) = operation.block(stride, HostNetwork::Network);
                entry += 1;
                (block, format!("_ops.{}{inner}", entry - 1), 0)
            })
            .collect();
        builder = builder.edge(edge.from, edge.to, choices);
    }
    builder.output(genotype.concat.iter().copied())
}

/// A cell of NAS-Bench-201; its edges are in the order of the graph.
fn nas_bench_201_cell(genotype: &CellGenotype, slot: &CellSlot) -> CellPlan {
    let nodes = genotype.concat.last().copied().unwrap_or(0);
    let mut builder = CellPlanBuilder::new(true).input(slot.channels);
    for _ in 0..nodes {
        builder = builder.node(slot.channels);
    }
    for (index, edge) in genotype.edges.iter().enumerate() {
        let choices = edge.operations.iter().map(|operation| {
            let (block, inner) = operation.block(slot.stride, HostNetwork::Network);
            (block, format!("layers.{index}{inner}"), 0)
        });
        builder = builder.edge(edge.from, edge.to, choices);
    }
    builder.output([nodes])
}

/// The layers of a chain that compute something, in order, each with its operations.
pub(crate) fn kept_layers(genotype: &CellGenotype, size: &NetworkSize) -> Vec<(LayerShape, Vec<Operation>)> {
    let all = size.chain.layers(size.channels);
    let layer = |edge: &KeptEdge| {
        let computed = edge.operations.iter().copied();
        let computed: Vec<Operation> = computed.filter(|&operation| operation != Operation::Skip).collect();
        Some((*all.get(edge.from)?, computed))
    };
    let layers = genotype.edges.iter().filter_map(layer);
    layers.filter(|(_, operations)| !operations.is_empty()).collect()
}

/// The kept layers of a chain, in order. A layer with several operations sums them.
fn chain(genotype: &CellGenotype, size: &NetworkSize) -> CellPlan {
    let kept = kept_layers(genotype, size);
    let layers: Vec<LayerShape> = kept.iter().map(|(layer, _)| *layer).collect();
    let mut builder = chain_input(CellPlanBuilder::new(true), &layers);
    for (index, (layer, operations)) in kept.into_iter().enumerate() {
        let choices = operations.iter().enumerate().map(|(place, operation)| {
            let (block, _) = operation.block(layer.stride, HostNetwork::Network);
            let block = block.with_activation(size.chain.activation);
            (block, format!("layers.{index}.{place}"), 0)
        });
        let beside = shortcut(&layer, &operations, format!("layers.{index}.{}", operations.len()));
        builder = builder.edge(index, index + 1, choices.chain(beside));
    }
    builder.output([layers.len()])
}

/// The shortcut parallel to the operations of a layer, if it has one. `name` is the name of the
/// shortcut's weights.
fn shortcut(layer: &LayerShape, operations: &[Operation], name: String) -> Option<(Block, String, usize)> {
    let keeps_shape = layer.stride == 1 && layer.inputs == layer.outputs;
    match operations {
        [Operation::BasicBlock] if keeps_shape => Some((Block::Relu, String::new(), 0)),
        [Operation::BasicBlock] => {
            let projection = Block::Conv {
                relu: true,
                kernel: 1,
                stride: layer.stride,
                padding: 0,
                bias: false,
                norm: false,
            };
            Some((projection, name, 0))
        }
        [Operation::DsConv3x3] => None,
        _ => residual(layer),
    }
}

/// A small network for tests, with two channels, for images of 8×8 pixels. A single cell is a
/// reduction cell; three cells include normal ones.
#[cfg(test)]
pub(crate) fn small_network(cells: usize) -> Backbone {
    let text = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], \
        reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])";
    let size = NetworkSize {
        stem: crate::backbone::Stem::Cifar,
        channels: 2,
        cells,
        reductions: crate::space::Reductions::THIRDS,
        image_channels: 1,
        image_size: 8,
        classes: 2,
        auxiliary: false,
        chain: crate::space::ChainShape::default(),
    };
    network(&Genotype::parse(text).unwrap(), size, &Engine::Plain).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{ChainShape, Reductions, StageShape};
    use da2s_engine::StagePlan;

    #[test]
    fn a_layer_that_keeps_skip_vanishes() {
        let size = NetworkSize {
            stem: crate::backbone::Stem::Cifar,
            channels: 8,
            cells: 1,
            reductions: Reductions::At(Vec::new()),
            image_channels: 3,
            image_size: 16,
            classes: 4,
            auxiliary: false,
            chain: ChainShape {
                stem_channels: 8,
                stem_stride: 1,
                stages: [[8, 3, 2], [16, 2, 1]].map(StageShape::from).to_vec(),
                head_channels: 16,
                ..ChainShape::default()
            },
        };
        let of = |text: &str| {
            let genotype = Genotype::parse(text).unwrap();
            let network = network(&genotype, size.clone(), &Engine::Plain).unwrap();
            let plan = StagePlan::new("", vec![Some(0)], network.stages()[1].cell.plan());
            (plan, genotype.cells.normal.depth())
        };
        let none = of("Genotype(stages=[['mbconv_k3_e1', None, 'mbconv_k5_e3'], ['mbconv_k3_e3', None]])");
        let skip = of("Genotype(stages=[['mbconv_k3_e1', 'skip', 'mbconv_k5_e3'], ['mbconv_k3_e3', 'skip']])");
        assert_eq!(skip, none);
        assert_eq!(skip.1, [2, 1]);
        // Beside another operation it adds nothing.
        let both = of("Genotype(stages=[['mbconv_k3_e1', None, ('skip', 'mbconv_k5_e3')], ['mbconv_k3_e3', None]])");
        assert_eq!(both, none);
    }
}
