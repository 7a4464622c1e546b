//! Fits a recipe to the images and to the requested settings. An auxiliary head is left out if the
//! images are too small for it. The batch sizes are lowered for a small folder, and for a small
//! limit on the number of images. The cutout square is at most half as wide as the images. Grey
//! images keep one channel, and a short search has a short warm-up. A network that starts from the
//! weights of the super-network has its channels.
//!
//! Contract: only settings that come from the recipe, or that nothing sets, are changed. A
//! requested setting stays, and is refused if it does not fit.

use super::error::ConfigError;
use super::layers::{Layer, merged};
use super::settings::Config;
use crate::data::{Format, SearchSplit, are_grey, small_training_set};
use crate::retrain::InitialWeights;

/// Number of files above which a folder is assumed to have enough images for any batch size.
const MANY_FILES: usize = 4096;
/// The batch sizes of search and retraining.
const SEARCH: &str = "search.batch_size";
const NETWORK: &str = "network.batch_size";

/// Number of files above which a folder is not examined for grey images.
const LISTED_FILES: usize = 200_000;
/// The channels of images in files.
const CHANNELS: &str = "data.channels";
/// The message for the user about [`grey`] images.
pub(super) const ONE_CHANNEL: &str = "data.channels is 1, since the images are grey";

/// The epochs of the search and of its warm-up.
const EPOCHS: &str = "search.epochs";
const WARM_UP: &str = "search.warmup_epochs";

/// The channels of search and network.
const WIDTHS: [&str; 2] = ["search.channels", "network.channels"];

/// The setting that turns on the auxiliary head.
const HEAD: &str = "network.auxiliary";
/// The message for the user when [`no_head`] leaves a head out.
pub(super) const HEAD_LEFT_OUT: &str =
    "network.auxiliary is false instead of true, since the images are too small for an auxiliary head";

/// Whether the last of `layers` that sets `key` is a recipe; also true if no layer sets it.
fn is_of_recipe(layers: &[Layer], key: &str) -> bool {
    let last = layers.iter().rev().find(|layer| layer.get(key).is_some());
    last.is_none_or(Layer::is_recipe)
}

/// Whether `error` is about an auxiliary head that a recipe among `layers` sets.
pub(super) fn is_head_of_recipe(layers: &[Layer], error: &ConfigError) -> bool {
    is_of_recipe(layers, HEAD) && matches!(error, ConfigError::Setting { problem, .. } if problem.key() == HEAD)
}

/// The layer that gives search and network the same channels, and the message about it, if the
/// network starts from the weights of the super-network and they were requested for one of the two
/// at most.
///
/// # Errors
/// If a value does not have the type of its setting.
pub(super) fn one_width(layers: &[Layer]) -> Result<Option<(Layer, String)>, ConfigError> {
    let config = merged(layers)?;
    let [searched, trained] = [config.search.channels, config.network.shape.channels];
    if config.network.training.initial_weights == InitialWeights::Random || searched == trained {
        return Ok(None);
    }
    let [of_search, of_network] = WIDTHS;
    let (key, before, channels, other) = if is_of_recipe(layers, of_network) {
        (of_network, trained, searched, of_search)
    } else if is_of_recipe(layers, of_search) {
        (of_search, searched, trained, of_network)
    } else {
        return Ok(None);
    };
    let layer = Layer::flag(other, key, (channels as i64).into())?;
    let note = format!(
        "{key} is {channels} instead of {before}, as {other}, since the network starts from the weights of the super-network"
    );
    Ok(Some((layer, note)))
}

/// The layer without an auxiliary head.
///
/// # Errors
/// Never, since the key exists.
pub(super) fn no_head() -> Result<Layer, ConfigError> {
    Layer::flag("the size of the images", HEAD, false.into())
}

/// The layer with a shorter warm-up and the message about it, if the requested epochs of the search
/// are too few for a warm-up that was not requested. The warm-up keeps its share of the epochs. In
/// a search with several stages, each stage has the warm-up.
///
/// # Errors
/// If a value does not have the type of its setting.
pub(super) fn warm_up(layers: &[Layer]) -> Result<Option<(Layer, String)>, ConfigError> {
    let (recipe, requested): (Vec<&Layer>, Vec<&Layer>) = layers.iter().partition(|layer| layer.is_recipe());
    let is_requested = |key: &str| requested.iter().any(|layer| layer.get(key).is_some());
    if !is_requested(EPOCHS) || is_requested(WARM_UP) {
        return Ok(None);
    }
    let config = merged(layers)?;
    let (search, space) = (&config.search, config.space.build());
    let (stages, warm_up) = (search.stage_plans(space.operations.len()).len(), search.warmup_epochs);
    let most = (search.epochs / stages).saturating_sub(1);
    if warm_up <= most || search.epochs < stages {
        return Ok(None);
    }
    let recipe: Vec<Layer> = recipe.into_iter().cloned().collect();
    let share = warm_up as f64 / merged(&recipe)?.search.epochs as f64;
    let shorter = ((share * search.epochs as f64).round() as usize).max(1).min(most);
    let layer = Layer::flag("the epochs of the search", WARM_UP, (shorter as i64).into())?;
    let epochs = search.epochs;
    let note = format!("{WARM_UP} is {shorter} instead of {warm_up}, since the search has {epochs} epochs");
    Ok(Some((layer, note)))
}

