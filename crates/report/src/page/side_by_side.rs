//! Several runs side by side on one page: results, overlaid curves, the cost of pruning, cells, and
//! settings that differ.
//!
//! Contract: a run has the same colour and dashes on the whole page. What a run lacks is shown as a
//! dash or left out, never filled in from another run. Means and tests over seeds are in
//! [`crate::comparison`].

use da2s_records::counted;
use maud::{Markup, html};

use super::curves::{grid, retraining_charts, search_charts};
use super::document::{Document, footer, script, theme_button};
use super::film::Film;
use super::settings::differing;
use crate::Run;
use crate::comparison::{Measure, cell};
use crate::data_link::CsvTable;
use crate::number::{points, significant};
use crate::run::StageState;
use crate::svg::cell::draw;
use crate::svg::chart::{Chart, Series};
use crate::svg::colour::LINES;

/// Largest number of runs on a page: more lines cannot be distinguished.
pub const MOST_RUNS: usize = LINES;

/// The page of `runs`, whose names should differ; beyond [`MOST_RUNS`], runs share colours. The
/// page depends only on the runs.
pub fn side_by_side(runs: &[Run]) -> String {
    let sections: Vec<(&str, &str, Markup)> = [
        ("results", "Results", Some(results(runs))),
        ("search", "The search", grid(&overlaid(runs, search_charts), false)),
        ("gap", "What pruning costs", gap(runs)),
        ("cells", "Cells", cells(runs)),
        (
            "retraining",
            "Retraining",
            grid(&overlaid(runs, retraining_charts), false),
        ),
        ("settings", "Settings that differ", differing(runs)),
    ]
    .into_iter()
    .filter_map(|(id, title, body)| Some((id, title, body?)))
    .collect();
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let body = html! {
        a.skip href="#main" { "Skip to the report" }
        header.top {
            div {
                h1 { (counted(runs.len(), "run")) " side by side" }
                p.facts { @for name in &names { span { (name) } } }
            }
            (theme_button())
        }
        main id="main" {
            nav aria-label="Sections" { @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } } }
            @for (id, title, body) in &sections {
                section id=(id) aria-labelledby={ (id) "-title" } {
                    h2 id={ (id) "-title" } { (title) }
                    (body)
                }
            }
        }
        (footer())
        (script())
    };
    Document {
        title: format!("{} · da2s runs side by side", names.join(", ")),
        style: include_str!("side_by_side.css"),
        body,
    }
    .render()
}

/// A run's name with a sample of its line.
fn name(index: usize, run: &Run) -> Markup {
    html! {
        svg.swatch viewBox="0 0 26 8" aria-hidden="true" { path class={ "line s" (index % LINES) } d="M1 4H25" {} }
        (run.name)
    }
}

fn results(runs: &[Run]) -> Markup {
    let values: Vec<_> = runs.iter().map(Run::values).collect();
    let mut measures = Measure::all(&[]);
    measures.retain(|measure| values.iter().any(|values| values.contains_key(measure.key.as_str())));
    let heading = ["run", "method", "seed"].map(str::to_owned).into_iter();
    let mut data = CsvTable::new(heading.chain(measures.iter().map(Measure::heading)));
    for (run, values) in runs.iter().zip(&values) {
        let number = |measure: &Measure| {
            let value = values.get(measure.key.as_str());
            value.map_or(String::new(), |value| significant(*value, 8))
        };
        let start = [run.name.clone(), method(run), seed(run)];
        data.row(start.into_iter().chain(measures.iter().map(number)));
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Results" {
            table.wide {
                thead { tr {
                    th scope="col" { "run" } th scope="col" { "method" } th.n scope="col" { "seed" }
                    @for measure in &measures { th.n scope="col" { (measure.heading()) } }
                    th scope="col" { "state" }
                } }
                tbody {
                    @for (index, (run, values)) in runs.iter().zip(&values).enumerate() {
                        tr {
                            th scope="row" { (name(index, run)) }
                            td { (method(run)) } td.n { (seed(run)) }
                            @for measure in &measures {
                                td.n {
                                    @match values.get(measure.key.as_str()) {
                                        Some(value) => {
                                            (cell(measure.unit, *value))
                                            @if let Some([from, to]) = interval(run, measure) {
                                                " " small { (format!("{from:.1}–{to:.1}")) }
                                            }
                                        },
                                        None => span.quiet { "–" },
                                    }
                                }
                            }
                            td.reason { (state(run)) }
                        }
                    }
                }
            }
        }
        p.source {
            "Small numbers beside the accuracy on the test images are its 95 % interval (Wilson). "
            (data.link("results", "Results"))
        }
    }
}

/// Wilson's 95 % interval, if the measure is the accuracy on the test images.
fn interval(run: &Run, measure: &Measure) -> Option<[f64; 2]> {
    let summary = run.summary.as_ref()?;
    summary
        .network_accuracy_interval
        .filter(|_| measure.key == "network_accuracy")
}

