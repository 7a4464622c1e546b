//! The reasons of a plan in words: what was chosen and why, one sentence each.

use super::searching::ENOUGH_STEPS;
use super::{AIM, Goal, Lesson, freedom, short};
use crate::config::Config;

/// Below this share of the given time a run ends early.
const EARLY: f64 = 0.85;

/// A time as minutes and seconds, or hours and minutes.
pub fn span(time_s: f64) -> String {
    let seconds = time_s.max(0.0).round() as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02} h", seconds / 60 % 60),
    }
}

/// The reasons for what was chosen for `goal`: `after` instead of `before`, for a search and a
/// training that together take `total_s` seconds.
pub(super) fn of(
    goal: &Goal,
    [before, after]: [&Config; 2],
    search: Option<&Lesson>,
    network: &Lesson,
    total_s: f64,
) -> Vec<String> {
    let mut reasons = Vec::new();
    let time = span(goal.time_s);
    let has_choice = freedom::values(before) != freedom::values(after);
    match (goal.at_most, has_choice) {
        (true, false) => return reasons,
        (true, true) => reasons.push(format!(
            "the settings of the recipe would take longer than {time} here, so sizes and epochs are smaller"
        )),
        (false, _) if !goal.freedom.is_any() => {}
        (false, _) => reasons.push(format!(
            "the run is planned for {:.0} % of the given {time}, since other work on the machine can only slow it down",
            100.0 * AIM
        )),
    }
    if search.is_some() && goal.freedom.may("search.epochs") && goal.freedom.may("network.epochs") {
        reasons.push(
            "the search gets a third of the time, or more if it cannot be shorter or the training cannot use the rest: it only ranks the candidates, and the accuracy comes from the training"
                .to_owned(),
        );
    }
    let sized = |what: &str, lesson: &Lesson, largest: [usize; 2]| {
        let Lesson {
            channels,
            cells,
            depth,
            is_smallest,
            ..
        } = lesson;
        let cells_text = if depth.is_empty() {
            format!(" and {cells} cells")
        } else {
            String::new()
        };
        let size = format!("{what}: {channels} channels{cells_text}");
        match [*channels, *cells] == largest {
            true => format!("{size}, as in the settings"),
            false if *is_smallest => format!("{size}, the smallest that a plan chooses"),
            false => format!("{size}, the largest size that leaves time for enough epochs"),
        }
    };
    if let Some(search) = search
        && (goal.freedom.may("search.channels") || goal.freedom.may("search.cells"))
    {
        reasons.push(sized("search", search, [before.search.channels, before.search.cells]));
    }
    if let Some(search) = search.filter(|search| search.is_short) {
        reasons.push(format!(
            "the search has only {} steps, and a good one has at least {ENOUGH_STEPS}: in so little time, a network that is not searched, such as resnet8, is likely to be better, since all of the time is for its training",
            search.epochs * search.steps
        ));
    }
    if goal.freedom.may("network.channels") || goal.freedom.may("network.cells") {
        let shape = &before.network.shape;
        reasons.push(sized("final network", network, [shape.channels, shape.cells]));
    }
    let batches = [
        ("search.batch_size", before.search.batch_size, after.search.batch_size),
        (
            "network.batch_size",
            before.network.training.batch_size,
            after.network.training.batch_size,
        ),
    ];
    for (key, was, is) in batches.into_iter().filter(|(_, was, is)| was != is) {
        reasons.push(format!(
            "{key} is {is} instead of {was}, so that an epoch has enough steps"
        ));
    }
    reasons.extend(short::reason([before, after]));
    let [was, is] = [before, after].map(|config| config.discretize.edge_images);
    if was != is {
        reasons.push(format!(
            "discretize.edge_images is {is} instead of {was}: the gaps of single edges are only for the report"
        ));
    }
    if before.search.drive() != after.search.drive() {
        reasons.push("search.drive is path, which decides every choice however short the search is".to_owned());
    }
    let mut requested = goal.freedom.requested();
    requested.retain(|key| search.is_some() || key.starts_with("network."));
    if !requested.is_empty() {
        reasons.push(format!("as requested: {}", requested.join(", ")));
    }
    if search.is_some() && goal.freedom.may("network.epochs") {
        reasons.push(
            "after the search, network.epochs is chosen for the remaining time, from measured steps of the network that was found"
                .to_owned(),
        );
    }
    if !goal.at_most && total_s < EARLY * goal.time_s {
        let why = if goal.freedom.may("network.epochs") {
            "more epochs than these would add little"
        } else {
            "the requested settings take no longer"
        };
        reasons.push(format!("it ends early: {why}"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!([75.0, 59.6, 7500.0].map(span), ["1:15 min", "1:00 min", "2:05 h"]);
    }
}
