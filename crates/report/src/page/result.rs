//! The result: the accuracy on the test images with its interval, in one sentence, and what it is
//! to be compared with.

use maud::{Markup, html};

use da2s_records::schema::{ClassScores, SeedTraining, Seeds, class_scores};

use super::scores;
use crate::Run;
use crate::number::{count, percent, significant};
use crate::run::Evaluation;

/// The number, the sentence and the numbers beside it; `None` if the network was not evaluated.
pub(super) fn section(run: &Run) -> Option<Markup> {
    let (evaluation, summary) = (run.evaluation.as_ref(), run.summary.as_ref());
    let accuracy = evaluation
        .and_then(|evaluation| evaluation.accuracy)
        .or_else(|| summary.and_then(|summary| summary.network_accuracy))?;
    let interval = evaluation
        .and_then(Evaluation::interval)
        .or_else(|| summary.and_then(|summary| summary.network_accuracy_interval));
    let mut facts = evaluation.map(facts).unwrap_or_default();
    facts.extend(summary.and_then(|summary| over_seeds(summary.seeds.as_ref()?)));
    Some(html! {
        div.result {
            div.number {
                p.big { (format!("{accuracy:.2}")) span.unit { " %" } }
                @if let Some([from, to]) = interval { p.caption { (format!("{from:.1} to {to:.1} %")) } }
            }
            p { (sentence(accuracy, interval, evaluation)) }
        }
        dl.facts-list {
            @for (name, value, detail) in &facts { div { dt { (name) } dd { b { (value) } " " small { (detail) } } } }
        }
    })
}

fn sentence(accuracy: f64, interval: Option<[f64; 2]>, evaluation: Option<&Evaluation>) -> String {
    let unseen = match evaluation.and_then(|evaluation| evaluation.train_accuracy) {
        Some(_) => ", which it never saw before",
        // What imported weights were trained on is unknown.
        None => "",
    };
    let found = match evaluation.and_then(|evaluation| evaluation.images) {
        Some(images) => {
            let right = (images as f64 * accuracy / 100.0).round().max(0.0) as u64;
            format!(
                "The network is right on {} of {} test images{unseen}",
                count(right),
                count(images)
            )
        }
        None => format!("The network is right on {} of the test images", percent(accuracy)),
    };
    match interval {
        Some([from, to]) => format!(
            "{found}. With this number of images, its true accuracy is between {from:.1} and {to:.1} %, with 95 % confidence (Wilson’s interval)."
        ),
        None => format!("{found}."),
    }
}

/// The same network trained from several seeds.
fn over_seeds(seeds: &Seeds) -> Option<(&'static str, String, String)> {
    let (mean, deviation, [from, to]) = (seeds.mean?, seeds.deviation?, seeds.interval?);
    let accuracy = |training: &SeedTraining| training.accuracy.map(|accuracy| format!("{accuracy:.2}"));
    let each: Vec<String> = seeds.trainings.iter().filter_map(accuracy).collect();
    let detail = format!(
        "over {} trainings, each from its own seed ({}); the first is this network; 95 % interval of the mean {from:.2} to {to:.2} % (Student’s t)",
        each.len(),
        each.join(", ")
    );
    Some(("mean and deviation", format!("{mean:.2} ± {deviation:.2} %"), detail))
}

/// (name, value, detail)
fn facts(evaluation: &Evaluation) -> Vec<(&'static str, String, String)> {
    let of_train = evaluation.train_images.map_or_else(String::new, |images| {
        format!("of {} that it was trained on", count(images))
    });
    let fit = evaluation
        .fit()
        .map_or(of_train.clone(), |fit| format!("{of_train}: {}", fit.remark()));
    [
        evaluation
            .train_accuracy
            .map(|accuracy| ("on training images", percent(accuracy), fit)),
        scores::balanced(evaluation).map(|balanced| {
            let detail = "mean recall over the classes".to_owned();
            ("balanced accuracy", percent(balanced), detail)
        }),
        most_frequent(evaluation).map(|(class, share)| {
            let detail = format!("by always answering {class}");
            ("without a network", percent(share), detail)
        }),
        evaluation
            .loss
            .map(|loss| ("test loss", significant(loss, 4), "nats".to_owned())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The class with the most test images, and its share of them.
fn most_frequent(evaluation: &Evaluation) -> Option<(String, f64)> {
    let scores = match evaluation.confusion.is_empty() {
        true => return None,
        false => class_scores(&evaluation.classes, &evaluation.confusion),
    };
    let images = |score: &ClassScores| score.images as f64;
    let all: f64 = scores.iter().map(images).sum();
    let most = scores.iter().max_by(|a, b| images(a).total_cmp(&images(b)))?;
    (all > 0.0).then(|| (most.class.clone(), 100.0 * images(most) / all))
}
