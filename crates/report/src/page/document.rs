//! The frame of every page: a self-contained document that loads nothing from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::style::sheet;

/// What differs between pages.
pub(crate) struct Document<'a> {
    pub(crate) title: String,
    /// Style in addition to the common sheet.
    pub(crate) style: &'a str,
    pub(crate) body: Markup,
}

impl Document<'_> {
    /// The document as text.
    pub(crate) fn render(self) -> String {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'";
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "da2s " (env!("CARGO_PKG_VERSION")) };
                    title { (self.title) }
                    // An empty icon, so that browsers do not ask for one.
                    link rel="icon" href="data:,";
                    style { (PreEscaped(sheet())) (PreEscaped(self.style)) }
                }
                body { (self.body) }
            }
        };
        page.into_string()
    }
}

/// The theme button, which the script shows and labels.
pub(crate) fn theme_button() -> Markup {
    html! { button.theme type="button" hidden { "Dark" } }
}

/// The script of every page, at the end of its body.
pub(crate) fn script() -> Markup {
    html! { script { (PreEscaped(include_str!("report.js"))) } }
}

/// The footer of a page about runs: the author and the units.
pub(super) fn footer() -> Markup {
    html! {
        footer {
            "Written by da2s " (env!("CARGO_PKG_VERSION")) ". "
            "Accuracies are in percent, differences in percentage points."
        }
    }
}
