//! Lowers the batch sizes of the recipe for folders of images to fit a small folder.
//!
//! Contract: only the recipe's own numbers are lowered. A requested batch size stays, and is
//! refused if it is too large, as with every other recipe.

use super::error::ConfigError;
use super::layers::Layer;
use super::settings::Config;
use crate::data::{Format, SearchSplit, small_training_set};

/// Number of files at which a folder has enough images for every batch.
const MANY_FILES: usize = 4096;
/// The batch sizes of search and retraining.
const SEARCH: &str = "search.batch_size";
const NETWORK: &str = "network.batch_size";

/// The batch sizes that `config`, resolved from these layers, takes from the recipe for folders and
/// that are too large for its folder; lowered, as layers above the recipe.
///
/// # Errors
/// Problems with the folder are not reported here but when it is opened.
pub(super) fn lowered(layers: &[Layer], config: &Config) -> Result<Vec<Layer>, ConfigError> {
    let of_recipe = |key: &str| {
        let last = layers.iter().rev().find(|layer| layer.get(key).is_some());
        last.is_some_and(|layer| layer.is_recipe_of(Format::Images.name()))
    };
    let folder = config
        .data
        .dir
        .as_deref()
        .filter(|_| config.data.dataset == Format::Images);
    let (Some(folder), true) = (folder, of_recipe(SEARCH) || of_recipe(NETWORK)) else {
        return Ok(Vec::new());
    };
    let Some(labels) = small_training_set(folder, &config.data_options(), MANY_FILES) else {
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
