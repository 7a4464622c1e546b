//! The plan of a run as the command line shows it: with the command that watches the run, and the
//! flags for what the plan remarks on.

use std::path::Path;

use da2s::data::Mirrored;
use da2s::planner::{self, Plan, flips};

/// The lines of `plan` for a run in `path`.
pub fn lines(plan: &Plan, path: &Path) -> Vec<String> {
    let names: Vec<&str> = plan.found.classes.iter().map(|(name, _)| name.as_str()).collect();
    let watch = format!("da2s watch {} --http 8080", da2s_report::argument(path));
    let mut own = vec![("watch it", watch)];
    let remarks = plan.found.mirrored.iter();
    own.extend(remarks.map(|pair| ("mirrored", mirror_remark(pair, &names, &flips(&plan.config)))));
    planner::lines(plan, path, &own)
}

/// A remark on two of the classes `names` that are mirror images of each other, where the settings
/// `flips` mirror images.
pub fn mirror_remark(pair: &Mirrored, names: &[impl AsRef<str>], flips: &[&str]) -> String {
    let off: Vec<String> = flips.iter().map(|key| format!("--set {key}=false")).collect();
    let remark = planner::mirror_remark(pair, names);
    format!("{remark}; turn them off with {}", off.join(" "))
}
