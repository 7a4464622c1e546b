//! The width of a network for a given cost: the largest number of channels that a predicate allows.
//!
//! Contract: a network with more channels costs at least as much, so the answer is found by
//! bisection. The predicate sees the network itself; whatever can be computed from it can be
//! limited.

use da2s_engine::Engine;

use super::{AuxiliaryError, network};
use crate::backbone::{Backbone, NetworkSize};
use crate::space::Genotype;

/// The smallest and the largest number of channels that the setting `network.channels` allows.
pub(crate) const CHANNELS: [usize; 2] = [2, 4096];

/// The largest number of channels with which the network of `genotype`, otherwise of `size`, is
/// allowed by `fits`; `None` if even the narrowest is not.
///
/// # Errors
/// If an auxiliary head is requested but the image is too small for it.
pub fn widest(
    genotype: &Genotype,
    size: &NetworkSize,
    fits: impl Fn(&Backbone) -> bool,
) -> Result<Option<usize>, AuxiliaryError> {
    let allowed = |channels: usize| {
        let size = NetworkSize {
            channels,
            ..size.clone()
        };
        network(genotype, size, &Engine::Plain).map(|network| fits(&network))
    };
    let [least, most] = CHANNELS;
    if !allowed(least)? {
        return Ok(None);
    }
    // Doubling first keeps the networks small that are built on the way.
    let mut within = least;
    let mut beyond = most + 1;
    while within < most {
        let next = (2 * within).min(most);
        if allowed(next)? {
            within = next;
        } else {
            beyond = next;
            break;
        }
    }
    while within + 1 < beyond {
        let middle = within.midpoint(beyond);
        if allowed(middle)? {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    Ok(Some(within))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::Stem;
    use crate::network::cost;
    use crate::space::{ChainShape, NamedNetwork, Reductions};
    use proptest::prelude::*;

    /// The size of `network` for images with a side of 32 pixels.
    fn size(network: NamedNetwork) -> NetworkSize {
        let (cells, chain) = match network {
            NamedNetwork::Plain(plain) => (1, plain.settings(32).chain()),
            NamedNetwork::Cells(_) => (3, ChainShape::default()),
        };
        NetworkSize {
            stem: Stem::Cifar,
            channels: 0,
            cells,
            reductions: Reductions::THIRDS,
            image_channels: 3,
            image_size: 32,
            classes: 10,
            auxiliary: false,
            chain,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_widest_network_fits_and_the_next_does_not(
            name in prop::sample::select(NamedNetwork::names()),
            limit in 2_000_000u64..60_000_000,
            parameters in any::<bool>(),
        ) {
            let network = NamedNetwork::from_name(name).unwrap();
            let (genotype, size) = (network.genotype().unwrap(), size(network));
            let limit = if parameters { limit / 40 } else { limit };
            let fits = |network: &Backbone| {
                let cost = cost(network, 32);
                limit >= if parameters { cost.parameters } else { cost.multiply_adds }
            };
            let at = |channels| super::network(&genotype, NetworkSize { channels, ..size.clone() }, &Engine::Plain).unwrap();
            match widest(&genotype, &size, fits).unwrap() {
                Some(channels) => {
                    prop_assert!(fits(&at(channels)));
                    prop_assert!(!fits(&at(channels + 1)));
                }
                None => prop_assert!(!fits(&at(2))),
            }
        }
    }

    #[test]
    fn no_width_is_too_large_for_no_limit() {
        let network = NamedNetwork::from_name("resnet8").unwrap();
        let (genotype, size) = (network.genotype().unwrap(), size(network));
        let few = |network: &Backbone| network.parts().len() < 100;
        assert_eq!(widest(&genotype, &size, few).unwrap(), Some(4096));
        assert_eq!(widest(&genotype, &size, |_| false).unwrap(), None);
    }
}
