//! Several runs compared: means and spreads per method, paired tests against a baseline, as CSV,
//! JSON, Markdown and HTML.
//!
//! Contract: everything is computed from the given runs alone. A run that failed or is not finished
//! has a row that says so; it counts in no mean, and its pair is left out of the tests. Accuracies
//! are in percent, differences in points, times in seconds.

mod export;
mod measure;
mod page;
pub mod statistics;
mod verdict;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use da2s_records::statistics::Spread;
use serde::{Serialize, Serializer};

use measure::PERCENTILE;
pub use measure::{Measure, Unit, cell};
pub(crate) use page::comparison_page;
use statistics::{Paired, holm};

use crate::run::Digest;

/// Shown instead of the method of runs whose genotype was drawn at random, without a search.
pub const RANDOM: &str = "random genotype";

/// One run of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedRun {
    /// The group of runs that it belongs to.
    pub setup: Setup,
    /// Its seed.
    pub seed: u64,
    /// Its directory, relative to that of the comparison.
    pub directory: String,
    /// Its outcome.
    pub outcome: RunOutcome,
}

/// What the runs of a group have in common and what distinguishes groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// The method.
    pub method: String,
    /// The settings that vary, with their values.
    #[serde(serialize_with = "as_map")]
    pub settings: Vec<(String, String)>,
}

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOutcome {
    /// It finished.
    Finished {
        /// The genotype as text.
        genotype: Option<String>,
        /// Results by the key of their [`Measure`].
        values: BTreeMap<String, f64>,
    },
    /// It failed, for this reason.
    Failed(String),
    /// It is not finished; this is its progress.
    Unfinished(String),
}

/// A comparison, with everything computed.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Its name.
    pub name: String,
    /// Data set.
    pub dataset: String,
    /// The method that the others are tested against.
    pub baseline: String,
    /// Every run.
    pub runs: Vec<ComparedRun>,
    /// The measures that at least one run has.
    pub measures: Vec<Measure>,
    /// Means and spreads, one row per setup, in the order of the runs.
    pub groups: Vec<SetupRuns>,
    /// Paired tests, one row per setup that is not its own baseline.
    pub tests: Vec<Test>,
}

/// The finished runs of a setup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetupRuns {
    /// Their setup.
    pub setup: Setup,
    /// Runs planned.
    pub runs: usize,
    /// Finished runs.
    pub finished: usize,
    /// Mean and spread by the key of the measure.
    pub spreads: BTreeMap<String, Spread>,
}

/// A setup tested against its baseline, in pairs of runs with the same seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Test {
    /// The setup under test.
    pub setup: Setup,
    /// The baseline.
    pub against: Setup,
    /// Differences, setup under test minus baseline, by the key of the measure; accuracies and the
    /// gap only.
    pub results: BTreeMap<String, Paired>,
}

impl Setup {
    /// `darts`, or `darts, target.edges=1`.
    pub fn label(&self) -> String {
        let settings = self.settings.iter().map(|(key, value)| format!(", {key}={value}"));
        self.method.clone() + &settings.collect::<String>()
    }
}

