//! The pages: one self-contained HTML document about one run, and one about several runs side by
//! side.
//!
//! Each section is a file here and returns `None` (or nothing) if the run has no data for it; the
//! top of the page lists what is missing.

mod baselines;
mod cells;
mod confusion;
mod cost;
pub(crate) mod curves;
mod document;
mod edge_gaps;
pub(crate) mod film;
mod gap;
mod headline;
mod heat_maps;
mod mistakes;
mod network;
mod origin;
mod scores;
mod settings;
mod side_by_side;
mod style;
mod topology;

use document::footer;
pub(crate) use document::{Document, script, theme_button};
pub use side_by_side::{MOST_RUNS, side_by_side};

use maud::{Markup, html};

use crate::Run;
use film::Film;

/// The report of `run` as an HTML document. It depends only on the run.
pub fn render(run: &Run) -> String {
    let film = Film::of(run);
    let sections: Vec<(&str, &str, Markup)> = [
        ("cells", "Cells", cells::section(&film)),
        ("topology", "Target and result", topology::section(run, &film)),
        ("gap", "What pruning costs", gap::section(run)),
        ("curves", "The search in curves", curves::search(run)),
        ("mixture", "The mixture in numbers", heat_maps::section(&film)),
        ("network", "The final network", network::section(run)),
        ("baselines", baselines::title(run), baselines::section(run)),
        ("origin", "Repeat it", Some(origin::section(run))),
    ]
    .into_iter()
    .filter_map(|(id, title, body)| Some((id, title, body?)))
    .collect();

    let body = html! {
        a.skip href="#main" { "Skip to the report" }
        (headline::header(run))
        main id="main" {
            (headline::section(run))
            nav aria-label="Sections" {
                @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } }
            }
            div.film-scope {
                (film.bar())
                @for (id, title, body) in &sections {
                    section id=(id) aria-labelledby={ (id) "-title" } {
                        h2 id={ (id) "-title" } { (title) }
                        (body)
                    }
                }
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
