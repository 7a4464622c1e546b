//! The plan of a run: what its stages will take here, and the settings that are chosen for a given
//! time.
//!
//! Contract: settings are chosen once, before a new run begins. After the search, the number of
//! training epochs is chosen again, from the time that is left and measured steps of the network
//! that was found. Both choices, and changes during the training (`pace.rs`), are written into
//! `config.toml` with the reasons, so a run with this `config.toml` has the same result without a
//! plan. A resumed run chooses nothing. For a single process.

use std::time::Instant;

use da2s_records::files::{GAP, SUMMARY};
use da2s_records::schema::Summary;

use super::discretize::of_space;
use super::pace::Ahead;
use super::{Error, Job, TrainSummary, genotype_file, train};
use crate::config::{Config, Pace, Request};
use crate::data::Dataset;
use crate::observer::Observer;
use crate::planner::{
    Freedom, Goal, Inputs, Plan, RECIPE_LIMIT_S, Regularisation, StageTime, Whose, differences, plan, plan_training,
    span,
};
use crate::space::Genotype;
use crate::stage::Stage;

/// What is chosen for a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planning {
    pub(super) goal: Goal,
    /// Training epochs before anything was chosen.
    pub(super) epochs: usize,
    /// Cutout and drop-path before anything was chosen.
    pub(super) regularisation: Regularisation,
    /// When the run began, and what the training and the stages after it take, once the settings
    /// are chosen.
    pub(super) begun: Option<(Instant, Ahead)>,
}

impl Planning {
    /// What there is to choose for a new run of `config`; `None` leaves it as it is.
    pub fn of(request: &Request, config: &Config) -> Option<Self> {
        let freedom = Freedom::of(request, config);
        let (time_s, at_most) = match request.pace? {
            Pace::Seconds(time_s) => (time_s, false),
            Pace::OfRecipe if freedom.is_any() && request.has_recipe_for_folders(config) => (RECIPE_LIMIT_S, true),
            Pace::OfRecipe => return None,
        };
        Some(Self {
            goal: Goal {
                time_s,
                at_most,
                freedom,
            },
            epochs: config.network.training.epochs,
            regularisation: Regularisation::of(&config.network.training),
            begun: None,
        })
    }
}

/// The number of training epochs that was chosen for the network that a search has found.
#[derive(Clone, Debug)]
pub struct TrainingPlan {
    /// The number.
    pub epochs: usize,
    /// The number that was planned before the search.
    pub planned: usize,
    /// Whether the run ends in the given time with it.
    pub fits: bool,
    /// The remaining stages, with their times.
    pub times: Vec<StageTime>,
}

impl Job {
    /// Whether settings of this run are still to be chosen by [`Job::plan`].
    pub fn is_to_be_planned(&self) -> bool {
        self.planning.is_some_and(|planning| planning.begun.is_none())
    }

    /// Whether all stages of the run are complete, with the trainings from other seeds and the
    /// baselines.
    pub fn is_finished(&self) -> bool {
        let Some(summary) = self.summary() else {
            return false;
        };
        let beside = &self.config.network.beside;
        let mut baselines = beside.baselines.iter().flatten();
        let is_trained = |name: &str| summary.baselines.iter().any(|one| one.network == name);
        let has_seeds = trainings(&summary) >= beside.trainings() || self.has_imported_weights().unwrap_or(false);
        has_seeds && baselines.all(|&one| is_trained(one.name()) || self.leaves_out(one))
    }

    /// The summary of the run, if it exists and can be read.
    fn summary(&self) -> Option<Summary> {
        self.directory().find_json(SUMMARY).ok().flatten()
    }

    /// Measures what the stages of the run will take here, chooses the settings that are still to
    /// be chosen for a run that began at `began`, and writes them. `given` takes the place of a
    /// search. Contract: called before the first stage, in a single process.
    ///
    /// # Errors
    /// [`Error::Plan`]; or if the images cannot be read.
    pub fn plan(
        &mut self,
        given: Option<&Genotype>,
        began: Instant,
        observer: &mut dyn Observer,
    ) -> Result<Plan, Error> {
        let planning = self.planning.filter(|_| self.is_to_be_planned());
        let spent_s = || began.elapsed().as_secs_f64();
        let goal = planning.map(|planning| planning.goal);
        let mut planned = self.measured(given, |inputs| plan(inputs, goal, &spent_s, &|| observer.stop()))?;
        if let Some(summary) = self.summary() {
            planned.times = left(planned.times, &summary);
        }
        if let Some(planning) = planning {
            self.config = planned.config.clone();
            self.planning = Some(Planning {
                begun: Some((began, Ahead::of(&planned.times, planned.network.epochs))),
                ..planning
            });
            let remarks = if planned.chosen.is_empty() {
                Vec::new()
            } else {
                remarks(&planned)
            };
            self.directory().write_config_with(&remarks, &self.config)?;
        }
        Ok(planned)
    }

