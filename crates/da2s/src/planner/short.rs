//! What a short training leaves out: regularisation that is meant for hundreds of epochs.
//!
//! Contract: only a training whose length is chosen by the plan changes, and only settings that
//! nobody requested. The evidence is in the book, *Runs end in time* and *A later training recipe*.

use super::freedom::Freedom;
use crate::config::Config;

/// A network that is trained for fewer epochs underfits with cutout or drop-path.
const ENOUGH_EPOCHS: usize = 100;

/// Switches cutout and drop-path off in a training of few epochs.
pub(super) fn without_regularisation(config: &mut Config, freedom: &Freedom) {
    let training = &mut config.network.training;
    if !freedom.may("network.epochs") || training.epochs >= ENOUGH_EPOCHS {
        return;
    }
    if freedom.may("network.drop_path") {
        training.drop_path = 0.0;
    }
    if freedom.may("network.augmentation.cutout") {
        training.augmentation.cutout = 0;
    }
}

/// Why they are off.
pub(super) fn reason([before, after]: [&Config; 2]) -> Option<String> {
    let [was, is] = [before, after].map(|config| &config.network.training);
    let off = [
        ("network.drop_path", was.drop_path != is.drop_path),
        (
            "network.augmentation.cutout",
            was.augmentation.cutout != is.augmentation.cutout,
        ),
    ];
    let off: Vec<&str> = off
        .into_iter()
        .filter_map(|(key, is_off)| is_off.then_some(key))
        .collect();
    (!off.is_empty()).then(|| {
        format!(
            "{} = 0, because a network that is trained for fewer than {ENOUGH_EPOCHS} epochs learns too little otherwise",
            off.join(" = ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Request};

    /// A run of the recipe `images` with these settings and a number of epochs that a plan chose.
    fn planned(assignments: &[&str], epochs: usize) -> [Config; 2] {
        let given = assignments.iter().map(|text| Layer::assignment("--set", text).unwrap());
        let request = Request {
            layers: [Layer::recipe("images").unwrap()].into_iter().chain(given).collect(),
            names_recipe: true,
            ..Request::default()
        };
        let before = request.resolve().unwrap();
        let mut after = before.clone();
        after.network.training.epochs = epochs;
        without_regularisation(&mut after, &Freedom::of(&request, &before));
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
        let expected = "network.drop_path = network.augmentation.cutout = 0, because a network that is trained for fewer than 100 epochs learns too little otherwise";
        assert_eq!(reason([&before, &after]).unwrap(), expected);
        assert_eq!(reason([&before, &before]), None);
    }

    #[test]
    fn what_was_requested_stays() {
        assert_eq!(left(&["network.drop_path=0.1"], 20), (0.1, 0));
        assert_eq!(left(&["network.augmentation.cutout=4"], 20), (0.0, 4));
        assert_eq!(left(&["network.epochs=20"], 20), (0.2, 16));
    }
}
