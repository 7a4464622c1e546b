//! The top of the page: the name and progress of the run, and what is missing.

use maud::{Markup, html};

use super::document::theme_button;
use crate::Run;
use crate::run::StageState;

/// The title bar, with the theme button.
pub(super) fn header(run: &Run) -> Markup {
    let summary = run.summary.as_ref();
    let environment = run.environment.as_ref();
    let dataset = summary
        .and_then(|s| s.dataset.clone())
        .or_else(|| environment.and_then(|e| e.dataset.clone()));
    let device = summary
        .and_then(|s| s.device.clone())
        .or_else(|| environment.and_then(|e| e.device.clone()));
    let seed = summary
        .and_then(|s| s.seed)
        .or_else(|| environment.and_then(|e| e.seed));
    let facts = [
        summary.and_then(|s| s.origin().map(str::to_owned)),
        summary
            .filter(|s| s.is_searched())
            .and_then(|s| s.drive.as_ref())
            .map(|drive| format!("drive {drive}")),
        dataset,
        seed.map(|seed| format!("seed {seed}")),
        device.map(|device| format!("on {device}")),
        environment
            .and_then(|e| e.started.clone())
            .map(|started| started.replace('T', " ").replace('Z', " UTC")),
    ];
    html! {
        header.top {
            div {
                h1 { (run.name) }
                p.facts { @for fact in facts.into_iter().flatten() { span { (fact) } } }
            }
            (theme_button())
        }
    }
}

/// The stages, and what is missing.
pub(super) fn section(run: &Run) -> Markup {
    let stages = run.stages();
    let missing: Vec<&String> = stages.iter().filter_map(|stage| stage.missing.as_ref()).collect();
    let diverged = run
        .architecture
        .iter()
        .find(|epoch| !epoch.is_finite())
        .map(|epoch| epoch.epoch);
    html! {
        ol.stages aria-label="Stages of the run" {
            @for stage in &stages {
                @let (class, mark) = match stage.state {
                    StageState::Complete => ("complete", "✓"),
                    StageState::Partial => ("partial", "…"),
                    StageState::Missing => ("missing", "–"),
                };
                li class=(class) {
                    span.mark aria-hidden="true" { (mark) }
                    b { (stage.name) } " " span.progress { (stage.progress) }
                }
            }
        }
        @if let Some(reason) = &run.failure {
            div.notice.failure role="note" {
                h2 { "This run failed" }
                p { (reason) }
            }
        }
        @if !missing.is_empty() || !run.cut_off.is_empty() || diverged.is_some() {
            div.notice role="note" {
                h2 { "This run is not complete" }
                ul {
                    @for sentence in missing { li { (sentence) } }
                    @for file in &run.cut_off { li { "The last line of " (file) " was cut off and is ignored." } }
                    @if let Some(epoch) = diverged {
                        li { "The search diverged: after epoch " (epoch) " some mixture weights are not finite." }
                    }
                }
            }
        }
    }
}
