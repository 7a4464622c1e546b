//! The table of a lookup.

use da2s::space::arch_201::Arch201;
use da2s::space::lookup::Standing;

use super::{columns, grouped};
use crate::terminal::escaped;

/// The table of a lookup.
pub fn of_standings(arch: Arch201, standings: &[Standing], passed_over: &[String]) -> String {
    let heading = ["column", "accuracy", "rank", "of", "percentile", "best", "distance"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(standings.iter().map(|standing| {
        vec![
            standing.column.clone(),
            format!("{:.2} %", standing.accuracy),
            grouped(standing.rank as u64),
            grouped(standing.of as u64),
            format!("{:.2} %", standing.percentile),
            format!("{:.2} %", standing.best_accuracy),
            format!("{:.2} points", standing.distance),
        ]
    }));
    let best: Vec<Vec<String>> = standings
        .iter()
        .map(|standing| vec![format!("best, {}", standing.column), standing.best_architecture.clone()])
        .collect();
    let passed_over = match passed_over
        .iter()
        .map(|name| escaped(name))
        .collect::<Vec<_>>()
        .join(", ")
    {
        none if none.is_empty() => none,
        names => format!("\nskipped columns, which are not accuracies: {names}\n"),
    };
    format!("{arch}\n\n{}\n{}{passed_over}", columns(&rows, 1), columns(&best, 2))
}
