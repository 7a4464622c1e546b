//! The trait of discretization rules, and the table of all rules.
//!
//! A rule derives a genotype from a searched super-network, either from its mixture and ranks
//! alone, or from measurements on images. How decided the mixture is about the genotype, and what
//! pruning costs, are computed afterwards, in the same way for every rule.
//!
//! To add a rule, add a file with an implementation, its `mod` line and its row of the table; see
//! CONTRIBUTING.md.

mod decisions;
mod measured;
mod perturbation;
mod sequential;
mod strongest;

pub(crate) use decisions::Decisions;
pub(crate) use measured::{Quality, quality};
pub use strongest::strongest;
pub(crate) use strongest::strongest_excluding;

use burn::tensor::Device;
use da2s_settings::words;

use super::strengths::KindStrengths;
use crate::backbone::{Backbone, Statistics, Weights};
use crate::data::Loader;
use crate::evaluate::EvaluateError;
use crate::space::{Genotype, PerKind, Space, Target};

/// Declares [`Rule`]: per row its documentation, variant, name and implementation.
macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $rule:expr;)*) => {
        words! {
            /// The rules.
            pub enum Rule {
                $($(#[$doc])* #[strum(serialize = $name)] $variant,)*
            }
        }

        impl Rule {
            /// The implementation of the rule.
            pub fn build(self) -> Box<dyn DiscretizationRule> {
                match self {
                    $(Self::$variant => Box::new($rule),)*
                }
            }
        }
    };
}

rules! {
    /// The operations and edges with the largest weights.
    Strongest = "strongest", strongest::Strongest;
    /// The operations and edges whose removal costs the super-network the most accuracy (Wang et
    /// al. 2021), measured on `discretize.rule_images` held-out images.
    Perturbation = "perturbation", perturbation::Perturbation;
    /// Makes one choice after another, the surest first, and keeps what gives the best result with
    /// all earlier choices, measured on `discretize.rule_images` held-out images.
    Sequential = "sequential", sequential::Sequential;
}

impl Rule {
    /// Whether the weights may be tuned between its decisions.
    pub fn tunes(self) -> bool {
        self == Self::Perturbation
    }
}

/// A searched super-network.
#[derive(Clone, Copy, Debug)]
pub struct Searched<'a> {
    /// The super-network.
    pub backbone: &'a Backbone,
    /// Its weights.
    pub weights: &'a Weights,
    /// Its running statistics.
    pub statistics: &'a Statistics,
    /// Its space.
    pub space: &'a Space,
    /// The topology to keep.
    pub target: &'a Target,
    /// Its mixtures, and the ranks of their choices.
    pub strengths: &'a PerKind<KindStrengths>,
}

/// The inputs of a rule that measures.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    /// Images for measuring a choice; the weights were not trained on them.
    pub held_out: &'a Loader,
    /// Where to compute, without autodiff.
    pub device: &'a Device,
    /// Called before each batch; returns whether to stop.
    pub stop: &'a dyn Fn() -> bool,
}

/// A rule of discretization.
pub trait DiscretizationRule: Send + Sync + std::fmt::Debug {
    /// The genotype that this rule derives from `searched`. It has the topology of the target:
    /// every kept edge has as many candidates of the space as the target requires, in the rule's
    /// order of preference, and normal cells have no more skip connections than the target allows.
    ///
    /// # Errors
    /// Only from a rule that measures: images that cannot be read, and [`EvaluateError::Stopped`]
    /// if `images.stop` returns true.
    fn genotype(&self, searched: &Searched<'_>, images: &Images<'_>) -> Result<Genotype, EvaluateError>;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::measured::Quality;
    use super::*;
    use crate::discretize::skips::limited;
    use crate::space::{CellKind, Operation, TargetSpec};
    use proptest::prelude::*;

    /// Every space with skip connections, and targets of it.
    fn spaces() -> [(Space, &'static str); 5] {
        let (skip, conv, pool) = (Operation::SkipConnect, Operation::SepConv3x3, Operation::MaxPool3x3);
        let layers = vec![Operation::MbConvK3E3, Operation::MbConvK5E3, skip];
        [
            (Space::darts(false), "edges = [1, 2, 1, 3]"),
            (Space::darts(true), "edges = \"all\"\noperations = 2"),
            (Space::own(2, vec![pool, skip, conv]), "operations = 2"),
            (Space::nas_bench_201(), "edges = \"all\""),
            (Space::mobile([2, 3], layers), "edges = \"all\"\ndepth = [2, 2]"),
        ]
    }

    proptest! {
        /// Whatever the mixture, and whatever the measurements say, every rule keeps the limit on
        /// skip connections in every space, and the target.
        #[test]
        fn no_rule_keeps_more_skip_connections_than_the_target_allows(seed in any::<u64>(), most in 0usize..=4) {
            for (space, text) in spaces() {
                let spec: TargetSpec = toml::from_str(&format!("most_skips = {most}\n{text}")).unwrap();
                let target = spec.resolve(&space).unwrap();
                let drawn = Cell::new(seed);
                let value = || {
                    drawn.set(drawn.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
                    (drawn.get() >> 40) as f32 / (1 << 24) as f32
                };
                let skip = space.operations.iter().position(|&one| one == Operation::SkipConnect).unwrap();
                let strengths = PerKind::new(space.kinds(), |_| {
                    let mut strengths = KindStrengths::even(&space);
                    for row in &mut strengths.p {
                        row.iter_mut().for_each(|p| *p = value());
                        // Most searches prefer skip connections.
                        row[skip] += 0.5;
                    }
                    strengths.operation_rank = strengths.p.clone();
                    strengths.edge_rank.iter_mut().for_each(|rank| *rank = value());
                    strengths
                });
                let measure = |_: &PerKind<KindStrengths>| {
                    Ok::<_, Infallible>(Quality { accuracy: f64::from(value()), loss: 1.0 })
                };
                let asked = Cell::new(0);
                let by = |rule| {
                    limited(&strengths, &space, &target, |strengths| {
                        asked.set(asked.get() + 1);
                        match rule {
                            Rule::Strongest => Ok(strongest(strengths, &space, &target)),
                            Rule::Perturbation => perturbation::choose(strengths.clone(), &space, &target, measure),
                            Rule::Sequential => sequential::choose(strengths.clone(), &space, &target, measure),
                        }
                    })
                };
                for rule in Rule::ALL {
                    asked.set(0);
                    let Ok(genotype) = by(rule);
                    let normal = &genotype.cells.normal;
                    prop_assert!(normal.count(Operation::SkipConnect) <= most, "{} in {}", rule.name(), space.name.name());
                    prop_assert!(asked.get() <= 1 + space.graph.edge_count());
                    let kept = target.kind(CellKind::Normal);
                    let edges: usize = space.graph.groups().map(|group| kept.kept(group)).sum();
                    prop_assert_eq!(normal.edges.len(), edges);
                    prop_assert!(normal.edges.iter().all(|edge| edge.operations.len() == kept.operations));
                }
            }
        }
    }
}
