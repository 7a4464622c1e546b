//! Names of the files of a run, relative to its directory.

/// The resolved settings. A directory is a run's if it has this file.
pub const CONFIG: &str = "config.toml";
/// Version, machine, device, data: what the run was made with.
pub const ENVIRONMENT: &str = "environment.json";
/// Keeps a second process out, see [`Lock`](crate::Lock).
pub const LOCK: &str = ".lock";
/// Why the run failed, if it did.
pub const FAILURE: &str = "failure.txt";

/// Folder of the search.
pub const SEARCH: &str = "search";
/// State of the search.
pub const SEARCH_CHECKPOINT: &str = "search/checkpoint.safetensors";
/// One line per epoch of the search: what it measured.
pub const SEARCH_METRICS: &str = "search/metrics.jsonl";
/// One line per epoch of the search: how long it took.
pub const SEARCH_TIMES: &str = "search/times.jsonl";
/// One line per epoch of the search, and one before the first: α, β, p and q.
pub const ARCH: &str = "search/arch.jsonl";

/// What stays of the super-network.
pub const GENOTYPE: &str = "genotype.json";
/// Where the cost of the final network lies.
pub const COST: &str = "cost.json";
/// What discretization costs. A run that has it, or was given its genotype, is discretized.
pub const GAP: &str = "gap.json";
/// What discretizing each edge by itself costs.
pub const EDGE_GAPS: &str = "edge_gaps.json";

/// Folder of the final network.
pub const NETWORK: &str = "network";
/// State of the training.
pub const NETWORK_CHECKPOINT: &str = "network/checkpoint.safetensors";
/// One line per epoch of the training: what it measured.
pub const NETWORK_METRICS: &str = "network/metrics.jsonl";
/// One line per epoch of the training: how long it took.
pub const NETWORK_TIMES: &str = "network/times.jsonl";
/// The trained weights and statistics.
pub const BEST: &str = "network/best.safetensors";
/// What is done to pictures before the network sees them.
pub const PREPROCESSING: &str = "network/preprocessing.json";
/// What that file is called where it lies beside an export.
pub const PREPROCESSING_NAME: &str = "preprocessing.json";
/// The final network on the test images.
pub const EVALUATION: &str = "network/evaluation.json";
/// Folder of the pictures of the worst mistakes, each named after its place among the test images:
/// [`mistake`].
pub const MISTAKES: &str = "network/mistakes";

/// The run in one flat object. A run that has it is finished.
pub const SUMMARY: &str = "summary.json";
/// The report.
pub const REPORT: &str = "report.html";
/// Folder of the network in the files of other tools.
pub const EXPORT: &str = "export";
/// Folder of the report's pictures as files.
pub const DRAWINGS: &str = "drawings";

/// Most bytes of a file that is written as a whole, and of one that grows by a line per epoch: far
/// more than a run writes.
pub const MOST_WHOLE_BYTES: u64 = 64 << 20;
/// See [`MOST_WHOLE_BYTES`].
pub const MOST_LINES_BYTES: u64 = 1 << 30;
/// Most bytes of a file of weights.
pub const MOST_WEIGHTS_BYTES: u64 = 16 << 30;

/// Files that are written as a whole, in the order of the stages that write them.
pub const WHOLE: [&str; 9] = [
    CONFIG,
    ENVIRONMENT,
    GENOTYPE,
    COST,
    GAP,
    EDGE_GAPS,
    EVALUATION,
    SUMMARY,
    FAILURE,
];

/// Files that grow by one line of JSON per epoch.
pub const LINES: [&str; 5] = [SEARCH_METRICS, ARCH, SEARCH_TIMES, NETWORK_METRICS, NETWORK_TIMES];

/// The last file that a run writes; with `search_only`, one that ends with the discretization.
pub const fn last(search_only: bool) -> &'static str {
    if search_only { GAP } else { SUMMARY }
}

/// The picture of the test image `index`, which the network got wrong.
pub fn mistake(index: impl std::fmt::Display) -> String {
    format!("{MISTAKES}/{index}.png")
}

/// The checkpoint before the newest one, which is called `name`.
pub fn previous(name: &str) -> String {
    format!("{name}.previous")
}
