//! The planner: how long each stage of a run will take on this machine; and, if a time is given,
//! the sizes, batches and epochs with which the whole run ends within this time. A short training
//! leaves regularisation out (`short.rs`).
//!
//! A few steps of the search and of the training are measured with the real code and the real
//! images (`measure.rs`). A model of the stages turns them into times (`cost.rs`), and for a given
//! time a solver chooses from a ladder of sizes (`ladder.rs`) and finds the numbers of epochs
//! (`solve.rs`). Contract: a setting that was requested is never changed (`freedom.rs`); the plan
//! chooses ordinary settings, so a run with them needs no plan; nothing is written, and the
//! measured steps leave no trace. The times are those of this machine, so another machine, or the
//! same one under another load, may choose differently. A plan is for a single process.

mod cost;
mod epochs;
mod error;
mod freedom;
mod ladder;
mod measure;
mod reasons;
mod searching;
mod short;
mod solve;
mod time;
mod training;
mod words;

pub use cost::{ImageCounts, StageTime, Whose};
pub use error::PlanError;
pub use freedom::{Freedom, KEYS};
pub(crate) use measure::median;
pub use reasons::span;
pub(crate) use short::Regularisation;
pub use time::{TimeError, parse_time};
pub(crate) use training::MOST_EPOCHS;
pub use words::lines;

use std::time::Instant;

use burn::tensor::Device;
use da2s_engine::Engine;
use da2s_records::schema::Sides;

use crate::config::Config;
use crate::data::{Dataset, ImageShape, Part, SearchSplit};
use crate::memory::Needs;
use crate::retrain::InitialWeights;
use crate::search::Drive;
use crate::space::Genotype;

use cost::times;
use measure::Measure;
use searching::Searching;
use solve::solve;
use training::Training;

/// What a plan is for.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The images.
    pub dataset: &'a Dataset,
    /// The device.
    pub device: &'a Device,
    /// Implementation of the cells.
    pub engine: &'a Engine,
    /// Whether there is a search, or a genotype takes its place.
    pub searches: bool,
    /// Whether the genotype is settled and written, so that the training comes next.
    pub discretized: bool,
    /// The genotype of the final network, if it is known already.
    pub genotype: Option<&'a Genotype>,
    /// How long each stage takes to open the images, in seconds; 0 if they stay in memory.
    pub read_s: f64,
}

/// The time in which a run must end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// The time, in seconds.
    pub time_s: f64,
    /// Whether it is only a limit: then no stage gets more epochs than it has in the settings.
    pub at_most: bool,
    /// What may be chosen.
    pub freedom: Freedom,
}

impl Goal {
    /// How much time is left for a run that began at `began`, in seconds. Negative if it should
    /// have ended.
    pub(crate) fn left_s(&self, began: Instant) -> f64 {
        AIM * self.time_s - began.elapsed().as_secs_f64()
    }

    /// How long steps of one size may be measured, in addition to the minimum number of steps.
    fn patience_s(&self) -> f64 {
        (self.time_s / 200.0).clamp(0.2, PATIENCE_S)
    }
}

/// The size and the length of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Channels of the first cells.
    pub channels: usize,
    /// Cells; a chain counts as one.
    pub cells: usize,
    /// The most blocks that each stage of a chain can have; empty for cells.
    pub depth: Vec<usize>,
    /// Epochs.
    pub epochs: usize,
    /// Steps per epoch.
    pub steps: usize,
    /// Images per step.
    pub batch: usize,
    /// Time of a step, in seconds.
    pub step_s: f64,
    /// Memory of a step.
    pub needs: Needs,
    /// Whether it is the smallest size that a plan chooses.
    pub is_smallest: bool,
    /// Whether it is a search with few steps, which would have more if there were more time.
    pub is_short: bool,
}

