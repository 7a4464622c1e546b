//! The settings in which runs differ, one row per setting and one column per run.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::Run;

/// The table; `None` if fewer than two runs have settings, or none differs.
pub(super) fn differing(runs: &[Run]) -> Option<Markup> {
    let all: Vec<_> = runs.iter().map(Run::settings).collect();
    if all.iter().filter(|settings| !settings.is_empty()).count() < 2 {
        return None;
    }
    let known = || all.iter().filter(|settings| !settings.is_empty());
    let mut keys: BTreeSet<&str> = known()
        .flat_map(|settings| settings.keys().map(String::as_str))
        .collect();
    keys.retain(|key| {
        let mut values = known().map(|settings| settings.get(*key));
        let first = values.next();
        values.any(|value| Some(value) != first)
    });
    (!keys.is_empty()).then(|| {
        html! {
            div.scroll tabindex="0" role="region" aria-label="Settings that differ" {
                table.wide {
                    thead { tr { th scope="col" { "setting" } @for run in runs { th scope="col" { (run.name) } } } }
                    tbody {
                        @for key in keys {
                            tr {
                                th scope="row" { (key) }
                                @for settings in &all {
                                    td { (settings.get(key).map_or("–", String::as_str)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}
