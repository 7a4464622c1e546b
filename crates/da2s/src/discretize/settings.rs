//! The settings of the discretization.

use da2s_settings::{COUNT_OR_0, Problem, settings};

use super::Rule;

settings! {
    /// How a super-network becomes a genotype, and what is measured when it is pruned.
    pub struct DiscretizeSettings {
        /// What decides which operations and edges stay.
        rule: Rule = Rule::Strongest, named "rule";
        /// Held-out images on which the rules `perturbation` and `sequential` compare choices; 0
        /// takes all of them.
        rule_images: usize = 256, in COUNT_OR_0;
        /// Epochs for which the weights are tuned after each decision of the rule `perturbation`; 0
        /// decides everything with the weights of the search.
        ///
        /// The paper of the rule, Wang et al. 2021, tunes for 5 to 10 epochs.
        tuning_epochs: usize = 0, in COUNT_OR_0, named "tuning_epochs";
        /// Held-out images on which the cost of each edge by itself is measured, with two
        /// evaluations for each edge.
        ///
        /// 0 measures neither that nor the cost of each undecided choice.
        edge_images: usize = 256;
    }
}

impl DiscretizeSettings {
    /// Epochs for which the weights are tuned after each decision of the rule; `None` if it changes
    /// no weights.
    pub fn tuning(&self) -> Option<usize> {
        Some(self.tuning_epochs).filter(|&epochs| epochs > 0 && self.rule.tunes())
    }

    /// Refuses epochs of tuning if the rule does not tune.
    ///
    /// # Errors
    /// For `tuning_epochs`.
    pub fn check(&self) -> Result<(), Problem> {
        if self.tuning_epochs == 0 || self.rule.tunes() {
            return Ok(());
        }
        let place = format!("with the rule {}", self.rule.name());
        Err(Problem::useless("discretize.tuning_epochs", place))
    }
}
