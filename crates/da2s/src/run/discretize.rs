//! The stage `discretize`: the genotype of a finished search and the cost of pruning to it.

use burn::tensor::Device;
use da2s_records::files::{
    BASELINES, BEST, COST, DRAWINGS, EDGE_GAPS, ENVIRONMENT, EXPORT, FRONT, GAP, GENOTYPE, NETWORK, NETWORK_CHECKPOINT,
    REPORT, SEARCH_CHECKPOINT, SEEDS, SUMMARY, SUSPECTS,
};
use da2s_records::schema::{Costs, EdgeGaps, Gap, GenotypeFile, Widened};
use da2s_records::statistics::{chance, interval_of};

use super::mirrored::tell_mirrored;
use super::{Context, Error, RunDirectory, genotype_file, search, tuning, width};
use crate::backbone::NetworkSize;
use crate::data::Part;
use crate::discretize::{Decision, MOST_EXAMINED, Pruned, Rule, measure_edge_gaps, measure_gap};
use crate::finite::NotFinite;
use crate::hint::Hint;
use crate::network::{Cost, LatencyTable, Resource, cost, cost_parts, network};
use crate::observer::{Event, Observer, Warning};
use crate::search::{Drive, Method, Search, SearchError};
use crate::space::{Genotype, GenotypeError, Operation, Precision, Space, TargetSpec};
use crate::stage::Stage;

/// The result of discretization.
#[derive(Clone, Debug)]
pub struct Discretized {
    /// What is kept.
    pub genotype: Genotype,
    /// Its cost in accuracy; `None` for a given genotype.
    pub gap: Option<Gap>,
    /// How decided the mixture was; a given genotype is always decided.
    pub decision: Decision,
    /// Size of the final network.
    pub cost: Cost,
    /// How the final network was widened after the search; `None` if it was not.
    pub widened: Option<Widened>,
}

/// The genotype that replaces the search of a run: `asked`, or the one with which it was created.
///
/// # Errors
/// If the run has a genotype other than `asked`, or its file cannot be read.
pub(crate) fn given_genotype(directory: &RunDirectory, asked: Option<Genotype>) -> Result<Option<Genotype>, Error> {
    let Some(stored) = genotype_file::stored(directory)? else {
        return Ok(asked);
    };
    if asked.is_some_and(|asked| asked != stored.genotype) {
        return Err(Error::Mismatch {
            path: directory.file(GENOTYPE),
            problem: "the run has another genotype".to_owned(),
            hints: &[Hint::OtherDirectory],
        });
    }
    Ok(stored.given.then_some(stored.genotype))
}

