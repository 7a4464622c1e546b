//! The worst mistakes as images: the true class, the predicted class with its probability, and the
//! file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use da2s_records::files::MISTAKES_TABLE;
use maud::{Markup, html};

use crate::data_link::CsvTable;
use crate::number::{count, significant};
use crate::run::{Evaluation, JudgedImage};

/// The images; `None` if the evaluation lists no mistakes.
pub(super) fn figure(evaluation: &Evaluation) -> Option<Markup> {
    if evaluation.mistakes.is_empty() {
        return None;
    }
    let classes = &evaluation.classes;
    Some(html! {
        figure.mistakes {
            p.lead {
                "Misclassified test images with the highest loss, the worst first. "
                @if let Some(wrong) = all(evaluation) {
                    "Each of the " (count(wrong)) " is in " code { (MISTAKES_TABLE) } " of the run directory. "
                }
                "If the network is sure of another class, the label itself may be wrong."
            }
            ol { @for mistake in &evaluation.mistakes { (picture(mistake, "is", &mistake.name(), "", classes)) } }
            figcaption { (table(&evaluation.mistakes, classes).link("mistakes", "Worst mistakes")) }
        }
    })
}

/// Number of all mistakes, if the run has a table of them.
fn all(evaluation: &Evaluation) -> Option<u64> {
    // Runs of earlier versions have neither the table nor a calibration.
    evaluation.calibration.as_ref()?;
    Some(evaluation.wrong.as_ref()?.len() as u64)
}

/// An image as an entry of a list: the word `is` and its label, "taken for" and its prediction, its
/// name and `remark`.
pub(super) fn picture(image: &JudgedImage, is: &str, name: &str, remark: &str, classes: &[String]) -> Markup {
    let class = |class: usize| classes.get(class).map_or("–", String::as_str);
    html! {
        li {
            @match &image.picture {
                Some(png) => img src={ "data:image/png;base64," (STANDARD.encode(png)) } alt={ (name) ": " (class(image.class)) };,
                None => span.absent { "no image" },
            }
            span { (is) " " b { (class(image.class)) } }
            span {
                "taken for " (class(image.predicted))
                @if let Some(sure) = percent(image.predicted_probability) { ", " (sure) }
            }
            // A name may contain characters that change the direction of what follows.
            small { bdi { (name) } (remark) }
        }
    }
}

fn percent(share: Option<f64>) -> Option<String> {
    share.map(|share| format!("{:.0} % sure", 100.0 * share))
}

fn table(mistakes: &[JudgedImage], classes: &[String]) -> CsvTable {
    let mut table = CsvTable::new([
        "image",
        "path",
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
            mistake.path.clone().unwrap_or_default(),
            classes[mistake.class].clone(),
            classes[mistake.predicted].clone(),
            number(mistake.class_probability),
            number(mistake.predicted_probability),
            number(mistake.loss),
        ]);
    }
    table
}
