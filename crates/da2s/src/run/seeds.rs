//! The final network trained from several seeds: how much of its accuracy is chance.
//!
//! Contract: the trainings differ in initial weights, order of the images, augmentation and
//! drop-path, and share the split of the images, so that only the training varies. Each is a run of
//! its own in a folder below the run's ([`super::below`]). The network of the run is the first,
//! from the run's own seed: it is the one that is reported, exported and deployed, whatever the
//! others reach.

use da2s_records::files::{BEST, SUMMARY, seed as seed_folder};
use da2s_records::schema::{SeedTraining, Seeds, Summary};

use super::below::{Below, Results};
use super::checkpoint::Checkpoint;
use super::state_file::TrainMeta;
use super::{Context, Error, Job, genotype_file};
use crate::config::Config;
use crate::network::BaselineSettings;
use crate::observer::{Event, Observer, Silent};
use crate::search::SearchSettings;
use crate::stage::Stage;

impl Job {
    /// Trains the run's network from its further seeds, and adds mean and deviation to its summary
    /// after each training; `updated` receives it. Contract: after [`Job::evaluate`], in all
    /// processes of a group. `None` in those that do not lead, and for a single training.
    ///
    /// # Errors
    /// Those of [`Job::train`] and [`Job::evaluate`].
    pub fn seeds(
        &self,
        observer: &mut dyn Observer,
        updated: &mut dyn FnMut(&Summary),
    ) -> Result<Option<Summary>, Error> {
        let places: Vec<usize> = (2..=self.config().network.beside.trainings()).collect();
        let update = || {
            let directory = self.directory();
            let mut summary: Summary = directory.read_json(SUMMARY, Stage::Evaluate)?;
            // A training that cannot be read was reported by the evaluation, and is repeated.
            summary.seeds = trained(&self.context(), &summary, &mut Silent)?;
            directory.write_json(SUMMARY, &summary)?;
            Ok(summary)
        };
        let lead = |place, observer: &mut dyn Observer| self.lead_seed(place, observer);
        self.train_all_below(&places, lead, update, updated, observer)
    }

    /// Whether the weights of the run's network were imported, so that no other seed is trained.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn has_imported_weights(&self) -> Result<bool, Error> {
        let best = Checkpoint::<TrainMeta>::read(self.directory(), BEST)?;
        Ok(best.is_some_and(|best| best.meta.is_imported()))
    }

    /// The training at `place`, from 1; `None` if there is nothing left to do.
    fn lead_seed(&self, place: usize, observer: &mut dyn Observer) -> Result<Option<Below>, Error> {
        if self.has_imported_weights()? {
            if place == 2 {
                let text = "the weights of this network were imported, so it is not trained from other seeds";
                observer.on(Event::Warning(text.to_owned().into()));
            }
            return Ok(None);
        }
        let seed = seed_of(self.config(), place);
        let (genotype, shape) = genotype_file::stored_network(self.directory(), &self.config().network.shape)?;
        let mut config = with_seed(self.config(), seed);
        config.network.shape = shape;
        let below = Below {
            folder: seed_folder(seed),
            config,
            genotype: genotype_file::parsed(self.directory(), &genotype)?,
        };
        if self.has_trained(&below)? {
            return Ok(None);
        }
        observer.on(Event::Seed {
            seed,
            place,
            trainings: self.config().network.beside.trainings(),
        });
        Ok(Some(below))
    }
}

/// The seed of the training at `place`, from 1: the run's own seed, then the numbers after it.
fn seed_of(config: &Config, place: usize) -> u64 {
    let own = config.network.training.seed(config.run.seed);
    // A seed is stored as a TOML integer, which is signed, so it has 63 bits.
    own.wrapping_add(place as u64 - 1) & i64::MAX as u64
}

/// The settings of the training from `seed` of the network of `config`.
fn with_seed(config: &Config, seed: u64) -> Config {
    let mut config = config.clone();
    config.network.training.seed = Some(seed);
    config.network.beside = BaselineSettings::default();
    // It is the same network as the run's, so it has the same latency.
    config.run.measure_latency = false;
    // The search is over. Its rates would differ before and after a resumption, since "auto"
    // becomes a number when the search begins.
    let SearchSettings {
        alpha_rate, beta_rate, ..
    } = SearchSettings::default();
    (config.search.alpha_rate, config.search.beta_rate) = (alpha_rate, beta_rate);
    config
}

/// The finished trainings that fit the run's network and its present recipe. The first is that of
/// the run itself, with the results in `summary`. `None` if there are fewer than two.
pub(super) fn trained(
    context: &Context<'_>,
    summary: &Summary,
    observer: &mut dyn Observer,
) -> Result<Option<Seeds>, Error> {
    let config = context.config;
    let training = |seed: u64, summary: &Summary| SeedTraining {
        seed,
        accuracy: summary.network_accuracy,
        train_time_s: summary.train_time_s,
    };
    let mut trainings = vec![training(seed_of(config, 1), summary)];
    for place in 2..=config.network.beside.trainings() {
        let seed = seed_of(config, place);
        let Some(found) = Results::below(context.directory, &seed_folder(seed), observer)? else {
            continue;
        };
        let same_recipe = found.config.network.training == with_seed(config, seed).network.training;
        if same_recipe && found.summary.genotype == summary.genotype {
            trainings.push(training(seed, &found.summary));
        }
    }
    Ok(Seeds::new(trainings))
}
