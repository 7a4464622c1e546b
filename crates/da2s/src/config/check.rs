//! What settings must be to each other, where each by itself is fine: found before hours of search, not behind them.

use da2s_settings::Problem;

use super::error::{ConfigError, Place};
use super::settings::{Config, ScheduleName};
use crate::backbone::{NetworkSize, Skeleton, Stem};
use crate::data::{Augmentation, DataError, ImageShape};
use crate::network::auxiliary_slot;
use crate::space::{CellKind, Operation, Reductions, SpaceName};

/// Epochs by which a path must begin before its end, against rounding alone.
const ROUNDING: f64 = 1e-9;

/// Where a key was set.
type PlaceOf<'a> = &'a dyn Fn(&str) -> Place;

/// Checks `config`, each of whose values is in its own range.
///
/// # Errors
/// For the first setting that does not fit the others.
pub(super) fn check(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    epochs(config, place)?;
    strengths(config, place)?;
    data(config, place)?;
    space(config, place)?;
    target(config, place)?;
    method(config, place)?;
    let shape = image_shape(config)?;
    for (table, augmentation) in [
        ("search.augmentation", &config.search.augmentation),
        ("network.augmentation", &config.network.augmentation),
    ] {
        augmented(table, augmentation, shape, place)?;
    }
    sides(config, shape, place)?;
    kinds(config, shape, place)
}

fn value(place: PlaceOf<'_>, key: &str, value: impl ToString, expected: impl Into<String>) -> ConfigError {
    ConfigError::Setting {
        place: place(key).into(),
        problem: Problem::refused(key, value, expected),
    }
}

fn epochs(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let (search, network) = (&config.search, &config.network);
    for (table, warmup, epochs) in [
        ("search", search.warmup_epochs, search.epochs),
        ("network", network.warmup_epochs, network.epochs),
    ] {
        if warmup >= epochs {
            let expected = format!("less than {table}.epochs = {epochs}");
            return Err(value(place, &format!("{table}.warmup_epochs"), warmup, expected));
        }
    }
    if search.learning_rate_min > search.learning_rate {
        let expected = format!("at most search.learning_rate = {}", search.learning_rate);
        return Err(value(
            place,
            "search.learning_rate_min",
            search.learning_rate_min,
            expected,
        ));
    }
    Ok(())
}

/// What the penalty's strengths are multiplied to is used in 32 bits.
fn strengths(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let regulariser = &config.search.regulariser;
    let (lambda, lambda_beta) = (regulariser.lambda, regulariser.lambda_beta);
    if ((lambda * lambda_beta) as f32).is_infinite() {
        let expected = format!(
            "a product with search.regulariser.lambda = {lambda:?} of at most {:e}, the largest number of 32 bits",
            f32::MAX
        );
        let key = "search.regulariser.lambda_beta";
        return Err(value(place, key, format!("{lambda_beta:?}"), expected));
    }
    Ok(())
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
    if data.arch_fraction + data.validation_fraction >= 1.0 {
        let expected = format!("with data.arch_fraction = {} less than 1", data.arch_fraction);
        return Err(value(
            place,
            "data.validation_fraction",
            data.validation_fraction,
            expected,
        ));
    }
    config
        .data_options()
        .validate(data.dataset)
        .map_err(|error| placed("data", error, place))
}

/// A complaint of crate::data about an option, as one about the key in `table`.
fn placed(table: &str, error: DataError, place: PlaceOf<'_>) -> ConfigError {
    match error {
        DataError::Setting {
            option,
            value: given,
            expected,
        } => value(place, &format!("{table}.{option}"), given, expected),
        other => ConfigError::Data(other),
    }
}

/// What the space asks of the other settings.
fn space(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let (space, search, network) = (&config.space, &config.search, &config.network);
    let both = [
        (
            "search.cells",
            search.cells,
            "search.reduction_cells",
            &search.reduction_cells,
        ),
        (
            "network.cells",
            network.cells,
            "network.reduction_cells",
            &network.reduction_cells,
        ),
    ];
    match space.name {
        SpaceName::Darts => {
            for (key, cells, reductions, at) in both {
                match at {
                    Reductions::Thirds(_) if cells < 3 => {
                        let expected = "at least 3, where reduction cells stand at 1/3 and 2/3 of the depth";
                        return Err(value(place, key, cells, expected));
                    }
                    Reductions::At(places) if places.iter().any(|&place| place >= cells) => {
                        let expected = format!("cells counted from 0, of which {key} = {cells} has {}", cells);
                        return Err(value(place, reductions, format!("{places:?}"), expected));
                    }
                    Reductions::Thirds(_) | Reductions::At(_) => {}
                }
            }
            if space.none && space.operations.is_some() {
                let expected = "absent beside space.operations, which names all candidates: put \"none\" in the list";
                return Err(value(place, "space.none", true, expected));
            }
            let mut operations = space.operations.iter().flatten();
            if space.operations.as_deref() == Some(&[Operation::None]) {
                let expected = "an operation beside none, which is never kept";
                return Err(value(place, "space.operations", "[\"none\"]", expected));
            }
            match operations.find(|&&operation| !space.name.has(operation)) {
                Some(operation) => {
                    let expected = "operations of the DARTS space: those of NAS-Bench-201 cannot reduce";
                    Err(value(place, "space.operations", operation.name(), expected))
                }
                None => Ok(()),
            }
        }
        SpaceName::NasBench201 => {
            let refused = [
                ("space.operations", space.operations.is_some()),
                ("network.auxiliary", network.auxiliary),
                ("network.drop_path", network.drop_path > 0.0),
                ("search.partial_channels", search.partial() > 1),
                ("search.skeleton", search.skeleton == Stem::Imagenet),
                ("network.skeleton", network.skeleton == Stem::Imagenet),
            ];
            match refused.into_iter().find(|(_, set)| *set) {
                Some((key, _)) => Err(value(place, key, "set", "no such thing in the space nas-bench-201")),
                None => Ok(()),
            }
        }
    }
}

