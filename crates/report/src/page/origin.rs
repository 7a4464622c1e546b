//! The origin of the run and how to repeat it: configuration, environment.

use maud::{Markup, html};

use crate::Run;
use crate::run::Environment;

/// How to repeat the run, the environment and the configuration.
pub(super) fn section(run: &Run) -> Markup {
    html! {
        @if run.config.is_some() {
            p { "To repeat this run, start a new one with the configuration " code { "config.toml" } " of its directory." }
        } @else {
            p { "config.toml is missing, so this run cannot be repeated from its directory." }
        }
        @if let Some(environment) = &run.environment {
            div.scroll tabindex="0" role="region" aria-label="Environment" {
                table.environment {
                    caption { "Environment" }
                    tbody {
                        @for (name, value) in rows(environment) { tr { th scope="row" { (name) } td { (value) } } }
                    }
                }
            }
        } @else {
            p { "environment.json is missing: the machine and version of the run are unknown." }
        }
        @if let Some(config) = &run.config {
            details {
                summary { "Resolved configuration (config.toml)" }
                pre tabindex="0" { code { (config) } }
            }
        }
    }
}

fn rows(environment: &Environment) -> Vec<(&'static str, String)> {
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let notes = Some(environment.dataset_notes.join("; ")).filter(|notes| !notes.is_empty());
    [
        ("started by", environment.command.clone()),
        ("started at", environment.started.clone()),
        ("version", environment.version.clone()),
        ("commit", environment.git_hash.clone()),
        ("device", environment.device.clone()),
        ("engine", environment.engine.clone()),
        ("CPU instruction set", environment.cpu_level.clone()),
        ("threads", number(environment.threads)),
        ("seed", number(environment.seed)),
        ("data set", environment.dataset.clone()),
        ("checksum of the data", environment.dataset_checksum.clone()),
        ("checksum covers", environment.dataset_checksum_of.clone()),
        ("layout of the images", notes),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}
