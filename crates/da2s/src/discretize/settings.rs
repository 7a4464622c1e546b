//! The settings of the discretization.

use da2s_settings::settings;

settings! {
    /// What is measured when the super-network is pruned.
    pub struct DiscretizeSettings {
        /// Held-out images on which the cost of each edge by itself is measured, with two
        /// evaluations for each edge.
        ///
        /// 0 measures neither that nor the cost of each undecided choice.
        edge_images: usize = 256;
    }
}
