//! Checks that involve the settings of several modules, each of which is valid by itself: a run
//! should fail before its search, not after hours of it. Checks within a module belong to that
//! module.

use da2s_settings::Problem;

use super::error::{ConfigError, Location};
use super::settings::{Config, NetworkSettings};
use crate::backbone::{NetworkSize, Skeleton, Stem};
use crate::data::{Augmentation, DataError, ImageShape};
use crate::network::{BaselineMatch, BaselineSettings, auxiliary_slot, channels_at};
use crate::objective::Link;
use crate::retrain::InitialWeights;
use crate::search::{Drive, Moment};
use crate::space::{CellKind, KindTarget, Operation, Precision, Reductions, SpaceName};

/// Where a key was set.
type PlaceOf<'a> = &'a dyn Fn(&str) -> Location;

/// Checks `config`, whose values are each in their own range.
///
/// # Errors
/// For the first setting that conflicts with others.
pub(super) fn check(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let placed = |problem| at(place, problem);
    config.search.check().map_err(placed)?;
    config.network.training.check().map_err(placed)?;
    data(config, place)?;
    config.space.check().map_err(placed)?;
    skeletons(config).map_err(placed)?;
    target(config, place)?;
    method(config).map_err(placed)?;
    stages(config).map_err(placed)?;
    config.discretize.check().map_err(placed)?;
    dropping(config).map_err(placed)?;
    let shape = image_shape(config)?;
    for (table, augmentation) in [
        ("search.augmentation", &config.search.augmentation),
        ("network.augmentation", &config.network.training.augmentation),
    ] {
        augmented(table, augmentation, shape, place)?;
    }
    starts_differ(&config.network).map_err(placed)?;
    sides(config, shape).map_err(placed)?;
    kinds(config, shape).map_err(placed)?;
    layers(config, shape).map_err(placed)
}

/// Checks the requirements of a new run, which a stored run of an earlier version need not meet.
///
/// # Errors
/// For the first setting that conflicts with others.
pub(super) fn check_new(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    config.search.check_path().map_err(|problem| at(place, problem))?;
    let skip_dropout = config.search.check_skip_dropout();
    skip_dropout.map_err(|problem| at(place, problem))?;
    widths(&config.network.beside).map_err(|problem| at(place, problem))?;
    quantisable(config).map_err(|problem| at(place, problem))?;
    inherits(config).map_err(|problem| at(place, problem))?;
    counted(config).map_err(|problem| at(place, problem))
}

/// A network that is to be deployed in int8 may only have candidates that can be quantised.
fn quantisable(config: &Config) -> Result<(), Problem> {
    if config.target.precision != Precision::Int8 {
        return Ok(());
    }
    let mut candidates = config.space.build().operations.into_iter();
    match candidates.find(|one| one.squeezes()) {
        Some(candidate) => {
            let expected = format!(
                "\"float32\" while {candidate} is a candidate: there are no int8 kernels for squeeze-and-excitation"
            );
            Err(Problem::refused("target.precision", "int8", expected))
        }
        None => Ok(()),
    }
}

/// A network that starts from the weights of the super-network must be a part of it.
fn inherits(config: &Config) -> Result<(), Problem> {
    const KEY: &str = "network.initial_weights";
    let Config {
        network, search, space, ..
    } = config;
    if network.training.initial_weights == InitialWeights::Random {
        return Ok(());
    }
    let given = network.training.initial_weights.name();
    if space.name != SpaceName::Mobile {
        let expected = "\"random\" outside the space mobile, in which the network is a part of the super-network";
        return Err(Problem::refused(KEY, given, expected));
    }
    let target = config.target.resolve(&space.build());
    let operations = target.map_or(1, |target| target.kind(CellKind::Normal).operations);
    if operations != 1 {
        let expected = format!("1 with {KEY} = {given}");
        return Err(Problem::refused("target.operations", operations, expected));
    }
    if network.shape.channels != search.channels {
        let expected = format!("{}, as search.channels, with {KEY} = {given}", search.channels);
        return Err(Problem::refused("network.channels", network.shape.channels, expected));
    }
    Ok(())
}

/// Trainings from several seeds must start from different weights.
fn starts_differ(network: &NetworkSettings) -> Result<(), Problem> {
    let (trainings, given) = (network.beside.trainings(), network.training.initial_weights);
    if trainings == 1 || given == InitialWeights::Random {
        return Ok(());
    }
    let expected = format!(
        "1 with network.initial_weights = {}, since all of them would start from the same weights",
        given.name()
    );
    Err(Problem::refused("network.seeds", trainings, expected))
}

