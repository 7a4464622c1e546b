//! The stage `discretize`: the genotype of a finished search and what pruning to it costs.

use serde::{Deserialize, Serialize};

use super::{Context, searching};
use crate::discretize::{CellGenotype, Decision, Gap, Genotype, measure_gap};
use crate::error::Error;
use crate::network::{Cost, NetworkSize, cost, network};
use crate::objective::Target;
use crate::observer::{Event, Observer, Stage};
use crate::search::Search;

pub(super) const GENOTYPE: &str = "genotype.json";
pub(super) const GAP: &str = "gap.json";

/// What discretization came to.
#[derive(Clone, Debug)]
pub struct Discretized {
    /// What stays.
    pub genotype: Genotype,
    /// What it costs; none for a genotype that was given.
    pub gap: Option<Gap>,
    /// How decided the mixture was; as given, a genotype is decided.
    pub decision: Decision,
    /// Size of the final network.
    pub cost: Cost,
}

/// `genotype.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct GenotypeFile {
    pub(super) space: String,
    /// The text of DARTS.
    pub(super) genotype: String,
    pub(super) cells: Cells,
    pub(super) target: Target,
    pub(super) decided: bool,
    /// None for a genotype that was given.
    pub(super) p_least: Option<f32>,
    pub(super) q_least: Option<f32>,
    pub(super) undecided: Vec<String>,
    pub(super) parameters: u64,
    pub(super) multiply_adds: u64,
}

/// The cells of a genotype.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cells {
    pub(super) normal: CellGenotype,
    pub(super) reduction: CellGenotype,
}

/// Discretizes the finished search of a run, or takes `given`, and measures the gap of the former.
///
/// # Errors
/// If the search is not finished; whatever is wrong with settings, images, device or files.
pub fn discretize(
    context: &Context<'_>,
    given: Option<&Genotype>,
    observer: &mut dyn Observer,
) -> Result<Discretized, Error> {
    let (device, engine) = context.device()?;
    let dataset = context.dataset()?;
    let search = Search::new(context.config, &dataset, &device, &engine)?;
    observer.on(Event::Started {
        stage: Stage::Discretize,
        epochs: 0,
        resumed_at: 0,
    });
    let directory = context.directory;

    let (genotype, decision, gap) = match given {
        Some(genotype) => {
            directory.remove(GAP)?;
            (
                genotype.clone(),
                Decision {
                    p_mean: 1.0,
                    p_least: 1.0,
                    q_mean: 1.0,
                    q_least: 1.0,
                    undecided: Vec::new(),
                },
                None,
            )
        }
        None => {
            let state = searching::finished(context, &search, &device)?;
            let outcome = search.outcome(&state);
            let (held_out, calibration) = search.gap_loaders();
            let gap = measure_gap(&search.pruned(&state, &outcome), held_out, calibration, &device)?;
            let [normal, reduction] = outcome.decisions;
            (outcome.genotype, join(normal, reduction), Some(gap))
        }
    };
    if let Some((first, rest)) = decision.undecided.split_first() {
        let more = if rest.is_empty() {
            String::new()
        } else {
            format!(" and {} more", rest.len())
        };
        observer.on(Event::Warning(format!(
            "the search ended undecided ({first}{more}): pruning may cost accuracy; give it more steps, higher \
             search.alpha_rate and search.beta_rate, or, for da2s, a higher search.regulariser.lambda",
        )));
    }
    let cost = cost(
        &network(&genotype, network_size(context, &dataset), &engine)?,
        dataset.shape.height,
    );
    let file = GenotypeFile {
        space: "darts".to_owned(),
        genotype: genotype.to_string(),
        cells: Cells {
            normal: genotype.normal.clone(),
            reduction: genotype.reduction.clone(),
        },
        target: search.target.clone(),
        decided: decision.undecided.is_empty(),
        p_least: gap.is_some().then_some(decision.p_least),
        q_least: gap.is_some().then_some(decision.q_least),
        undecided: decision.undecided.clone(),
        parameters: cost.parameters,
        multiply_adds: cost.multiply_adds,
    };
    directory.write_json(GENOTYPE, &file)?;
    if let Some(gap) = &gap {
        directory.write_json(GAP, gap)?;
        observer.on(Event::Gap(gap));
    }
    Ok(Discretized {
        genotype,
        gap,
        decision,
        cost,
    })
}

/// Sizes of the final network of a run.
pub(super) fn network_size(context: &Context<'_>, dataset: &crate::data::Dataset) -> NetworkSize {
    let settings = &context.config.network;
    NetworkSize {
        skeleton: settings.skeleton,
        channels: settings.channels,
        cells: settings.cells,
        image_channels: dataset.shape.channels,
        image_size: dataset.shape.height,
        classes: dataset.classes(),
        auxiliary: settings.auxiliary,
    }
}

fn join(normal: Decision, reduction: Decision) -> Decision {
    Decision {
        p_mean: (normal.p_mean + reduction.p_mean) / 2.0,
        p_least: normal.p_least.min(reduction.p_least),
        q_mean: (normal.q_mean + reduction.q_mean) / 2.0,
        q_least: normal.q_least.min(reduction.q_least),
        undecided: normal.undecided.into_iter().chain(reduction.undecided).collect(),
    }
}
