//! The discretization gap: the cost of pruning operations, edges and both, for each kind of
//! batch-norm statistics.

use da2s_records::counted;
use maud::{Markup, html};

use super::edge_gaps;
use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, percent, points, significant};
use crate::run::{Gap, GapRow, RemovedGap, SearchEpoch};

/// The accuracy that a row shows in each column.
type Accuracy = fn(&GapRow) -> Option<f64>;

/// The table; `None` without a measurement.
pub(super) fn section(run: &Run) -> Option<Markup> {
    let gap = run.gap.as_ref()?;
    let stages: [(&str, &str, Accuracy); 4] = [
        ("super-network", "nothing pruned", |stage| stage.supernet),
        ("operations only", "each kept edge has only its operation", |stage| {
            stage.operations
        }),
        ("edges only", "each node has only its kept edges", |stage| stage.edges),
        ("both", "the discretized network", |stage| stage.both),
    ];
    Some(html! {
        p.lead {
            "Accuracy on held-out images without any retraining, and the loss relative to the super-network in points"
            @if let Some(images) = gap.images.filter(|images| *images > 0) {
                ". One of the " (count(images)) " images is " (significant(100.0 / images as f64, 2)) " points"
            }
            "."
        }
        div.scroll tabindex="0" role="region" aria-label="Accuracy and loss by what is pruned" {
            table.gap {
                thead {
                    tr {
                        th rowspan="2" scope="col" { "pruned" }
                        th colspan="2" scope="colgroup" { "statistics as trained" }
                        th colspan="2" scope="colgroup" { "statistics recalibrated" }
                    }
                    tr { @for _ in 0..2 { th.n scope="col" { "accuracy" } th.n scope="col" { "loss" } } }
                }
                tbody {
                    @for (name, meaning, accuracy) in &stages {
                        tr {
                            th scope="row" { (name) " " small { (meaning) } }
                            @for column in [&gap.as_trained, &gap.recalibrated] {
                                (cells(accuracy(column), column.supernet, *name == "super-network"))
                            }
                        }
                    }
                }
            }
        }
        @if let Some(sentence) = hardening(&run.search) { p { (sentence) } }
        @if let Some(removed) = &gap.removed { p { (earlier(removed)) } }
        @if let Some(tuned) = gap.tuned {
            p { "With the weights that were tuned between the decisions of the rule, the discretized network has " (percent(tuned)) "." }
        }
        p.source { (table(gap, &stages.map(|(name, _, accuracy)| (name, accuracy))).link("gap", "What pruning costs")) }
        @if let Some(edges) = edge_gaps::part(run) { (edges) }
    })
}

/// How the path changed the accuracy of the super-network; `None` if there was no path.
fn hardening(epochs: &[SearchEpoch]) -> Option<String> {
    let start = epochs.first()?.path_p?;
    let first = epochs
        .iter()
        .position(|epoch| epoch.path_p.is_some_and(|asked| asked > start + 1e-6))?;
    let accuracy = |epoch: &SearchEpoch| epoch.supernet_accuracy;
    let before = epochs[..first].iter().filter_map(accuracy).next_back()?;
    let during = epochs[first..]
        .iter()
        .filter_map(accuracy)
        .fold(f64::INFINITY, f64::min);
    let after = epochs.iter().filter_map(accuracy).next_back()?;
    Some(format!(
        "Accuracy of the super-network on the path to the topology, on the images evaluated in each epoch: {} before, {} at its \
         lowest after that, {} at the end.",
        percent(before),
        percent(during),
        percent(after)
    ))
}

/// What was removed before the end of the search, and its cost.
fn earlier(removed: &RemovedGap) -> String {
    let cost = removed.points.map_or_else(String::new, |points| {
        format!(
            ", which cost {} points, measured at each removal",
            significant(points, 3)
        )
    });
    format!(
        "The search removed {} and {} before its end{cost}. The table shows what remained.",
        counted(removed.operations as usize, "operation"),
        counted(removed.edges as usize, "edge")
    )
}

fn cells(accuracy: Option<f64>, supernet: Option<f64>, reference: bool) -> Markup {
    let loss = accuracy.zip(supernet).map(|(after, before)| before - after);
    html! {
        td.n {
            @match accuracy {
                Some(accuracy) => {
                    (percent(accuracy))
                    span.bar aria-hidden="true" {
                        i style={ "width:" (format!("{:.1}", accuracy.clamp(0.0, 100.0))) "%" } {}
                    }
                },
                None => "–",
            }
        }
        td.n {
            @match (reference, loss) {
                (true, _) => span.quiet { "·" },
                (false, Some(loss)) => (points(loss)),
                (false, None) => "–",
            }
        }
    }
}

fn table(gap: &Gap, stages: &[(&str, Accuracy)]) -> CsvTable {
    let mut table = CsvTable::new(["pruned", "as trained %", "recalibrated %"]);
    let text = |value: Option<f64>| value.map_or(String::new(), |value| significant(value, 6));
    for (name, accuracy) in stages {
        table.row([
            (*name).to_owned(),
            text(accuracy(&gap.as_trained)),
            text(accuracy(&gap.recalibrated)),
        ]);
    }
    table
}