/// Refuses a final network with a kind of cell that the super-network does not have: nothing but chance
/// would decide what is in it.
fn kinds(config: &Config, shape: ImageShape, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let [search, network] = sizes(config, shape).map(|(_, size)| Skeleton::new(config.space.name, &size));
    match CellKind::ALL
        .into_iter()
        .find(|&kind| network.has(kind) && !search.has(kind))
    {
        None => Ok(()),
        Some(kind) => {
            let given = format!("those of {} cells", config.network.cells);
            let expected = format!(
                "no {} cell: search.reduction_cells leaves the super-network none, so that nothing would decide what is in it",
                kind.name()
            );
            Err(value(place, "network.reduction_cells", given, expected))
        }
    }
}

/// The sizes of the super-network and of the final network, by the table of their settings. How many
/// classes there are does not matter here.
fn sizes(config: &Config, shape: ImageShape) -> [(&'static str, NetworkSize); 2] {
    [
        ("search", NetworkSize::of_search(&config.search, shape, 1)),
        ("network", NetworkSize::new(&config.network, shape, 1)),
    ]
}

/// What the method asks of the other settings.
fn method(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let search = &config.search;
    let groups = search.partial();
    if groups > 1 && !search.channels.is_multiple_of(groups) {
        let expected = format!("a multiple of {groups}, of which search.partial_channels lets one pass");
        return Err(value(place, "search.channels", search.channels, expected));
    }
    let needed = search.method.build(search).needs();
    let candidates = config.search_space().operations;
    if let Some(needed) = needed.filter(|needed| !candidates.contains(needed)) {
        let expected = format!("another method, or {needed} among the candidates: this method needs it");
        return Err(value(place, "search.method", search.method.name(), expected));
    }
    if search.one_level && search.second_order {
        let expected = "false with search.one_level, which has no inner level to look through";
        return Err(value(place, "search.second_order", true, expected));
    }
    Ok(())
}

/// Whether the path of the adaptive schedule has a step, which a run of an earlier version may not have: it begins in the last epoch of the warm-up, or in the first of all, and ends at a
/// share of the epochs, see [`Hardening`](crate::objective::Hardening).
pub(super) fn path(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let search = &config.search;
    let follows = search.schedule == ScheduleName::Adaptive && search.method.build(search).follows_path().is_some();
    let before = search.warmup_epochs.saturating_sub(1);
    let (decided_at, epochs) = (search.hardening.decided_at, search.epochs);
    let until = decided_at * epochs as f64 - ROUNDING;
    if !follows || before == 0 || until > before as f64 {
        return Ok(());
    }
    let warmup = search.warmup_epochs;
    let expected = format!(
        "more than {before}/{epochs}, where search.warmup_epochs = {warmup} of search.epochs = {epochs} lets the path of \
         search.schedule = \"adaptive\" begin: set it higher, or search.warmup_epochs to at most {}",
        until.ceil().max(1.0)
    );
    let key = "search.hardening.decided_at";
    Err(value(place, key, format!("{decided_at:?}"), expected))
}

fn target(config: &Config, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    config
        .target
        .resolve(&config.search_space())
        .map(drop)
        .map_err(|error| ConfigError::Target {
            place: place("target").into(),
            error,
        })
}

/// The shape of every image.
fn image_shape(config: &Config) -> Result<ImageShape, ConfigError> {
    let own = config.data.dataset.facts().shape;
    let (channels, side) = (own.map_or(3, |shape| shape.channels), own.map(|shape| shape.height));
    let Some(side) = config.data.image_size.or(side) else {
        let expected = "a number of pixels: files in a folder may have any size".to_owned();
        return Err(ConfigError::Missing {
            key: "data.image_size",
            expected,
        });
    };
    Ok(ImageShape {
        channels: config.data.channels.unwrap_or(channels),
        height: side,
        width: side,
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
        .map_err(|error| placed(table, error, place))
}

/// Whether images can be halved as often as the networks do, and are large enough for the auxiliary head.
fn sides(config: &Config, shape: ImageShape, place: PlaceOf<'_>) -> Result<(), ConfigError> {
    let search = &config.search;
    let side = shape.height;
    for (table, size) in sizes(config, shape) {
        let skeleton = Skeleton::new(config.space.name, &size);
        let halvings = skeleton.halvings(skeleton.slots.len());
        // Reduction cells may be more than an integer has bits.
        let multiple = u32::try_from(halvings)
            .ok()
            .and_then(|halvings| 1usize.checked_shl(halvings));
        if multiple.is_none_or(|multiple| !side.is_multiple_of(multiple)) {
            let multiple = multiple.map_or_else(|| format!("2^{halvings}"), |multiple| multiple.to_string());
            let stems = match size.stem {
                Stem::Cifar => String::new(),
                Stem::Imagenet => format!(" and {table}.skeleton in its stems"),
            };
            let cells = size.cells;
            let expected =
                format!("a multiple of {multiple}, which {table}.cells = {cells} halves in its reduction cells{stems}");
            return Err(value(place, "data.image_size", side, expected));
        }
        if let Err(error) = auxiliary_slot(&skeleton, &size) {
            return Err(value(place, "network.auxiliary", true, format!("false: {error}")));
        }
    }
    if search.skeleton == Stem::Imagenet && search.channels < 2 {
        let expected = "at least 2: the stem of search.skeleton = \"imagenet\" begins with half of them";
        return Err(value(place, "search.channels", search.channels, expected));
    }
    Ok(())
}
