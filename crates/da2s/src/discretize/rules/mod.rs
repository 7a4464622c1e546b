//! The trait of discretization rules, and the table of all rules.
//!
//! A rule derives a genotype from a searched super-network, either from its mixture and ranks
//! alone, or from measurements on images. How decided the genotype is and what pruning to it costs
//! is computed from the genotype, whatever the rule.
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
    /// The operations and edges of largest rank.
    Strongest = "strongest", strongest::Strongest;
    /// What the super-network loses most accuracy without (Wang et al. 2021), measured on
    /// `discretize.rule_images` held-out images.
    Perturbation = "perturbation", perturbation::Perturbation;
    /// The surest choice first, each by what serves best with all that is decided, measured on
    /// `discretize.rule_images` held-out images.
    Sequential = "sequential", sequential::Sequential;
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
    /// The genotype with the topology of its target that this rule derives from `searched`: every
    /// kept edge has as many candidates of the space as the target requires, in the rule's order of
    /// preference, and normal cells no more skip connections than it allows.
    ///
    /// # Errors
    /// Only from a rule that measures: images that cannot be read, and [`EvaluateError::Stopped`]
    /// if `images.stop` returns true.
    fn genotype(&self, searched: &Searched<'_>, images: &Images<'_>) -> Result<Genotype, EvaluateError>;
}
