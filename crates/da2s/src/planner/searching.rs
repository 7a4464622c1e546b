//! The search as a choice of the solver: its sizes, its numbers of epochs, and its times with those
//! of the discretization.

use da2s_engine::Engine;

use super::cost::{EdgeWork, ImageCounts, SearchRates, SearchWork};
use super::epochs::Epochs;
use super::ladder::{CHANNEL_STEP, Ladder, sizes};
use super::measure::Measure;
use super::solve::{Choice, Chosen};
use super::{Goal, Lesson, PlanError};
use crate::config::Config;
use crate::discretize::{Decisions, KindStrengths, MOST_EXAMINED, Rule};
use crate::network::cost;
use crate::search::{Drive, SearchError};
use crate::space::PerKind;
use crate::supernet::supernet;

/// The minimum numbers of epochs and of steps in a search. Then a good number of epochs, the fewest
/// steps that these should have, and a number of steps that is always enough (see
/// `Epochs::of_steps`).
const EPOCHS: ([usize; 2], [usize; 3]) = ([4, 40], [20, ENOUGH_STEPS, 10_000]);
/// A search of fewer steps is short.
pub(super) const ENOUGH_STEPS: usize = 400;
/// The most epochs of a search in a given time: twice those of DARTS.
const MOST_EPOCHS: usize = 100;
/// Share of a given time for the gaps of single edges, which change nothing about the network.
const EDGE_SHARE: f64 = 1.0 / 25.0;
/// The fewest images for them, however long that takes.
const FEWEST_EDGE_IMAGES: usize = 16;

/// The search.
pub(super) struct Searching<'a> {
    config: Config,
    ladder: Ladder,
    epochs: Epochs,
    /// Whether the warm-up follows the number of epochs.
    scales_warmup: bool,
    /// Stages of the search, each with its warm-up.
    stages: usize,
    /// Time for the gaps of single edges, if their number of images may be chosen.
    edges_s: Option<f64>,
    work: SearchWork,
    measure: Measure<'a>,
}

impl<'a> Searching<'a> {
    /// # Errors
    /// If there is nothing to search, or the target does not fit the space.
    pub fn new(
        config: &Config,
        goal: Option<&Goal>,
        images: &ImageCounts,
        measure: Measure<'a>,
    ) -> Result<Self, PlanError> {
        let (inputs, settings) = (measure.inputs, &config.search);
        let space = config.space.build();
        if !space.name.is_searched() {
            return Err(SearchError::NotSearched(space.name.name()).into());
        }
        config.target.resolve(&space).map_err(SearchError::from)?;
        let may = |key| goal.is_some_and(|goal| goal.freedom.may(key));
        // Channels divide evenly in every stage, and are even.
        let plans = settings.stage_plans(space.operations.len());
        let unit = plans.iter().map(|plan| settings.partial_in(*plan)).fold(2, lcm);
        let wide = lcm(CHANNEL_STEP, unit);
        let multiple = if wide < settings.channels { wide } else { unit };
        let free = ["search.channels", "search.cells"].map(may);
        let all = sizes([settings.channels, settings.cells], free, multiple);
        let mut own = Self {
            config: config.clone(),
            ladder: Ladder::default(),
            epochs: Epochs::fixed(settings.epochs),
            scales_warmup: may("search.warmup_epochs") && may("search.epochs"),
            stages: plans.len(),
            edges_s: goal
                .filter(|goal| !goal.at_most && may("discretize.edge_images"))
                .map(|goal| EDGE_SHARE * goal.time_s),
            work: SearchWork {
                read_s: inputs.read_s,
                steps: (images.weights / settings.batch_size).max(1),
                monitored: some(settings.monitor_images, images.arch),
                gap: [images.arch, images.weights],
                by_edge: by_edge(config, images.arch),
                by_rule: by_rule(config, images.arch),
                tuned: tuned(config, images.arch),
            },
            measure,
        };
        for size in all {
            let sized = own.sized(size);
            // The user only needs an error about the size in the settings, which is the first one.
            if !own.ladder.is_empty() && sized.check().is_err() {
                continue;
            }
            let dataset = inputs.dataset;
            let network = sized.search.size(&sized.space, dataset.shape, dataset.classes());
            let backbone = supernet(&space, network, settings.partial(), &Engine::Plain);
            let multiply_adds = cost(&backbone, dataset.shape.height).multiply_adds.max(1);
            own.ladder.push(size, multiply_adds as f64);
        }
        if let Some(goal) = goal.filter(|_| may("search.epochs")) {
            let most = if goal.at_most { settings.epochs } else { MOST_EPOCHS };
            let (least, good) = EPOCHS;
            let shortest = if own.scales_warmup {
                2
            } else {
                settings.warmup_epochs + 1
            };
            let shortest = own.stages * shortest;
            let most = most.max(shortest);
            let epochs = Epochs::of_steps(own.work.steps, [least[0].max(shortest), least[1]], good, most);
            own.epochs = epochs;
        }
        Ok(own)
    }

    fn sized(&self, [channels, cells]: [usize; 2]) -> Config {
        let mut config = self.config.clone();
        (config.search.channels, config.search.cells) = (channels, cells);
        config
    }

    /// The warm-up of a search of `epochs`: the same share of it as in the settings.
    fn warmup(&self, epochs: usize) -> usize {
        let settings = &self.config.search;
        if !self.scales_warmup || settings.warmup_epochs == 0 {
            return settings.warmup_epochs;
        }
        let share = settings.warmup_epochs as f64 / settings.epochs as f64;
        let warmup = (share * epochs as f64).round() as usize;
        warmup.clamp(1, (epochs / self.stages).saturating_sub(1).max(1))
    }