/// The images of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The classes, each with its number of images.
    pub classes: Vec<(String, usize)>,
    /// Shape of every image.
    pub shape: ImageShape,
    /// Their numbers by purpose.
    pub counts: ImageCounts,
    /// The largest number of rows and columns in the files, if all images are enlarged.
    pub enlarged_from: Option<[u64; 2]>,
}

/// What will be done, and how long it will take.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The images.
    pub found: Found,
    /// The settings, with what was chosen.
    pub config: Config,
    /// The keys of the chosen settings, with their values.
    pub chosen: Vec<(&'static str, String)>,
    /// The search, unless a genotype takes its place.
    pub search: Option<Lesson>,
    /// The training of the final network.
    pub network: Lesson,
    /// The stages in their order, with their times; those of further networks are at the end.
    pub times: Vec<StageTime>,
    /// Why it was chosen, one sentence each.
    pub reasons: Vec<String>,
    /// The goal for which the settings were chosen, if there was one.
    pub goal: Option<Goal>,
}

impl Plan {
    /// The time of all stages, in seconds.
    pub fn total_s(&self) -> f64 {
        self.times.iter().map(|stage| stage.time_s).sum()
    }
}

/// Share of the given time for which a run is planned: other work on the machine only makes it
/// slower.
pub const AIM: f64 = 0.97;

/// Plans a run of `inputs`: for `goal`, or with its settings unchanged if there is none. `spent_s`
/// returns how much of the goal's time is already over. `stop` is called after each step.
///
/// # Errors
/// [`PlanError::TooShort`] if the run cannot end in time even at its smallest;
/// [`PlanError::Stopped`] if `stop` returns true; and what makes its stages fail.
pub fn plan(
    inputs: &Inputs<'_>,
    goal: Option<Goal>,
    spent_s: &dyn Fn() -> f64,
    stop: &dyn Fn() -> bool,
) -> Result<Plan, PlanError> {
    let first = solved(inputs, goal, spent_s, stop)?;
    let Some(goal) = goal.filter(|_| inputs.searches) else {
        return Ok(first);
    };
    let [searched, trained] = [first.config.search.channels, first.config.network.shape.channels];
    if first.config.network.training.initial_weights == InitialWeights::Random || searched == trained {
        return Ok(first);
    }
    // The network is a part of the super-network, so both get the same channels: those that are not
    // free, or the fewer.
    let channels = match WIDTHS.map(|key| goal.freedom.may(key)) {
        [false, _] => searched,
        [true, false] => trained,
        [true, true] => searched.min(trained),
    };
    let mut config = inputs.config.clone();
    (config.search.channels, config.network.shape.channels) = (channels, channels);
    let of_one_width = Inputs {
        config: &config,
        ..*inputs
    };
    let goal = Goal {
        freedom: goal.freedom.without(&WIDTHS),
        ..goal
    };
    let mut second = solved(&of_one_width, Some(goal), spent_s, stop)?;
    second.reasons.push(format!(
        "search and final network have the same {channels} channels, since the network starts from the weights of the \
         super-network"
    ));
    Ok(Plan {
        chosen: differences(inputs.config, &second.config),
        ..second
    })
}

/// The settings that are equal if the network starts from the weights of the super-network.
const WIDTHS: [&str; 2] = ["search.channels", "network.channels"];

