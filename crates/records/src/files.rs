//! Names of the files of a run, relative to its directory.

/// The resolved settings. A directory with this file is a run.
pub const CONFIG: &str = "config.toml";
/// Version, machine, device and data with which the run was created.
pub const ENVIRONMENT: &str = "environment.json";
/// Prevents a second process from working on the run, see [`Lock`](crate::Lock).
pub const LOCK: &str = ".lock";
/// Why the run failed, if it did.
pub const FAILURE: &str = "failure.txt";

/// Folder of the search.
pub const SEARCH: &str = "search";
/// State of the search.
pub const SEARCH_CHECKPOINT: &str = "search/checkpoint.safetensors";
/// One line per epoch of the search: its measurements.
pub const SEARCH_METRICS: &str = "search/metrics.jsonl";
/// One line per epoch of the search: its duration.
pub const SEARCH_TIMES: &str = "search/times.jsonl";
/// One line per epoch of the search, and one before the first: α, β, p and q.
pub const ARCH: &str = "search/arch.jsonl";

/// Folder of the tuning between the decisions of a rule.
pub const TUNING: &str = "tuning";
/// State of the tuning, and the decisions so far.
pub const TUNING_CHECKPOINT: &str = "tuning/checkpoint.safetensors";
/// One line per epoch of the tuning: its measurements, and the decision before it.
pub const TUNING_METRICS: &str = "tuning/metrics.jsonl";
/// One line per epoch of the tuning: its duration.
pub const TUNING_TIMES: &str = "tuning/times.jsonl";

/// The discretized architecture.
pub const GENOTYPE: &str = "genotype.json";
/// Cost of the final network, part by part.
pub const COST: &str = "cost.json";
/// The cost of discretization. A run with this file, or with a given genotype, is discretized.
pub const GAP: &str = "gap.json";
/// The cost of discretizing each edge separately.
pub const EDGE_GAPS: &str = "edge_gaps.json";

/// Folder of the final network.
pub const NETWORK: &str = "network";
/// State of the training.
pub const NETWORK_CHECKPOINT: &str = "network/checkpoint.safetensors";
/// One line per epoch of the training: its measurements.
pub const NETWORK_METRICS: &str = "network/metrics.jsonl";
/// One line per epoch of the training: its duration.
pub const NETWORK_TIMES: &str = "network/times.jsonl";
/// The trained weights and statistics.
pub const BEST: &str = "network/best.safetensors";
/// How images are prepared for the network.
pub const PREPROCESSING: &str = "network/preprocessing.json";
/// Name of the same file when it is next to an export.
pub const PREPROCESSING_NAME: &str = "preprocessing.json";
/// Results of the final network on the test images.
pub const EVALUATION: &str = "network/evaluation.json";
/// The time of the final network on the machine that trained it.
pub const LATENCY: &str = "network/latency.json";
/// Results of the final network in int8, if it was quantised.
pub const INT8: &str = "network/int8.json";
/// Folder of the images of the worst mistakes, each named after its index among the test images:
/// [`mistake`].
pub const MISTAKES: &str = "network/mistakes";
/// All misclassified test images as a table.
pub const MISTAKES_TABLE: &str = "network/mistakes.csv";

/// The run in one flat object. A run with this file is finished.
pub const SUMMARY: &str = "summary.json";
/// Folder of the final network's trainings from other seeds, each a run in a folder of its own:
/// [`seed`].
pub const SEEDS: &str = "seeds";
/// Folder of the baselines, each a run in a folder of its own: [`baseline`].
pub const BASELINES: &str = "baselines";
/// Folder of the networks of a front, each a run in a folder of its own: [`front`]. It also has the
/// front itself as `front.json`, `front.csv` and `front.html`.
pub const FRONT: &str = "front";
/// The report.
pub const REPORT: &str = "report.html";
/// Pictures of the images whose labels the network doubts.
pub const SUSPECTS: &str = "suspects.html";
/// Folder of the network in other tools' formats.
pub const EXPORT: &str = "export";
/// Folder of the report's pictures as files.
pub const DRAWINGS: &str = "drawings";

/// The files and folders of a run's directory that no output of a command may replace.
pub const OWN: [&str; 17] = [
    CONFIG,
    ENVIRONMENT,
    LOCK,
    FAILURE,
    SEARCH,
    TUNING,
    GENOTYPE,
    COST,
    GAP,
    EDGE_GAPS,
    NETWORK,
    SUMMARY,
    SEEDS,
    BASELINES,
    FRONT,
    REPORT,
    SUSPECTS,
];

/// Maximum size in bytes of a file that is written at once, and of one that grows by a line per
/// epoch: far more than a run writes.
pub const MOST_WHOLE_BYTES: u64 = 64 << 20;
/// See [`MOST_WHOLE_BYTES`].
pub const MOST_LINES_BYTES: u64 = 1 << 30;
/// Maximum size in bytes of a weight file.
pub const MOST_WEIGHTS_BYTES: u64 = 16 << 30;

/// Files that are written at once, in the order of the stages that write them.
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
pub const LINES: [&str; 7] = [
    SEARCH_METRICS,
    ARCH,
    SEARCH_TIMES,
    TUNING_METRICS,
    TUNING_TIMES,
    NETWORK_METRICS,
    NETWORK_TIMES,
];

/// The last file that a run writes; `search_only` runs end after the discretization.
pub const fn last(search_only: bool) -> &'static str {
    if search_only { GAP } else { SUMMARY }
}

/// The file of the test image `index`, which the network misclassified.
pub fn mistake(index: impl std::fmt::Display) -> String {
    format!("{MISTAKES}/{index}.png")
}

/// The folder of the training from `seed`.
pub fn seed(seed: u64) -> String {
    format!("{SEEDS}/s{seed}")
}

/// The folder of the baseline `network`.
pub fn baseline(network: impl std::fmt::Display) -> String {
    format!("{BASELINES}/{network}")
}

/// The folder of the network `name` of a front.
pub fn front(name: impl std::fmt::Display) -> String {
    format!("{FRONT}/{name}")
}

/// The file of the previous checkpoint; `name` is that of the newest one.
pub fn previous(name: &str) -> String {
    format!("{name}.previous")
}