    fn searched_s(&self, rates: &SearchRates, epochs: usize) -> f64 {
        let still = self.stages * self.warmup(epochs).saturating_sub(1);
        self.work.search_s(rates, epochs, still)
    }

    /// The work with as many images for the gaps of single edges as there is time for: those of
    /// the settings, or fewer, halved until they fit.
    fn work_with(&self, rates: &SearchRates) -> SearchWork {
        let by_edge = self.work.by_edge;
        SearchWork {
            by_edge: match self.edges_s {
                Some(edges_s) => by_edge.within(edges_s, rates.image_s[0], FEWEST_EDGE_IMAGES),
                None => by_edge,
            },
            ..self.work
        }
    }

    /// Writes what was chosen into `config`.
    pub fn apply(&self, config: &mut Config, chosen: &Chosen<SearchRates>) {
        [config.search.channels, config.search.cells] = self.ladder.size(chosen.size);
        config.search.epochs = chosen.epochs;
        config.search.warmup_epochs = self.warmup(chosen.epochs);
        let images = self.work_with(&chosen.rates).by_edge.images;
        if images != self.work.by_edge.images {
            config.discretize.edge_images = images;
        }
    }

    /// Times of the search and of the discretization.
    pub fn times(&self, chosen: &Chosen<SearchRates>) -> [f64; 2] {
        [
            self.searched_s(&chosen.rates, chosen.epochs),
            self.work_with(&chosen.rates).discretize_s(&chosen.rates),
        ]
    }

    pub fn lesson(&self, chosen: &Chosen<SearchRates>) -> Lesson {
        let steps = [chosen.epochs, self.work.steps, self.config.search.batch_size];
        let lesson = self.ladder.lesson(chosen.size, steps, chosen.rates.step_s);
        // Like the multiply-adds, the number of cells is that of the last stage.
        let cells = self.sized(self.ladder.size(chosen.size)).search.last_cells();
        let depth = self.config.space.build().graph.stages().collect();
        let is_short = chosen.epochs * self.work.steps < ENOUGH_STEPS && chosen.epochs < self.epochs.most;
        Lesson {
            cells,
            depth,
            is_short,
            ..lesson
        }
    }
}

/// The least common multiple of two numbers that are not 0.
fn lcm(a: usize, b: usize) -> usize {
    let (mut greatest, mut rest) = (a, b);
    while rest > 0 {
        (greatest, rest) = (rest, greatest % rest);
    }
    a / greatest * b
}

/// `images` of the `arch` held-out ones; 0 is all.
fn some(images: usize, arch: usize) -> usize {
    if images == 0 { arch } else { images.min(arch) }
}

/// Evaluations by the gaps of single edges.
fn by_edge(config: &Config, arch: usize) -> EdgeWork {
    let space = config.space.build();
    match config.discretize.edge_images {
        0 => EdgeWork::default(),
        images => EdgeWork {
            networks: 2 * space.graph.edge_count() * space.kinds().len() + 1,
            images: some(images, arch),
            // The path leaves no choice undecided.
            undecided: match config.search.drive() {
                Drive::Path => 0,
                _ => MOST_EXAMINED * arch,
            },
        },
    }
}

/// Evaluations of single images by the rule: each operation of each edge, then each edge.
fn by_rule(config: &Config, arch: usize) -> usize {
    let space = config.space.build();
    match config.discretize.rule {
        Rule::Strongest => 0,
        _ => {
            let choices = space.kinds().len() * space.graph.edge_count() * (space.operations.len() + 1);
            choices * some(config.discretize.rule_images, arch)
        }
    }
}

/// Number of epochs of tuning after all decisions of the rule, and number of images that are
/// evaluated after each epoch. With a limit on skip connections everything may be decided twice.
fn tuned(config: &Config, arch: usize) -> [usize; 2] {
    let (settings, space) = (&config.discretize, config.space.build());
    let by_rule = some(settings.rule_images, arch);
    let (Some(epochs), Ok(target)) = (settings.tuning(), config.target.resolve(&space)) else {
        return [0, by_rule];
    };
    let even = PerKind::new(space.kinds(), |_| KindStrengths::even(&space));
    let [decisions, _] = Decisions::new(even, &space, &target).counts();
    let times = 1 + usize::from(target.normal.most_skips.is_some());
    [times * epochs * decisions, by_rule]
}

impl Choice for Searching<'_> {
    type Rates = SearchRates;

    fn work(&self) -> &[f64] {
        &self.ladder.multiply_adds
    }

    fn epochs(&self) -> Epochs {
        self.epochs
    }

    fn time_s(&self, rates: &SearchRates, epochs: usize) -> f64 {
        self.searched_s(rates, epochs) + self.work_with(rates).discretize_s(rates)
    }

    fn scaled(rates: &SearchRates, factor: f64) -> SearchRates {
        SearchRates {
            warmup_step_s: factor * rates.warmup_step_s,
            step_s: factor * rates.step_s,
            image_s: rates.image_s.map(|image_s| factor * image_s),
        }
    }

    fn measure(&mut self, size: usize) -> Result<SearchRates, PlanError> {
        let (rates, needs) = self.measure.search(&self.sized(self.ladder.size(size)))?;
        self.ladder.needs(size, needs);
        Ok(rates)
    }
}