fn method(run: &Run) -> String {
    let stated = run
        .summary
        .as_ref()
        .and_then(|summary| summary.origin().map(str::to_owned));
    stated
        .or_else(|| run.settings().remove("search.method"))
        .unwrap_or_else(|| "–".to_owned())
}

fn seed(run: &Run) -> String {
    let stated = run.summary.as_ref().and_then(|summary| summary.seed);
    let stated = stated.or_else(|| run.environment.as_ref().and_then(|environment| environment.seed));
    stated.map_or("–".to_owned(), |seed| seed.to_string())
}

/// `finished`, the reason of the failure, or the first stage that is not complete.
fn state(run: &Run) -> String {
    if run.summary.is_some() {
        return "finished".to_owned();
    }
    if let Some(reason) = &run.failure {
        return format!("failed: {reason}");
    }
    let stages = run.stages();
    match stages.iter().find(|stage| stage.state != StageState::Complete) {
        Some(stage) => format!("{}: {}", stage.name.to_lowercase(), stage.progress),
        None => "finished".to_owned(),
    }
}

/// The charts of single runs, transposed: one chart per curve, one line per run.
fn overlaid(runs: &[Run], charts: fn(&Run) -> Vec<Chart>) -> Vec<Chart> {
    let mut overlaid: Vec<Chart> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        for chart in charts(run) {
            let Chart { unit, scale, .. } = chart;
            for series in chart.series.into_iter().filter(|series| !series.points.is_empty()) {
                let series_name = series.name.clone();
                let title = match chart.title.to_lowercase() == series.name {
                    true => series.name,
                    false => format!("{}: {}", chart.title, series.name),
                };
                let place = overlaid.iter().position(|other| other.title == title);
                let place = place.unwrap_or_else(|| {
                    overlaid.push(Chart {
                        id: format!("{}-{}", chart.id, file_name(&series_name)).into(),
                        title: title.into(),
                        unit,
                        note: "",
                        scale,
                        series: runs.iter().map(empty).collect(),
                    });
                    overlaid.len() - 1
                });
                overlaid[place].series[index].points = series.points;
            }
        }
    }
    overlaid
}

fn empty(run: &Run) -> Series {
    Series {
        name: run.name.clone(),
        points: Vec::new(),
    }
}

/// A title as a file name.
fn file_name(title: &str) -> String {
    let words = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// Accuracies by what is pruned, one row per run; `None` if none was measured.
fn gap(runs: &[Run]) -> Option<Markup> {
    const COLUMNS: [&str; 6] = [
        "super-network",
        "operations only",
        "edges only",
        "both",
        "both, recalibrated",
        "gap",
    ];
    runs.iter().find(|run| run.gap.is_some())?;
    let rows: Vec<[Option<f64>; 6]> = runs.iter().map(gap_row).collect();
    let mut data = CsvTable::new(std::iter::once("run").chain(COLUMNS));
    for (run, row) in runs.iter().zip(&rows) {
        let numbers = row.map(|value| value.map_or(String::new(), |value| significant(value, 6)));
        data.row(std::iter::once(run.name.clone()).chain(numbers));
    }
    Some(html! {
        p.lead { "Accuracy in percent on held-out images without any retraining; the gap is the loss from pruning both, in points." }
        div.scroll tabindex="0" role="region" aria-label="Accuracy by what is pruned" {
            table.wide {
                thead { tr { th scope="col" { "run" } @for column in COLUMNS { th.n scope="col" { (column) } } } }
                tbody {
                    @for (index, (run, row)) in runs.iter().zip(&rows).enumerate() {
                        tr {
                            th scope="row" { (name(index, run)) }
                            @for value in row { td.n { (value.map_or("–".to_owned(), points)) } }
                        }
                    }
                }
            }
        }
        p.source { (data.link("gap", "What pruning costs")) }
    })
}

fn gap_row(run: &Run) -> [Option<f64>; 6] {
    let Some(gap) = &run.gap else { return [None; 6] };
    let trained = &gap.as_trained;
    let lost = trained.supernet.zip(trained.both).map(|(before, after)| before - after);
    [
        trained.supernet,
        trained.operations,
        trained.edges,
        trained.both,
        gap.recalibrated.both,
        lost,
    ]
}

/// The cells of every kind, run by run; `None` if no run has any.
fn cells(runs: &[Run]) -> Option<Markup> {
    let films: Vec<Film> = runs.iter().map(Film::of).collect();
    let mut kinds: Vec<&str> = films
        .iter()
        .flat_map(|film| &film.cells)
        .map(|cell| cell.kind.as_str())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    (!kinds.is_empty()).then(|| {
        html! {
            p.lead { "The discretized cells, or the current mixture of a search that is not discretized yet." }
            @for kind in kinds {
                h3.part { (kind) " cells" }
                div.grid {
                    @for (index, (run, film)) in runs.iter().zip(&films).enumerate() {
                        @if let Some(cell) = film.cells.iter().find(|cell| cell.kind == kind) {
                            figure.cell-figure {
                                h3 { (name(index, run)) }
                                (draw(&cell.graph, &cell.last_looks(), cell.kept_operations, &cell.spoken()))
                            }
                        }
                    }
                }
            }
        }
    })
}
