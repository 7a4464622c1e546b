//! The network of the run beside the plain networks that were trained by the same recipe.

use da2s_records::schema::{Baseline, Summary, TrainedNetwork};
use da2s_settings::Quantity;
use maud::{Markup, html};

use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, magnitude, percent};

/// A network in the table.
struct Row<'a> {
    network: &'a str,
    trained: TrainedNetwork,
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
        ]);
    }
    Some(html! {
        @if let Some(verdict) = Baseline::verdict(summary) { p { b { (verdict) } } }
        (table(&rows))
        p {
            "All networks were trained by the same recipe on the same images. Intervals are Wilson's 95 % intervals over the test images. "
            (data.link("baselines", "The network and its baselines"))
        }
    })
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
    };
    let baselines = summary.baselines.iter().map(|baseline| Row {
        network: &baseline.network,
        trained: baseline.trained,
    });
    std::iter::once(own).chain(baselines).collect()
}

fn table(rows: &[Row<'_>]) -> Markup {
    let caption = "The network of this run and its baselines on the test images";
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
                        }
                    }
                }
            }
        }
    }
}