    /// Chooses the number of training epochs for the network that the search has found, if the run
    /// was planned by this process and the number is not a requested one. Contract: called after
    /// the discretization.
    ///
    /// # Errors
    /// [`Error::Plan`]; or if a file cannot be read or written.
    pub fn plan_training(&mut self, observer: &mut dyn Observer) -> Result<Option<TrainingPlan>, Error> {
        let Some(Planning {
            goal,
            epochs,
            regularisation,
            begun: Some((began, _)),
        }) = self.planning
        else {
            return Ok(None);
        };
        // A given network was measured before the run began.
        let found = genotype_file::stored(self.directory())?.is_some_and(|stored| !stored.given);
        if !found || !goal.freedom.may("network.epochs") {
            return Ok(None);
        }
        let left_s = || goal.left_s(began);
        let chosen = self.measured(None, |inputs| {
            plan_training(inputs, goal, epochs, &left_s, &|| observer.stop())
        });
        let (epochs, times) = chosen?;
        let planned = self.config.network.training.epochs;
        if epochs != planned {
            let (before, mut stored) = (self.config.clone(), self.directory().config()?);
            for config in [&mut self.config, &mut stored] {
                let training = &mut config.network.training;
                training.epochs = epochs;
                regularisation.choose(training, &goal.freedom);
            }
            let remark = format!(
                "After the search, {} were left, and {planned} epochs of training were planned: {}.",
                span(left_s()),
                listed(&differences(&before, &self.config))
            );
            self.directory().write_config_with(&[remark], &stored)?;
        }
        if let Some(planning) = &mut self.planning {
            planning.begun = Some((began, Ahead::of(&times, epochs)));
        }
        let planned_s: f64 = times.iter().map(|stage| stage.time_s).sum();
        Ok(Some(TrainingPlan {
            epochs,
            planned,
            fits: planned_s <= left_s(),
            times,
        }))
    }

    /// Trains the final network: within the time of the run, if this process planned it and the
    /// number of epochs is not a requested one.
    pub(super) fn train_as_planned(&mut self, observer: &mut dyn Observer) -> Result<TrainSummary, Error> {
        match self.planning {
            Some(Planning {
                goal,
                epochs,
                begun: Some((began, ahead)),
                ..
            }) if goal.freedom.may("network.epochs") => {
                // It is for one training: a later one would be late from its first epoch.
                self.planning = None;
                self.train_in_time((goal, began, epochs), ahead, observer)
            }
            _ => train(&self.context(), observer),
        }
    }

    /// Calls `measure` with the images of this run and the genotype of its network, if that is
    /// known.
    fn measured<T, E>(
        &self,
        given: Option<&Genotype>,
        measure: impl FnOnce(&Inputs<'_>) -> Result<T, E>,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let context = self.context();
        if let Some(genotype) = given {
            of_space(genotype, &context.config.space.build())?;
        }
        let (device, engine) = context.device()?;
        let opened = Instant::now();
        let dataset: Dataset = context.dataset()?;
        // Images in memory are opened only once.
        let read_s = if dataset.is_in_memory() {
            0.0
        } else {
            opened.elapsed().as_secs_f64()
        };
        let stored = genotype_file::stored(context.directory)?;
        let has_gap = context.directory.has_file(GAP);
        let discretized = stored.as_ref().is_some_and(|stored| stored.given || has_gap);
        let searches = given.is_none() && !discretized;
        let mut config = context.config.clone();
        if let Some(stored) = &stored {
            config.network.shape = stored.shape(&config.network.shape);
        }
        let stored = stored.map(|stored| stored.genotype);
        Ok(measure(&Inputs {
            config: &config,
            dataset: &dataset,
            device: &device,
            engine: &engine,
            searches,
            discretized,
            genotype: given.or(stored.as_ref()),
            read_s,
        })?)
    }
}

/// Number of trainings of the run's network in `summary`.
fn trainings(summary: &Summary) -> usize {
    summary.seeds.as_ref().map_or(1, |seeds| seeds.trainings.len())
}

/// The `times` without the trainings that `summary` has already, of the run's own network and the
/// networks below it. Networks are trained in order, so the first ones are left out.
fn left(times: Vec<StageTime>, summary: &Summary) -> Vec<StageTime> {
    let mut seeds = trainings(summary) - 1;
    let mut baselines = summary.baselines.len();
    let mut is_left = |time: &StageTime| {
        let done = match time.whose {
            Whose::Run => return time.stage != Some(Stage::Train),
            Whose::Seed => &mut seeds,
            Whose::Baseline => &mut baselines,
        };
        let is_done = *done > 0;
        // The evaluation is the last stage of a network.
        if time.stage == Some(Stage::Evaluate) {
            *done = done.saturating_sub(1);
        }
        !is_done
    };
    times.into_iter().filter(|time| is_left(time)).collect()
}

/// Settings with their values.
fn listed(chosen: &[(&str, String)]) -> String {
    let chosen: Vec<String> = chosen.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    chosen.join(", ")
}

/// The remarks of a plan for `config.toml`.
fn remarks(plan: &Plan) -> Vec<String> {
    let limit = plan.goal.map_or(0.0, |goal| goal.time_s);
    let most = if plan.goal.is_some_and(|goal| goal.at_most) {
        "at most "
    } else {
        ""
    };
    let first = format!(
        "Chosen from measured steps, for a run of {most}{}: {}.",
        span(limit),
        listed(&plan.chosen)
    );
    let steps = [("search", plan.search.as_ref()), ("training", Some(&plan.network))];
    let step = |(name, lesson): (&str, Option<&crate::planner::Lesson>)| {
        Some(format!("A step of the {name} took {:.4} s.", lesson?.step_s))
    };
    // Some reasons begin with a key, so all of them begin with a small letter.
    let reasons = plan.reasons.iter().map(|reason| format!("{reason}."));
    std::iter::once(first)
        .chain(steps.into_iter().filter_map(step))
        .chain(reasons)
        .collect()
}
