//! A plan in words: what was found, what will be done, how long that takes, and where the results
//! go.
//!
//! Contract: one line each; the caller escapes them for a terminal. Front ends add rows about their
//! own commands or functions.

use std::path::Path;

use da2s_records::counted;

use super::{Found, Lesson, Plan, Whose, span};
use crate::memory::{Bytes, available};
use crate::space::Operation;
use crate::stage::Stage;

/// Maximum number of classes that are listed with their counts; of more classes, only the smallest
/// and the largest count are given.
const LISTED: usize = 12;
/// Width of the names of the rows.
const WIDTH: usize = 12;

/// The lines of `plan` for a run in `path`. `own` are rows of the front end, each a name and a
/// text: they stand before the reasons.
pub fn lines(plan: &Plan, path: &Path, own: &[(&str, String)]) -> Vec<String> {
    let row = |name: &str, text: &str| format!("  {name:<WIDTH$}{text}");
    let mut lines = vec![format!("plan for {}", path.display())];
    lines.push(row("found", &found(&plan.found)));
    if let Some(search) = &plan.search {
        lines.push(row("search", &lesson(search, "", time_of(plan, Stage::Search))));
        lines.push(row("discretize", &span(time_of(plan, Stage::Discretize))));
    }
    // With `skip` as a candidate, the search decides how many blocks there are.
    let is_open = plan.search.is_some() && plan.config.space.build().operations.contains(&Operation::Skip);
    let most = if is_open { "at most " } else { "" };
    lines.push(row("train", &lesson(&plan.network, most, time_of(plan, Stage::Train))));
    lines.push(row("evaluate", &span(time_of(plan, Stage::Evaluate))));
    for (name, whose) in [("other seeds", Whose::Seed), ("baselines", Whose::Baseline)] {
        let stages = plan.times.iter().filter(|stage| stage.whose == whose);
        let time_s: f64 = stages.map(|stage| stage.time_s).sum();
        if time_s > 0.0 {
            lines.push(row(name, &span(time_s)));
        }
    }
    lines.push(row("in all", &in_all(plan)));
    lines.push(row("memory", &memory(plan)));
    lines.push(row("results", &path.display().to_string()));
    lines.extend(own.iter().map(|(name, text)| row(name, text)));
    lines.extend(plan.reasons.iter().map(|reason| row("because", reason)));
    lines
}

fn found(found: &Found) -> String {
    let (classes, counts) = (&found.classes, &found.counts);
    let listed = if classes.len() <= LISTED {
        let each = classes.iter().map(|(name, count)| format!("{name} {count}"));
        each.collect::<Vec<_>>().join(", ")
    } else {
        let each = || classes.iter().map(|(_, count)| *count);
        format!(
            "of {} to {} images",
            each().min().unwrap_or(0),
            each().max().unwrap_or(0)
        )
    };
    let validation = match counts.validation {
        0 => String::new(),
        count => format!(", {count} to choose the epoch"),
    };
    let enlarged = match found.enlarged_from {
        None => String::new(),
        Some([rows, columns]) => {
            let side = rows.max(columns);
            format!(", enlarged from {rows}×{columns} or less (data.image_size = {side} takes less time)")
        }
    };
    format!(
        "{} ({listed}); {} to train on{validation}, {} for the test; {}{enlarged}",
        counted_classes(classes.len()),
        counted(counts.train, "image"),
        counts.test,
        found.shape
    )
}

fn counted_classes(count: usize) -> String {
    if count == 1 {
        "1 class".to_owned()
    } else {
        format!("{count} classes")
    }
}

/// The size and length of `lesson`; `most` stands before the blocks of a chain.
fn lesson(lesson: &Lesson, most: &str, time_s: f64) -> String {
    let Lesson {
        channels,
        cells,
        depth,
        epochs,
        steps,
        batch,
        step_s,
        ..
    } = lesson;
    let structure = match depth[..] {
        [] => counted(*cells, "cell"),
        _ => {
            let each: Vec<String> = depth.iter().map(usize::to_string).collect();
            format!("stages of {most}{} blocks", each.join("/"))
        }
    };
    format!(
        "{}: {}, {structure}, {} of {} of {}, {:.0} ms each",
        span(time_s),
        counted(*channels, "channel"),
        counted(*epochs, "epoch"),
        counted(*steps, "step"),
        counted(*batch, "image"),
        1e3 * step_s
    )
}

/// The time of a stage of the run itself.
fn time_of(plan: &Plan, stage: Stage) -> f64 {
    let own = plan
        .times
        .iter()
        .filter(|time| time.stage == Some(stage) && time.whose == Whose::Run);
    own.map(|time| time.time_s).sum()
}

fn in_all(plan: &Plan) -> String {
    let total_s = plan.total_s();
    let total = span(total_s);
    let of_goal = match plan.goal {
        Some(goal) if !goal.at_most => format!(", of {}", span(goal.time_s)),
        _ => String::new(),
    };
    let search_s = time_of(plan, Stage::Search) + time_of(plan, Stage::Discretize);
    let share = match &plan.search {
        Some(_) => format!(
            "; {:.0} % of it for search and discretization",
            100.0 * search_s / total_s
        ),
        None => String::new(),
    };
    format!("{total} from now on{of_goal}{share}")
}

fn memory(plan: &Plan) -> String {
    let lessons = plan.search.iter().chain([&plan.network]);
    let most = lessons.map(|lesson| lesson.needs.total()).max().unwrap_or(0);
    let there = available().map_or_else(String::new, |available| format!("; {available}"));
    format!("{}{there}", Bytes(most))
}
