//! Where the multiply-adds and the parameters of the final network are: by part as bars, by kind
//! and operation as tables.

use std::collections::BTreeSet;

use da2s_records::counted;
use maud::{Markup, html};

use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, magnitude};
use crate::run::{Costs, PartCost};
use crate::svg::bars::{Bar, Segment, bars};
use crate::svg::colour::slot;

/// The name for the parts of a cell that are not searched.
const INPUTS: &str = "inputs of cells";

/// Which number of an entry to count.
type Measure = fn(&PartCost) -> u64;

const MULTIPLY_ADDS: Measure = |part| part.multiply_adds;
const PARAMETERS: Measure = |part| part.parameters;

/// The pictures and tables; if the run has a genotype but no costs of parts, a sentence instead.
pub(super) fn section(run: &Run) -> Option<Markup> {
    let Some(costs) = run.costs.as_ref().filter(|costs| !costs.parts.is_empty()) else {
        return run.genotype.as_ref().map(|_| {
            html! {
                p.source {
                    "This run has no cost.json, so multiply-adds and parameters cannot be shown by part. Discretizing the run again writes the file."
                }
            }
        });
    };
    Some(html! {
        p.lead {
            "For one image. Convolutions and the classifier count; pooling, additions and batch norm do not."
            @if costs.parts.iter().any(|part| is_cell(part) && part.operation.is_none()) {
                " Inputs of cells are the 1×1 convolutions through which a cell reads the two previous cells; they are not searched."
            }
        }
        (legend(costs))
        div.pair.costs {
            (figure(costs, "Multiply-adds of each part", "multiply-adds for one image", MULTIPLY_ADDS))
            (figure(costs, "Parameters of each part", "parameters", PARAMETERS))
        }
        div.pair.costs {
            (table("By part", "part", &by_kind(costs), costs))
            (table("By operation", "operation", &by_operation(costs), costs))
        }
    })
}

fn sum<'a>(parts: impl IntoIterator<Item = &'a PartCost>, of: Measure) -> u64 {
    parts.into_iter().map(of).fold(0, u64::saturating_add)
}

fn is_cell(part: &PartCost) -> bool {
    matches!(part.kind.as_str(), "normal" | "reduction")
}

/// The name of an entry in legends and tables, and the class of its colour.
fn operation(part: &PartCost) -> (String, String) {
    match &part.operation {
        Some(name) => (name.clone(), format!("op{}", slot(name))),
        None if is_cell(part) => (INPUTS.to_owned(), "inputs".to_owned()),
        None => (kind_name(&part.kind, 0), "fixed".to_owned()),
    }
}

/// A kind of part, `number` times; with 0, without a number.
fn kind_name(kind: &str, number: usize) -> String {
    match (kind, number) {
        ("normal" | "reduction", 0) => format!("{kind} cells"),
        ("normal" | "reduction", number) => counted(number, &format!("{kind} cell")),
        ("residual", 0 | 1) => "residual block".to_owned(),
        ("residual", number) => counted(number, "residual block"),
        ("head", _) => "classifier".to_owned(),
        (other, _) => other.to_owned(),
    }
}

/// The entries of each part, which are consecutive.
fn runs_of_parts(costs: &Costs) -> impl Iterator<Item = &[PartCost]> {
    costs.parts.chunk_by(|a, b| a.part == b.part)
}

/// The legend of the colours, in the order of the network.
fn legend(costs: &Costs) -> Markup {
    let costly = costs
        .parts
        .iter()
        .filter(|part| part.multiply_adds.max(part.parameters) > 0);
    let names: Vec<(String, String)> = costly.map(operation).collect();
    let mut seen = BTreeSet::new();
    // Fixed parts outside the cells share one colour; the names of their rows distinguish them.
    let (fixed, mut names): (Vec<_>, Vec<_>) = names
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .partition(|name| name.1 == "fixed");
    let fixed: Vec<String> = fixed.into_iter().map(|name| name.0).collect();
    names.push((fixed.join(", "), "fixed".to_owned()));
    html! {
        ul.legend.operations.costs {
            @for (name, class) in names {
                li {
                    svg.swatch viewBox="0 0 26 8" aria-hidden="true" {
                        rect class=(class) x="1" y="0" width="24" height="8" {}
                    }
                    (name)
                }
            }
        }
    }
}

