//! The warning that classes are mirror images of each other, for a run that flips its images.
//!
//! Contract: it is given once, in the first stage of a new run. Runs inside another run, such as
//! baselines, use the same images and do not repeat it.

use super::Context;
use crate::data::{Dataset, Mirrored, mirrored};
use crate::hint::Hint;
use crate::observer::{Event, Observer, Warning};

const OF_SEARCH: &str = "search.augmentation.flip";
const OF_NETWORK: &str = "network.augmentation.flip";

/// What to do about `pair` of the classes `names`, if these settings flip images.
fn warning(pair: &Mirrored, names: &[String], flips: &'static [&'static str]) -> Warning {
    Warning {
        text: pair.remark(names),
        hints: vec![Hint::TurnOff(flips)],
    }
}

/// The warning about `pair` of the classes `names`, for a run that flips images in its search and
/// in its training.
pub fn mirror_warning(pair: &Mirrored, names: &[String]) -> Warning {
    warning(pair, names, &[OF_SEARCH, OF_NETWORK])
}

/// Warns about each pair of classes for which flips would teach wrong labels in this run.
pub(super) fn tell_mirrored(context: &Context<'_>, dataset: &Dataset, searches: bool, observer: &mut dyn Observer) {
    let in_search = searches && context.config.search.augmentation.flip;
    let flips: &[&str] = match (in_search, context.config.network.training.augmentation.flip) {
        (true, true) => &[OF_SEARCH, OF_NETWORK],
        (true, false) => &[OF_SEARCH],
        (false, true) => &[OF_NETWORK],
        (false, false) => return,
    };
    let image = |index: usize| dataset.train.image(index).ok();
    for pair in mirrored(dataset.train.labels(), dataset.classes(), &image)
        .iter()
        .flatten()
    {
        observer.on(Event::Warning(warning(pair, &dataset.class_names, flips)));
    }
}
