//! Measures what a search and a training cost here: a few steps of the real stages on the real
//! images, and the evaluation of one batch.
//!
//! Contract: the time of a step is the median of several, since another program on the same cores
//! delays single steps; the first step allocates buffers and is not counted. The time of an image
//! is from one batch. What was trained is discarded. Memory is checked before a step is taken.

use std::time::Instant;

use super::cost::{SearchRates, TrainRates};
use super::{Inputs, PlanError};
use crate::backbone::{Backbone, Pass};
use crate::config::Config;
use crate::data::{Loader, Part, SearchSplit, Shard};
use crate::discretize::Discretization;
use crate::evaluate::{accuracy, evaluate};
use crate::memory::Needs;
use crate::network::network;
use crate::parallel::Group;
use crate::probe::Probe;
use crate::resumable::Resumable;
use crate::retrain::{Retraining, TrainProgress, loaders};
use crate::search::{Search, SearchProgress, needs};
use crate::space::Genotype;

/// Steps that are counted, at least and at most.
const COUNTED: [usize; 2] = [2, 15];

/// What can be measured.
#[derive(Clone, Copy)]
pub(super) struct Measure<'a> {
    pub inputs: &'a Inputs<'a>,
    /// Maximum time for steps in addition to the minimum number of steps.
    pub patience_s: f64,
    /// Whether to stop, asked after each step.
    pub stop: &'a dyn Fn() -> bool,
}

