//! Several networks from one search: at several widths and depths or within several limits, all
//! trained by the recipe of the run, and which of them are on the front of accuracy against cost.
//!
//! Contract: each network is a run of its own in a folder below the run's ([`super::below`]), named
//! after its channels, its cells or layers, and its epochs: a network that several requests lead to
//! is trained once, and one that an earlier request has trained is not trained again. The run's own
//! network counts among them if it is trained by the same recipe. Nothing is trained before the
//! whole request has been checked.

mod depth;
mod request;
mod timed;

pub use request::{FrontError, FrontRequest};

use da2s_engine::Engine;
use da2s_records::files::{EVALUATION, FRONT, GAP, SUMMARY, front as front_folder};
use da2s_records::schema::{Evaluation, Front, FrontPoint, LatencySource, Summary, TrainedNetwork};
use da2s_records::statistics::chance;

use super::below::Below;
use super::width::{is_too_low, widest_in_time, widest_within};
use super::{Error, Job, RunDirectory, genotype_file};
use crate::backbone::NetworkSize;
use crate::config::Config;
use crate::data::{Dataset, Part};
use crate::network::{
    BaselineSettings, LatencyError, LatencyTable, Limit, NetworkShape, Resource, channels_at, network,
};
use crate::observer::{Event, Observer};
use crate::retrain::InitialWeights;
use crate::search::SearchError;
use crate::space::{Genotype, Precision};
use crate::stage::Stage;

/// A network of the request.
struct Planned {
    name: String,
    /// What it was requested for.
    requested: Vec<String>,
    below: Below,
}

/// A trained network.
struct Trained {
    point: FrontPoint,
    genotype: Genotype,
    size: NetworkSize,
}

impl Job {
    /// Trains the networks of `request` that are not trained yet. Returns them, with the run's own
    /// network and those of earlier requests that were trained by the same recipe. Latencies are
    /// those of the run's table; there are none without a table, or if it lacks a block of one of
    /// the networks.
    ///
    /// # Errors
    /// [`FrontError`] and other problems with the request; those of [`Job::discretize`], which is
    /// called if the search is not discretized yet, of [`Job::train`] and of [`Job::evaluate`].
    pub fn front(&self, request: &FrontRequest, observer: &mut dyn Observer) -> Result<Front, Error> {
        request.check(self.config())?;
        let path = self.config().target.latency_table.as_deref();
        let table = path.map(LatencyTable::read).transpose()?;
        let genotype = self.searched(observer)?;
        let dataset = self.context().dataset()?;
        let planned = self.planned(request, &genotype, &dataset, table.as_ref(), observer)?;
        let own = self.own_name(&genotype)?;
        let networks = planned.len();
        for (place, one) in planned.iter().enumerate() {
            if own.as_ref() == Some(&one.name) {
                continue;
            }
            let began = Event::FrontNetwork {
                name: &one.name,
                place: place + 1,
                networks,
            };
            self.train_below(|observer| self.unless_trained(&one.below, began, observer), observer)?;
        }
        self.collected(&planned, own.is_some(), &dataset, table.as_ref(), observer)
    }

