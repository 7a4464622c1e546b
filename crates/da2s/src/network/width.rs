//! The width of a network for a given cost: the largest number of channels that a predicate allows.
//!
//! Contract: a network with more channels costs at least as much, so the answer is found by
//! bisection. The predicate sees the network itself; whatever can be computed from it can be
//! limited.

use da2s_engine::Engine;

use super::{AuxiliaryError, LatencyTable, NetworkShape, Resource, cost, network};
use crate::backbone::{Backbone, NetworkSize};
use crate::space::{Genotype, Precision, SpaceName, SpaceSettings, TargetSpec};

/// The smallest and the largest number of channels that the setting `network.channels` allows.
pub(crate) const CHANNELS: [usize; 2] = [2, 4096];

/// The most that a network may need of a resource.
pub type Limit = (Resource, f64);

/// The limits of `target` on the cost of the final network, except the one on latency, which needs
/// a table.
pub(crate) fn limits(target: &TargetSpec) -> Vec<Limit> {
    let resources = Resource::ALL
        .into_iter()
        .filter(|resource| *resource != Resource::Latency);
    resources
        .filter_map(|resource| Some((resource, resource.limit(target)?)))
        .collect()
}

/// The first of `limits` that `network` exceeds, with the amount that it needs.
pub(crate) fn exceeded(
    limits: &[Limit],
    precision: Precision,
    network: &Backbone,
    side: usize,
) -> Option<(Resource, f64, f64)> {
    let cost = cost(network, side);
    let needs = limits
        .iter()
        .map(|&(resource, limit)| (resource, limit, resource.of(&cost, precision)));
    let mut known = needs.filter_map(|(resource, limit, need)| Some((resource, limit, need?)));
    known.find(|(_, limit, need)| need > limit)
}

/// The largest number of channels from `least` to `most` with which `fits` allows the network of
/// `genotype`; `None` if it does not even allow the narrowest. All other sizes are those of `size`.
///
/// # Errors
/// If an auxiliary head is requested but the image is too small for it.
pub fn widest(
    genotype: &Genotype,
    size: &NetworkSize,
    [least, most]: [usize; 2],
    fits: impl Fn(&Backbone) -> bool,
) -> Result<Option<usize>, AuxiliaryError> {
    let allowed = |channels: usize| {
        let size = NetworkSize {
            channels,
            ..size.clone()
        };
        network(genotype, size, &Engine::Plain).map(|network| fits(&network))
    };
    if !allowed(least)? {
        return Ok(None);
    }
    // Doubling first, so that no network much larger than the answer is built.
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

/// The largest number of channels from `least` to `most` with which `table` has all blocks of the
/// network of `genotype`, the network takes at most `limit_ms`, and `fits` allows it; `None` if
/// there is no such number. All other sizes are those of `size`. Contract: times need not grow with
/// the width, so every width is tried, from the largest down.
///
/// # Errors
/// If an auxiliary head is requested but the image is too small for it.
pub fn widest_in_table(
    genotype: &Genotype,
    size: &NetworkSize,
    [least, most]: [usize; 2],
    (table, limit_ms): (&LatencyTable, f64),
    fits: impl Fn(&Backbone) -> bool,
) -> Result<Option<usize>, AuxiliaryError> {
    // A stem has at least as many outputs as the network has channels.
    for channels in (least..=most.min(table.most_outputs())).rev() {
        let size = NetworkSize {
            channels,
            ..size.clone()
        };
        let side = size.image_size;
        let network = network(genotype, size, &Engine::Plain)?;
        // The only error is a block that is missing.
        let time_ms = table.of_network(&network, side);
        if time_ms.is_ok_and(|ms| ms <= limit_ms) && fits(&network) {
            return Ok(Some(channels));
        }
    }
    Ok(None)
}

/// A width at which there is no network.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WidthError {
    /// A width that is not a finite number above 0.
    #[error("a width of {width}: expected a number above 0, by which the channels are multiplied")]
    Multiple {
        /// The width.
        width: f64,
    },
    /// Too few channels, or too many.
    #[error("a width of {width} turns {own} channels into {channels}: a network has from 2 to 4096")]
    Channels {
        /// The width.
        width: f64,
        /// Channels at width 1.
        own: usize,
        /// Channels at this width.
        channels: f64,
    },
}

/// The number of channels at `width`, where `own` channels are width 1.
///
/// # Errors
/// If no network has this number.
pub fn channels_at(width: f64, own: usize) -> Result<usize, WidthError> {
    if !(width.is_finite() && width > 0.0) {
        return Err(WidthError::Multiple { width });
    }
    let channels = (own as f64 * width).round();
    let [least, most] = CHANNELS.map(|channels| channels as f64);
    if (least..=most).contains(&channels) {
        Ok(channels as usize)
    } else {
        Err(WidthError::Channels { width, own, channels })
    }
}