/// A requested width of the baselines must be possible for each.
fn widths(beside: &BaselineSettings) -> Result<(), Problem> {
    let Some(width) = beside.baseline_width else {
        return Ok(());
    };
    for network in beside.baselines.iter().flatten() {
        channels_at(width, network.stem_channels()).map_err(|error| {
            let expected = format!("a width that {network} can have: {error}");
            Problem::refused("network.baseline_width", width, expected)
        })?;
    }
    Ok(())
}

fn at(place: PlaceOf<'_>, problem: Problem) -> ConfigError {
    ConfigError::Setting {
        place: place(problem.key()).into(),
        problem,
    }
}

fn data(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let data = &config.data;
    if data.dataset.needs_folder() && data.dir.is_none() {
        let expected = format!("its folder: {}", data.dataset.facts().folder);
        return Err(ConfigError::Missing {
            key: "data.dir",
            expected,
        });
    }
    data.check().map_err(|problem| at(place, problem))?;
    config
        .data_options()
        .validate(data.dataset)
        .map_err(|error| of_data("data", error, place))
}

/// Converts an error of [`crate::data`] about an option to one about the key in `table`.
fn of_data(table: &str, error: DataError, place: PlaceOf<'_>) -> ConfigError {
    match error {
        DataError::Setting {
            option,
            value,
            expected,
        } => at(place, Problem::refused(option, value, expected).within(table)),
        other => ConfigError::Data(other),
    }
}

/// Requirements of the space for the super-network and the final network.
fn skeletons(config: &Config) -> Result<(), Problem> {
    let (search, shape) = (&config.search, &config.network.shape);
    let space = config.space.name;
    let plans = search.stage_plans(config.space.build().operations.len());
    if space != SpaceName::Darts && plans.iter().any(|&plan| search.partial_in(plan) > 1) {
        let useless = |key| Problem::useless(key, format!("in the space {}", space.name()));
        return Err(match (search.partial_channels, &search.stages.partial_channels) {
            (Some(_), _) => useless("search.partial_channels"),
            (None, Some(_)) => useless("search.stages.partial_channels"),
            (None, None) => {
                let expected = format!(
                    "another method: this one has partial channels, but the space {} has none",
                    space.name()
                );
                Problem::refused("search.method", search.method.name(), expected)
            }
        });
    }
    match space {
        SpaceName::Darts => {
            for plan in plans {
                search.reduction_cells.check("search", search.cells_in(plan))?;
            }
            shape.reduction_cells.check("network", shape.cells)
        }
        SpaceName::NasBench201 => {
            let refused = [
                ("network.auxiliary", shape.auxiliary),
                ("network.drop_path", config.network.training.drop_path > 0.0),
                ("search.skeleton", search.skeleton == Stem::Imagenet),
                ("network.skeleton", shape.skeleton == Stem::Imagenet),
            ];
            match refused.into_iter().find(|(_, set)| *set) {
                Some((key, _)) => Err(Problem::useless(key, "in the space nas-bench-201")),
                None => Ok(()),
            }
        }
        space @ (SpaceName::Mobile | SpaceName::Plain) => {
            let none = Reductions::At(Vec::new());
            let refused = [
                ("network.auxiliary", shape.auxiliary),
                ("search.skeleton", search.skeleton == Stem::Imagenet),
                ("network.skeleton", shape.skeleton == Stem::Imagenet),
                ("search.reduction_cells", search.reduction_cells != none),
                ("network.reduction_cells", shape.reduction_cells != none),
            ];
            if let Some((key, _)) = refused.into_iter().find(|(_, set)| *set) {
                let place = format!("in the space {}, whose stages are set in the table space", space.name());
                return Err(Problem::useless(key, place));
            }
            for (key, cells) in [("search.cells", search.cells), ("network.cells", shape.cells)] {
                if cells != 1 {
                    let expected = format!(
                        "1 in the space {}, whose chain of layers is one cell: see space.stages",
                        space.name()
                    );
                    return Err(Problem::refused(key, cells, expected));
                }
            }
            Ok(())
        }
    }
}

