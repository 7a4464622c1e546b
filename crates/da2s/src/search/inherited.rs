//! The weights of a final network that a super-network of the space `mobile` contains.
//!
//! Contract: each layer keeps one operation, and both networks have the same channels. Then the
//! discretized super-network computes `x + o(x)` in each layer that stays, as the final network
//! does. Only the scales and shifts of batch norms are new: the super-network has none in its
//! candidates, so they start at 1 and 0, and the network has the logits of the discretized
//! super-network.

use burn::tensor::Device;
use da2s_engine::WeightRole;
use da2s_records::Named;

use super::SearchState;
use crate::backbone::{Backbone, LoadError, Statistics, Weights};
use crate::random::Purpose;
use crate::space::{CellKind, Genotype, Operation, Space};

/// The weights and statistics of `network`, the network of `genotype`, in the super-network.
///
/// # Errors
/// If a tensor is missing or has another shape.
pub fn inherited(
    (supernet, space): (&Backbone, &Space),
    state: &SearchState,
    (genotype, network): (&Genotype, &Backbone),
    device: &Device,
) -> Result<(Weights, Statistics), LoadError> {
    let edges = genotype.kind(CellKind::Normal).edges.iter();
    let kept = edges.filter(|edge| edge.operations.first() != Some(&Operation::Skip));
    // The names of a layer in the super-network and in the network, which numbers what stays.
    let renamed = kept.enumerate().filter_map(|(index, edge)| {
        let candidate = space
            .operations
            .iter()
            .position(|own| edge.operations.first() == Some(own))?;
        Some((
            format!("layers.{}.{candidate}.", edge.from),
            format!("layers.{index}.0."),
        ))
    });
    let renamed: Vec<(String, String)> = renamed.collect();
    let of_network = |tensor: Named| {
        if !tensor.name.starts_with("layers.") {
            return Some(tensor);
        }
        let (from, to) = renamed.iter().find(|(from, _)| tensor.name.starts_with(from))?;
        let name = format!("{to}{}", &tensor.name[from.len()..]);
        Some(Named { name, ..tensor })
    };
    let all = supernet.named(&state.weights, &state.statistics);
    let mut tensors: Vec<Named> = all.into_iter().filter_map(of_network).collect();
    let known: Vec<String> = tensors.iter().map(|tensor| tensor.name.clone()).collect();
    let start = Weights::new(network, 0, Purpose::NetworkWeights, device).named(network);
    let roles = network
        .parts()
        .iter()
        .flat_map(|part| &part.weights)
        .map(|weight| weight.role);
    for (tensor, role) in start.into_iter().zip(roles) {
        if matches!(role, WeightRole::Gamma | WeightRole::Beta) && !known.contains(&tensor.name) {
            tensors.push(tensor);
        }
    }
    network.load(&tensors, device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use da2s_engine::Engine;

    use super::*;
    use crate::backbone::Pass;
    use crate::data::{DataOptions, Format, open};
    use crate::device::host;
    use crate::discretize::{Discretization, Rule};
    use crate::evaluate::DeviceBatch;
    use crate::network::network;
    use crate::resumable::Resumable;
    use crate::search::{Search, SearchSetup};
    use crate::space::{All, EdgeCount, Reductions, SpaceName};

    #[test]
    fn the_network_has_the_logits_of_the_discretized_super_network() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        setup.space.name = SpaceName::Mobile;
        setup.space.stages = Some(vec![vec![8, 3, 2], vec![16, 3, 1]]);
        (setup.space.head_channels, setup.space.residual_blocks) = (Some(16), true);
        setup.target.edges = EdgeCount::All(All::All);
        setup.target.depth = Some(EdgeCount::PerNode(vec![2, 2]));
        (setup.search.channels, setup.search.cells, setup.search.batch_size) = (8, 1, 32);
        setup.search.reduction_cells = Reductions::At(Vec::new());
        (setup.network.channels, setup.network.cells) = (8, 1);
        setup.network.reduction_cells = Reductions::At(Vec::new());
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let (device, engine) = (Device::flex(), Engine::fused());
        let search = Search::new(&setup, &dataset, &device, &engine).unwrap();
        let mut state = search.start();
        for _ in 0..3 {
            let images = search.images(&state, &|| false).unwrap();
            search.step(&mut state, images).unwrap();
        }
        let outcome = search
            .discretized(&state, &*Rule::Strongest.build(), &|| false)
            .unwrap();
        let kept = outcome.genotype.kind(CellKind::Normal);
        assert_eq!(kept.edges.len(), 4, "{}", outcome.genotype);
        let size = setup.network.size(&setup.space, dataset.shape, dataset.classes());
        let network = network(&outcome.genotype, size, &engine).unwrap();
        let supernet = (&search.backbone, &search.space);
        let (weights, statistics) = inherited(supernet, &state, (&outcome.genotype, &network), &device).unwrap();
        let images = DeviceBatch::new(search.weight_loader.batch(1, 0).unwrap(), &device).images;
        let ours = network.forward(images.clone(), Pass::new(&weights).with_statistics(&statistics));
        let mixtures = search.pruned(&state, &outcome).mixtures(Discretization::Both, &device);
        let pass = Pass::new(&state.weights)
            .with_mixtures(&mixtures)
            .with_statistics(&state.statistics);
        let theirs = search.backbone.forward(images, pass);
        for (ours, theirs) in host(&ours.logits).into_iter().zip(host(&theirs.logits)) {
            assert!(
                (ours - theirs).abs() < 1e-4 * theirs.abs().max(1.0),
                "{ours} != {theirs}"
            );
        }
    }
}
