//! The network of the run beside the plain networks that were trained by the same recipe.

use da2s_records::schema::{Baseline, DeviceCost, Summary};
use da2s_settings::Quantity;
use maud::{Markup, html};

use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, magnitude, percent};

/// A network in the table.
struct Row<'a> {
    network: &'a str,
    accuracy: Option<f64>,
    interval: Option<[f64; 2]>,
    multiply_adds: Option<u64>,
    parameters: Option<u64>,
    on_device: DeviceCost,
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
            number(row.accuracy),
            number(row.interval.map(|[from, _]| from)),
            number(row.interval.map(|[_, to]| to)),
            whole(row.multiply_adds),
            whole(row.parameters),
            whole(row.on_device.size_bytes),
            whole(row.on_device.ram_bytes),
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
        accuracy: summary.network_accuracy,
        interval: summary.network_accuracy_interval,
        multiply_adds: summary.multiply_adds,
        parameters: summary.parameters,
        on_device: summary.on_device,
    };
    let baselines = summary.baselines.iter().map(|baseline| Row {
        network: &baseline.network,
        accuracy: baseline.accuracy,
        interval: baseline.accuracy_interval,
        multiply_adds: baseline.multiply_adds,
        parameters: baseline.parameters,
        on_device: baseline.on_device,
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
                            td.n { (or_dash(row.accuracy.map(percent))) }
                            td.n { (or_dash(row.interval.map(|[from, to]| format!("{from:.2}–{to:.2} %")))) }
                            td.n { (or_dash(row.multiply_adds.map(magnitude))) }
                            td.n { (or_dash(row.parameters.map(count))) }
                            td.n { (bytes(row.on_device.size_bytes)) }
                            td.n { (bytes(row.on_device.ram_bytes)) }
                        }
                    }
                }
            }
        }
    }
}