fn solved(
    inputs: &Inputs<'_>,
    goal: Option<Goal>,
    spent_s: &dyn Fn() -> f64,
    stop: &dyn Fn() -> bool,
) -> Result<Plan, PlanError> {
    let images = ImageCounts::new(inputs.config, inputs.dataset)?;
    let found = Found::new(inputs, images);
    let start = prepared(inputs, goal.as_ref(), &images);
    let patience_s = goal.as_ref().map_or(PATIENCE_S / 4.0, Goal::patience_s);
    let measure = Measure {
        inputs,
        patience_s,
        stop,
    };
    let mut searching = match inputs.searches {
        true => Some(Searching::new(&start, goal.as_ref(), &images, measure)?),
        false => None,
    };
    let mut training = Training::new(&start, goal.as_ref(), &images, measure)?;
    // After the search, the training is planned once more, which reads the images again.
    let is_planned_again = inputs.searches && goal.is_some_and(|goal| goal.freedom.may("network.epochs"));
    let again_s = if is_planned_again { inputs.read_s } else { 0.0 };
    let budget_s = || goal.map_or(f64::INFINITY, |goal| AIM * goal.time_s - spent_s() - again_s - REPORT_S);
    let strict = goal.is_none_or(|goal| !goal.at_most);
    let solved = solve(&budget_s, strict, searching.as_mut(), &mut training)?;
    if let Some(goal) = goal.filter(|goal| !goal.at_most) {
        let least_s = spent_s() + again_s + solved.total_s() + REPORT_S;
        if least_s > goal.time_s {
            return Err(PlanError::TooShort {
                time_s: goal.time_s,
                least_s,
                requested: requested_sizes(&goal.freedom),
            });
        }
    }
    let mut config = start;
    let search = searching.as_ref().zip(solved.search.as_ref());
    if let Some((searching, chosen)) = search {
        searching.apply(&mut config, chosen);
    }
    training.apply(&mut config, solved.network.size, solved.network.epochs);
    if let Some(goal) = &goal {
        let training = &mut config.network.training;
        Regularisation::of(training).choose(training, &goal.freedom);
    }
    config.check()?;
    let searched_s = search.map(|(searching, chosen)| searching.times(chosen));
    let times = times(searched_s, !inputs.searches, training.times(&solved.network), REPORT_S);
    let search = search.map(|(searching, chosen)| searching.lesson(chosen));
    let network = training.lesson(&solved.network);
    let total_s = spent_s() + again_s + times.iter().map(|stage| stage.time_s).sum::<f64>();
    let reason = |goal: &Goal| reasons::of(goal, [inputs.config, &config], search.as_ref(), &network, total_s);
    Ok(Plan {
        found,
        reasons: goal.as_ref().map(reason).unwrap_or_default(),
        chosen: differences(inputs.config, &config),
        config,
        search,
        network,
        times,
        goal,
    })
}

/// The requested settings without which a run could end earlier.
fn requested_sizes(freedom: &Freedom) -> Vec<&'static str> {
    let mut requested = freedom.requested();
    requested.retain(|key| !short::KEYS.contains(key));
    requested
}

/// Plans the training again after the search of a planned run has found a genotype, which is in
/// `inputs`. Returns the number of epochs with which the rest of the run takes `left_s()` seconds,
/// and the times of the remaining stages. `before` is the number of epochs in the settings before
/// the first plan; it is the maximum if the goal is only a limit.
///
/// # Errors
/// Like [`plan`], but [`PlanError::TrainingStopped`] if `stop` returns true.
pub fn plan_training(
    inputs: &Inputs<'_>,
    goal: Goal,
    before: usize,
    left_s: &dyn Fn() -> f64,
    stop: &dyn Fn() -> bool,
) -> Result<(usize, Vec<StageTime>), PlanError> {
    solve_training(inputs, goal, before, left_s, stop).map_err(|error| match error {
        PlanError::Stopped => PlanError::TrainingStopped,
        other => other,
    })
}

