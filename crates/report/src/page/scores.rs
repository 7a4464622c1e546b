//! Precision, recall and F1 of each class, since accuracy says little about rare classes.

use da2s_records::schema::{ClassScores, balanced_accuracy, class_scores};
use da2s_records::statistics::interval_of;
use maud::{Markup, html};

use crate::data_link::CsvTable;
use crate::number::{count, percent};
use crate::run::Evaluation;

/// Number of classes shown at once, those with the lowest F1 first; the rest is collapsed.
const MOST_SHOWN: usize = 12;

/// The mean recall over the classes.
pub(super) fn balanced(evaluation: &Evaluation) -> Option<f64> {
    balanced_accuracy(&of(evaluation))
}

/// One row per class, the worst first; `None` without a confusion matrix.
pub(super) fn table(evaluation: &Evaluation) -> Option<Markup> {
    let mut scores = of(evaluation);
    if scores.is_empty() {
        return None;
    }
    let mut data = CsvTable::new([
        "class",
        "images",
        "predicted",
        "precision",
        "recall",
        "recall_from",
        "recall_to",
        "f1",
    ]);
    let digits = |share: Option<f64>| share.map_or_else(String::new, |share| share.to_string());
    for score in &scores {
        let counts = [score.images, score.predicted].map(|count| count.to_string());
        let [from, to] = interval(score).map_or([None; 2], |ends| ends.map(Some));
        let shares = [score.precision, score.recall, from, to, score.f1].map(digits);
        data.row(std::iter::once(score.class.clone()).chain(counts).chain(shares));
    }
    let f1 = |score: &ClassScores| score.f1.unwrap_or(f64::INFINITY);
    scores.sort_by(|a, b| f1(a).total_cmp(&f1(b)));
    let never: Vec<&str> = scores
        .iter()
        .filter(|score| score.is_never_predicted())
        .map(|score| score.class.as_str())
        .collect();
    let (shown, folded) = scores.split_at(scores.len().min(MOST_SHOWN));
    Some(html! {
        @if !never.is_empty() {
            div.notice role="note" {
                p { "The network never predicts " b { (never.join(", ")) } "." }
            }
        }
        (rows("Precision, recall and F1 of each class, the worst first", shown))
        @if !folded.is_empty() {
            details { summary { (count(folded.len() as u64)) " more classes" } (rows("Further classes", folded)) }
        }
        p { (data.link("classes", "Precision, recall and F1 of each class")) }
    })
}

/// Wilson's 95 % interval of the recall, which is the accuracy on the images of the class.
fn interval(score: &ClassScores) -> Option<[f64; 2]> {
    interval_of(score.recall?, score.images)
}

fn rows(caption: &str, scores: &[ClassScores]) -> Markup {
    let cell = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "class" } th.n scope="col" { "precision" } th.n scope="col" { "recall" }
                    th.n scope="col" { "its 95 % interval" } th.n scope="col" { "F1" } th.n scope="col" { "images" } th.n scope="col" { "predicted" }
                } }
                tbody {
                    @for score in scores {
                        tr {
                            td { (score.class) }
                            td.n { (cell(score.precision)) } td.n { (cell(score.recall)) }
                            td.n.quiet { (interval(score).map_or_else(|| "–".to_owned(), |[from, to]| format!("{from:.1}–{to:.1} %"))) }
                            td.n { (cell(score.f1)) }
                            td.n { (count(score.images)) } td.n { (count(score.predicted)) }
                        }
                    }
                }
            }
        }
    }
}

fn of(evaluation: &Evaluation) -> Vec<ClassScores> {
    if evaluation.confusion.is_empty() {
        return Vec::new();
    }
    class_scores(&evaluation.classes, &evaluation.confusion)
}