fn target(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    if config.target.max_latency_ms.is_some() && config.target.latency_table.is_none() {
        return Err(ConfigError::Missing {
            key: "target.latency_table",
            expected:
                "the times of blocks on the device, as `da2s profile` measures them: target.max_latency_ms needs it"
                    .to_owned(),
        });
    }
    let beside = &config.network.beside;
    let by_latency = beside.baselines.is_some() && beside.baseline_match == Some(BaselineMatch::Latency);
    if by_latency && config.target.latency_table.is_none() {
        return Err(ConfigError::Missing {
            key: "target.latency_table",
            expected: "the times of the baselines' blocks on the device: network.baseline_match = \"latency\" needs it"
                .to_owned(),
        });
    }
    let space = config.space.build();
    if config.target.most_skips.is_some() && !space.operations.contains(&Operation::SkipConnect) {
        let problem = Problem::useless("target.most_skips", "in a space without skip_connect");
        return Err(at(place, problem));
    }
    config
        .target
        .resolve(&space)
        .map(drop)
        .map_err(|error| ConfigError::Target {
            place: place("target").into(),
            error,
        })
}

/// Requirements of the method for the space.
fn method(config: &Config) -> Result<(), Problem> {
    let search = &config.search;
    let built = search.method.build(search);
    let needed = built.needs();
    let candidates = config.space.build().operations;
    match needed.filter(|needed| !candidates.contains(needed)) {
        Some(needed) => {
            let expected = format!("another method, or {needed} among the candidates: this method needs it");
            Err(Problem::refused("search.method", search.method.name(), expected))
        }
        None => Ok(()),
    }
}

/// The numbers of candidates in the stages of a search.
fn stages(config: &Config) -> Result<(), Problem> {
    let (search, space) = (&config.search, config.space.build());
    let all = space.operations.len();
    let Ok(target) = config.target.resolve(&space) else {
        return Ok(());
    };
    if !search.has_stages() {
        return Ok(());
    }
    let numbers: Vec<usize> = search.stage_plans(all).iter().map(|plan| plan.candidates).collect();
    let last = numbers[numbers.len() - 1];
    let set = &search.stages;
    if space.graph.is_chain() {
        if set.partial_channels.is_some() {
            let place = format!("in the space {}", space.name.name());
            return Err(Problem::useless("search.stages.partial_channels", place));
        }
        let expected = format!(
            "another method: this one searches in stages, but a network of the space {} is one chain",
            space.name.name()
        );
        return Err(Problem::refused("search.method", search.method.name(), expected));
    }
    let listed = |expected| {
        let numbers = format!("{numbers:?}");
        Err(Problem::refused("search.stages.candidates", numbers, expected))
    };
    if numbers[0] != all || numbers.windows(2).any(|pair| pair[0] < pair[1]) {
        return listed(format!(
            "{all} first, the number of candidates of the space, and then numbers that do not rise"
        ));
    }
    let needed = |target: &KindTarget| target.operations + usize::from(target.most_skips.is_some());
    match target.values().map(needed).max().filter(|needed| last < *needed) {
        Some(needed) if set.candidates.is_some() => listed(format!(
            "at least {needed} in the last stage, which the target may need"
        )),
        Some(needed) => {
            let expected = format!(
                "another method: the last stage has {last} of the {all} candidates, and the target may need {needed}; \
                 or set search.stages.candidates"
            );
            Err(Problem::refused("search.method", search.method.name(), expected))
        }
        None => Ok(()),
    }
}

/// Refuses a `search.drop_below` that is not less than the share of every choice at the start. With
/// `target.most_skips`, refuses every value above 0.
fn dropping(config: &Config) -> Result<(), Problem> {
    let (space, bound) = (config.space.build(), config.search.drop_below);
    let Ok(target) = config.target.resolve(&space) else {
        return Ok(());
    };
    let Some(halves) = config.search.driven().driven().filter(|_| bound > 0.0) else {
        return Ok(());
    };
    if let Some(most) = target.normal.most_skips {
        let expected = format!("0 with target.most_skips = {most}, which may need an operation that has been removed");
        return Err(Problem::refused("search.drop_below", format!("{bound:?}"), expected));
    }
    let graph = space.graph;
    let compete = |target: &KindTarget| {
        let groups = graph.groups().filter(|&group| target.has_beta(graph, group));
        groups.map(|group| graph.size_of(group)).max()
    };
    let edges = target.values().filter_map(compete).max();
    let operations = halves
        .operations
        .then_some((space.operations.len(), "operations of an edge"));
    let edges = edges
        .filter(|_| halves.edges)
        .map(|edges| (edges, "edges that compete"));
    let most = operations.into_iter().chain(edges).max();
    match most.filter(|(most, _)| bound * *most as f64 >= 1.0) {
        None => Ok(()),
        Some((most, what)) => {
            let expected = format!("less than 1/{most}, the share of each of {most} {what} at the start");
            Err(Problem::refused("search.drop_below", format!("{bound:?}"), expected))
        }
    }
}

