//! The comparison as one self-contained HTML page: means, one dot per run, tests, all runs.

use da2s_records::counted;
use maud::{Markup, html};

use super::export::NOTE_ON_TESTS;
use super::measure::{Unit, cell};
use super::{Comparison, Measure, RunOutcome};
use crate::data_link::CsvTable;
use crate::number::significant;
use crate::page::{Document, script, theme_button};
use crate::svg::strip::{Strip, strip_chart};

/// The page of a comparison. It depends only on the comparison.
pub(crate) fn comparison_page(comparison: &Comparison) -> String {
    let sections = [
        ("means", "Means", Some(means(comparison))),
        ("runs-chart", "One dot per run", charts(comparison)),
        ("tests", "Is the difference significant?", tests(comparison)),
        ("runs", "Every run", Some(runs(comparison))),
    ];
    let sections: Vec<(&str, &str, Markup)> = sections
        .into_iter()
        .filter_map(|(id, title, body)| Some((id, title, body?)))
        .collect();
    let body = html! {
        a.skip href="#main" { "Skip to the comparison" }
        header.top {
            div {
                h1 { (comparison.name) }
                p.facts {
                    span { (comparison.dataset) }
                    span { (counted(comparison.groups.len(), "setup")) }
                    span { (comparison.finished()) " of " (counted(comparison.runs.len(), "run")) " finished" }
                }
            }
            (theme_button())
        }
        main id="main" {
            (notice(comparison))
            @for (id, title, body) in &sections {
                section.first[*id == "means"] id=(id) aria-labelledby={ (id) "-title" } {
                    h2 id={ (id) "-title" } { (title) }
                    (body)
                }
            }
        }
        footer { "Written by da2s " (env!("CARGO_PKG_VERSION")) "." }
        (script())
    };
    Document {
        title: format!("{} · da2s comparison", comparison.name),
        style: include_str!("comparison.css"),
        body,
    }
    .render()
}

/// A list of failed and missing runs, if there are any.
fn notice(comparison: &Comparison) -> Markup {
    let (failed, all) = (comparison.failed(), comparison.runs.len());
    let unfinished = all - failed - comparison.finished();
    html! {
        @if failed + unfinished > 0 {
            div.notice role="note" {
                h2 { "This comparison is not complete" }
                ul {
                    @if failed > 0 { li { (counted(failed, "run")) " failed; the table of runs gives the reasons." } }
                    @if unfinished > 0 { li { (counted(unfinished, "run")) " not finished; the same command continues." } }
                }
            }
        }
    }
}

fn means(comparison: &Comparison) -> Markup {
    html! {
        (table("Means", &comparison.means(), 1))
        @for note in comparison.notes_on_means() { p.note { (note) } }
    }
}

fn charts(comparison: &Comparison) -> Option<Markup> {
    let figures: Vec<Markup> = comparison
        .tested()
        .filter_map(|measure| {
            let chart = strip_chart(&measure.title, unit(measure.unit), &strips(comparison, measure))?;
            Some(html! {
                figure {
                    h3 { (measure.title) }
                    (chart)
                    figcaption { (data(comparison, measure).link(&measure.key, &measure.title)) }
                }
            })
        })
        .collect();
    (!figures.is_empty()).then(|| {
        html! {
            p.lead { "Each dot is a run, the bar is the mean of its row. Axes begin where the values do, not at zero." }
            div.grid { @for figure in &figures { (figure) } }
        }
    })
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "%",
        Unit::Points => "points",
        Unit::Count => "number",
        Unit::Seconds => "seconds",
        Unit::Rank => "rank",
        Unit::Percentile => "percentile",
    }
}

fn strips(comparison: &Comparison, measure: &Measure) -> Vec<Strip> {
    let strip = |group: &super::SetupRuns| {
        let runs = comparison.runs.iter().filter(|run| run.setup == group.setup);
        let spread = group.spreads.get(&measure.key);
        Strip {
            label: group.setup.label(),
            mean_text: spread.map_or("–".to_owned(), |spread| measure.unit.spread(spread)),
            mean: spread.map_or(f64::NAN, |spread| spread.mean),
            dots: runs
                .filter_map(|run| Some((format!("seed {}", run.seed), run.value(&measure.key)?)))
                .collect(),
        }
    };
    comparison.groups.iter().map(strip).collect()
}

fn data(comparison: &Comparison, measure: &Measure) -> CsvTable {
    let mut table = CsvTable::new(["setup", "seed", measure.title.as_str()]);
    for run in &comparison.runs {
        if let Some(value) = run.value(&measure.key) {
            table.row([run.setup.label(), run.seed.to_string(), significant(value, 6)]);
        }
    }
    table
}

fn tests(comparison: &Comparison) -> Option<Markup> {
    let rows = comparison.differences();
    (rows.len() > 1).then(|| {
        html! {
            @if let Some(verdict) = comparison.verdict() { p.lead { (verdict) } }
            (table("Paired tests", &rows, 3))
            p.note { (NOTE_ON_TESTS) }
        }
    })
}

/// A table whose first `words` columns contain text and the others numbers.
fn table(name: &str, rows: &[Vec<String>], words: usize) -> Markup {
    let class = |column: usize| if column < words { None } else { Some("n") };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table.wide {
                @for (index, row) in rows.iter().enumerate() {
                    @if index == 0 {
                        thead { tr { @for (column, text) in row.iter().enumerate() {
                            th class=[class(column)] scope="col" { (text) }
                        } } }
                    } @else {
                        tr { @for (column, text) in row.iter().enumerate() {
                            @if column == 0 { th scope="row" { (text) } } @else { td class=[class(column)] { (text) } }
                        } }
                    }
                }
            }
        }
    }
}

fn runs(comparison: &Comparison) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Every run" {
            table.wide {
                thead {
                    tr {
                        th scope="col" { "method" }
                        th.n scope="col" { "seed" }
                        @for measure in &comparison.measures { th.n scope="col" { (measure.heading()) } }
                        th scope="col" { "state" }
                    }
                }
                tbody {
                    @for run in &comparison.runs {
                        tr {
                            th scope="row" { (run.setup.label()) }
                            td.n {
                                // Only a retrained run has a report.
                                @if run.value("network_accuracy").is_some() {
                                    a href={ "./" (run.directory) "/report.html" } { (run.seed) }
                                } @else { (run.seed) }
                            }
                            @for measure in &comparison.measures {
                                td.n {
                                    @match run.value(&measure.key) {
                                        Some(value) => (cell(measure.unit, value)),
                                        None => span.quiet { "–" },
                                    }
                                }
                            }
                            @match &run.outcome {
                                RunOutcome::Finished { .. } => td { "finished" },
                                RunOutcome::Failed(reason) => td.reason { span.failed { "failed" } ": " (reason) },
                                RunOutcome::Unfinished(progress) => td.reason { "not finished: " (progress) },
                            }
                        }
                    }
                }
            }
        }
    }
}
