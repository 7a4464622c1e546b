//! The confusion matrix, and the most frequent mistakes.

use maud::{Markup, html};

use crate::data_link::CsvTable;
use crate::run::Evaluation;
use crate::svg::colour::level;
use crate::svg::heat::{Field, Matrix, Timeline};
use crate::svg::short;

/// With at most this many classes, every field shows its number.
const MOST_NUMBERED: usize = 20;
/// With more classes, the picture would be unreadable; the table of mistakes remains.
const MOST_DRAWN: usize = 250;
const MOST_MISTAKES: usize = 8;
const LONGEST_NAME: usize = 9;

/// The picture and the table; `None` without a confusion matrix.
pub(super) fn figure(evaluation: &Evaluation) -> Option<Markup> {
    if evaluation.confusion.is_empty() {
        return None;
    }
    let classes = &evaluation.classes;
    let mut data = CsvTable::new(std::iter::once("true \\ predicted").chain(classes.iter().map(String::as_str)));
    for (class, row) in classes.iter().zip(&evaluation.confusion) {
        data.row(std::iter::once(class.clone()).chain(row.iter().map(u64::to_string)));
    }
    Some(html! {
        div.pair {
            figure.confusion {
                h3 { "Confusion matrix" }
                @if classes.len() <= MOST_DRAWN { (picture(evaluation)) }
                figcaption {
                    "Rows are true classes, columns predicted ones; brightness is the square root of a field’s share of its "
                    "row, so that rare mistakes show. " (data.link("confusion", "Confusion matrix"))
                }
            }
            (mistakes(evaluation))
        }
    })
}

fn picture(evaluation: &Evaluation) -> Markup {
    let names: Vec<String> = evaluation
        .classes
        .iter()
        .map(|name| short(name, LONGEST_NAME))
        .collect();
    let title = "Heat map of the confusion matrix; the table of mistakes has the same data as text";
    let shares: Vec<Vec<f64>> = evaluation.confusion.iter().map(|row| root_shares(row)).collect();
    if names.len() > MOST_NUMBERED {
        let columns: Vec<usize> = (0..names.len()).collect();
        let row_height = 300.0 / names.len() as f64;
        let axis = "number of the predicted class, from 0";
        return Timeline {
            rows: &names,
            columns: &columns,
            axis,
            values: &shares,
            row_height,
            title,
        }
        .draw();
    }
    let field = |(images, share): (&u64, &f64)| Field {
        level: level(*share),
        text: if *images == 0 {
            String::new()
        } else {
            images.to_string()
        },
    };
    let fields: Vec<Vec<Field>> = evaluation
        .confusion
        .iter()
        .zip(&shares)
        .map(|(row, shares)| row.iter().zip(shares).map(field).collect())
        .collect();
    Matrix {
        rows: &names,
        columns: &names,
        fields: &fields,
        apart: None,
        title,
    }
    .draw()
}

fn root_shares(row: &[u64]) -> Vec<f64> {
    let all = row.iter().map(|images| *images as f64).sum::<f64>().max(1.0);
    row.iter().map(|images| (*images as f64 / all).sqrt()).collect()
}

fn mistakes(evaluation: &Evaluation) -> Markup {
    let mut wrong: Vec<(u64, usize, usize)> = Vec::new();
    for (class, row) in evaluation.confusion.iter().enumerate() {
        let others = row
            .iter()
            .enumerate()
            .filter(|(predicted, images)| *predicted != class && **images > 0);
        wrong.extend(others.map(|(predicted, images)| (*images, class, predicted)));
    }
    wrong.sort_by_key(|(images, class, predicted)| (std::cmp::Reverse(*images), *class, *predicted));
    let classes = &evaluation.classes;
    html! {
        @if wrong.is_empty() {
            p { "No test image was misclassified." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Most frequent mistakes" {
                table {
                    caption { "Most frequent mistakes" }
                    thead { tr {
                        th scope="col" { "true class" } th scope="col" { "taken for" }
                        th.n scope="col" { "images" } th.n scope="col" { "of its class" }
                    } }
                    tbody {
                        @for (images, class, predicted) in wrong.iter().take(MOST_MISTAKES) {
                            tr {
                                td { (classes[*class]) } td { (classes[*predicted]) } td.n { (images) }
                                td.n { (format!("{:.1} %", share_of_row(*images, &evaluation.confusion[*class]))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn share_of_row(images: u64, row: &[u64]) -> f64 {
    100.0 * images as f64 / row.iter().map(|images| *images as f64).sum::<f64>().max(1.0)
}
