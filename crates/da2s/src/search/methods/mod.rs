//! The search methods, one file each, and their table.
//!
//! To add a method, add a file with an implementation of [`SearchMethod`], its `mod` line and its
//! row of the table; see CONTRIBUTING.md.

mod beta_darts;
mod da2s;
mod darts;
mod darts_minus;
mod drnas;
mod entropy;
mod fair_darts;
mod gaea;
mod gdas;
mod lambda_darts;
mod oles;
mod p_darts;
mod pc_darts;
mod random_search;
mod sdarts;

use da2s_settings::words;

use super::method::SearchMethod;
use crate::objective::Halves;
use crate::search::settings::SearchSettings;

/// Declares [`Method`]: per row its documentation, variant, name, and how it is built from the
/// settings of a search.
macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $build:expr;)*) => {
        words! {
            /// The methods.
            pub enum Method {
                $($(#[$doc])* #[strum(serialize = $name)] $variant,)*
            }
        }

        impl Method {
            /// The method with its settings, without its drive.
            pub fn build(self, settings: &SearchSettings) -> Box<dyn SearchMethod> {
                fn built<M: SearchMethod + 'static>(
                    settings: &SearchSettings,
                    build: impl Fn(&SearchSettings) -> M,
                ) -> Box<dyn SearchMethod> {
                    Box::new(build(settings))
                }
                match self {
                    $(Self::$variant => built(settings, $build),)*
                }
            }
        }
    };
}

methods! {
    /// β-DARTS, which keeps the weights of an edge close to each other.
    BetaDarts = "beta-darts", beta_darts::BetaDarts::new;
    /// Discretization-aware search.
    Da2s = "da2s", |_| da2s::Da2s { halves: Halves { operations: true, edges: true } };
    /// The operation half of `da2s`: L_α alone; all edges have the same weight.
    Da2sOperations = "da2s-operations", |_| da2s::Da2s { halves: Halves { operations: true, edges: false } };
    /// The edge half of `da2s`: L_β alone.
    Da2sEdges = "da2s-edges", |_| da2s::Da2s { halves: Halves { operations: false, edges: true } };
    /// First-order DARTS.
    Darts = "darts", |_| darts::Darts;
    /// DARTS with an auxiliary skip connection that fades out.
    DartsMinus = "darts-minus", |_| darts_minus::DartsMinus;
    /// DrNAS, which draws the mixture from a Dirichlet distribution.
    DrNas = "drnas", drnas::DrNas::new;
    /// DARTS with the entropy of its mixture added to the loss.
    Entropy = "entropy", |_| entropy::Entropy;
    /// FairDARTS.
    FairDarts = "fairdarts", fair_darts::FairDarts::new;
    /// GAEA, whose parameters are the mixture itself.
    Gaea = "gaea", |_| gaea::Gaea;
    /// GDAS.
    Gdas = "gdas", gdas::Gdas::new;
    /// Λ-DARTS, which makes the layers agree on the mixture.
    LambdaDarts = "lambda-darts", lambda_darts::LambdaDarts::new;
    /// OLES, which freezes operations that overfit.
    Oles = "oles", oles::Oles::new;
    /// P-DARTS, in stages with more cells and fewer candidates.
    PDarts = "p-darts", p_darts::PDarts::new;
    /// PC-DARTS.
    PcDarts = "pc-darts", |_| pc_darts::PcDarts;
    /// A genotype drawn at random.
    Random = "random", |_| random_search::RandomSearch;
    /// SDARTS with the worst nearby mixture.
    SdartsAdv = "sdarts-adv", sdarts::Sdarts::adversarial;
    /// SDARTS with a random nearby mixture.
    SdartsRs = "sdarts-rs", sdarts::Sdarts::random;
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::arch::ArchParams;
    use crate::device::host;
    use crate::search::method::Choices;
    use crate::search::moment::{Draw, Moment, When};
    use crate::space::{Operation, Space, TargetSpec};

    #[test]
    fn weights_sum_to_1_even_if_a_layer_lacks_skip() {
        let candidates = vec![Operation::Skip, Operation::MbConvK3E1, Operation::MbConvK5E3];
        let space = Space::mobile([3, 1], candidates);
        let target = toml::from_str::<TargetSpec>("edges = \"all\"").unwrap();
        let target = target.resolve(&space).unwrap();
        let choices = Choices {
            space: &space,
            target: &target.normal,
        };
        let moment = Moment::of_epoch(20, 50, 8);
        let settings = SearchSettings::default();
        // Sigmoids need not sum to 1.
        for method in Method::ALL.into_iter().filter(|method| *method != Method::FairDarts) {
            let built = method.build(&settings);
            if built.needs().is_some() {
                continue;
            }
            let start = |target: &_| built.alpha_start(target, space.operations.len());
            let arch = ArchParams::new(&space, &target, start, 1, &Device::flex())
                .without_never(&space, |kind| built.link(target.kind(kind)).removed());
            let arch = &arch.kinds().normal;
            for when in [When::Training(Draw::new(3, moment)), When::Reading(moment)] {
                let strengths = arch.without_removed(built.strengths(arch, choices, when));
                for (edge, row) in host(&strengths.p).chunks(3).enumerate() {
                    let sum: f32 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-4, "{method}, {when:?}, layer {edge}: {row:?}");
                    assert!(
                        row[0] == 0.0 || !space.graph.begins_stage(edge),
                        "{method}, {when:?}, layer {edge}: {row:?}"
                    );
                }
            }
        }
    }
}
