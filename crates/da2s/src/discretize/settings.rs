//! The settings of the discretization.

use da2s_settings::{COUNT_OR_0, settings};

use super::Rule;

settings! {
    /// How a super-network becomes a genotype, and what is measured when it is pruned.
    pub struct DiscretizeSettings {
        /// What decides which operations and edges stay.
        rule: Rule = Rule::Strongest, named "rule";
        /// Held-out images on which a rule that measures compares choices; 0 takes all of them.
        rule_images: usize = 256, in COUNT_OR_0;
        /// Held-out images on which the cost of each edge by itself is measured, with two
        /// evaluations for each edge.
        ///
        /// 0 measures neither that nor the cost of each undecided choice.
        edge_images: usize = 256;
    }
}
