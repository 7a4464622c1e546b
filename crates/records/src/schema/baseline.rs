//! A plain network that was trained after the network of a run, by the same recipe: part of
//! `summary.json`.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Summary, TrainedNetwork};
use crate::statistics::mcnemar;

/// A difference with this p-value or a larger one is not significant.
const SIGNIFICANT: f64 = 0.05;

/// A plain network that is compared with the network of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its name.
    pub network: String,
    /// Its channels: those of its stem.
    pub channels: Option<u64>,
    /// What it reaches and costs.
    #[serde(flatten)]
    pub trained: TrainedNetwork,
    /// Its measured time for one image on one thread, in milliseconds.
    pub measured_latency_ms: Option<f64>,
    /// The processor on which that was measured.
    #[serde(default)]
    pub measured_latency_machine: Option<String>,
    /// Test images that only the run's network classifies correctly.
    pub only_network: Option<u64>,
    /// Test images that only the baseline classifies correctly.
    pub only_baseline: Option<u64>,
    /// Two-sided p-value of McNemar's exact test on these two numbers.
    pub p: Option<f64>,
}

impl Baseline {
    /// The baseline `network` with the results in `summary` and `evaluation`, compared with the
    /// run's own network, whose evaluation is `evaluated`.
    pub fn new(
        network: &str,
        channels: u64,
        summary: &Summary,
        evaluation: &Evaluation,
        evaluated: &Evaluation,
    ) -> Self {
        let wrong = evaluation.wrong.as_deref();
        let counts = wrong.and_then(|wrong| evaluated.against(evaluation.images, wrong));
        Self {
            network: network.to_owned(),
            channels: Some(channels),
            trained: TrainedNetwork::new(summary, evaluation),
            measured_latency_ms: summary.measured_latency_ms,
            measured_latency_machine: summary.measured_latency_machine.clone(),
            only_network: counts.map(|[network, _]| network),
            only_baseline: counts.map(|[_, baseline]| baseline),
            p: counts.map(|[network, baseline]| mcnemar(network, baseline)),
        }
    }