/// Discretizes the finished search of a run and measures its gap, or uses the genotype `given`. If
/// it is stopped, the results of the run are unchanged; a tuning leaves its state in `tuning/`, and
/// its settings in the configuration of a run that was not discretized before.
///
/// # Errors
/// [`EvaluateError::Stopped`](crate::evaluate::EvaluateError::Stopped) if the observer requests a
/// stop; if the search is not finished; any problem with settings, images, device or files.
/// [`Error::OverLimit`] if the network is larger than the target allows. If its genotype was given,
/// or if the search was discretized before, the results are then unchanged. Otherwise the genotype
/// is written, but not the gap, which marks this stage as complete.
pub fn discretize(
    context: &Context<'_>,
    given: Option<&Genotype>,
    observer: &mut dyn Observer,
) -> Result<Discretized, Error> {
    let (device, engine) = context.device()?;
    let dataset = context.dataset()?;
    let (space, setup) = (context.config.space.build(), context.config.search_setup()?);
    let target = context.config.target.resolve(&space).map_err(SearchError::from)?;
    observer.on(Event::Started {
        stage: Stage::Discretize,
        epochs: 0,
        resumed_at: 0,
    });
    let directory = context.directory;

    let (genotype, mut decision, found) = match given {
        Some(genotype) => {
            of_space(genotype, &space)?;
            quantisable(genotype, &context.config.target)?;
            let decision = Decision {
                p_mean: 1.0,
                p_least: 1.0,
                q_mean: 1.0,
                q_least: 1.0,
                undecided: Vec::new(),
            };
            (genotype.clone(), decision, None)
        }
        None => {
            // With a given genotype, no search is created, so it need not fit the images.
            let search = Search::new(&setup, &dataset, &device, &engine)?;
            let state = search::finished(context, &search, &device, observer)?;
            state
                .arch
                .check_finite()
                .map_err(|NotFinite { what, value }| Error::Damaged {
                    path: directory.file(SEARCH_CHECKPOINT),
                    problem: format!(
                        "{what} are {value}: the search diverged in its last steps; search again with lower rates"
                    ),
                })?;
            let (outcome, tuned) = match context.config.discretize.tuning() {
                Some(epochs) => {
                    // If the tuning is stopped, the command that continues it uses these settings.
                    // A run that was discretized keeps the rule of its genotype until it has
                    // another genotype.
                    if !directory.has_file(GAP) {
                        record_rule(context)?;
                    }
                    let (outcome, accuracy) = tuning::tuned(context, (&search, &state), epochs, observer)?;
                    (outcome, Some(accuracy))
                }
                None => {
                    tuning::warn_of_unfinished(context, observer);
                    let rule = context.config.discretize.rule.build();
                    (search.discretized(&state, &*rule, &|| observer.stop())?, None)
                }
            };
            if context.config.discretize.rule == Rule::Strongest && search.gives_way(&state) {
                let text = "the strongest network is above the limits of the target: its most expensive operations \
                    give way to cheaper ones, and the gap includes the accuracy that this costs; with search.drive = \
                    \"path\" or a larger search.limit_weight the search itself adapts";
                observer.on(Event::Warning(text.to_owned().into()));
            }
            let decision = Decision::join(outcome.decisions.values().cloned());
            (
                outcome.genotype.clone(),
                decision,
                Some((search, state, outcome, tuned)),
            )
        }
    };
    let image_size = dataset.shape.height;
    let path = context.config.target.latency_table.as_deref();
    let table = path.map(LatencyTable::read).transpose()?;
    let own = network_size(context, &dataset);
    let of_width = |channels: usize| {
        let size = NetworkSize {
            channels,
            ..own.clone()
        };
        let network = network(&genotype, size, &engine)?;
        let mut cost = cost(&network, image_size);
        if let Some(table) = &table {
            cost.on_device.latency_ms = Some(table.of_network(&network, image_size)?);
        }
        Ok::<_, Error>((network, cost))
    };
    let (mut network, mut cost) = of_width(own.channels)?;
    let allowed = match within_limits(&context.config.target, cost, given.is_none()) {
        Err(error) if given.is_some() || directory.has_file(GAP) => return Err(error),
        allowed => allowed,
    };
    let mut widened = None;
    if found.is_some()
        && allowed.is_ok()
        && let Some(channels) = width::wider_or_warn(context.config, table.as_ref(), &genotype, &own, observer)?
    {
        (network, cost) = of_width(channels)?;
        within_limits(&context.config.target, cost, true)?;
        widened = Some(width::widened(&context.config.target, &cost, [own.channels, channels]));
    }
    let mut measured = None;
    match &found {
        Some((search, state, outcome, tuned)) if allowed.is_ok() => {
            let pruned = search.pruned(state, outcome);
            let (gap, edges) = measure(search, &pruned, &mut decision, &device, &|| observer.stop())?;
            if let Some(text) = of_chance(&gap, &dataset.class_counts(Part::Train)) {
                observer.on(Event::Warning(text.into()));
            }
            let removed = search.removed_gap(state);
            let tuned = *tuned;
            measured = Some((Gap { removed, tuned, ..gap }, edges));
        }
        Some(_) => {}
        None => {
            // Without a search, nothing else records how the run was created.
            if !directory.has_file(ENVIRONMENT) {
                context.write_environment(&dataset, &engine, observer)?;
                if !context.is_below {
                    tell_mirrored(context, &dataset, false, observer);
                }
            }
        }
    }
    for (kind, cell) in genotype.cells.iter() {
        let mut operations = cell.edges.iter().flat_map(|edge| &edge.operations);
        if operations.all(|operation| matches!(operation, Operation::SkipConnect | Operation::None)) {
            let text = format!(
                "the {} cells consist of skip connections only: nothing in them is learned",
                kind.name()
            );
            observer.on(Event::Warning(text.into()));
        }
    }
    if let Some((first, rest)) = decision.undecided.split_first() {
        let more = if rest.is_empty() {
            String::new()
        } else {
            format!(", and {}", da2s_records::counted(rest.len(), "more choice"))
        };
        let text = format!("{}{more}", first.text);
        observer.on(Event::Warning(match context.config.discretize.rule {
            // This method draws the genotype at random, and no mixture is ever decided.
            _ if context.config.search.method == Method::Random => {
                format!("the method random draws its genotype, so the mixture is not decided ({text})").into()
            }
            Rule::Strongest => Warning {
                text: format!("the search ended undecided ({text})"),
                hints: decisive(context),
            },
            // A longer search would not change what another rule measures.
            rule => format!(
                "the rule {} keeps choices that the search had not decided on ({text})",
                rule.name()
            )
            .into(),
        }));
    }
    let file = genotype_file::record(
        (&space, &target),
        &genotype,
        &decision,
        found.is_some(),
        (cost, widened.clone()),
    );
    // At every moment the existing results belong to the stored genotype, even if this is stopped.
    // The gap is written last: a run with a gap is discretized.
    for name in [GAP, EDGE_GAPS, COST] {
        directory.remove(name)?;
    }
    remove_results_of_others(directory, &file, observer)?;
    if found.is_some() {
        record_rule(context)?;
    }
    directory.write_json(GENOTYPE, &file)?;
    let parts = cost_parts(&network, genotype.space(), image_size);
    let costs = Costs {
        image_size: Some(image_size),
        parts,
    };
    directory.write_json(COST, &costs)?;
    // A network above the limit is recorded, but nothing is measured.
    allowed?;
    let (gap, edge_gaps) = measured.unzip();
    if let Some(edge_gaps) = edge_gaps.flatten() {
        directory.write_json(EDGE_GAPS, &edge_gaps)?;
    }
    if let Some(gap) = &gap {
        directory.write_json(GAP, gap)?;
        observer.on(Event::Gap(gap));
    }
    if let Some(widened) = &widened {
        observer.on(Event::Widened(widened));
    }
    Ok(Discretized {
        genotype,
        gap,
        decision,
        cost,
        widened,
    })
}

