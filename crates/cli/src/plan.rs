//! The plan of a run as the command line shows it: with the command that watches the run.

use std::path::Path;

use da2s::planner::{self, Plan};

/// The lines of `plan` for a run in `path`.
pub fn lines(plan: &Plan, path: &Path) -> Vec<String> {
    let watch = format!("da2s watch {} --http 8080", da2s_report::argument(path));
    planner::lines(plan, path, &[("watch it", watch)])
}
