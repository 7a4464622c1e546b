//! Baselines: plain networks that are trained after the network of a run, by the same recipe and on
//! the same images, to tell whether the search was worth it.
//!
//! Contract: each is a run of its own in a folder below the run's ([`super::below`]). By default,
//! its width is the largest with which it costs no more than the run's network: no more
//! multiply-adds, parameters, bytes or time.

use da2s_engine::Engine;
use da2s_records::files::{EVALUATION, PREPROCESSING, SUMMARY, baseline as baseline_folder};
use da2s_records::schema::{Baseline, Evaluation, Preprocessing, Summary};

use super::below::{Below, Results};
use super::width::{is_too_low, widest_in_time, widest_within};
use super::{Context, Error, Job, RunDirectory, genotype_file};
use crate::backbone::NetworkSize;
use crate::config::{Config, baseline_of};
use crate::data::ImageShape;
use crate::network::{CHANNELS, LatencyTable, Resource, limits, network as build};
use crate::observer::{Event, Observer, Silent};
use crate::space::PlainNetwork;
use crate::stage::Stage;

impl Job {
    /// Trains the run's baselines that are not trained yet, and adds each to the run's summary,
    /// which `updated` receives. Contract: after [`Job::evaluate`], in all processes of a group.
    /// `None` in those that do not lead, and without baselines.
    ///
    /// # Errors
    /// Those of [`Job::train`] and [`Job::evaluate`].
    pub fn baselines(
        &self,
        observer: &mut dyn Observer,
        updated: &mut dyn FnMut(&Summary),
    ) -> Result<Option<Summary>, Error> {
        let networks = self.config().network.beside.baselines.clone().unwrap_or_default();
        let update = || {
            let directory = self.directory();
            let evaluation: Evaluation = directory.read_json(EVALUATION, Stage::Evaluate)?;
            let summary = Summary {
                // If the results of a baseline cannot be read, the evaluation has reported it, and
                // the baseline is trained again.
                baselines: trained(&self.context(), &evaluation, &mut Silent)?,
                ..directory.read_json(SUMMARY, Stage::Evaluate)?
            };
            directory.write_json(SUMMARY, &summary)?;
            Ok(summary)
        };
        let lead = |network, observer: &mut dyn Observer| self.lead_baseline(network, observer);
        self.train_all_below(&networks, lead, update, updated, observer)
    }

    /// Whether `network` is not trained: at every width it costs more than the run's network.
    pub(super) fn leaves_out(&self, network: PlainNetwork) -> bool {
        baseline_config(self.directory(), self.config(), network).is_err_and(|error| is_too_low(&error))
    }

    /// The baseline that is to be trained; `None` if there is nothing left to do.
    fn lead_baseline(&self, network: PlainNetwork, observer: &mut dyn Observer) -> Result<Option<Below>, Error> {
        let config = match baseline_config(self.directory(), self.config(), network) {
            Err(error) if is_too_low(&error) => {
                let text = format!("the baseline {network} is left out: {error}");
                observer.on(Event::Warning(text.into()));
                return Ok(None);
            }
            config => config?,
        };
        let channels = config.network.shape.channels;
        let below = Below {
            folder: baseline_folder(network),
            config,
            genotype: network.genotype(),
        };
        if self.has_trained(&below)? {
            return Ok(None);
        }
        observer.on(Event::Baseline {
            network: network.name(),
            channels,
        });
        Ok(Some(below))
    }
}

/// The settings of the baseline `network` of the trained run of `config` in `directory`, including
/// the width. They contain the run's table of latencies if it has all blocks of the baseline.
///
/// # Errors
/// [`SearchError::LimitTooLow`](crate::search::SearchError::LimitTooLow) or
/// [`LatencyError::NoWidth`](crate::network::LatencyError::NoWidth) if at every width the network
/// costs more than that of the run. Also if the run's network is not trained.
pub fn baseline_config(directory: &RunDirectory, config: &Config, network: PlainNetwork) -> Result<Config, Error> {
    let table_path = &config.target.latency_table;
    let table = table_path.as_deref().map(LatencyTable::read).transpose()?;
    let mut config = baseline_of(config, network);
    let genotype = network.genotype();
    let images: Preprocessing = directory.read_json(PREPROCESSING, Stage::Train)?;
    let shape = ImageShape {
        channels: images.channels,
        height: images.image_size,
        width: images.image_size,
    };
    let size = config.network.shape.size(&config.space, shape, images.classes.len());
    let channels = match config.network.beside.baseline_width {
        Some(width) => {
            // A requested width is used whatever it costs.
            config.target = config.target.without_limits();
            let [least, most] = CHANNELS;
            ((network.stem_channels() as f64 * width).round() as usize).clamp(least, most)
        }
        None => {
            let resource = config.network.beside.matched();
            let precision = config.target.precision;
            let own = genotype_file::stored_need(directory, resource, precision)?;
            let mut limits = limits(&config.target);
            match (resource, &table) {
                (Resource::Latency, Some(table)) => widest_in_time((table, own), &limits, precision, &genotype, &size)?,
                (resource, _) => {
                    limits.push((resource, own));
                    widest_within(&limits, precision, &genotype, size.clone())?
                }
            }
        }
    };
    config.network.shape.channels = channels;
    if let Some(table) = table {
        let size = NetworkSize { channels, ..size };
        let side = size.image_size;
        let built = build(&genotype, size, &Engine::Plain)?;
        // The only error is a block that is missing.
        if table.of_network(&built, side).is_ok() {
            config.target.latency_table.clone_from(table_path);
        }
    }
    Ok(config)
}

/// The results of the run's baselines that are trained by the run's present recipe. They are
/// compared with `evaluation`, that of the run's own network.
pub(super) fn trained(
    context: &Context<'_>,
    evaluation: &Evaluation,
    observer: &mut dyn Observer,
) -> Result<Vec<Baseline>, Error> {
    let networks = context.config.network.beside.baselines.iter().flatten();
    let mut baselines = Vec::new();
    for network in networks {
        let Some(found) = Results::below(context.directory, &baseline_folder(network), observer)? else {
            continue;
        };
        if found.config.network.training == context.config.network.training {
            let channels = found.config.network.shape.channels as u64;
            let (summary, own) = (&found.summary, &found.evaluation);
            baselines.push(Baseline::new(network.name(), channels, summary, own, evaluation));
        }
    }
    Ok(baselines)
}
