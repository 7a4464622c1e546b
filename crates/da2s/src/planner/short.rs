//! What a short training leaves out: cutout and drop-path, which are meant for hundreds of epochs.
//!
//! Contract: only a training whose length is chosen by the plan changes, and only settings that
//! nobody requested. The evidence is in the book, *Runs end in time* and *A later training recipe*.

use super::freedom::Freedom;
use crate::config::Config;
use crate::retrain::TrainSettings;

/// The settings that a short training leaves out.
pub(super) const KEYS: [&str; 2] = ["network.drop_path", "network.augmentation.cutout"];
/// With fewer epochs, a training is short. Trainings of 9 to 57 epochs were compared, so the exact
/// number is a guess.
const ENOUGH_EPOCHS: usize = 100;

/// The regularisation of a training, in the settings before a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regularisation {
    drop_path: f64,
    cutout: usize,
}

impl Regularisation {
    /// Of these settings.
    pub fn of(training: &TrainSettings) -> Self {
        Self {
            drop_path: training.drop_path,
            cutout: training.augmentation.cutout,
        }
    }

    /// Leaves it out of a training of few epochs, and puts it back into a longer one.
    pub fn choose(self, training: &mut TrainSettings, freedom: &Freedom) {
        let Self { drop_path, cutout } = match training.epochs < ENOUGH_EPOCHS {
            true => Self {
                drop_path: 0.0,
                cutout: 0,
            },
            false => self,
        };
        let [may_drop_path, may_cutout] = KEYS.map(|key| freedom.may(key));
        if may_drop_path {
            training.drop_path = drop_path;
        }
        if may_cutout {
            training.augmentation.cutout = cutout;
        }
    }
}

/// Why it is left out.
pub(super) fn reason(configs: [&Config; 2]) -> Option<String> {
    let [before, after] = configs.map(|config| Regularisation::of(&config.network.training));
    let is_off = [before.drop_path != after.drop_path, before.cutout != after.cutout];
    let off: Vec<&str> = KEYS
        .into_iter()
        .zip(is_off)
        .filter_map(|(key, is_off)| is_off.then_some(key))
        .collect();
    (!off.is_empty()).then(|| {
        format!(
            "{} = 0: they are for long trainings, and this one has fewer than {ENOUGH_EPOCHS} epochs",
            off.join(" = ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Request};
    use crate::planner::differences;

    /// A run of the recipe `images` with these settings and a number of epochs that a plan chose.
    fn planned(assignments: &[&str], epochs: usize) -> [Config; 2] {
        let given = ["data.dir=x"].iter().chain(assignments);
        let given = given.map(|text| Layer::assignment("--set", text).unwrap());
        let request = Request {
            layers: [Layer::recipe("images").unwrap()].into_iter().chain(given).collect(),
            names_recipe: true,
            ..Request::default()
        };
        let before = request.resolve().unwrap();
        let mut after = before.clone();
        after.network.training.epochs = epochs;
        let training = &mut after.network.training;
        Regularisation::of(training).choose(training, &Freedom::of(&request, &before));
        [before, after]
    }

    fn left(assignments: &[&str], epochs: usize) -> (f64, usize) {
        let [_, after] = planned(assignments, epochs);
        let training = after.network.training;
        (training.drop_path, training.augmentation.cutout)
    }

    #[test]
    fn a_short_training_has_neither_cutout_nor_drop_path() {
        assert_eq!(left(&[], 99), (0.0, 0));
        assert_eq!(left(&[], 100), (0.2, 16));
        let [before, after] = planned(&[], 99);
        let expected = "network.drop_path = network.augmentation.cutout = 0: they are for long trainings, and this one has fewer than 100 epochs";
        assert_eq!(reason([&before, &after]).unwrap(), expected);
        assert_eq!(reason([&before, &before]), None);
    }

    #[test]
    fn a_training_that_becomes_longer_has_them_again() {
        let [before, mut after] = planned(&[], 60);
        after.network.training.epochs = 150;
        let freedom = Freedom::of(&Request::default(), &before);
        Regularisation::of(&before.network.training).choose(&mut after.network.training, &freedom);
        assert_eq!(after.network.training.drop_path, 0.2);
        assert_eq!(after.network.training.augmentation.cutout, 16);
        let [_, short] = planned(&[], 60);
        let changed = differences(&short, &after);
        let keys: Vec<&str> = changed.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["network.epochs", KEYS[0], KEYS[1]]);
    }

    #[test]
    fn what_was_requested_stays() {
        assert_eq!(left(&["network.drop_path=0.1"], 20), (0.1, 0));
        assert_eq!(left(&["network.augmentation.cutout=4"], 20), (0.0, 4));
        assert_eq!(left(&["network.epochs=20"], 20), (0.2, 16));
    }
}