fn solve_training(
    inputs: &Inputs<'_>,
    goal: Goal,
    before: usize,
    left_s: &dyn Fn() -> f64,
    stop: &dyn Fn() -> bool,
) -> Result<(usize, Vec<StageTime>), PlanError> {
    let images = ImageCounts::new(inputs.config, inputs.dataset)?;
    let patience_s = goal.patience_s();
    let measure = Measure {
        inputs,
        patience_s,
        stop,
    };
    let only_epochs = Goal {
        freedom: goal.freedom.only("network.epochs"),
        ..goal
    };
    let mut training = Training::new(inputs.config, Some(&only_epochs), &images, measure)?;
    if goal.at_most {
        training.limit_epochs(before);
    }
    let solved = solve(&|| left_s() - REPORT_S, true, None::<&mut Searching<'_>>, &mut training)?;
    let planned = times(None, false, training.times(&solved.network), REPORT_S);
    Ok((solved.network.epochs, planned))
}

/// The longest time of a run of the recipe for folders, unless a time is given.
pub const RECIPE_LIMIT_S: f64 = 2.0 * 3600.0;
/// Maximum of [`Goal::patience_s`], in seconds.
const PATIENCE_S: f64 = 3.0;
/// Time for the report, in seconds.
const REPORT_S: f64 = 1.0;
/// The fewest steps per epoch: with fewer, an epoch teaches little, so the batch is made smaller.
const FEWEST_STEPS: usize = 8;

/// The settings, with those choices of the plan that do not depend on the given time: batches that
/// suit the number of images, and the drive `path`, which decides every choice however short the
/// search is.
fn prepared(inputs: &Inputs<'_>, goal: Option<&Goal>, images: &ImageCounts) -> Config {
    let mut config = inputs.config.clone();
    let Some(goal) = goal.filter(|goal| !goal.at_most) else {
        return config;
    };
    let may = |key| goal.freedom.may(key);
    if inputs.searches && may("search.drive") && may("search.epochs") && config.search.drive() != Drive::Path {
        config.search.drive = Some(Drive::Path);
    }
    let suited = |images: usize, now: usize| {
        let most = (images / FEWEST_STEPS).max(1);
        if now <= most {
            return now;
        }
        // A power of two.
        (1_usize << most.ilog2()).max(now.min(4)).min(images.max(1))
    };
    if inputs.searches && may("search.batch_size") {
        config.search.batch_size = suited(images.weights.min(images.arch), config.search.batch_size);
    }
    if may("network.batch_size") {
        let training = &mut config.network.training;
        training.batch_size = suited(images.train, training.batch_size);
    }
    config
}

/// The values in `now` of the settings that a plan may choose and that differ from `before`.
pub(crate) fn differences(before: &Config, now: &Config) -> Vec<(&'static str, String)> {
    let rows = freedom::values(before).into_iter().zip(freedom::values(now));
    rows.filter(|((_, before), (_, now))| before != now)
        .map(|(_, now)| now)
        .collect()
}

/// The largest number of rows and columns in the files, if those that are looked at are all smaller
/// than the images of the data set.
fn enlarged_from(dataset: &Dataset) -> Option<[u64; 2]> {
    let side = dataset.shape.height as u64;
    // Usually the images are larger, and a look at one file is enough to know it.
    let is_smaller = |sides: &Sides| sides.rows[1].max(sides.columns[1]) < side;
    dataset.train.sides_of(1).filter(is_smaller)?;
    let sides = dataset.train.sides_in_files().filter(is_smaller)?;
    Some([sides.rows[1], sides.columns[1]])
}

impl Found {
    fn new(inputs: &Inputs<'_>, counts: ImageCounts) -> Self {
        let dataset = inputs.dataset;
        let mut images = vec![0; dataset.classes()];
        for part in Part::ALL {
            for (sum, count) in images.iter_mut().zip(dataset.class_counts(part)) {
                *sum += count;
            }
        }
        Self {
            classes: dataset.class_names.iter().cloned().zip(images).collect(),
            shape: dataset.shape,
            counts,
            enlarged_from: enlarged_from(dataset),
        }
    }
}

impl ImageCounts {
    fn new(config: &Config, dataset: &Dataset) -> Result<Self, PlanError> {
        let data = &config.data;
        let labels = dataset.train.labels();
        let split = SearchSplit::new(labels, data.arch_fraction, data.validation_fraction, config.run.seed)?;
        Ok(Self {
            weights: split.weight_half.len(),
            arch: split.arch_half.len(),
            train: split.weight_half.len() + split.arch_half.len(),
            validation: split.validation.len() + dataset.validation.len(),
            test: dataset.test.len(),
        })
    }
}