impl Measure<'_> {
    /// Times of the search of `config`, and the memory of a step.
    ///
    /// # Errors
    /// Those of a search; [`PlanError::Memory`] if a step needs more than there is.
    pub fn search(&self, config: &Config) -> Result<(SearchRates, Needs), PlanError> {
        let Inputs {
            dataset,
            device,
            engine,
            ..
        } = *self.inputs;
        let mut setup = config.search_setup()?;
        // Every measured step moves α and β. In the search only every `arch_every`-th step does.
        let arch_every = std::mem::replace(&mut setup.search.arch_every, 1);
        let search = Search::new(&setup, dataset, device, engine)?;
        let (batch, images) = (setup.search.batch_size, (dataset.shape, dataset.classes()));
        let needs = needs(&setup.search, &setup.space, images, rayon::current_num_threads()).beside(dataset);
        needs.check("a step of this search", Search::LOWER, engine)?;

        let (warmup, stages) = (setup.search.warmup_epochs.saturating_sub(1), search.stage_count());
        let patience_s = self.patience_s / stages as f64;
        let (mut state, [mut weights_s, mut whole_s]) = (search.start(), [0.0; 2]);
        // The stages have the same number of epochs.
        for stage in 0..stages {
            state = search.state_in(stage);
            let warmup_step_s = match warmup {
                0 => None,
                _ => Some(self.step_s(&search, &mut state, patience_s / 2.0)?),
            };
            state.progress = SearchProgress {
                epochs_done: state.progress.epochs_done + warmup,
                ..SearchProgress::default()
            };
            let step_s = self.step_s(&search, &mut state, patience_s)?;
            whole_s += step_s / stages as f64;
            // Only a step of the warm-up shows how long the step of the weights takes alone.
            // Without a warm-up, every step counts as one that also moves α and β.
            weights_s += warmup_step_s.unwrap_or(step_s) / stages as f64;
        }
        let step_s = weights_s + (whole_s - weights_s) / arch_every as f64;

        let split = SearchSplit::new(
            dataset.train.labels(),
            setup.data.arch_fraction,
            setup.data.validation_fraction,
            setup.seed,
        )?;
        let some = split.arch_half.into_iter().take(batch).collect();
        let loader = Loader::evaluation(dataset, Part::Train, some, batch)?;
        let outcome = search.outcome(&state);
        let pruned = search.pruned(&state, &outcome);
        let image_s = |stage| -> Result<f64, PlanError> {
            let began = Instant::now();
            pruned.accuracy(stage, &loader, &Group::alone(), device)?;
            Ok(began.elapsed().as_secs_f64() / loader.samples() as f64)
        };
        // The first evaluation allocates.
        image_s(Discretization::Supernet)?;
        Ok((
            SearchRates {
                warmup_step_s: weights_s,
                step_s,
                image_s: [
                    image_s(Discretization::Supernet)?,
                    image_s(Discretization::Operations)?,
                    image_s(Discretization::Edges)?,
                    image_s(Discretization::Both)?,
                ],
            },
            needs,
        ))
    }

    /// Times of the training of the network of `genotype` in `config`, and the memory of a step.
    ///
    /// # Errors
    /// Those of a training; [`PlanError::Memory`] if a step needs more than there is.
    pub fn training(&self, config: &Config, genotype: &Genotype) -> Result<(TrainRates, Needs), PlanError> {
        let Inputs {
            dataset,
            device,
            engine,
            ..
        } = *self.inputs;
        let shape = &config.network.shape;
        let settings = &config.network.training;
        let size = shape.size(&config.space, dataset.shape, dataset.classes());
        let network = network(genotype, size, engine)?;
        let (batch, side) = (settings.batch_size, dataset.shape.height);
        let needs = Needs::of_training(&network, batch, side, rayon::current_num_threads())
            .with_vectors(settings.extra_vectors())
            .beside(dataset);
        needs.check("a step of this training", Retraining::LOWER, engine)?;
        let (loader, _) = loaders(&config.data, settings, config.run.seed, Shard::WHOLE, dataset)?;
        let training = Retraining {
            network: &network,
            settings,
            class_weights: config
                .data
                .class_weights
                .of(&dataset.class_names, dataset.train.labels())?,
            seed: settings.seed(config.run.seed),
            initial: None,
            group: Group::alone(),
            loader,
            validation: None,
            device,
            probe: Probe::default(),
        };
        let mut state = training.start();
        // If drop-path rises over the epochs, the first epoch has none.
        state.progress = TrainProgress {
            epochs_done: settings.epochs / 2,
            ..TrainProgress::default()
        };
        let step_s = self.step_s(&training, &mut state, self.patience_s)?;
        let (weights, statistics) = state.evaluated();
        let pass = Pass::new(weights).with_statistics(statistics);
        let image_s = self.image_s(&network, pass, batch)?;
        Ok((TrainRates { step_s, image_s }, needs))
    }

    /// Time of the evaluation of an image by a network.
    fn image_s(&self, network: &Backbone, pass: Pass<'_>, batch: usize) -> Result<f64, PlanError> {
        let Inputs { dataset, device, .. } = *self.inputs;
        let some: Vec<usize> = (0..dataset.test.len().min(batch)).collect();
        let loader = Loader::evaluation(dataset, Part::Test, some, batch)?;
        // The first one allocates.
        accuracy(network, pass, &loader, &Group::alone(), device, &|| false)?;
        let began = Instant::now();
        evaluate(network, pass, &loader, &[], device, &|| false)?;
        Ok(began.elapsed().as_secs_f64() / loader.samples().max(1) as f64)
    }

    /// The median time of a step of `stage`, which continues from `state`, within its epoch.
    fn step_s<S: Resumable<State: Clone>>(
        &self,
        stage: &S,
        state: &mut S::State,
        patience_s: f64,
    ) -> Result<f64, PlanError> {
        let [least, most] = COUNTED;
        let (first, began, mut times_s) = (state.clone(), Instant::now(), Vec::new());
        loop {
            if stage.position(state).steps_done == stage.steps() {
                state.clone_from(&first);
            }
            let step = Instant::now();
            let images = stage.images(state, self.stop)?;
            let taken = stage.step(state, images);
            times_s.push(step.elapsed().as_secs_f64());
            if (self.stop)() {
                return Err(PlanError::Stopped);
            }
            let counted = times_s.len() - 1;
            let is_enough = counted >= least && (counted >= most || began.elapsed().as_secs_f64() > patience_s);
            // A step whose numbers are not finite takes as long as any other, but no step can
            // follow it. The stage itself will report it.
            if is_enough || taken.is_err() {
                return Ok(median_without_first(times_s));
            }
        }
    }
}

/// The median of all times but the first; if there is only one, that time.
fn median_without_first(mut times_s: Vec<f64>) -> f64 {
    if times_s.len() > 1 {
        times_s.remove(0);
    }
    median(times_s)
}

/// The median of `values`; 0 if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_is_not_counted() {
        let times = [[9.0, 1.0, 3.0, 2.0].as_slice(), &[9.0, 1.0, 2.0], &[9.0], &[]];
        assert_eq!(
            times.map(|times| median_without_first(times.to_vec())),
            [2.0, 1.5, 9.0, 0.0]
        );
    }
}
