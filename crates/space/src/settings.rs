//! The settings of a search space.

use da2s_settings::{Allowed, Problem, Setting, settings, whole};

use crate::{
    ActivationName, CellGraph, ChainPreset, ChainShape, Operation, Space, SpaceName, darts_operations,
    mobile_candidates,
};

/// Candidates of a space.
const OPERATIONS: Allowed = Allowed::List {
    item: &Operation::KIND.value(),
    least: 1,
    distinct: true,
};

/// Stages of a chain. No network needs a number above this maximum.
const STAGES: Allowed = Allowed::List {
    item: &Allowed::List {
        item: &whole(1..=4096),
        least: 1,
        distinct: false,
    },
    least: 1,
    distinct: false,
};

settings! {
    /// The search space: which architectures are possible.
    pub struct SpaceSettings {
        /// Search space.
        name: SpaceName = SpaceName::Darts, named "space";
        /// Whether `none` is a candidate of the DARTS space.
        none: bool = false;
        /// Whether each inverted bottleneck of the space `mobile` is also a candidate with
        /// squeeze-and-excitation: `mbconv_k3_e1_se` and so on.
        squeeze_excitation: bool = false;
        /// Whether ResNet's block of two 3×3 convolutions, `resblock_k3`, is a candidate of the
        /// space `mobile`.
        ///
        /// On CPUs it computes more multiply-adds per second than an inverted bottleneck, also in
        /// training.
        residual_blocks: bool = false;
        /// Whether `skip` is a candidate of the space `mobile`: a layer that keeps it is left out.
        ///
        /// Not with `target.depth`, nor with `target.operations` above 1. The first layer of a
        /// stage is never left out.
        skip: bool = false;
        /// The candidate operations, in order; unset takes those of the space.
        ///
        /// The candidates of the space `nas-bench-201` cannot be changed.
        operations: Option<Vec<Operation>> = None, in OPERATIONS;
        /// Nodes of a cell of the DARTS space.
        nodes: usize = 4, in whole(1..=32);
        /// Side in pixels of the images that the chain of the space `mobile` is meant for.
        ///
        /// It determines the settings below that are unset.
        preset: ChainPreset = ChainPreset::Pixels32;
        /// Stages of the spaces `mobile` and `plain`: for each, its channels at width 1, its number
        /// of layers, and the stride of its first layer.
        ///
        /// For example `[[24, 3, 2], [40, 4, 2]]`. The width of a network is its `channels`
        /// (`search.channels`, `network.channels`) divided by `space.stem_channels`; channels are
        /// rounded to multiples of 8, or in the space `plain` to whole numbers.
        stages: Option<Vec<Vec<usize>>> = None, in STAGES;
        /// Channels of the stem of the spaces `mobile` and `plain` at width 1.
        stem_channels: Option<usize> = None, in whole(2..=4096);
        /// Stride of the stem of the spaces `mobile` and `plain`.
        stem_stride: Option<usize> = None, in whole(1..=4);
        /// Channels of the last convolution of the space `mobile` at width 1.
        head_channels: Option<usize> = None, in whole(1..=4096);
        /// Activation function of the space `mobile`: in the blocks, after the stem and after the
        /// last convolution.
        activation: ActivationName = ActivationName::Relu;
    }
}

impl SpaceSettings {
    /// Builds the space.
    pub fn build(&self) -> Space {
        match self.name {
            SpaceName::Darts => {
                let own = self.operations.clone();
                Space::own(self.nodes, own.unwrap_or_else(|| darts_operations(self.none)))
            }
            SpaceName::NasBench201 => Space::nas_bench_201(),
            SpaceName::Plain => Space::plain(self.chain().stages.into_iter().map(|stage| stage.layers)),
            SpaceName::Mobile => {
                let own = self.operations.clone();
                let layers = self.chain().stages.into_iter().map(|stage| stage.layers);
                Space::mobile(
                    layers,
                    own.unwrap_or_else(|| mobile_candidates(self.squeeze_excitation, self.residual_blocks, self.skip)),
                )
            }
        }
    }

