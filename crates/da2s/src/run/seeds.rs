//! The final network trained from several seeds: how much of its accuracy is chance.
//!
//! Contract: the trainings differ in first weights, order of the images, augmentation and
//! drop-path, and share the split of the images, so that only the training varies. Each is a run
//! below the run ([`super::below`]). The network of the run is the first, from the run's own seed:
//! it is the one that is reported, exported and deployed, whatever the others reach.

use da2s_records::files::{BEST, SUMMARY, seed as seed_folder};
use da2s_records::schema::{SeedTraining, Seeds, Summary};

use super::below::{Below, stored};
use super::checkpoint::Checkpoint;
use super::state_file::TrainMeta;
use super::{Context, Error, Job, genotype_file};
use crate::config::Config;
use crate::network::BaselineSettings;
use crate::observer::{Event, Observer};
use crate::search::SearchSettings;
use crate::stage::Stage;

impl Job {
    /// Trains the run's network from its further seeds, and adds mean and deviation to its summary.
    /// Contract: after [`Job::evaluate`], in all processes of a group. `None` in those that do not
    /// lead, and for a single training.
    ///
    /// # Errors
    /// Those of [`Job::train`] and [`Job::evaluate`].
    pub fn seeds(&self, observer: &mut dyn Observer) -> Result<Option<Summary>, Error> {
        let trainings = self.config().network.beside.trainings();
        if self.group().leads() {
            self.record_beside()?;
        }
        for place in 2..=trainings {
            self.train_below(|observer| self.lead_seed(place, observer), observer)?;
        }
        if trainings == 1 || !self.group().leads() {
            return Ok(None);
        }
        let directory = self.directory();
        let mut summary: Summary = directory.read_json(SUMMARY, Stage::Evaluate)?;
        summary.seeds = trained(&self.context(), &summary)?;
        directory.write_json(SUMMARY, &summary)?;
        Ok(Some(summary))
    }

    /// The training at `place`, from 1; `None` if there is nothing left to do.
    fn lead_seed(&self, place: usize, observer: &mut dyn Observer) -> Result<Option<Below>, Error> {
        let best = Checkpoint::<TrainMeta>::read(self.directory(), BEST)?;
        if best.is_some_and(|best| best.meta.is_imported()) {
            if place == 2 {
                let text = "the weights of this network were imported, so it is not trained from other seeds";
                observer.on(Event::Warning(text.to_owned().into()));
            }
            return Ok(None);
        }
        let seed = seed_of(self.config(), place);
        let below = Below {
            folder: seed_folder(seed),
            config: with_seed(self.config(), seed),
            genotype: genotype_file::parsed(self.directory(), &genotype_file::stored_text(self.directory())?)?,
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

/// The seed of the training at `place`, from 1: those of the run's own network, and the numbers
/// after it.
fn seed_of(config: &Config, place: usize) -> u64 {
    let own = config.network.training.seed(config.run.seed);
    // A seed is a whole number of TOML, which has 63 bits.
    own.wrapping_add(place as u64 - 1) & i64::MAX as u64
}

/// The settings of the training from `seed` of the network of `config`.
fn with_seed(config: &Config, seed: u64) -> Config {
    let mut config = config.clone();
    config.network.training.seed = Some(seed);
    config.network.beside = BaselineSettings::default();
    // The search is over. Its rates would differ before and after a resumption, since "auto"
    // becomes a number when the search begins.
    let SearchSettings {
        alpha_rate, beta_rate, ..
    } = SearchSettings::default();
    (config.search.alpha_rate, config.search.beta_rate) = (alpha_rate, beta_rate);
    config
}

/// The trainings of the run that are finished and fit its network and its present recipe, beside
/// that of its own network, with the results in `summary`; `None` for fewer than two.
pub(super) fn trained(context: &Context<'_>, summary: &Summary) -> Result<Option<Seeds>, Error> {
    let config = context.config;
    let training = |seed: u64, summary: &Summary| SeedTraining {
        seed,
        accuracy: summary.network_accuracy,
        train_time_s: summary.train_time_s,
    };
    let mut trainings = vec![training(seed_of(config, 1), summary)];
    for place in 2..=config.network.beside.trainings() {
        let seed = seed_of(config, place);
        let Some(run) = stored(&context.directory.file(&seed_folder(seed)))? else {
            continue;
        };
        let same_recipe = run.config()?.network.training == with_seed(config, seed).network.training;
        if let Some(found) = run.find_json::<Summary>(SUMMARY)?
            && same_recipe
            && found.genotype == summary.genotype
        {
            trainings.push(training(seed, &found));
        }
    }
    Ok(Seeds::new(trainings))
}