/// The layers with a smaller cutout square and the messages about them, if the square that the
/// recipe sets is longer than half a side of the images.
///
/// # Errors
/// If a value does not have the type of its setting.
pub(super) fn cutout(layers: &[Layer]) -> Result<Vec<(Layer, String)>, ConfigError> {
    let config = merged(layers)?;
    let Some(shape) = config.data.shape() else {
        return Ok(Vec::new());
    };
    let half = shape.height / 2;
    let rows = [
        ("search.augmentation.cutout", config.search.augmentation.cutout),
        (
            "network.augmentation.cutout",
            config.network.training.augmentation.cutout,
        ),
    ];
    let too_large = rows
        .into_iter()
        .filter(|&(key, cutout)| cutout > half && is_of_recipe(layers, key));
    let smaller = too_large.map(|(key, cutout)| {
        let layer = Layer::flag("the size of the images", key, (half as i64).into())?;
        Ok((
            layer,
            format!("{key} is {half} instead of {cutout}, half the side of the images"),
        ))
    });
    smaller.collect()
}

/// Layers above the recipe that lower its batch sizes: one layer for each batch size that nobody
/// requested and that is larger than the number of images to train on. `config` is resolved from
/// `layers`.
///
/// # Errors
/// Problems with the images are not reported here, but later, when the images are opened.
pub(super) fn lowered(layers: &[Layer], config: &Config) -> Result<Vec<Layer>, ConfigError> {
    let of_recipe = |key: &str| is_of_recipe(layers, key);
    if !of_recipe(SEARCH) && !of_recipe(NETWORK) {
        return Ok(Vec::new());
    }
    let Some(labels) = few_labels(config) else {
        return Ok(Vec::new());
    };
    let data = &config.data;
    let Ok(split) = SearchSplit::new(&labels, data.arch_fraction, data.validation_fraction, config.run.seed) else {
        return Ok(Vec::new());
    };
    let (weights, arch) = (split.weight_half.len(), split.arch_half.len());
    let rows = [
        (SEARCH, config.search.batch_size, weights.min(arch)),
        (NETWORK, config.network.training.batch_size, weights + arch),
    ];
    let lower = |&(key, asked, most): &(&str, usize, usize)| most > 0 && most < asked && of_recipe(key);
    rows.iter()
        .filter(|row| lower(row))
        .map(|&(key, _, most)| Layer::flag("the number of images", key, (most as i64).into()))
        .collect()
}

/// The labels of the training images of `config`, if there are few: in a small folder, or in a data
/// set with a small limit. With a limit only the number of labels is correct: all of them are 0.
fn few_labels(config: &Config) -> Option<Vec<u32>> {
    let data = &config.data;
    if data.dataset == Format::Images {
        return small_training_set(data.dir.as_deref()?, &config.data_options(), MANY_FILES);
    }
    let few = data.limit.filter(|&limit| limit <= MANY_FILES)?;
    Some(vec![0; few])
}

/// The layer with one channel, if the images of `config`, resolved from these layers, are grey
/// files and nobody set the number of channels.
///
/// # Errors
/// Problems with the folder are not reported here, but later, when the folder is opened.
pub(super) fn grey(layers: &[Layer], config: &Config) -> Result<Option<Layer>, ConfigError> {
    let data = &config.data;
    let is_open = layers.iter().all(|layer| layer.get(CHANNELS).is_none());
    let folder = data
        .dir
        .as_deref()
        .filter(|_| data.dataset == Format::Images && is_open);
    match folder.and_then(|folder| are_grey(folder, &config.data_options(), LISTED_FILES)) {
        Some(true) => Layer::flag("the images", CHANNELS, 1.into()).map(Some),
        Some(false) | None => Ok(None),
    }
}

/// Messages for the user about the `lowered` layers, one sentence each.
pub(super) fn notes(lowered: &[Layer], recipe: &Config) -> Vec<String> {
    let rows = [
        (SEARCH, recipe.search.batch_size),
        (NETWORK, recipe.network.training.batch_size),
    ];
    let note = |(key, asked): (&str, usize)| {
        let value = lowered.iter().find_map(|layer| layer.get(key)?.as_integer())?;
        Some(format!(
            "{key} is {value} instead of {asked}, since there are so few images"
        ))
    };
    rows.into_iter().filter_map(note).collect()
}