/// The range of channels that a searched network may get after the search: from `network.channels`
/// to `network.widen_up_to` times as many. `None` if it keeps its channels, because there are no
/// limits or the space is not `mobile`.
pub(crate) fn widths_to_try(target: &TargetSpec, space: &SpaceSettings, shape: &NetworkShape) -> Option<[usize; 2]> {
    let is_limited = Resource::ALL
        .into_iter()
        .any(|resource| resource.limit(target).is_some());
    if space.name != SpaceName::Mobile || !is_limited {
        return None;
    }
    // A product such as 10 × 2.3 may be slightly below its exact value.
    let most = (shape.channels as f64 * shape.widen_up_to + 1e-6) as usize;
    Some([shape.channels, most.min(CHANNELS[1])])
}

/// The largest number of channels in `range` with which the network of `genotype` is within all
/// limits of `target`; `None` if no number above the first of the range is. All other sizes are
/// those of `size`. With `table`, which the limit on latency needs, a width counts only if all of
/// its blocks are in the table.
///
/// # Errors
/// If an auxiliary head is requested but the image is too small for it.
pub(crate) fn wider(
    target: &TargetSpec,
    range: [usize; 2],
    table: Option<&LatencyTable>,
    genotype: &Genotype,
    size: &NetworkSize,
) -> Result<Option<usize>, AuxiliaryError> {
    let limits = limits(target);
    let fits = |network: &Backbone| exceeded(&limits, target.precision, network, size.image_size).is_none();
    let found = match table {
        None => widest(genotype, size, range, fits)?,
        Some(table) => {
            let limit_ms = Resource::Latency.limit(target).unwrap_or(f64::INFINITY);
            widest_in_table(genotype, size, range, (table, limit_ms), fits)?
        }
    };
    Ok(found.filter(|&channels| channels > range[0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::Stem;
    use crate::network::{Conditions, cost, network_blocks};
    use crate::space::{ChainShape, NamedNetwork, Reductions};
    use proptest::prelude::*;
    use std::path::Path;

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
            match widest(&genotype, &size, CHANNELS, fits).unwrap() {
                Some(channels) => {
                    prop_assert!(fits(&at(channels)));
                    prop_assert!(!fits(&at(channels + 1)));
                }
                None => prop_assert!(!fits(&at(2))),
            }
        }
    }

    proptest! {
        #[test]
        fn channels_grow_with_the_width(a in 0.01f64..20.0, b in 0.01f64..20.0, own in 2usize..200) {
            let (narrow, wide) = if a < b { (a, b) } else { (b, a) };
            if let (Ok(narrow), Ok(wide)) = (channels_at(narrow, own), channels_at(wide, own)) {
                prop_assert!(2 <= narrow && narrow <= wide && wide <= 4096);
            }
            prop_assert_eq!(channels_at(1.0, own).unwrap(), own);
        }
    }

    #[test]
    fn the_largest_width_in_the_table_within_the_limit_is_chosen() {
        let network = NamedNetwork::from_name("resnet8").unwrap();
        let (genotype, size) = (network.genotype().unwrap(), size(network));
        let blocks = [4, 9, 12].map(|channels| {
            let size = NetworkSize {
                channels,
                ..size.clone()
            };
            let network = super::network(&genotype, size, &Engine::Plain).unwrap();
            network_blocks(&network, 32)
                .into_iter()
                .map(move |block| (block.shape, channels as f64))
        });
        let table = LatencyTable::new(Path::new("t.csv"), Conditions::default(), blocks.into_iter().flatten());
        let at_most = |limit_ms: f64, fits: bool| {
            widest_in_table(&genotype, &size, CHANNELS, (&table, limit_ms), |_| fits).unwrap()
        };
        let of_nine = 9.0
            * network_blocks(
                &super::network(
                    &genotype,
                    NetworkSize {
                        channels: 9,
                        ..size.clone()
                    },
                    &Engine::Plain,
                )
                .unwrap(),
                32,
            )
            .len() as f64;
        assert_eq!(
            (at_most(1e9, true), at_most(of_nine, true), at_most(of_nine - 1.0, true)),
            (Some(12), Some(9), Some(4))
        );
        assert_eq!((at_most(1.0, true), at_most(1e9, false)), (None, None));
    }

    #[test]
    fn the_result_can_be_the_largest_width_of_all_or_none() {
        let network = NamedNetwork::from_name("resnet8").unwrap();
        let (genotype, size) = (network.genotype().unwrap(), size(network));
        let few = |network: &Backbone| network.parts().len() < 100;
        assert_eq!(widest(&genotype, &size, CHANNELS, few).unwrap(), Some(4096));
        assert_eq!(widest(&genotype, &size, CHANNELS, |_| false).unwrap(), None);
    }
}
