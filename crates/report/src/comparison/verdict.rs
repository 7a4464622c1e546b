//! The tests of a comparison in one sentence: which setups are ahead of their baseline, which are
//! behind, and for which there are too few seeds.
//!
//! Contract: it is about the accuracy of the retrained networks, or, without any, about the gap. A
//! difference counts if the p-value of t, corrected by Holm's method, is below 0.05.

use da2s_records::counted;

use super::measure::{probability, signed};
use super::statistics::Paired;
use super::{Comparison, Test};
use crate::number::points;

/// The measures of the sentence, the most important first: key, words, and whether more is better.
const MEASURES: [(&str, &str, bool); 2] = [
    ("network_accuracy", "the accuracy of the retrained networks", true),
    ("gap", "the gap", false),
];
/// p-values below this count.
const SIGNIFICANT: f64 = 0.05;

impl Comparison {
    /// The sentence; `None` if there is no pair of finished runs.
    pub fn verdict(&self) -> Option<String> {
        let (results, words, more_is_better) = MEASURES.into_iter().find_map(|(key, words, more_is_better)| {
            let result = |test: &'_ Test| test.results.get(key).copied();
            let results = self.tests.iter().filter_map(|test| Some((test, result(test)?)));
            let results: Vec<(&Test, Paired)> = results.collect();
            (!results.is_empty()).then_some((results, words, more_is_better))
        })?;
        let is_decided = |(_, result): &(&Test, Paired)| result.t_holm.is_some_and(|p| p < SIGNIFICANT);
        let (decided, open): (Vec<_>, Vec<_>) = results.into_iter().partition(is_decided);
        let mut clauses: Vec<String> = decided
            .iter()
            .map(|(test, result)| {
                let is_ahead = (result.mean_difference > 0.0) == more_is_better;
                let place = if is_ahead { "ahead of" } else { "behind" };
                let difference = points(result.mean_difference.abs());
                let (setup, against) = (test.setup.label(), test.against.label());
                format!(
                    "{setup} is {place} {against} by {difference} points ({})",
                    details(result)
                )
            })
            .collect();
        clauses.extend(undecided(&open));
        Some(format!("In {words}, {}.", clauses.join("; ")))
    }
}

/// The clause about the tests that are not significant.
fn undecided(tests: &[(&Test, Paired)]) -> Option<String> {
    let numbers = || tests.iter().map(|(_, result)| result.n);
    let (fewest, most) = (numbers().min()?, numbers().max()?);
    let too_few = match (fewest, most) {
        (1, 1) => "1 seed is not enough to".to_owned(),
        _ if fewest == most => format!("{} are not enough to", counted(most, "seed")),
        _ if most == fewest + 1 => format!("{fewest} or {most} seeds are not enough to"),
        _ => format!("{fewest} to {most} seeds are not enough to"),
    };
    Some(match tests {
        [(test, result)] => format!(
            "{too_few} tell which of {} and {} is ahead (a difference of {} points, {})",
            test.setup.label(),
            test.against.label(),
            signed(result.mean_difference),
            details(result)
        ),
        _ => {
            let names: Vec<String> = tests.iter().map(|(test, _)| test.setup.label()).collect();
            format!(
                "{too_few} tell whether these methods are better or worse: {}",
                names.join(", ")
            )
        }
    })
}

/// The interval and the p-value.
fn details(result: &Paired) -> String {
    match (result.interval, result.t_holm) {
        (Some([from, to]), Some(p)) => {
            let p = match probability(p) {
                text if text.starts_with('<') => format!("p {text}"),
                text => format!("p = {text}"),
            };
            format!("95 % interval {} to {}, {p}", signed(from), signed(to))
        }
        _ => "without an interval".to_owned(),
    }
}
