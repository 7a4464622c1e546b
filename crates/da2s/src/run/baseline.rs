//! Baselines: plain networks that are trained after the network of a run, by the same recipe and on
//! the same images, to tell whether the search was worth it.
//!
//! Contract: each is a run in a directory of its own below the run's, and is resumed like one. By
//! default its width is the largest with which it costs no more than the run's network: no more
//! multiply-adds, or no more parameters. A finished one whose settings still fit is not trained
//! again; one whose settings do not is removed.

use std::path::Path;

use da2s_records::files::{EVALUATION, PREPROCESSING, SUMMARY, baseline as baseline_folder};
use da2s_records::schema::{Baseline, Evaluation, Preprocessing, Summary};

use super::job::difference;
use super::width::widest_within;
use super::{Context, Error, Job, RunDirectory, genotype_file};
use crate::config::{Config, baseline_of};
use crate::data::ImageShape;
use crate::evaluate::EvaluateError;
use crate::network::{BaselineMatch, CHANNELS};
use crate::observer::{Event, Observer};
use crate::search::SearchError;
use crate::space::{PlainNetwork, TargetSpec};
use crate::stage::Stage;

impl Job {
    /// Trains the run's baselines that are not trained yet, and adds all of them to its summary.
    /// Contract: after [`Job::evaluate`], in all processes of a group. `None` in those that do not
    /// lead, and without baselines.
    ///
    /// # Errors
    /// Those of [`Job::train`] and [`Job::evaluate`].
    pub fn baselines(&self, observer: &mut dyn Observer) -> Result<Option<Summary>, Error> {
        let networks = self.config().network.beside.baselines.clone().unwrap_or_default();
        if self.group().leads() {
            self.record_baselines()?;
        }
        for &network in &networks {
            let Some(job) = self.baseline(network, observer)? else {
                continue;
            };
            let genotype = network.genotype();
            let unless_stopped = |observer: &mut dyn Observer| match observer.stop() {
                true => Err(Error::from(EvaluateError::Stopped)),
                false => Ok(()),
            };
            if job.group().leads() {
                job.discretize(Some(&genotype), observer)?;
            }
            unless_stopped(observer)?;
            job.train(observer)?;
            unless_stopped(observer)?;
            if job.group().leads() {
                job.evaluate(observer)?;
            }
            unless_stopped(observer)?;
        }
        if networks.is_empty() || !self.group().leads() {
            return Ok(None);
        }
        let directory = self.directory();
        let evaluation: Evaluation = directory.read_json(EVALUATION, Stage::Evaluate)?;
        let summary = Summary {
            baselines: trained(&self.context(), &evaluation)?,
            ..directory.read_json(SUMMARY, Stage::Evaluate)?
        };
        directory.write_json(SUMMARY, &summary)?;
        Ok(Some(summary))
    }

    /// Writes changed baselines into the run's configuration.
    fn record_baselines(&self) -> Result<(), Error> {
        let mut stored = self.directory().config()?;
        if stored.network.beside == self.config().network.beside {
            return Ok(());
        }
        stored.network.beside = self.config().network.beside.clone();
        self.directory().write_config(&stored)
    }

    /// The run of a baseline, in all processes; `None` if there is nothing left to do.
    fn baseline(&self, network: PlainNetwork, observer: &mut dyn Observer) -> Result<Option<Self>, Error> {
        let mut led = None;
        let assignment = self.group().from_leader(|| {
            led = self.lead_baseline(network, observer)?;
            led.as_ref().map_or(Ok(Vec::new()), Self::assignment)
        })?;
        if led.is_some() || assignment.is_empty() {
            return Ok(led);
        }
        Ok(Self::assigned(
            &assignment,
            self.command().to_owned(),
            self.group().clone(),
        ))
    }

    fn lead_baseline(&self, network: PlainNetwork, observer: &mut dyn Observer) -> Result<Option<Self>, Error> {
        let config = match baseline_config(self.directory(), self.config(), network) {
            Err(Error::Search(error @ SearchError::LimitTooLow { .. })) => {
                let text = format!("the baseline {network} is left out: {error}");
                observer.on(Event::Warning(text.into()));
                return Ok(None);
            }
            config => config?,
        };
        let folder = baseline_folder(network);
        let path = self.directory().file(&folder);
        if let Some(stored) = stored(&path)? {
            let fits = stored
                .config()
                .is_ok_and(|stored| difference(&stored, &config).is_none());
            if fits && stored.has_file(SUMMARY) {
                return Ok(None);
            }
            if !fits {
                self.directory().remove(&folder)?;
            }
        }
        observer.on(Event::Baseline {
            network: network.name(),
            channels: config.network.shape.channels,
        });
        Ok(Some(self.beside(&path, config)?))
    }
}

/// The run in `path`, if there is one.
fn stored(path: &Path) -> Result<Option<RunDirectory>, Error> {
    match RunDirectory::read(path) {
        Err(Error::NotARun { .. }) => Ok(None),
        directory => directory.map(Some),
    }
}

/// The settings of the baseline `network` of the trained run of `config` in `directory`, with its
/// width.
///
/// # Errors
/// [`SearchError::LimitTooLow`] if even the narrowest network costs more than that of the run; if
/// the run's network is not trained.
pub fn baseline_config(directory: &RunDirectory, config: &Config, network: PlainNetwork) -> Result<Config, Error> {
    let mut config = baseline_of(config, network);
    config.network.shape.channels = match config.network.beside.baseline_width {
        Some(width) => {
            // Whatever it costs.
            config.target = TargetSpec {
                max_multiply_adds: None,
                max_parameters: None,
                max_size_bytes: None,
                max_ram_bytes: None,
                ..config.target
            };
            let [least, most] = CHANNELS;
            ((network.stem_channels() as f64 * width).round() as usize).clamp(least, most)
        }
        None => {
            let cost = genotype_file::stored_cost(directory)?;
            let mut target: TargetSpec = config.target.clone();
            match config.network.beside.baseline_match {
                None | Some(BaselineMatch::MultiplyAdds) => target.max_multiply_adds = Some(cost.multiply_adds),
                Some(BaselineMatch::Parameters) => target.max_parameters = Some(cost.parameters),
            }
            let images: Preprocessing = directory.read_json(PREPROCESSING, Stage::Train)?;
            let shape = ImageShape {
                channels: images.channels,
                height: images.image_size,
                width: images.image_size,
            };
            let size = config.network.shape.size(&config.space, shape, images.classes.len());
            widest_within(&target, &network.genotype(), size)?
        }
    };
    Ok(config)
}

/// The results of the run's baselines that are trained by its present recipe, beside its own
/// network's `evaluation`.
pub(super) fn trained(context: &Context<'_>, evaluation: &Evaluation) -> Result<Vec<Baseline>, Error> {
    let networks = context.config.network.beside.baselines.iter().flatten();
    let mut baselines = Vec::new();
    for network in networks {
        let Some(stored) = stored(&context.directory.file(&baseline_folder(network)))? else {
            continue;
        };
        let config = stored.config()?;
        let summary = stored.find_json::<Summary>(SUMMARY)?;
        let same_recipe = config.network.training == context.config.network.training;
        let Some(summary) = summary.filter(|_| same_recipe) else {
            continue;
        };
        let own: Evaluation = stored.read_json(EVALUATION, Stage::Evaluate)?;
        let channels = config.network.shape.channels as u64;
        baselines.push(Baseline::new(network.name(), channels, &summary, &own, evaluation));
    }
    Ok(baselines)
}