/// Refuses the drive `regulariser` if several operations per edge are to be kept and the method's
/// regulariser is the entropy alone: that leaves one operation on each edge.
fn counted(config: &Config) -> Result<(), Problem> {
    let search = &config.search;
    let built = search.method.build(search);
    let uncounted =
        |target: &KindTarget| target.operations > 1 && !matches!(built.link(target), Link::Strengthened { .. });
    let resolved = config.target.resolve(&config.space.build());
    // A target that does not resolve was refused earlier.
    let refused = resolved.is_ok_and(|target| target.values().any(uncounted));
    if refused && search.drive() == Drive::Regulariser && built.halves().operations {
        let expected = format!(
            "\"path\", which leaves as many operations on an edge as target.operations says: with search.method = {} \
             the entropy leaves only one",
            search.method.name()
        );
        return Err(Problem::refused("search.drive", search.drive(), expected));
    }
    Ok(())
}

/// A method that aligns the layers needs at least two cells of one kind.
fn layers(config: &Config, shape: ImageShape) -> Result<(), Problem> {
    let search = &config.search;
    let aligns = search.method.build(search).aligns_layers(Moment::of_epoch(1, 1, 0));
    let [(_, size), _] = sizes(config, shape);
    let skeleton = Skeleton::new(config.space.name, &size);
    if aligns.is_none() || CellKind::ALL.into_iter().any(|kind| skeleton.count(kind) > 1) {
        return Ok(());
    }
    let expected =
        "another method: this one compares cells of the same kind, but the super-network has no two of a kind";
    Err(Problem::refused("search.method", search.method.name(), expected))
}

/// The shape of every image.
fn image_shape(config: &Config) -> Result<ImageShape, ConfigError> {
    config.data.shape().ok_or_else(|| ConfigError::Missing {
        key: "data.image_size",
        expected: "a number of pixels: files in a folder may have any size".to_owned(),
    })
}

fn augmented(
    table: &str,
    augmentation: &Augmentation,
    shape: ImageShape,
    place: PlaceOf<'_>,
) -> Result<(), ConfigError> {
    augmentation
        .validate(shape)
        .map_err(|error| of_data(table, error, place))
}

/// The sizes of the super-network and of the final network, by the table of their settings. The
/// number of classes has no effect here.
fn sizes(config: &Config, shape: ImageShape) -> [(&'static str, NetworkSize); 2] {
    [
        ("search", config.search.size(&config.space, shape, 1)),
        ("network", config.network.shape.size(&config.space, shape, 1)),
    ]
}

/// Checks that images can be halved as often as the networks do, and are large enough for the
/// auxiliary head.
fn sides(config: &Config, shape: ImageShape) -> Result<(), Problem> {
    let side = shape.height;
    for (table, size) in sizes(config, shape) {
        let skeleton = Skeleton::new(config.space.name, &size);
        let halvings = skeleton.halvings(skeleton.slots.len());
        // A chain rounds odd sides up; only cells add images of different sizes.
        if config.space.name.is_chain() {
            continue;
        }
        // There may be more reduction cells than an integer has bits.
        let multiple = u32::try_from(halvings)
            .ok()
            .and_then(|halvings| 1usize.checked_shl(halvings));
        if multiple.is_none_or(|multiple| !side.is_multiple_of(multiple)) {
            let multiple = multiple.map_or_else(|| format!("2^{halvings}"), |multiple| multiple.to_string());
            let stems = match size.stem {
                Stem::Cifar => String::new(),
                Stem::Imagenet => format!(", {table}.skeleton = imagenet"),
            };
            let cells = size.cells;
            let expected = format!(
                "a multiple of {multiple}, the factor by which the network reduces images ({table}.cells = {cells}{stems})"
            );
            return Err(Problem::refused("data.image_size", side, expected));
        }
        if let Err(error) = auxiliary_slot(&skeleton, &size) {
            return Err(Problem::refused("network.auxiliary", true, format!("false: {error}")));
        }
    }
    Ok(())
}

/// Refuses a final network with a kind of cell that the super-network does not have: its content
/// would be random.
fn kinds(config: &Config, shape: ImageShape) -> Result<(), Problem> {
    let [search, network] = sizes(config, shape).map(|(_, size)| Skeleton::new(config.space.name, &size));
    match CellKind::ALL
        .into_iter()
        .find(|&kind| network.has(kind) && !search.has(kind))
    {
        None => Ok(()),
        Some(kind) => {
            let given = format!("(with {} cells)", config.network.shape.cells);
            let expected = format!(
                "no {} cell: the super-network has none (search.reduction_cells), so the search could not decide on its operations",
                kind.name()
            );
            Err(Problem::refused("network.reduction_cells", given, expected))
        }
    }
}
