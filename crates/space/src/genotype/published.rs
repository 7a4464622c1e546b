//! Published cells of the DARTS space, to be trained in addition to those that a search finds.
//!
//! Reference: each row gives the public repository and the name in it. Contract: each text is
//! copied unchanged from that repository; all keep two edges at each of four nodes. Cells for which
//! public sources disagree, such as SNAS's, are left out.

use super::Genotype;

/// A published genotype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedGenotype {
    /// The name in da2s.
    pub name: &'static str,
    /// Repository on GitHub, and the name of the genotype there.
    pub source: &'static str,
    /// The genotype in the text of DARTS.
    pub text: &'static str,
}

impl PublishedGenotype {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self {
            name: "darts-v1",
            source: "quark0/darts, DARTS_V1",
            text: "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), \
                   ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], \
                   reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), \
                   ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])",
        },
        Self {
            name: "darts-v2",
            source: "quark0/darts, DARTS_V2",
            text: "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                   ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
                   reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), \
                   ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])",
        },
        Self {
            name: "pc-darts",
            source: "yuhuixu1993/PC-DARTS, PC_DARTS_cifar",
            text: "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), \
                   ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(2, 6), \
                   reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), \
                   ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))",
        },
        Self {
            name: "p-darts",
            source: "chenxin061/pdarts, PDARTS",
            text: "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), \
                   ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), ('dil_conv_5x5', 4)], normal_concat=range(2, 6), \
                   reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), \
                   ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=range(2, 6))",
        },
        Self {
            name: "drnas",
            source: "xiangning-chen/DrNAS, DrNAS_cifar10",
            text: "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2), \
                   ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2), ('dil_conv_5x5', 3)], normal_concat=range(2, 6), \
                   reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('dil_conv_5x5', 2), ('sep_conv_5x5', 1), \
                   ('sep_conv_5x5', 1), ('dil_conv_5x5', 3), ('skip_connect', 4), ('sep_conv_5x5', 1)], reduce_concat=range(2, 6))",
        },
        Self {
            name: "oles",
            source: "PasaLab/oles, oles_cifar10",
            text: "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), \
                   ('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(2, 6), \
                   reduce=[('max_pool_3x3', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('skip_connect', 2), \
                   ('skip_connect', 2), ('avg_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 3)], reduce_concat=range(2, 6))",
        },
        Self {
            name: "lambda-darts",
            source: "dr-faustus/Lambda-DARTS, lambdadarts_corr_0",
            text: "Genotype(normal=[('sep_conv_5x5', 0), ('skip_connect', 1), ('sep_conv_3x3', 2), ('sep_conv_5x5', 1), \
                   ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('dil_conv_3x3', 2), ('max_pool_3x3', 0)], normal_concat=range(2, 6), \
                   reduce=[('skip_connect', 1), ('skip_connect', 0), ('max_pool_3x3', 0), ('dil_conv_3x3', 2), \
                   ('dil_conv_5x5', 3), ('dil_conv_5x5', 1), ('skip_connect', 1), ('sep_conv_5x5', 2)], reduce_concat=range(2, 6))",
        },
        Self {
            name: "darts-minus",
            source: "Meituan-AutoML/DARTS-, cifar10_s0_0",
            text: "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('dil_conv_3x3', 2), \
                   ('skip_connect', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 0)], normal_concat=range(2, 6), \
                   reduce=[('sep_conv_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), \
                   ('skip_connect', 2), ('skip_connect', 3), ('skip_connect', 2), ('skip_connect', 3)], reduce_concat=range(2, 6))",
        },
    ];

    /// The published genotype called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|published| published.name == name)
    }

    /// The genotype.
    ///
    /// # Errors
    /// Never, which a test checks.
    pub fn genotype(self) -> Result<Genotype, super::GenotypeError> {
        Genotype::parse(self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_published_genotype_keeps_two_edges_at_each_of_four_nodes() {
        let names: BTreeSet<&str> = PublishedGenotype::ALL.iter().map(|published| published.name).collect();
        assert_eq!(names.len(), PublishedGenotype::ALL.len());
        let mut seen = Vec::new();
        for published in PublishedGenotype::ALL {
            let genotype = published.genotype().unwrap();
            for cell in genotype.cells.values() {
                let nodes: Vec<usize> = cell.edges.iter().map(|edge| edge.to).collect();
                assert_eq!(nodes, [2, 2, 3, 3, 4, 4, 5, 5], "{}", published.name);
                assert_eq!(cell.concat, [2, 3, 4, 5], "{}", published.name);
            }
            assert!(!seen.contains(&genotype), "{} is there twice", published.name);
            seen.push(genotype);
        }
    }
}
