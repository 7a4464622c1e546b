//! A sheet of the images whose labels the network of a run doubts most.

use da2s_records::schema::{Doubted, Suspects};
use maud::{Markup, html};

use super::document::{Document, footer, script, theme_button};
use super::mistakes::picture;
use crate::number::count;

/// The page of `suspects` of the run `name`.
pub(crate) fn suspects_page(name: &str, suspects: &Suspects) -> String {
    let parts = [
        (
            "held-out",
            "Images that the network was not trained on",
            "Look at these first: the network did not learn from them.",
            &suspects.held_out,
        ),
        (
            "trained",
            "Images that the network was trained on",
            "A network memorises wrong labels, so some of them may be missing here.",
            &suspects.trained,
        ),
    ];
    let body = html! {
        a.skip href="#main" { "Skip to the images" }
        header.top {
            div {
                h1 { "Doubtful labels" }
                p.facts { span { (name) } }
            }
            (theme_button())
        }
        main id="main" {
            p {
                "The images whose label has the lowest probability, contradicted labels first. A label is "
                b { "contradicted" }
                " if the network predicts another class, and the probability of that class is at least its mean over the images labelled with that class "
                "(confident learning, Northcutt et al., 2021). The network may be wrong too: only a person can tell."
            }
            @for (id, title, note, doubted) in parts {
                @if doubted.images > 0 {
                    section id=(id) aria-labelledby={ (id) "-title" } {
                        h2 id={ (id) "-title" } { (title) }
                        p.lead {
                            (note) " Examined: " (count(doubted.images)) ". Contradicted labels: " (count(doubted.contradicted)) "."
                        }
                        (sheet(doubted, &suspects.classes))
                    }
                }
            }
        }
        (footer())
        (script())
    };
    Document {
        title: format!("Doubtful labels · {name}"),
        style: "",
        body,
    }
    .render()
}

fn sheet(doubted: &Doubted, classes: &[String]) -> Markup {
    html! {
        figure.mistakes {
            ol {
                @for suspect in &doubted.suspects {
                    @let remark = if suspect.contradicted { " · contradicted" } else { "" };
                    (picture(&suspect.image, "labelled", &suspect.name(), remark, classes))
                }
            }
        }
    }
}
