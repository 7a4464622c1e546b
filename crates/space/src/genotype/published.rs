//! Published cells of the DARTS space, to be trained in addition to those that a search finds.
//!
//! Reference: the documentation of each variant gives the name of the cell in a public repository.
//! Contract: each text is copied from that repository, apart from blanks; all keep two edges at
//! each of four nodes. Cells for which public sources disagree, such as SNAS's, are left out.

use da2s_settings::words;

words! {
    /// A published genotype.
    #[strum(serialize_all = "kebab-case")]
    pub enum PublishedGenotype {
        /// `DARTS_V1` of quark0/darts.
        DartsV1,
        /// `DARTS_V2` of quark0/darts.
        DartsV2,
        /// `PC_DARTS_cifar` of yuhuixu1993/PC-DARTS.
        PcDarts,
        /// `PDARTS` of chenxin061/pdarts.
        PDarts,
        /// `DrNAS_cifar10` of xiangning-chen/DrNAS.
        Drnas,
        /// `oles_cifar10` of PasaLab/oles.
        Oles,
        /// `lambdadarts_corr_0` of dr-faustus/Lambda-DARTS.
        LambdaDarts,
        /// `cifar10_s0_0` of Meituan-AutoML/DARTS-.
        DartsMinus,
    }
}

impl PublishedGenotype {
    /// The genotype in the text of DARTS.
    pub const fn text(self) -> &'static str {
        match self {
            Self::DartsV1 => {
                "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), \
                   ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], \
                   reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), \
                   ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])"
            }
            Self::DartsV2 => {
                "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                   ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
                   reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), \
                   ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
            }
            Self::PcDarts => {
                "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), \
                   ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(2, 6), \
                   reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), \
                   ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))"
            }
            Self::PDarts => {
                "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), \
                   ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), ('dil_conv_5x5', 4)], normal_concat=range(2, 6), \
                   reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), \
                   ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=range(2, 6))"
            }
            Self::Drnas => {
                "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2), \
                   ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2), ('dil_conv_5x5', 3)], normal_concat=range(2, 6), \
                   reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('dil_conv_5x5', 2), ('sep_conv_5x5', 1), \
                   ('sep_conv_5x5', 1), ('dil_conv_5x5', 3), ('skip_connect', 4), ('sep_conv_5x5', 1)], reduce_concat=range(2, 6))"
            }
            Self::Oles => {
                "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), \
                   ('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(2, 6), \
                   reduce=[('max_pool_3x3', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('skip_connect', 2), \
                   ('skip_connect', 2), ('avg_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 3)], reduce_concat=range(2, 6))"
            }
            Self::LambdaDarts => {
                "Genotype(normal=[('sep_conv_5x5', 0), ('skip_connect', 1), ('sep_conv_3x3', 2), ('sep_conv_5x5', 1), \
                   ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('dil_conv_3x3', 2), ('max_pool_3x3', 0)], normal_concat=range(2, 6), \
                   reduce=[('skip_connect', 1), ('skip_connect', 0), ('max_pool_3x3', 0), ('dil_conv_3x3', 2), \
                   ('dil_conv_5x5', 3), ('dil_conv_5x5', 1), ('skip_connect', 1), ('sep_conv_5x5', 2)], reduce_concat=range(2, 6))"
            }
            Self::DartsMinus => {
                "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('dil_conv_3x3', 2), \
                   ('skip_connect', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 0)], normal_concat=range(2, 6), \
                   reduce=[('sep_conv_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), \
                   ('skip_connect', 2), ('skip_connect', 3), ('skip_connect', 2), ('skip_connect', 3)], reduce_concat=range(2, 6))"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Genotype;

    #[test]
    fn every_published_genotype_keeps_two_edges_at_each_of_four_nodes() {
        let names = PublishedGenotype::ALL.map(PublishedGenotype::name);
        assert_eq!(
            names,
            [
                "darts-v1",
                "darts-v2",
                "pc-darts",
                "p-darts",
                "drnas",
                "oles",
                "lambda-darts",
                "darts-minus"
            ]
        );
        let mut seen = Vec::new();
        for published in PublishedGenotype::ALL {
            let genotype = Genotype::parse(published.text()).unwrap();
            for cell in genotype.cells.values() {
                let nodes: Vec<usize> = cell.edges.iter().map(|edge| edge.to).collect();
                assert_eq!(nodes, [2, 2, 3, 3, 4, 4, 5, 5], "{published}");
                assert_eq!(cell.concat, [2, 3, 4, 5], "{published}");
            }
            assert!(!seen.contains(&genotype), "{published} occurs twice");
            seen.push(genotype);
        }
    }
}
