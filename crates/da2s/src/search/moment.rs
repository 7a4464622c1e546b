//! When a method is called: at which point of the search, in which half of a step, and with which
//! random numbers.
//!
//! Contract: a random draw of a method is a pure function of seed, purpose, epoch, step, half and
//! kind of cell, so a resumed search draws the same as one that was never stopped.

use rand::Rng;

use crate::random::{Purpose, generator};
use crate::space::CellKind;

/// A point in the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Epoch of the stage, from 1.
    pub epoch: usize,
    /// Number of epochs of the stage, T.
    pub epochs: usize,
    /// Epochs of warm-up, E.
    pub warmup: usize,
    /// Step within the epoch, from 0; after the last step, `steps`.
    pub step: usize,
    /// Steps per epoch.
    pub steps: usize,
    /// The stage of the search, from 0. Most searches have one.
    pub stage: usize,
    /// Number of stages.
    pub stages: usize,
    /// Epochs of the stages before.
    pub before: usize,
}

impl Moment {
    /// The beginning of an epoch, for uses in which steps do not matter: the epoch counts as one
    /// step.
    pub const fn of_epoch(epoch: usize, epochs: usize, warmup: usize) -> Self {
        Self {
            epoch,
            epochs,
            warmup,
            step: 0,
            steps: 1,
            stage: 0,
            stages: 1,
            before: 0,
        }
    }

    /// Epoch of the search, from 1.
    pub fn number(self) -> usize {
        self.before + self.epoch
    }

    /// Whether the search ends with this stage.
    pub fn is_in_last_stage(self) -> bool {
        self.stage + 1 >= self.stages
    }

    /// Step `step` of the same epoch.
    pub fn at_step(self, step: usize) -> Self {
        Self { step, ..self }
    }

    /// The completed fraction of the stage: 0 before the first step, 1 after the last step of the
    /// last epoch and in further epochs.
    pub fn share(self) -> f64 {
        let done = (self.epoch - 1) * self.steps + self.step;
        (done as f64 / (self.epochs * self.steps) as f64).min(1.0)
    }
}

/// The halves of a bilevel step. A step that trains both at once uses the draw of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The weights train.
    Weights,
    /// α and β train.
    Arch,
}

/// One half of a training step and one kind of cell, for methods that draw at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Seed of the run.
    pub seed: u64,
    /// The point in the search.
    pub moment: Moment,
    /// Half of the step.
    pub half: Half,
    /// Kind of cell.
    pub kind: CellKind,
}

impl Draw {
    /// The step at `moment`. Half and kind of cell are filled in when something is drawn for them.
    pub fn new(seed: u64, moment: Moment) -> Self {
        Self {
            seed,
            moment,
            half: Half::Weights,
            kind: CellKind::Normal,
        }
    }

    pub(super) fn for_half(self, half: Half) -> Self {
        Self { half, ..self }
    }

    /// The random numbers of this draw for `purpose`, always the same.
    pub fn random(self, purpose: Purpose) -> impl Rng {
        let stream = 4 * self.moment.step as u64 + 2 * self.half as u64 + self.kind as u64;
        generator(self.seed, purpose, self.moment.number() as u64, stream)
    }
}

/// The purpose of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Training, in one half of a step; a method may draw.
    Training(Draw),
    /// Reading: nothing is drawn.
    Reading(Moment),
}

impl When {
    /// The point in the search.
    pub fn moment(self) -> Moment {
        match self {
            Self::Training(draw) => draw.moment,
            Self::Reading(moment) => moment,
        }
    }

    /// The half of a step in which a mixture trains; `None` if it is only read.
    pub fn draw(self) -> Option<Draw> {
        match self {
            Self::Training(draw) => Some(draw),
            Self::Reading(_) => None,
        }
    }

    /// The same for cells of `kind`.
    pub(super) fn for_kind(self, kind: CellKind) -> Self {
        match self {
            Self::Training(draw) => Self::Training(Draw { kind, ..draw }),
            Self::Reading(moment) => Self::Reading(moment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;
    use std::collections::HashSet;

    const MOMENT: Moment = Moment {
        epoch: 1,
        epochs: 4,
        warmup: 0,
        step: 0,
        steps: 5,
        stage: 0,
        stages: 1,
        before: 0,
    };

    #[test]
    fn the_share_rises_with_every_step_and_stays_at_one() {
        let share = |epoch, step| Moment { epoch, ..MOMENT }.at_step(step).share();
        assert_eq!((share(1, 0), share(1, 1), share(2, 0)), (0.0, 0.05, 0.25));
        // The end of an epoch is the beginning of the next.
        assert_eq!((share(1, 5), share(4, 5)), (share(2, 0), 1.0));
        assert_eq!(share(6, 2), 1.0);
    }

    #[test]
    fn every_draw_has_its_own_random_numbers() {
        let mut seen = HashSet::new();
        for purpose in [Purpose::Gumbel, Purpose::Method] {
            for (epoch, step) in [(1, 0), (1, 1), (2, 0)] {
                for half in [Half::Weights, Half::Arch] {
                    for kind in CellKind::ALL {
                        let moment = Moment { epoch, ..MOMENT }.at_step(step);
                        let draw = Draw {
                            half,
                            kind,
                            ..Draw::new(3, moment)
                        };
                        assert!(seen.insert(draw.random(purpose).next_u64()));
                        assert!(!seen.insert(draw.random(purpose).next_u64()));
                    }
                }
            }
        }
    }
}