fn figure(costs: &Costs, title: &str, unit: &str, of: Measure) -> Markup {
    let all = sum(&costs.parts, of);
    let rows: Vec<Bar> = runs_of_parts(costs)
        .map(|parts| {
            let name = part_name(&parts[0]);
            let length = sum(parts, of);
            let segments = parts.iter().map(|part| {
                let (what, class) = operation(part);
                let title = format!("{name}, {what}: {}, {}", count(of(part)), share(of(part), all));
                let length = of(part);
                Segment { length, class, title }
            });
            Bar {
                text: format!("{} · {}", magnitude(length), share(length, all)),
                segments: segments.collect(),
                name,
            }
        })
        .collect();
    let largest = runs_of_parts(costs).max_by_key(|parts| sum(*parts, of));
    let largest = largest.map_or(String::new(), |parts| {
        format!("; largest: {}, {}", part_name(&parts[0]), share(sum(parts, of), all))
    });
    let spoken = format!(
        "Bars: {title}, {} in total{largest}. The tables below sum them up",
        count(all)
    );
    html! {
        figure.costs {
            h3 { (title) }
            (bars(&spoken, &rows))
            figcaption { (count(all)) " " (unit) " in total. " (data(costs).link("cost", title)) }
        }
    }
}

/// `cell 3 normal`, or the name of the part if it is not a cell.
fn part_name(part: &PartCost) -> String {
    let number = part.part.strip_prefix("cells.");
    match (number, part.kind.as_str()) {
        (Some(number), "normal" | "reduction") => format!("cell {number} {}", part.kind),
        (Some(number), kind) => format!("{number} {}", kind_name(kind, 1)),
        // The batch norm after the last cell of NAS-Bench-201.
        (None, _) if part.part == "lastact" => "last batch norm".to_owned(),
        (None, _) => part.part.clone(),
    }
}

fn share(value: u64, all: u64) -> String {
    format!("{:.1} %", 100.0 * value as f64 / all.max(1) as f64)
}

/// A row of a table: name, class of its colour, entries.
type Row<'a> = (String, String, Vec<&'a PartCost>);

fn grouped<'a>(costs: &'a Costs, name: impl Fn(&PartCost) -> (String, String)) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for part in &costs.parts {
        let (name, class) = name(part);
        match rows.iter_mut().find(|row| row.0 == name) {
            Some(row) => row.2.push(part),
            None => rows.push((name, class, vec![part])),
        }
    }
    rows
}

fn by_kind(costs: &Costs) -> Vec<Row<'_>> {
    let number = |kind: &str| runs_of_parts(costs).filter(|parts| parts[0].kind == kind).count();
    grouped(costs, |part| (kind_name(&part.kind, number(&part.kind)), String::new()))
}

fn by_operation(costs: &Costs) -> Vec<Row<'_>> {
    let mut rows = grouped(costs, operation);
    rows.sort_by_key(|row| {
        std::cmp::Reverse((
            sum(row.2.iter().copied(), MULTIPLY_ADDS),
            sum(row.2.iter().copied(), PARAMETERS),
        ))
    });
    rows
}

fn table(title: &str, what: &str, rows: &[Row<'_>], costs: &Costs) -> Markup {
    let [multiply_adds, parameters] = [MULTIPLY_ADDS, PARAMETERS].map(|of| sum(&costs.parts, of));
    html! {
        div.scroll tabindex="0" role="region" aria-label={ (title) ": multiply-adds and parameters" } {
            table.costs {
                caption { (title) }
                thead { tr {
                    th scope="col" { (what) }
                    th.n colspan="2" scope="colgroup" { "multiply-adds" }
                    th.n colspan="2" scope="colgroup" { "parameters" }
                } }
                tbody {
                    @for (name, class, parts) in rows {
                        tr {
                            th scope="row" {
                                @if class.is_empty() { (name) } @else { span class={ "chip " (class) } { (name) } }
                            }
                            @for (of, all) in [(MULTIPLY_ADDS, multiply_adds), (PARAMETERS, parameters)] {
                                @let value = sum(parts.iter().copied(), of);
                                td.n { (magnitude(value)) } td.n { (share(value, all)) }
                            }
                        }
                    }
                }
                tfoot { tr {
                    th scope="row" { "all" }
                    @for all in [multiply_adds, parameters] { td.n { (magnitude(all)) } td.n { "100 %" } }
                } }
            }
        }
    }
}

fn data(costs: &Costs) -> CsvTable {
    let mut table = CsvTable::new(["part", "kind", "operation", "multiply-adds", "parameters"]);
    for part in &costs.parts {
        table.row([
            part.part.clone(),
            part.kind.clone(),
            part.operation.clone().unwrap_or_default(),
            part.multiply_adds.to_string(),
            part.parameters.to_string(),
        ]);
    }
    table
}