    /// Returns `below` and reports `began`; `None` if `below` is already trained.
    fn unless_trained(
        &self,
        below: &Below,
        began: Event<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Below>, Error> {
        if self.has_trained(below)? {
            return Ok(None);
        }
        observer.on(began);
        Ok(Some(below.clone()))
    }

    /// The genotype of the run's search, which is discretized if it is not yet.
    fn searched(&self, observer: &mut dyn Observer) -> Result<Genotype, Error> {
        match genotype_file::stored(self.directory())? {
            Some(stored) if stored.given => Err(FrontError::NoSearch {
                path: self.directory().path().to_owned(),
            }
            .into()),
            Some(stored) if self.directory().has_file(GAP) => Ok(stored.genotype),
            Some(_) | None => Ok(self.discretize(None, observer)?.genotype),
        }
    }

    /// The name of the run's own network, if it is trained by the recipe of the front.
    fn own_name(&self, genotype: &Genotype) -> Result<Option<String>, Error> {
        let mut stored = self.directory().config()?;
        let trained = self.directory().has_file(SUMMARY) && self.has_recipe_of(&stored);
        (_, stored.network.shape) = genotype_file::stored_network(self.directory(), &stored.network.shape)?;
        Ok(trained.then(|| name(&stored, genotype)))
    }

    fn has_recipe_of(&self, other: &Config) -> bool {
        other.network.training == self.config().network.training
    }

    /// The networks of `request`, each once.
    fn planned(
        &self,
        request: &FrontRequest,
        own: &Genotype,
        dataset: &Dataset,
        table: Option<&LatencyTable>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Planned>, Error> {
        let shape = &self.config().network.shape;
        let genotypes = match &request.depths[..] {
            [] => vec![own.clone()],
            depths => self.at_depths(depths, own, dataset, observer)?,
        };
        let cells = if request.cells.is_empty() {
            vec![shape.cells]
        } else {
            request.cells.clone()
        };
        let mut planned = Vec::new();
        for genotype in &genotypes {
            for &cells in &cells {
                let config = of_network(self.config(), shape.channels, cells);
                config.check()?;
                let mut widths = Vec::new();
                for &width in request.widths() {
                    widths.push((
                        channels_at(width, shape.channels).map_err(FrontError::from)?,
                        format!("width {width}"),
                    ));
                }
                for &limit in &request.limits {
                    let size = size_of(&config, dataset);
                    let what = format!("at most {}", limit.0.need(limit.1));
                    match widest(limit, config.target.precision, genotype, size, table) {
                        Ok(channels) => widths.push((channels, what)),
                        Err(error) if is_too_low(&error) => {
                            let why = match &error {
                                Error::Search(SearchError::LimitTooLow { least, .. }) => {
                                    format!("the narrowest network needs {}", limit.0.need(*least))
                                }
                                other => other.to_string(),
                            };
                            let text = format!("the network of {what} is left out: {why}");
                            observer.on(Event::Warning(text.into()));
                        }
                        Err(error) => return Err(error),
                    }
                }
                for (channels, requested) in widths {
                    let config = of_network(self.config(), channels, cells);
                    config.check()?;
                    add(&mut planned, config, genotype, requested);
                }
            }
        }
        if planned.is_empty() {
            return Err(FrontError::Empty.into());
        }
        Ok(planned)
    }

    /// All networks that are trained by the recipe of the front.
    fn collected(
        &self,
        planned: &[Planned],
        with_own: bool,
        dataset: &Dataset,
        table: Option<&LatencyTable>,
        observer: &mut dyn Observer,
    ) -> Result<Front, Error> {
        let mut trained: Vec<Trained> = Vec::new();
        if with_own {
            trained.extend(self.trained_in(".".to_owned(), self.directory(), dataset)?);
        }
        for folder in self.directory().entries(FRONT)? {
            let folder = front_folder(folder.to_string_lossy());
            let one = match self.trained_below(&folder, dataset) {
                // A folder with another name is a copy.
                Ok(one) => one.filter(|one| front_folder(&one.point.name) == folder),
                Err(error) => {
                    observer.on(Event::Warning(format!("{folder} is left out: {error}").into()));
                    None
                }
            };
            let is_new = |one: &Trained| trained.iter().all(|other| other.point.name != one.point.name);
            let one = one.filter(is_new);
            trained.extend(one);
        }
        for one in &mut trained {
            let of_request = planned.iter().find(|planned| planned.name == one.point.name);
            one.point.requested = of_request.map(|planned| planned.requested.clone()).unwrap_or_default();
        }
        let latency = predict(&mut trained, table, observer)?;
        let mut points: Vec<FrontPoint> = trained.into_iter().map(|one| one.point).collect();
        points.sort_by(|a, b| (a.trained.multiply_adds, &a.name).cmp(&(b.trained.multiply_adds, &b.name)));
        let config = self.config();
        let mut front = Front {
            dataset: Some(dataset.name.clone()),
            seed: Some(config.run.seed),
            epochs: config.network.training.epochs as u64,
            precision: config.target.precision.name().to_owned(),
            latency,
            chance: chance(&dataset.class_counts(Part::Test)),
            points,
        };
        front.mark();
        Ok(front)
    }

    /// The network of the run in `folder`, a folder of this run, if it is trained by the recipe of
    /// the front.
    fn trained_below(&self, folder: &str, dataset: &Dataset) -> Result<Option<Trained>, Error> {
        // Files and links are not networks: the table and the page of the front are files, and a
        // link may lead out of this run.
        if self.directory().expect_folder(folder).is_err() {
            return Ok(None);
        }
        match super::below::stored(&self.directory().file(folder))? {
            Some(run) => self.trained_in(folder.to_owned(), &run, dataset),
            None => Ok(None),
        }
    }

    /// The network of `run`, whose path relative to this run is `directory`, if it is trained by
    /// the recipe of the front.
    fn trained_in(&self, directory: String, run: &RunDirectory, dataset: &Dataset) -> Result<Option<Trained>, Error> {
        let mut config = run.config()?;
        let summary = run.find_json::<Summary>(SUMMARY)?;
        let summary = summary.filter(|_| self.has_recipe_of(&config));
        let Some((summary, stored)) = summary.zip(genotype_file::stored(run)?) else {
            return Ok(None);
        };
        let evaluation: Evaluation = run.read_json(EVALUATION, Stage::Evaluate)?;
        config.network.shape = stored.shape(&config.network.shape);
        let NetworkShape { channels, cells, .. } = config.network.shape;
        let depth = stored.genotype.cells.normal.depth();
        let point = FrontPoint {
            name: name(&config, &stored.genotype),
            directory,
            requested: Vec::new(),
            width: channels as f64 / self.config().network.shape.channels as f64,
            channels: channels as u64,
            cells: depth.is_empty().then_some(cells as u64),
            depth,
            trained: TrainedNetwork::new(&summary, &evaluation),
            at_chance: false,
            on_front: Default::default(),
        };
        Ok(Some(Trained {
            point,
            size: size_of(&config, dataset),
            genotype: stored.genotype,
        }))
    }
}

/// Adds a network; if it is among the `planned` already, only adds `requested` to it.
fn add(planned: &mut Vec<Planned>, config: Config, genotype: &Genotype, requested: String) {
    let name = name(&config, genotype);
    match planned.iter_mut().find(|other| other.name == name) {
        Some(other) => other.requested.push(requested),
        None => planned.push(Planned {
            below: Below {
                folder: front_folder(&name),
                config,
                genotype: genotype.clone(),
            },
            name,
            requested: vec![requested],
        }),
    }
}

/// `c16-n5-e30`: 16 channels, 5 cells, 30 epochs; `c16-d2.3-e30`: stages that keep 2 and 3 layers.
fn name(config: &Config, genotype: &Genotype) -> String {
    let NetworkShape { channels, cells, .. } = config.network.shape;
    let epochs = config.network.training.epochs;
    let depth = genotype.cells.normal.depth();
    if depth.is_empty() {
        return format!("c{channels}-n{cells}-e{epochs}");
    }
    let depth: Vec<String> = depth.iter().map(usize::to_string).collect();
    format!("c{channels}-d{}-e{epochs}", depth.join("."))
}

/// The settings of a network on the front of a run with `config`. The limits of the run's target
/// do not apply to it.
fn of_network(config: &Config, channels: usize, cells: usize) -> Config {
    let mut config = Config {
        target: config.target.without_limits(),
        ..config.clone()
    };
    config.network.shape.channels = channels;
    config.network.shape.cells = cells;
    config.network.training.initial_weights = InitialWeights::Random;
    config.network.beside = BaselineSettings::default();
    config
}

/// The sizes of the deployed network of `config`.
fn size_of(config: &Config, dataset: &Dataset) -> NetworkSize {
    NetworkSize {
        auxiliary: false,
        ..config
            .network
            .shape
            .size(&config.space, dataset.shape, dataset.classes())
    }
}

/// The largest width within `limit`.
fn widest(
    limit: Limit,
    precision: Precision,
    genotype: &Genotype,
    size: NetworkSize,
    table: Option<&LatencyTable>,
) -> Result<usize, Error> {
    match limit {
        (Resource::Latency, limit_ms) => {
            let table = table.ok_or(FrontError::NoTable)?;
            widest_in_time((table, limit_ms), &[], precision, genotype, &size)
        }
        limit => widest_within(&[limit], precision, genotype, size),
    }
}

/// Predicts the latency of every network from `table`. If it lacks a block of any network, no
/// latency is predicted.
fn predict(
    trained: &mut [Trained],
    table: Option<&LatencyTable>,
    observer: &mut dyn Observer,
) -> Result<Option<LatencySource>, Error> {
    let mut latencies = Vec::new();
    for Trained { genotype, size, .. } in trained.iter() {
        let Some(table) = table else { break };
        let network = network(genotype, size.clone(), &Engine::Plain)?;
        match table.of_network(&network, size.image_size) {
            Ok(ms) => latencies.push(ms),
            Err(error @ LatencyError::Missing { .. }) => {
                let text = format!("no latency is predicted: {error}");
                observer.on(Event::Warning(text.into()));
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let all = latencies.len() == trained.len();
    for (at, one) in trained.iter_mut().enumerate() {
        one.point.trained.on_device.latency_ms = latencies.get(at).copied().filter(|_| all);
    }
    Ok(table.filter(|_| all).map(|table| LatencySource {
        measured: false,
        threads: table.conditions.threads,
        engine: table.conditions.engine.clone(),
        machine: table.conditions.machine.clone(),
    }))
}