/// The undecided edges of a discretized search in words; `None` if a result is missing or damaged.
pub(super) fn known_undecided(context: &Context<'_>) -> Option<Vec<String>> {
    let directory = context.directory;
    if context.config.discretize.edge_images > 0 {
        directory.find_json::<EdgeGaps>(EDGE_GAPS).ok()??;
    }
    directory.find_json::<Costs>(COST).ok()??;
    directory.find_json::<Gap>(GAP).ok()??;
    Some(directory.find_json::<GenotypeFile>(GENOTYPE).ok()??.undecided)
}

/// With fewer held-out images, chance alone may give nearly any accuracy.
const ENOUGH_FOR_CHANCE: u64 = 100;

/// The warning about a super-network that may have learned nothing: its gap is then small whatever
/// is pruned. `counts` are the numbers of training images of each class.
fn of_chance(gap: &Gap, counts: &[usize]) -> Option<String> {
    let chance = chance(counts)?;
    let (accuracy, images) = (gap.as_trained.supernet?, gap.images?);
    let [least, _] = interval_of(accuracy, images)?;
    if images < ENOUGH_FOR_CHANCE || least > chance {
        return None;
    }
    let uneven = if chance > 50.0 {
        "; for uneven classes, set data.class_weights in a new run"
    } else {
        ""
    };
    Some(format!(
        "the super-network has {accuracy:.2} %, which is not significantly more than always choosing the most frequent \
         class ({chance:.2} %), so its gap says little: search for more epochs{uneven}"
    ))
}