    /// Everything in a chain of layers that is not searched; empty in spaces of cells.
    pub fn chain(&self) -> ChainShape {
        if !self.name.is_chain() {
            return ChainShape::default();
        }
        let plain = self.name == SpaceName::Plain;
        let ChainShape {
            stem_channels,
            stem_stride,
            stages,
            head_channels,
            plain: _,
            activation: _,
        } = self.preset.shape();
        let row = |row: &Vec<usize>| <[usize; 3]>::try_from(row.as_slice()).ok().map(Into::into);
        let own = self.stages.as_ref().map(|rows| rows.iter().filter_map(row).collect());
        ChainShape {
            stem_channels: self.stem_channels.unwrap_or(stem_channels),
            stem_stride: self.stem_stride.unwrap_or(stem_stride),
            stages: own.unwrap_or(stages),
            head_channels: if plain {
                0
            } else {
                self.head_channels.unwrap_or(head_channels)
            },
            plain,
            activation: self.activation.function(),
        }
    }

    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// For the first that does not.
    pub fn check(&self) -> Result<(), Problem> {
        self.check_chain()?;
        let Some(operations) = &self.operations else {
            return Ok(());
        };
        let refused = |value: &str, expected| Err(Problem::refused("space.operations", value, expected));
        match self.name {
            SpaceName::NasBench201 => return Err(Problem::useless("space.operations", "in the space nas-bench-201")),
            SpaceName::Plain => {
                let place = "in the space plain, which is not searched";
                return Err(Problem::useless("space.operations", place));
            }
            SpaceName::Darts | SpaceName::Mobile => {}
        }
        let more = [
            ("space.none", self.none, "none"),
            ("space.skip", self.skip, "skip"),
            ("space.residual_blocks", self.residual_blocks, "resblock_k3"),
            ("space.squeeze_excitation", self.squeeze_excitation, "mbconv_k3_e1_se"),
        ];
        if let Some((key, _, name)) = more.into_iter().find(|(_, set, _)| *set) {
            let expected =
                format!("no value with space.operations, which names all candidates: put \"{name}\" in that list");
            return Err(Problem::refused(key, true, expected));
        }
        if operations.as_slice() == [Operation::None] {
            return refused("[\"none\"]", "an operation in addition to none, which is never kept");
        }
        if operations.as_slice() == [Operation::Skip] {
            return refused(
                "[\"skip\"]",
                "an operation in addition to skip, for the first layer of a stage",
            );
        }
        match operations.iter().find(|operation| !self.name.has(**operation)) {
            Some(operation) if self.name == SpaceName::Mobile => refused(
                operation.name(),
                "operations of the space mobile: mbconv_k3_e1 and similar ones, also with _se, resblock_k3, and skip",
            ),
            Some(operation) => refused(
                operation.name(),
                "operations of the DARTS space: nor_conv_1x1, nor_conv_3x3 and skip cannot halve an image, and resblock_k3 is \
                 called basic_block there",
            ),
            None => Ok(()),
        }
    }

    /// Checks the settings that only one space has.
    fn check_chain(&self) -> Result<(), Problem> {
        let set = [
            ("space.skip", self.skip),
            ("space.residual_blocks", self.residual_blocks),
            ("space.squeeze_excitation", self.squeeze_excitation),
            ("space.activation", self.activation != ActivationName::Relu),
        ];
        if let Some((key, _)) = set.into_iter().find(|(_, set)| *set && self.name != SpaceName::Mobile) {
            return Err(Problem::useless(key, "outside the space mobile"));
        }
        if self.name != SpaceName::Darts && self.nodes != Self::default().nodes {
            return Err(Problem::useless("space.nodes", "outside the space darts"));
        }
        if !self.name.is_chain() {
            let set = [
                ("space.preset", self.preset != ChainPreset::Pixels32),
                ("space.stages", self.stages.is_some()),
                ("space.stem_channels", self.stem_channels.is_some()),
                ("space.stem_stride", self.stem_stride.is_some()),
                ("space.head_channels", self.head_channels.is_some()),
            ];
            return match set.into_iter().find(|(_, set)| *set) {
                Some((key, _)) => Err(Problem::useless(key, "outside the spaces mobile and plain")),
                None => Ok(()),
            };
        }
        if self.none {
            let expected = "false in a chain, in which target.depth determines which layers are left out";
            return Err(Problem::refused("space.none", true, expected));
        }
        if self.name == SpaceName::Plain {
            let set = [
                ("space.preset", self.preset != ChainPreset::Pixels32),
                ("space.head_channels", self.head_channels.is_some()),
            ];
            if let Some((key, _)) = set.into_iter().find(|(_, set)| *set) {
                return Err(Problem::useless(key, "in the space plain"));
            }
            if self.stages.is_none() {
                let expected = "a value in the space plain, such as [[16, 1, 1], [32, 1, 2]]";
                return Err(Problem::refused("space.stages", "unset", expected));
            }
        }
        let rows = self.stages.iter().flatten();
        if let Some(row) = rows.clone().find(|row| row.len() != 3 || row[2] > 4) {
            let expected = "three numbers per stage: channels, layers, the stride of the first layer, 1 to 4";
            return Err(Problem::refused("space.stages", format!("{row:?}"), expected));
        }
        let stages = self.chain().stages;
        let layers: usize = stages.iter().map(|stage| stage.layers).sum();
        if stages.len() > CellGraph::MOST_STAGES || layers > CellGraph::MOST_LAYERS {
            let given = format!("{} stages of {layers} layers", stages.len());
            let expected = format!(
                "at most {} stages and {} layers",
                CellGraph::MOST_STAGES,
                CellGraph::MOST_LAYERS
            );
            return Err(Problem::refused("space.stages", given, expected));
        }
        Ok(())
    }
}
