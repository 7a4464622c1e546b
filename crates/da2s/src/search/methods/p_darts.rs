//! P-DARTS: a search in stages, each with a deeper super-network and fewer candidates, which drops
//! skip connections while it trains.
//!
//! Reference: Chen, Xie, Wu, Tian, "Progressive Differentiable Architecture Search: Bridging the
//! Depth Gap between Search and Evaluation", ICCV 2019, sections 3.1 and 3.2, and its code. In
//! epoch t of T of a stage, from 0, a skip connection that keeps the image's size is dropped with
//! the probability p·(T − t − 1)/T during the warm-up of E epochs and p·exp(−0.2·(t − E)) after it.
//! Contract: weights, α and β start again in every stage, as in the code (`search/stages.rs`). The
//! limit on skip connections in the result is `target.most_skips`. Paper and code drop single
//! numbers of a skip connection's output; here the whole connection is dropped for an image, which
//! is this project's choice (`search/skip_dropout.rs`).

use crate::search::method::SearchMethod;
use crate::search::moment::Moment;
use crate::search::settings::SearchSettings;
use crate::search::stages::{SKIP_DROPOUT, StagePlan, StageSettings};

/// How fast the probability decays after the warm-up, per epoch.
const DECAY: f64 = 0.2;

/// The method.
#[derive(Clone, Debug)]
pub(super) struct PDarts {
    stages: StageSettings,
    cells: usize,
}

impl PDarts {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        Self {
            stages: settings.stages.clone(),
            cells: settings.cells,
        }
    }
}

impl SearchMethod for PDarts {
    fn refuses_dropping(&self) -> Option<&'static str> {
        Some("it removes candidates itself, at the end of each stage")
    }

    /// The published numbers, 8 → 5 → 3 candidates, are ratios here.
    fn stages(&self, candidates: usize) -> Vec<StagePlan> {
        let share = |eighths: usize| (candidates * eighths).div_ceil(8);
        let own = || vec![candidates, share(5), share(3)];
        let numbers = self.stages.candidates.clone().unwrap_or_else(own);
        let plan = |(stage, candidates)| StagePlan {
            candidates,
            cells: match &self.stages.cells {
                Some(cells) => cells.get(stage).copied(),
                None => Some((stage + 1) * self.cells),
            },
            partial_channels: None,
            keeps_arch: false,
        };
        numbers.into_iter().enumerate().map(plan).collect()
    }

    fn skip_dropout(&self, moment: Moment) -> f64 {
        let own = self.stages.skip_dropout.as_deref().unwrap_or(&SKIP_DROPOUT);
        let first = own.get(moment.stage).copied().unwrap_or(0.0);
        // α trains from the last epoch of the warm-up on.
        let (epoch, warmup) = (moment.epoch - 1, moment.warmup.max(1) - 1);
        if epoch < warmup {
            first * (moment.epochs - epoch - 1) as f64 / moment.epochs as f64
        } else {
            first * (-DECAY * (epoch - warmup) as f64).exp()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(skip_dropout: [f64; 3]) -> PDarts {
        let mut settings = SearchSettings::default();
        settings.stages.skip_dropout = Some(skip_dropout.to_vec());
        settings.cells = 5;
        PDarts::new(&settings)
    }

    #[test]
    fn a_skip_connection_is_dropped_with_the_probability_of_the_paper() {
        let method = method([0.1, 0.4, 0.7]);
        // As published: α rests for 10 of 25 epochs.
        let moment = |stage, epoch| Moment {
            stage,
            stages: 3,
            ..Moment::of_epoch(epoch, 25, 11)
        };
        let probability = |stage, epoch: usize| {
            let first = [0.1, 0.4, 0.7][stage];
            match epoch {
                0..10 => first * (25 - epoch - 1) as f64 / 25.0,
                _ => first * (-0.2 * (epoch - 10) as f64).exp(),
            }
        };
        for stage in 0..3 {
            for epoch in 0..25 {
                let own = method.skip_dropout(moment(stage, epoch + 1));
                assert!((own - probability(stage, epoch)).abs() < 1e-12, "{stage} {epoch}");
            }
        }
        assert!((method.skip_dropout(moment(2, 1)) - 0.672).abs() < 1e-12);
    }

    #[test]
    fn the_stages_are_those_of_the_paper_as_ratios() {
        let numbers = |method: &PDarts, candidates| -> Vec<(usize, usize)> {
            let plans = method.stages(candidates).into_iter();
            plans.map(|plan| (plan.candidates, plan.cells.unwrap())).collect()
        };
        let mut method = method([0.0; 3]);
        assert_eq!(numbers(&method, 8), [(8, 5), (5, 10), (3, 15)]);
        assert_eq!(numbers(&method, 3), [(3, 5), (2, 10), (2, 15)]);
        method.stages.cells = Some(vec![5, 11, 17]);
        assert_eq!(numbers(&method, 8), [(8, 5), (5, 11), (3, 17)]);
    }
}
