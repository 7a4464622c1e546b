//! Networks by name, which are trained without a search: plain networks, and published cells.
//!
//! Reference: Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021 (ResNet-8, DS-CNN); He et al.,
//! "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 (ResNet-14); Sandler et
//! al., "MobileNetV2", CVPR 2018, table 2. Contract: channels and layers are those of the
//! reference. MobileNetV2 has the activation function of `space.activation`: with ReLU6 it is that
//! of the paper; the others have ReLU. Strides grow with the images: for sides of 32, 64, 96 and
//! 224 pixels, the last layers have sides of 3 to 14 pixels, and those of DS-CNN 16 to 28.

use da2s_settings::words;

use crate::{
    ChainPreset, Genotype, GenotypeError, KeptEdge, Operation, PerKind, PublishedGenotype, SpaceName, SpaceSettings,
};

words! {
    /// A plain network.
    pub enum PlainNetwork {
        /// ResNet-8 of MLPerf Tiny: three stages of one basic block.
        #[strum(serialize = "resnet8")]
        Resnet8,
        /// ResNet-14: three stages of two basic blocks.
        #[strum(serialize = "resnet14")]
        Resnet14,
        /// MobileNetV2.
        #[strum(serialize = "mobilenet-v2")]
        MobilenetV2,
        /// DS-CNN of MLPerf Tiny: four depthwise separable layers.
        #[strum(serialize = "ds-cnn")]
        DsCnn,
    }
}

impl PlainNetwork {
    /// The space that it belongs to.
    pub const fn space(self) -> SpaceName {
        match self {
            Self::MobilenetV2 => SpaceName::Mobile,
            Self::Resnet8 | Self::Resnet14 | Self::DsCnn => SpaceName::Plain,
        }
    }

    /// The operation of all its layers.
    const fn operation(self) -> Operation {
        match self {
            Self::Resnet8 | Self::Resnet14 => Operation::BasicBlock,
            Self::MobilenetV2 => Operation::MbConvK3E6,
            Self::DsCnn => Operation::DsConv3x3,
        }
    }

    /// Channels of the stem at width 1.
    pub const fn stem_channels(self) -> usize {
        match self {
            Self::Resnet8 | Self::Resnet14 => 16,
            Self::MobilenetV2 => 32,
            Self::DsCnn => 64,
        }
    }

    /// Channels and layers of each stage at width 1.
    const fn stages(self) -> &'static [[usize; 2]] {
        match self {
            Self::Resnet8 => &[[16, 1], [32, 1], [64, 1]],
            Self::Resnet14 => &[[16, 2], [32, 2], [64, 2]],
            Self::MobilenetV2 => &[[24, 2], [32, 3], [64, 4], [96, 3], [160, 3], [320, 1]],
            Self::DsCnn => &[[64, 1], [64, 3]],
        }
    }

    /// Strides of the stem and of each stage.
    const fn strides(self, preset: ChainPreset) -> (usize, &'static [usize]) {
        use ChainPreset::{Pixels32, Pixels64, Pixels96, Pixels224};
        match (self, preset) {
            (Self::Resnet8 | Self::Resnet14, Pixels32) => (1, &[1, 2, 2]),
            (Self::Resnet8 | Self::Resnet14, Pixels64) => (2, &[1, 2, 2]),
            (Self::Resnet8 | Self::Resnet14, Pixels96 | Pixels224) => (2, &[2, 2, 2]),
            (Self::MobilenetV2, Pixels32) => (1, &[1, 2, 2, 1, 2, 1]),
            (Self::MobilenetV2, Pixels64) => (2, &[1, 2, 2, 1, 2, 1]),
            (Self::MobilenetV2, Pixels96 | Pixels224) => (2, &[2, 2, 2, 1, 2, 1]),
            (Self::DsCnn, Pixels32) => (2, &[1, 1]),
            (Self::DsCnn, Pixels64 | Pixels96) => (2, &[2, 1]),
            (Self::DsCnn, Pixels224) => (2, &[2, 2]),
        }
    }

    /// The settings of its space for images with a side of `side` pixels.
    pub fn settings(self, side: usize) -> SpaceSettings {
        let (stem_stride, strides) = self.strides(ChainPreset::of_side(side));
        let stages = self.stages().iter().zip(strides);
        let stages = stages.map(|(&[channels, layers], &stride)| vec![channels, layers, stride]);
        SpaceSettings {
            name: self.space(),
            stages: Some(stages.collect()),
            stem_channels: Some(self.stem_channels()),
            stem_stride: Some(stem_stride),
            head_channels: (self == Self::MobilenetV2).then_some(1280),
            ..SpaceSettings::default()
        }
    }

    /// Its genotype.
    pub fn genotype(self) -> Genotype {
        let space = self.settings(0).build();
        let layer = |(from, to)| KeptEdge {
            from,
            to,
            operations: vec![self.operation()],
        };
        Genotype {
            cells: PerKind::new(space.kinds(), |_| space.cell(space.graph.edges().map(layer).collect())),
        }
    }
}

