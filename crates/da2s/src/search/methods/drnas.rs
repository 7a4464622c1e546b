//! DrNAS: the mixture of every edge is drawn from a Dirichlet distribution with a learned
//! concentration.
//!
//! Reference: Chen, Wang, Cheng, Tang, Hsieh, "DrNAS: Dirichlet Neural Architecture Search", ICLR
//! 2021: p ~ Dir(c) with c = elu(α) + 1 (section 3.2), drawn again in every half-step, with the
//! reparametrised gradient: p = g / Σ g of independent g_o ~ Gamma(c_o, 1), whose derivative in c
//! is that of `gamma.rs`. The paper's penalty 1e-3·‖α‖² is `search.arch_weight_decay`. Progressive
//! search (section 3.3): in each stage (`search/stages.rs`) fewer candidates, and more channels
//! through them. Contract: outside of training, p is the mean of the distribution, c / Σ c. From
//! one stage to the next the concentrations of what remains are kept, as in the paper; the weights
//! start again, while the paper widens them.

use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, Gamma};

use crate::device::host;
use crate::objective::{Link, concentration, normalized};
use crate::random::Purpose;
use crate::search::gamma::slope;
use crate::search::method::{Choices, SearchMethod};
use crate::search::moment::When;
use crate::search::settings::SearchSettings;
use crate::search::stages::{StagePlan, StageSettings};
use crate::space::KindTarget;

/// The smallest draw by which f32 can still divide.
const LEAST: f32 = 1e-30;

/// The method.
#[derive(Clone, Debug)]
pub(super) struct DrNas {
    stages: StageSettings,
}

impl DrNas {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        Self {
            stages: settings.stages.clone(),
        }
    }
}

impl SearchMethod for DrNas {
    /// The published numbers, 7 → 4 candidates, are a ratio here.
    fn stages(&self, candidates: usize) -> Vec<StagePlan> {
        let channels = self.stages.partial_channels.clone().unwrap_or_default();
        let last = channels.len().saturating_sub(1).max(1);
        let own = |stage: usize| (candidates * (7 * last - 3 * stage)).div_ceil(7 * last);
        let given = self.stages.candidates.as_ref();
        let plan = |(stage, groups)| StagePlan {
            candidates: given.map_or_else(|| own(stage), |given| given.get(stage).copied().unwrap_or(1)),
            cells: None,
            partial_channels: Some(groups),
            keeps_arch: true,
        };
        channels.into_iter().enumerate().map(plan).collect()
    }

    fn link(&self, _: &KindTarget) -> Link {
        Link::Dirichlet
    }

    fn operations(&self, alpha: Tensor<2>, _: Choices<'_>, when: When) -> Tensor<2> {
        let (shape, device) = (alpha.dims(), alpha.device());
        let concentration = concentration(alpha);
        let Some(draw) = when.draw() else {
            return normalized(concentration);
        };
        let mut random = draw.random(Purpose::Method);
        let (mut drawn, mut slopes) = (Vec::new(), Vec::new());
        for c in host(&concentration) {
            let shape = f64::from(c);
            // A value that is not finite is detected in the loss.
            let x = match Gamma::new(shape, 1.0) {
                Ok(gamma) if c.is_finite() => gamma.sample(&mut random).max(f64::from(LEAST)),
                _ => f64::NAN,
            };
            drawn.push(x as f32);
            slopes.push(slope(shape, x) as f32);
        }
        let constant = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), &device);
        // The value is the draw; the gradient in the concentration is its slope.
        let moves = (concentration.clone() - concentration.detach()) * constant(slopes);
        normalized(constant(drawn) + moves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_are_those_of_the_paper_as_ratios() {
        let mut settings = SearchSettings::default();
        assert!(DrNas::new(&settings).stages(7).is_empty());
        let numbers = |settings: &SearchSettings, candidates| -> Vec<(usize, Option<usize>)> {
            let plans = DrNas::new(settings).stages(candidates).into_iter();
            plans.map(|plan| (plan.candidates, plan.partial_channels)).collect()
        };
        settings.stages.partial_channels = Some(vec![6, 4]);
        assert_eq!(numbers(&settings, 7), [(7, Some(6)), (4, Some(4))]);
        settings.stages.candidates = Some(vec![8, 3]);
        assert_eq!(numbers(&settings, 8), [(8, Some(6)), (3, Some(4))]);
        settings.stages.partial_channels = Some(vec![8, 4, 2, 1]);
        settings.stages.candidates = None;
        let candidates = numbers(&settings, 7).into_iter().map(|(candidates, _)| candidates);
        assert_eq!(candidates.collect::<Vec<_>>(), [7, 6, 5, 4]);
    }
}