/// The gap of a search as a whole. Unless `discretize.edge_images` disables it, also the gap of
/// each edge, and in `decision` the cost of each of the least decided choices.
fn measure(
    search: &Search,
    pruned: &Pruned<'_>,
    decision: &mut Decision,
    device: &Device,
    stop: &dyn Fn() -> bool,
) -> Result<(Gap, Option<EdgeGaps>), Error> {
    let (held_out, calibration) = search.gap_loaders();
    let gap = measure_gap(pruned, held_out, calibration, device, stop)?;
    let Some(edge_images) = search.edge_loader() else {
        return Ok((gap, None));
    };
    for one in decision.undecided.iter_mut().take(MOST_EXAMINED) {
        let accuracy = pruned.accuracy_deciding(one, held_out, device, stop)?;
        let cost = gap.as_trained.supernet.unwrap_or(f64::NAN) - accuracy;
        let what = if one.operations {
            "pruning that alone"
        } else {
            "deciding all edges into its node"
        };
        one.text = format!("{}; {what} costs {cost:.2} points", one.text);
    }
    let edge_gaps = measure_edge_gaps(pruned, edge_images, device, stop)?;
    Ok((gap, Some(edge_gaps)))
}

/// Hints for a search that ended undecided.
fn decisive(context: &Context<'_>) -> Vec<Hint> {
    let mut hints = vec![
        Hint::Set("search.extra_epochs", "0.5"),
        Hint::Raise(&["search.alpha_rate", "search.beta_rate"]),
    ];
    let searching = &context.config.search;
    let takes_path = searching.method.build(searching).refuses(Drive::Path).is_none();
    if searching.drive() != Drive::Path && takes_path {
        // The path always decides every choice.
        hints.push(Hint::Set("search.drive", "path"));
    }
    hints
}

/// Writes a changed rule, and how long it tunes, into the run's configuration.
fn record_rule(context: &Context<'_>) -> Result<(), Error> {
    let mut config = context.directory.config()?;
    let (stored, asked) = (&mut config.discretize, &context.config.discretize);
    if (stored.rule, stored.tuning_epochs) == (asked.rule, asked.tuning_epochs) {
        return Ok(());
    }
    (stored.rule, stored.tuning_epochs) = (asked.rule, asked.tuning_epochs);
    context.directory.write_config(&config)
}

/// Refuses a genotype of another family than `space`: its network would have another skeleton than
/// the run's, or layers that no export of the skeleton supports.
pub(super) fn of_space(genotype: &Genotype, space: &Space) -> Result<(), Error> {
    let refused = |problem: String| Error::Genotype {
        path: None,
        error: GenotypeError::whole(problem),
    };
    if genotype.space() != space.name {
        return Err(refused(format!(
            "it is not one of the space {}, which this run searches",
            space.name.name()
        )));
    }
    let stages: Vec<usize> = space.graph.stages().collect();
    if genotype.cells.normal.stages != stages {
        return Err(refused(format!(
            "its stages have {:?} layers, but those of this run {stages:?}: set space.stages",
            genotype.cells.normal.stages
        )));
    }
    let edges = genotype.cells.values().flat_map(|cell| &cell.edges);
    let mut operations = edges.flat_map(|edge| &edge.operations);
    match operations.find(|&&operation| !space.name.has(operation)) {
        Some(operation) => Err(refused(format!(
            "the operation {operation} is not one of the space {}",
            space.name.name()
        ))),
        None => Ok(()),
    }
}

/// Refuses a genotype that has no int8 network if the network is to be deployed in int8.
fn quantisable(genotype: &Genotype, target: &TargetSpec) -> Result<(), Error> {
    let edges = genotype.cells.values().flat_map(|cell| &cell.edges);
    let mut operations = edges.flat_map(|edge| &edge.operations);
    match operations.find(|operation| operation.squeezes()) {
        Some(operation) if target.precision == Precision::Int8 => Err(Error::Genotype {
            path: None,
            error: GenotypeError::whole(format!(
                "there are no int8 kernels for squeeze-and-excitation, which {operation} has: set target.precision \
                 to \"float32\""
            )),
        }),
        _ => Ok(()),
    }
}