    /// The baseline of the run in `summary` with the highest accuracy, among those that can be
    /// compared image by image.
    pub fn best(summary: &Summary) -> Option<&Self> {
        let known = |one: &&Self| one.trained.accuracy.is_some() && one.p.is_some();
        let accuracy = |one: &Self| one.trained.accuracy.unwrap_or(f64::NEG_INFINITY);
        let known = summary.baselines.iter().filter(known);
        known.max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)))
    }

    /// One sentence on whether the search of the run in `summary` was worth it: its network against
    /// the best of its baselines. `None` without baselines or accuracies.
    pub fn verdict(summary: &Summary) -> Option<String> {
        let accuracy = summary.network_accuracy?;
        let best = Self::best(summary)?;
        let (other, p) = (best.trained.accuracy?, best.p?);
        let searched = summary.is_searched();
        let subject = if searched {
            "The searched network"
        } else {
            "This network"
        };
        let name = match summary.baselines.len() {
            1 => best.network.clone(),
            _ => format!("the best baseline, {},", best.network),
        };
        let points = (accuracy - other).abs();
        let test = if p < 0.001 {
            "p < 0.001, McNemar's exact test on the same test images".to_owned()
        } else {
            format!("p = {p:.3}, McNemar's exact test on the same test images")
        };
        let difference = accuracy - other;
        let better = if difference > 0.0 { "better" } else { "worse" };
        let measured = format!("{subject} is {better} than {name} by {points:.2} points ({test})");
        let by_chance = summary.seeds.as_ref().and_then(|seeds| seeds.by_chance());
        let (found, conclusion) = match (p < SIGNIFICANT, by_chance) {
            (true, Some((most, trainings))) if points < most => (
                format!(
                    "{measured}, which is within the variation between seeds (up to {most:.2} points, estimated from {trainings} trainings)"
                ),
                "there is no evidence that the search was worth it",
            ),
            (true, _) if difference > 0.0 => (measured, "the search was worth it"),
            (true, _) => (measured, "the search was not worth it"),
            (false, _) => (
                format!("No significant difference from {name} ({difference:+.2} points, {test})"),
                "there is no evidence that the search was worth it",
            ),
        };
        Some(if searched {
            format!("{found}: {conclusion}.")
        } else {
            format!("{found}.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{SeedTraining, Seeds};
    use crate::statistics::wilson;

    /// An evaluation on 100 images, of which these are wrong.
    fn evaluation(wrong: impl IntoIterator<Item = u64>) -> Evaluation {
        let wrong: Vec<u64> = wrong.into_iter().collect();
        Evaluation {
            images: Some(100),
            accuracy: Some(100.0 - wrong.len() as f64),
            wrong: Some(wrong),
            ..Evaluation::default()
        }
    }

    /// The run's summary with a baseline that has these images wrong.
    fn against(own: &Evaluation, baselines: &[Evaluation]) -> Summary {
        let of = |evaluation: &Evaluation| {
            let summary = Summary {
                network_accuracy: evaluation.accuracy,
                ..Summary::default()
            };
            Baseline::new("resnet8", 16, &summary, evaluation, own)
        };
        Summary {
            network_accuracy: own.accuracy,
            p_least: Some(1.0),
            baselines: baselines.iter().map(of).collect(),
            ..Summary::default()
        }
    }

    #[test]
    fn images_that_only_one_network_classifies_correctly_are_counted() {
        let summary = against(&evaluation(0..10), &[evaluation(4..30)]);
        let baseline = &summary.baselines[0];
        assert_eq!((baseline.only_network, baseline.only_baseline), (Some(20), Some(4)));
        assert_eq!(baseline.p, Some(mcnemar(20, 4)));
        assert_eq!(baseline.trained.accuracy_interval, wilson(74, 100));
        let older = Evaluation {
            wrong: None,
            ..evaluation(0..3)
        };
        assert_eq!(against(&older, &[evaluation(4..30)]).baselines[0].p, None);
    }

    #[test]
    fn the_verdict_is_on_the_best_baseline() {
        let [best, good, bad, worst] = [0..10, 1..13, 4..30, 40..80].map(evaluation);
        for (own, others, says) in [
            (
                &best,
                vec![&bad],
                "is better than resnet8 by 16.00 points (p = 0.002, McNemar",
            ),
            (
                &best,
                vec![&worst],
                "is better than resnet8 by 30.00 points (p < 0.001, McNemar",
            ),
            (&bad, vec![&best], "is worse than resnet8 by 16.00 points (p = 0.002"),
            (
                &best,
                vec![&good],
                "No significant difference from resnet8 (+2.00 points, p = 0.625",
            ),
            (
                &best,
                vec![&bad, &good],
                "No significant difference from the best baseline, resnet8, (+2.00",
            ),
        ] {
            let others: Vec<Evaluation> = others.into_iter().cloned().collect();
            let verdict = Baseline::verdict(&against(own, &others)).unwrap();
            assert!(verdict.contains(says), "{verdict}");
            assert!(verdict.ends_with("worth it."), "{verdict}");
        }
        // A single training of each shows little if another seed can change the accuracy as much.
        let varying = |accuracies: &[f64]| {
            let training = |&accuracy: &f64| SeedTraining {
                accuracy: Some(accuracy),
                ..SeedTraining::default()
            };
            let summary = Summary {
                seeds: Seeds::new(accuracies.iter().map(training).collect()),
                ..against(&best, std::slice::from_ref(&bad))
            };
            Baseline::verdict(&summary).unwrap()
        };
        // A standard deviation of 1 point from two trainings allows 17.97 points, from three 6.08.
        let verdict = varying(&[90.0, 90.0 + 2f64.sqrt()]);
        assert!(
            verdict.ends_with(
                "which is within the variation between seeds (up to 17.97 points, estimated from 2 trainings): there is no evidence that the search was worth it."
            ),
            "{verdict}"
        );
        let verdict = varying(&[89.0, 90.0, 91.0]);
        assert!(
            verdict.ends_with("McNemar's exact test on the same test images): the search was worth it."),
            "{verdict}"
        );
        let given = Summary {
            p_least: None,
            ..against(&evaluation(0..10), &[evaluation(4..30)])
        };
        assert!(
            Baseline::verdict(&given)
                .unwrap()
                .starts_with("This network is better than")
        );
        assert_eq!(Baseline::verdict(&Summary::default()), None);
    }
}