impl RunOutcome {
    /// The outcome of the run in `path`; it is finished if its file `last` exists.
    pub fn read(path: &Path, last: &str) -> Self {
        match Digest::read(path) {
            Ok(Some(digest)) if path.join(last).is_file() => Self::Finished {
                genotype: digest.genotype,
                values: digest
                    .values
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            },
            Ok(Some(digest)) => Self::Unfinished(digest.state.to_string()),
            Ok(None) => Self::Unfinished("not begun".to_owned()),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

impl Comparison {
    /// Compares `runs`; `benchmark` names the columns that were looked up in a table of accuracies,
    /// if any.
    ///
    /// A setup of another method is tested against the setup of `baseline` that shares most
    /// settings with it. If settings vary, the baseline with other settings is tested against the
    /// baseline with the first settings.
    pub fn new(name: String, dataset: String, baseline: String, runs: Vec<ComparedRun>, benchmark: &[String]) -> Self {
        let runs = with_percentiles(runs);
        let measured = |measure: &Measure| runs.iter().any(|run| run.value(&measure.key).is_some());
        let measures: Vec<Measure> = Measure::all(benchmark).into_iter().filter(measured).collect();
        let mut setups: Vec<&Setup> = Vec::new();
        for run in &runs {
            if !setups.contains(&&run.setup) {
                setups.push(&run.setup);
            }
        }
        let groups = setups.iter().map(|setup| group(setup, &runs, &measures)).collect();
        let test = |setup: &&Setup| {
            // Number of shared settings, not equality of all: the baseline may lack some of the
            // settings of `setup`, and a given genotype has none.
            let shared = |other: &&&Setup| other.settings.iter().filter(|own| setup.settings.contains(own)).count();
            let own = || setups.iter().filter(|other| other.method == baseline);
            // Of equals, `max_by_key` takes the last one.
            let against = match setup.method == baseline {
                true => own().next(),
                false => own().rev().max_by_key(shared),
            }?;
            (against != setup).then(|| test(setup, against, &runs, &measures))
        };
        let mut tests: Vec<Test> = setups.iter().filter_map(test).collect();
        measures.iter().for_each(|measure| correct(&mut tests, &measure.key));
        Self {
            name,
            dataset,
            baseline,
            measures,
            groups,
            tests,
            runs,
        }
    }

    /// The measures in the table of means.
    pub fn shown(&self) -> impl Iterator<Item = &Measure> {
        self.measures.iter().filter(|measure| measure.unit != Unit::Rank)
    }

    /// The measures for which there are tests.
    pub fn tested(&self) -> impl Iterator<Item = &Measure> {
        self.measures.iter().filter(|measure| measure.is_tested())
    }

    /// Number of finished runs.
    pub fn finished(&self) -> usize {
        self.runs.iter().filter(|run| run.is_finished()).count()
    }

    /// Number of failed runs.
    pub fn failed(&self) -> usize {
        self.runs
            .iter()
            .filter(|run| matches!(run.outcome, RunOutcome::Failed(_)))
            .count()
    }

    /// The table of means as text: a heading, then one row per setup.
    pub fn means(&self) -> Vec<Vec<String>> {
        let heading = ["method", "runs"].map(str::to_owned).into_iter();
        let mut rows = vec![heading.chain(self.shown().map(Measure::heading)).collect::<Vec<_>>()];
        for group in &self.groups {
            let runs = if group.finished == group.runs {
                group.runs.to_string()
            } else {
                format!("{} of {}", group.finished, group.runs)
            };
            let spreads = self.shown().map(|measure| match group.spreads.get(&measure.key) {
                Some(spread) => measure.unit.spread(spread),
                None => "–".to_owned(),
            });
            rows.push([group.setup.label(), runs].into_iter().chain(spreads).collect());
        }
        rows
    }

    /// The table of tests as text: a heading, then one row per setup and measure.
    pub fn differences(&self) -> Vec<Vec<String>> {
        let heading = [
            "method",
            "against",
            "measure",
            "pairs",
            "difference",
            "t",
            "p of t",
            "Holm",
            "p of Wilcoxon",
            "Holm",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for test in &self.tests {
            for measure in self.tested() {
                let Some(result) = test.results.get(&measure.key) else {
                    continue;
                };
                let number = |value: Option<f64>, text: fn(f64) -> String| value.map_or("–".to_owned(), text);
                rows.push(vec![
                    test.setup.label(),
                    test.against.label(),
                    measure.title.clone(),
                    result.n.to_string(),
                    measure::signed(result.mean_difference),
                    number(result.t, measure::signed),
                    number(result.t_p, measure::probability),
                    number(result.t_holm, measure::probability),
                    number(result.wilcoxon_p, measure::probability),
                    number(result.wilcoxon_holm, measure::probability),
                ]);
            }
        }
        rows
    }
}

impl ComparedRun {
    /// A result, if the run is finished and the result was measured.
    pub fn value(&self, key: &str) -> Option<f64> {
        match &self.outcome {
            RunOutcome::Finished { values, .. } => values.get(key).copied(),
            RunOutcome::Failed(_) | RunOutcome::Unfinished(_) => None,
        }
    }

    /// Whether it is finished.
    pub fn is_finished(&self) -> bool {
        matches!(self.outcome, RunOutcome::Finished { .. })
    }

    /// `finished`, `failed` or `unfinished`, and the reason or progress.
    pub fn state(&self) -> (&'static str, &str) {
        match &self.outcome {
            RunOutcome::Finished { .. } => ("finished", ""),
            RunOutcome::Failed(reason) => ("failed", reason),
            RunOutcome::Unfinished(progress) => ("unfinished", progress),
        }
    }
}

/// Serialises settings as one JSON object.
fn as_map<S: Serializer>(settings: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(settings.iter().map(|(key, value)| (key, value)))
}

/// `runs` with the percentile of their networks among the random genotypes, if any of these is
/// trained.
fn with_percentiles(mut runs: Vec<ComparedRun>) -> Vec<ComparedRun> {
    const ACCURACY: &str = "network_accuracy";
    let is_random = |run: &&ComparedRun| run.setup.method == RANDOM;
    let random: Vec<f64> = runs
        .iter()
        .filter(is_random)
        .filter_map(|run| run.value(ACCURACY))
        .collect();
    if random.is_empty() {
        return runs;
    }
    for run in &mut runs {
        if run.setup.method == RANDOM {
            continue;
        }
        if let RunOutcome::Finished { values, .. } = &mut run.outcome
            && let Some(&accuracy) = values.get(ACCURACY)
        {
            let worse = random.iter().map(|&other| match other.total_cmp(&accuracy) {
                Ordering::Less => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Greater => 0.0,
            });
            let share = worse.sum::<f64>() / random.len() as f64;
            values.insert(PERCENTILE.to_owned(), 100.0 * share);
        }
    }
    runs
}

/// Corrects the probabilities of all `tests` of the measure `key` for their number.
fn correct(tests: &mut [Test], key: &str) {
    let mut results: Vec<&mut Paired> = tests.iter_mut().filter_map(|test| test.results.get_mut(key)).collect();
    let known = |of: fn(&Paired) -> Option<f64>, results: &[&mut Paired]| -> Vec<f64> {
        results.iter().filter_map(|result| of(result)).collect()
    };
    let of_t = holm(&known(|result| result.t_p, &results));
    let of_wilcoxon = holm(&known(|result| result.wilcoxon_p, &results));
    let (mut of_t, mut of_wilcoxon) = (of_t.into_iter(), of_wilcoxon.into_iter());
    for result in &mut results {
        result.t_holm = result.t_p.and_then(|_| of_t.next());
        result.wilcoxon_holm = result.wilcoxon_p.and_then(|_| of_wilcoxon.next());
    }
}

fn group(setup: &Setup, runs: &[ComparedRun], measures: &[Measure]) -> SetupRuns {
    let own: Vec<&ComparedRun> = runs.iter().filter(|run| run.setup == *setup).collect();
    let spread = |measure: &Measure| {
        let values: Vec<f64> = own.iter().filter_map(|run| run.value(&measure.key)).collect();
        Some((measure.key.clone(), Spread::of(&values)?))
    };
    SetupRuns {
        setup: setup.clone(),
        runs: own.len(),
        finished: own.iter().filter(|run| run.is_finished()).count(),
        spreads: measures.iter().filter_map(spread).collect(),
    }
}

fn test(setup: &Setup, against: &Setup, runs: &[ComparedRun], measures: &[Measure]) -> Test {
    let of = |setup: &Setup, seed: u64, key: &str| {
        let mut own = runs.iter().filter(|run| run.setup == *setup);
        own.find(|run| run.seed == seed)?.value(key)
    };
    let seeds: Vec<u64> = runs
        .iter()
        .filter(|run| run.setup == *setup)
        .map(|run| run.seed)
        .collect();
    let paired = |measure: &Measure| {
        let difference = |seed: &u64| Some(of(setup, *seed, &measure.key)? - of(against, *seed, &measure.key)?);
        let differences: Vec<f64> = seeds.iter().filter_map(difference).collect();
        Some((measure.key.clone(), Paired::of(&differences)?))
    };
    Test {
        setup: setup.clone(),
        against: against.clone(),
        results: measures
            .iter()
            .filter(|measure| measure.is_tested())
            .filter_map(paired)
            .collect(),
    }
}

#[cfg(test)]
mod tests;