/// A network by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedNetwork {
    /// A plain network.
    Plain(PlainNetwork),
    /// Published cells of the DARTS space.
    Cells(PublishedGenotype),
}

impl NamedNetwork {
    /// All names, plain networks first.
    pub fn names() -> Vec<&'static str> {
        let cells = PublishedGenotype::ALL.iter().map(|published| published.name());
        PlainNetwork::ALL
            .iter()
            .map(|plain| plain.name())
            .chain(cells)
            .collect()
    }

    /// The network called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        let plain = PlainNetwork::from_name(name).map(Self::Plain);
        plain.or_else(|| PublishedGenotype::from_name(name).map(Self::Cells))
    }

    /// The network of `genotype`, if it has a name.
    pub fn of(genotype: &Genotype) -> Option<Self> {
        let mut all = Self::names().into_iter().filter_map(Self::from_name);
        all.find(|network| network.genotype().is_ok_and(|own| own == *genotype))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain(plain) => plain.name(),
            Self::Cells(published) => published.name(),
        }
    }

    /// The space that it belongs to.
    pub const fn space(self) -> SpaceName {
        match self {
            Self::Plain(plain) => plain.space(),
            Self::Cells(_) => SpaceName::Darts,
        }
    }

    /// Its genotype.
    ///
    /// # Errors
    /// If the text of published cells is invalid, which a test rules out.
    pub fn genotype(self) -> Result<Genotype, GenotypeError> {
        match self {
            Self::Plain(plain) => Ok(plain.genotype()),
            Self::Cells(published) => Genotype::parse(published.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_network_of_its_space() {
        for name in NamedNetwork::names() {
            let network = NamedNetwork::from_name(name).unwrap();
            let genotype = network.genotype().unwrap();
            assert_eq!((network.name(), genotype.space()), (name, network.space()));
            assert_eq!(NamedNetwork::of(&genotype), Some(network));
        }
        assert_eq!(NamedNetwork::from_name("resnet9"), None);
    }

    #[test]
    fn plain_networks_fit_their_settings_at_every_size() {
        for network in PlainNetwork::ALL {
            for side in [8, 32, 33, 64, 96, 97, 224, 512] {
                let settings = network.settings(side);
                settings.check().unwrap();
                let stages: Vec<usize> = settings.build().graph.stages().collect();
                assert_eq!(network.genotype().cells.normal.stages, stages, "{network} at {side}");
            }
        }
        let resnet = PlainNetwork::Resnet8.genotype().to_string();
        assert_eq!(
            resnet,
            "Genotype(stages=[['basic_block'], ['basic_block'], ['basic_block']])"
        );
    }

    #[test]
    fn images_shrink_to_a_few_pixels() {
        for (network, largest) in [
            (PlainNetwork::Resnet8, 14),
            (PlainNetwork::Resnet14, 14),
            (PlainNetwork::MobilenetV2, 7),
            (PlainNetwork::DsCnn, 28),
        ] {
            for side in [32, 64, 96, 224usize] {
                let chain = network.settings(side).chain();
                let strides = chain.stages.iter().map(|stage| stage.stride);
                let left = strides.fold(side.div_ceil(chain.stem_stride), |side, stride| side.div_ceil(stride));
                assert!((3..=largest).contains(&left), "{network} at {side}: {left}");
            }
        }
    }
}