/// Removes the stored results if they belong to another genotype or width than those in `file`, so
/// that they are not taken for results of the new network: summary and report, and the trained
/// network with its exports and drawings. Warns if a trained network is removed.
fn remove_results_of_others(
    directory: &RunDirectory,
    file: &GenotypeFile,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let (same_network, same_gap) = match directory.find_json::<GenotypeFile>(GENOTYPE) {
        Ok(Some(stored)) => {
            let channels = |file: &GenotypeFile| file.widened.as_ref().map(|widened| widened.channels);
            let same = stored.genotype == file.genotype && channels(&stored) == channels(file);
            (same, same && stored.p_least.is_some() == file.p_least.is_some())
        }
        // Weights record the genotype that they belong to.
        Ok(None) => (true, false),
        // Without a readable genotype it is unknown what the results belong to.
        Err(Error::Damaged { .. }) => (false, false),
        Err(error) => return Err(error),
    };
    if !same_gap {
        directory.remove(SUMMARY)?;
        directory.remove(REPORT)?;
    }
    if !same_network {
        if [NETWORK_CHECKPOINT, BEST].iter().any(|name| directory.has_file(name)) {
            let text = "the genotype or the width has changed: the earlier trained network is removed, \
                with its exports, drawings and report";
            observer.on(Event::Warning(text.to_owned().into()));
        }
        for name in [NETWORK, EXPORT, DRAWINGS, SEEDS, BASELINES, FRONT, SUSPECTS] {
            directory.remove(name)?;
        }
    }
    Ok(())
}

/// Refuses to train the network of the run's genotype if it is larger than the target allows.
///
/// # Errors
/// [`Error::OverLimit`]; or if there is no genotype.
pub(super) fn stored_within_limits(directory: &RunDirectory, target: &TargetSpec) -> Result<(), Error> {
    let searched = genotype_file::stored(directory)?.is_some_and(|stored| !stored.given);
    within_limits(target, genotype_file::stored_cost(directory)?, searched)
}

/// Refuses a network, searched or given, that exceeds the limits of the target.
fn within_limits(target: &TargetSpec, cost: Cost, searched: bool) -> Result<(), Error> {
    for resource in Resource::ALL {
        let (limit, found) = (resource.limit(target), resource.of(&cost, target.precision));
        if let Some((limit, found)) = limit.zip(found).filter(|(limit, found)| found > limit) {
            return Err(Error::OverLimit {
                resource,
                found,
                limit,
                searched,
            });
        }
    }
    Ok(())
}

/// Sizes of the final network of a run.
pub(super) fn network_size(context: &Context<'_>, dataset: &crate::data::Dataset) -> NetworkSize {
    let config = context.config;
    config
        .network
        .shape
        .size(&config.space, dataset.shape, dataset.classes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s_records::schema::GapRow;

    #[test]
    fn a_super_network_at_chance_is_reported() {
        let said = |accuracy: f64, images: u64, counts: &[usize]| {
            let gap = Gap {
                images: Some(images),
                as_trained: GapRow {
                    supernet: Some(accuracy),
                    ..GapRow::default()
                },
                ..Gap::default()
            };
            of_chance(&gap, counts)
        };
        let text = said(55.0, 200, &[50, 50]).unwrap();
        assert!(
            text.contains("55.00 %") && text.contains("50.00 %") && !text.contains("class_weights"),
            "{text}"
        );
        assert_eq!(said(90.0, 200, &[50, 50]), None);
        assert!(said(91.0, 200, &[90, 10]).unwrap().contains("class_weights"));
        // Too few images to say so, and a single class.
        assert_eq!(said(55.0, 99, &[50, 50]), None);
        assert_eq!(said(100.0, 200, &[50]), None);
    }
}
