//! The network of the run beside the plain networks that were trained by the same recipe.

use da2s_records::schema::{Baseline, Summary, TrainedNetwork};
use da2s_settings::Quantity;
use maud::{Markup, html};

use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, duration, magnitude, percent};

/// A network in the table.
struct Row<'a> {
    network: &'a str,
    trained: TrainedNetwork,
    measured_latency_ms: Option<f64>,
    measured_latency_machine: Option<&'a str>,
}

/// The title of the section.
pub(super) fn title(run: &Run) -> &'static str {
    if !run.is_given() {
        "Was the search worth it?"
    } else {
        "Baselines"
    }
}

/// The table and the verdict; `None` without baselines.
pub(super) fn section(run: &Run) -> Option<Markup> {
    let summary = run.summary.as_ref().filter(|summary| !summary.baselines.is_empty())?;
    let rows = rows(summary);
    let mut data = CsvTable::new([
        "network",
        "accuracy",
        "interval_from",
        "interval_to",
        "multiply_adds",
        "parameters",
        "size_bytes",
        "ram_bytes",
        "measured_latency_ms",
        "measured_latency_machine",
    ]);
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let whole = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    for row in &rows {
        data.row([
            row.network.to_owned(),
            number(row.trained.accuracy),
            number(row.trained.accuracy_interval.map(|[from, _]| from)),
            number(row.trained.accuracy_interval.map(|[_, to]| to)),
            whole(row.trained.multiply_adds),
            whole(row.trained.parameters),
            whole(row.trained.on_device.size_bytes),
            whole(row.trained.on_device.ram_bytes),
            number(row.measured_latency_ms),
            row.measured_latency_machine.unwrap_or_default().to_owned(),
        ]);
    }
    Some(html! {
        @if let Some(verdict) = Baseline::verdict(summary) { p { b { (verdict) } } }
        @if let Some(bought) = without_a_search(summary) { p { (bought) } }
        (table(&rows))
        p {
            "All networks were trained by the same recipe on the same images. Intervals are Wilson's 95 % intervals over the test images. "
            (data.link("baselines", "The network and its baselines"))
        }
    })
}

/// What the time of the search would have bought without it.
fn without_a_search(summary: &Summary) -> Option<String> {
    let best = Baseline::best(summary).filter(|_| summary.is_searched())?;
    let (search_s, train_s, other_s) = (
        summary.search_time_s?,
        summary.train_time_s?,
        best.trained.train_time_s?,
    );
    let all_s = search_s + train_s;
    if other_s <= 0.0 || all_s <= 0.0 {
        return None;
    }
    let name = match summary.baselines.len() {
        1 => best.network.clone(),
        _ => format!("{}, the best baseline", best.network),
    };
    Some(format!(
        "Search and training took {}, {:.0} % of it the search. Without a search, the same time would have bought {:.1} \
         trainings of {name}: the one that was measured took {} and reached {}.",
        duration(all_s),
        100.0 * search_s / all_s,
        all_s / other_s,
        duration(other_s),
        percent(best.trained.accuracy?)
    ))
}

impl Row<'_> {
    /// The measured latency, with its machine unless all are of `one_machine`.
    fn latency(&self, one_machine: bool) -> Option<String> {
        let latency = Quantity::Milliseconds.text(self.measured_latency_ms?);
        Some(match self.measured_latency_machine {
            Some(machine) if !one_machine => format!("{latency} on {machine}"),
            _ => latency,
        })
    }
}

fn rows(summary: &Summary) -> Vec<Row<'_>> {
    let own = Row {
        network: summary.network.as_deref().unwrap_or("searched"),
        trained: TrainedNetwork {
            accuracy: summary.network_accuracy,
            accuracy_interval: summary.network_accuracy_interval,
            parameters: summary.parameters,
            multiply_adds: summary.multiply_adds,
            on_device: summary.on_device,
            train_time_s: summary.train_time_s,
        },
        measured_latency_ms: summary.measured_latency_ms,
        measured_latency_machine: summary.measured_latency_machine.as_deref(),
    };
    let baselines = summary.baselines.iter().map(|baseline| Row {
        network: &baseline.network,
        trained: baseline.trained,
        measured_latency_ms: baseline.measured_latency_ms,
        measured_latency_machine: baseline.measured_latency_machine.as_deref(),
    });
    std::iter::once(own).chain(baselines).collect()
}

fn table(rows: &[Row<'_>]) -> Markup {
    let caption = "The network of this run and its baselines on the test images";
    // Times of different machines cannot be compared.
    let mut machines = rows.iter().filter(|row| row.measured_latency_ms.is_some());
    let first = machines.next().map(|row| row.measured_latency_machine);
    let one_machine = machines.all(|row| Some(row.measured_latency_machine) == first);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let bytes = |bytes: Option<u64>| or_dash(bytes.map(|bytes| Quantity::Bytes.text(bytes as f64)));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "network" } th.n scope="col" { "accuracy" } th.n scope="col" { "95 % interval" }
                    th.n scope="col" { "multiply-adds" } th.n scope="col" { "parameters" }
                    th.n scope="col" { "size" } th.n scope="col" { "peak memory" }
                    th.n scope="col" { "measured latency" }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            td { (row.network) }
                            td.n { (or_dash(row.trained.accuracy.map(percent))) }
                            td.n { (or_dash(row.trained.accuracy_interval.map(|[from, to]| format!("{from:.2}–{to:.2} %")))) }
                            td.n { (or_dash(row.trained.multiply_adds.map(magnitude))) }
                            td.n { (or_dash(row.trained.parameters.map(count))) }
                            td.n { (bytes(row.trained.on_device.size_bytes)) }
                            td.n { (bytes(row.trained.on_device.ram_bytes)) }
                            td.n { (or_dash(row.latency(one_machine))) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_different_machines_have_their_names() {
        let text = |machine: &str| {
            let baseline = Baseline {
                network: "resnet8".to_owned(),
                measured_latency_ms: Some(0.5),
                measured_latency_machine: Some(machine.to_owned()),
                ..Baseline::default()
            };
            let summary = Summary {
                measured_latency_ms: Some(0.2),
                measured_latency_machine: Some("a server".to_owned()),
                baselines: vec![baseline],
                ..Summary::default()
            };
            table(&rows(&summary)).into_string()
        };
        let same = text("a server");
        assert!(same.contains(">0.200 ms<") && !same.contains("a server"), "{same}");
        let other = text("a laptop");
        assert!(
            other.contains(">0.200 ms on a server<") && other.contains(">0.500 ms on a laptop<"),
            "{other}"
        );
    }
}
