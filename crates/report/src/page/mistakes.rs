//! The worst mistakes as images: the true class, the predicted class, and its probability.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use crate::data_link::CsvTable;
use crate::number::{count, significant};
use crate::run::{Evaluation, Mistake};

/// The images; `None` if the evaluation lists no mistakes.
pub(super) fn figure(evaluation: &Evaluation) -> Option<Markup> {
    if evaluation.mistakes.is_empty() {
        return None;
    }
    let classes = &evaluation.classes;
    Some(html! {
        figure.mistakes {
            p.lead {
                "The " (evaluation.mistakes.len()) " misclassified test images with the highest loss, the worst first."
            }
            ol {
                @for mistake in &evaluation.mistakes {
                    @let (class, taken) = (&classes[mistake.class], &classes[mistake.predicted]);
                    li {
                        @match &mistake.picture {
                            Some(png) => img src={ "data:image/png;base64," (STANDARD.encode(png)) }
                                alt={ "Test image " (mistake.index) ": " (class) };,
                            None => span.absent { "no image" },
                        }
                        span { "is " b { (class) } }
                        span { "taken for " (taken) @if let Some(sure) = percent(mistake.predicted_probability) { ", " (sure) } }
                        small { "image " (count(mistake.index)) }
                    }
                }
            }
            figcaption { (table(&evaluation.mistakes, classes).link("mistakes", "Worst mistakes")) }
        }
    })
}

fn percent(share: Option<f64>) -> Option<String> {
    share.map(|share| format!("{:.0} % sure", 100.0 * share))
}

fn table(mistakes: &[Mistake], classes: &[String]) -> CsvTable {
    let mut table = CsvTable::new([
        "image",
        "class",
        "taken for",
        "probability of the true class",
        "probability of the predicted class",
        "loss nats",
    ]);
    let number = |value: Option<f64>| value.map_or(String::new(), |value| significant(value, 5));
    for mistake in mistakes {
        table.row([
            mistake.index.to_string(),
            classes[mistake.class].clone(),
            classes[mistake.predicted].clone(),
            number(mistake.class_probability),
            number(mistake.predicted_probability),
            number(mistake.loss),
        ]);
    }
    table
}
