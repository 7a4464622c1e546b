//! The pages: one self-contained HTML document about one run, and one about several runs side by
//! side.
//!
//! Each section is a file here and returns `None` (or nothing) if the run has no data for it; the
//! top of the page lists what is missing.

mod baselines;
mod calibration;
mod cells;
mod confusion;
mod cost;
pub(crate) mod curves;
mod dataset;
mod document;
mod edge_gaps;
pub(crate) mod film;
mod flow;
mod gap;
mod headline;
mod heat_maps;
mod mistakes;
mod network;
mod next_steps;
mod origin;
mod result;
mod scores;
mod settings;
mod side_by_side;
mod style;
mod suspects;
mod topology;

use document::footer;
pub(crate) use document::{Document, script, theme_button};
pub use next_steps::{argument, next_steps};
pub use side_by_side::{MOST_RUNS, side_by_side};
pub(crate) use suspects::suspects_page;

use maud::{Markup, html};

use crate::Run;
use film::Film;

/// A section: its identifier, its title, its content.
type Section = (&'static str, &'static str, Markup);

/// The report of `run` as an HTML document. It depends only on the run.
pub fn render(run: &Run) -> String {
    let film = Film::of(run);
    let (before, film_scope) = (before_the_film(run), in_the_film(run, &film));
    let body = html! {
        a.skip href="#main" { "Skip to the report" }
        (headline::header(run))
        main id="main" {
            (headline::section(run))
            nav aria-label="Sections" {
                @for (id, title, _) in before.iter().chain(&film_scope) { a href={ "#" (id) } { (title) } }
            }
            @for part in &before { (section(part)) }
            div.film-scope {
                (film.bar())
                @for part in &film_scope { (section(part)) }
            }
        }
        (footer())
        (film.data())
        (script())
    };
    Document {
        title: format!("{} · da2s report", run.name),
        style: "",
        body,
    }
    .render()
}

/// What matters to someone who deploys the network, and the result of the search.
fn before_the_film(run: &Run) -> Vec<Section> {
    let evaluation = run.evaluation.as_ref();
    let sections = [
        ("result", "The result", result::section(run)),
        ("network", "The network", network::section(run)),
        ("images", "The images", dataset::section(run)),
        ("classes", "Class by class", evaluation.and_then(scores::table)),
        ("confusion", "Confusion matrix", evaluation.and_then(confusion::figure)),
        ("mistakes", "Worst mistakes", evaluation.and_then(mistakes::figure)),
        (
            "calibration",
            "Can its probabilities be believed?",
            evaluation.and_then(calibration::section),
        ),
        ("baselines", baselines::title(run), baselines::section(run)),
        ("next", "What to do next", next_steps::section(run)),
        ("search", "The search and its gap", flow::section(run)),
    ];
    there(sections)
}

/// How the network was found and trained, with the pictures that follow the slider.
fn in_the_film(run: &Run, film: &Film) -> Vec<Section> {
    let sections = [
        ("cells", "Cells", cells::section(film)),
        ("topology", "Target and result", topology::section(run, film)),
        ("gap", "What pruning costs", gap::section(run)),
        ("curves", "The search in curves", curves::search(run)),
        ("mixture", "The mixture in numbers", heat_maps::section(film)),
        ("training", "The training in curves", curves::retraining(run)),
        ("cost", "Where its cost is", cost::section(run)),
        ("origin", "Repeat it", Some(origin::section(run))),
    ];
    there(sections)
}

fn there<const N: usize>(sections: [(&'static str, &'static str, Option<Markup>); N]) -> Vec<Section> {
    let sections = sections.into_iter();
    sections
        .filter_map(|(id, title, body)| Some((id, title, body?)))
        .collect()
}

fn section((id, title, body): &Section) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (body)
        }
    }
}
