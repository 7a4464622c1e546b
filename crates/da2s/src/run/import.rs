//! Imports the weights of a DARTS-family network or super-network into a run.
//!
//! Contract: every tensor of the run's network or super-network must be in the file, with the name
//! that it has in the PyTorch code of DARTS (or NAS-Bench-201), and with its shape; other tensors,
//! such as those of an auxiliary head, are ignored. Imported data has the form in which a training
//! or a search would have left it, so every later stage continues from it. An export of da2s
//! records the genotype and the width of its network, and the images that it was trained on, and is
//! refused for others.

use std::path::Path;

use burn::tensor::Tensor;
use da2s_records::files::{ARCH, BEST, NETWORK, PREPROCESSING, SEARCH, SEARCH_CHECKPOINT, SUSPECTS, TUNING};
use da2s_records::{Named, WeightsFile, WeightsFileError};
use serde::Deserialize;

use super::checkpoint::Checkpoint;
use super::state_file::{TrainMeta, search_checkpoint};
use super::trained::preprocessing;
use super::{Context, Error, discretize};
use crate::backbone::{LoadError, NetworkSize, find_tensor};
use crate::data::{Format, Preprocessing};
use crate::export::DESCRIPTION;
use crate::finite::NotFinite;
use crate::hint::Hint;
use crate::network::network;
use crate::observer::{Observer, Silent};
use crate::resumable::Resumable;
use crate::retrain::TrainProgress;
use crate::search::Search;
use crate::space::{CellKind, Genotype, SpaceName};

/// Largest accepted difference of a mean or a standard deviation: JPEG decoders round differently
/// on different machines.
const SAME: f32 = 1e-4;

/// The metadata of da2s's own files: an export describes its images. The header of a checkpoint has
/// the same key but no such description. Both name the genotype of their weights.
#[derive(Deserialize)]
struct Exported {
    preprocessing: Option<Preprocessing>,
    genotype: Option<String>,
    size: Option<ExportedSize>,
}

#[derive(Deserialize)]
struct ExportedSize {
    channels: usize,
}

/// Imports the weights of the network of `genotype` from the file `path`.
///
/// # Errors
/// If the genotype does not belong to the run's space, the file cannot be read or was exported for
/// other images, or a tensor is missing, has another shape or a value that is not finite.
pub fn import_network(
    context: &Context<'_>,
    genotype: &Genotype,
    path: &Path,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    // Checked first, so that a wrong genotype is not reported as wrong weights.
    discretize::of_space(genotype, &context.config.space.build())?;
    let file = read(path)?;
    let dataset = context.dataset()?;
    let preprocessing = preprocessing(context, &dataset);
    of_this_run(context, path, &file, genotype, &preprocessing)?;
    let (device, engine) = context.device()?;
    let size = NetworkSize {
        auxiliary: false,
        ..discretize::network_size(context, &dataset)
    };
    let network = network(genotype, size, &engine)?;
    let loaded = network.load(&file.tensors, &device);
    let (weights, statistics) = loaded.map_err(|error| misfit(context, path, preprocessing.channels, &error))?;
    finite(path, NotFinite::in_values(&weights, &statistics, &network))?;
    let tensors = network.named(&weights, &statistics);
    usable(path, &tensors)?;
    // Nothing is written until everything fits.
    discretize::discretize(context, Some(genotype), observer)?;
    context.directory.remove(NETWORK)?;
    context.directory.remove(SUSPECTS)?;
    let meta = TrainMeta::new(&TrainProgress::default(), &genotype.to_string(), 1);
    Checkpoint { tensors, meta }.write(context.directory, BEST)?;
    context.directory.write_json(PREPROCESSING, &preprocessing)
}

/// Refuses da2s's own weights if they belong to another genotype: operations would get the weights
/// of others. Also refuses them if their network has another width, or was trained on other images
/// than `here` describes: it would be evaluated and used on the wrong data.
fn of_this_run(
    context: &Context<'_>,
    path: &Path,
    file: &WeightsFile,
    genotype: &Genotype,
    here: &Preprocessing,
) -> Result<(), Error> {
    let Some(description) = file.metadata.get(DESCRIPTION) else {
        return Ok(());
    };
    let damaged = |problem: String| Error::Damaged {
        path: path.to_owned(),
        problem,
    };
    let Exported {
        preprocessing,
        genotype: own,
        size,
    } = serde_json::from_str(description)
        .map_err(|error| damaged(format!("its description cannot be read: {error}")))?;
    if let Some(text) = own {
        let own = Genotype::parse(&text).map_err(|error| damaged(format!("its description is wrong: {error}")))?;
        if own != *genotype {
            return Err(Error::Mismatch {
                path: path.to_owned(),
                problem: format!(
                    "its weights were trained under another genotype, {text:.1000}; weights are numbered by the order of the \
                     entries, so the entries and their order must be the same: import it with that genotype"
                ),
                hints: &[],
            });
        }
    }
    let here_channels = context.config.network.shape.channels;
    if let Some(ExportedSize { channels }) = size.filter(|size| size.channels != here_channels) {
        return Err(Error::Mismatch {
            path: path.to_owned(),
            problem: format!(
                "its network has {channels} channels, and network.channels = {here_channels} here; a search under limits may \
                 have widened it: import it with network.channels = {channels}"
            ),
            hints: &[],
        });
    }
    let Some(own) = preprocessing else {
        return Ok(());
    };
    own.check().map_err(damaged)?;
    let channels = own.channels;
    let Some([field, own, here]) = other_pictures(&own, here) else {
        return Ok(());
    };
    Err(Error::Mismatch {
        path: path.to_owned(),
        problem: format!(
            "it was exported with {field} = {own}, but the images of this run have {here}; import it with the images that it was \
             trained on and the same settings of data"
        ),
        hints: match field.as_str() {
            "channels" => with_channels(context, channels),
            _ => &[],
        },
    })
}

/// Advice for the weights of a network whose images have this number of channels: unless the number
/// is set, a run on a folder of grey images has one channel.
fn with_channels(context: &Context<'_>, channels: usize) -> &'static [Hint] {
    match (context.config.data.dataset, channels) {
        (Format::Images, 1) => &[Hint::Set("data.channels", "1")],
        (Format::Images, 3) => &[Hint::Set("data.channels", "3")],
        _ => &[],
    }
}

/// The error for weights that do not fit a network for images of `channels`.
fn misfit(context: &Context<'_>, path: &Path, channels: usize, error: &LoadError) -> Error {
    let hints = match error {
        // The weights of a convolution that reads the images.
        LoadError::Shape { found, expected, .. } if expected.get(1) == Some(&channels) => {
            let other = found.get(1).filter(|&&found| found != channels);
            other.map_or(&[][..], |&other| with_channels(context, other))
        }
        _ => &[],
    };
    Error::Mismatch {
        path: path.to_owned(),
        problem: error.to_string(),
        hints,
    }
}

/// A field in which the two differ, with both values; for the classes, the first difference.
fn other_pictures(own: &Preprocessing, here: &Preprocessing) -> Option<[String; 3]> {
    let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= SAME);
    let row = |same: bool, field: &str, own: String, here: String| (!same).then(|| [field.to_owned(), own, here]);
    let number = |field: &str, own: usize, here: usize| row(own == here, field, own.to_string(), here.to_string());
    let numbers =
        |field: &str, own: &[f32], here: &[f32]| row(close(own, here), field, format!("{own:?}"), format!("{here:?}"));
    let class = || {
        let most = own.classes.len().max(here.classes.len());
        let at = (0..most).find(|&at| own.classes.get(at) != here.classes.get(at))?;
        let name = |one: &Preprocessing| {
            one.classes
                .get(at)
                .map_or("none".to_owned(), |name| format!("{name:?}"))
        };
        Some([format!("classes[{at}]"), name(own), name(here)])
    };
    number("channels", own.channels, here.channels)
        .or_else(|| number("image_size", own.image_size, here.image_size))
        .or_else(class)
        .or_else(|| {
            let (own, here) = (own.centre_crop, here.centre_crop);
            row(close(&[own], &[here]), "centre_crop", own.to_string(), here.to_string())
        })
        .or_else(|| numbers("mean", &own.mean, &here.mean))
        .or_else(|| numbers("std", &own.std, &here.std))
}

/// Imports the weights, statistics and architecture parameters of a super-network from the file
/// `path`, as those of a finished search.
///
/// # Errors
/// If the file cannot be read, or a tensor is missing, has another shape or a value that is not
/// finite.
pub fn import_supernet(context: &Context<'_>, path: &Path) -> Result<(), Error> {
    let file = read(path)?;
    let (device, engine) = context.device()?;
    let dataset = context.dataset()?;
    let search = Search::new(&context.config.search_setup()?, &dataset, &device, &engine)?;
    let misfit = |error| misfit(context, path, dataset.shape.channels, &error);
    let mut state = search.start();
    (state.weights, state.statistics) = search.backbone.load(&file.tensors, &device).map_err(misfit)?;
    for &kind in search.space.kinds() {
        let [alpha, beta] = arch_names(search.space.name, kind);
        let arch = state.arch.kind_mut(kind);
        arch.move_alpha(find_tensor(&file.tensors, alpha, arch.alpha.dims(), &device).map_err(misfit)?);
        // Only PC-DARTS and similar methods have weights of edges; otherwise all edges into a node
        // have the same weight.
        if file.tensors.iter().any(|tensor| tensor.name == beta) {
            arch.beta = find_tensor(&file.tensors, beta, arch.beta.dims(), &device).map_err(misfit)?;
        } else {
            arch.beta = Tensor::zeros(arch.beta.dims(), &device);
        }
    }
    finite(
        path,
        NotFinite::in_values(&state.weights, &state.statistics, &search.backbone),
    )?;
    finite(path, state.arch.check_finite())?;
    usable(path, &search.backbone.named(&state.weights, &state.statistics))?;
    // The search is complete, decided or not.
    state.progress.epochs_done = search.most_epochs();
    let directory = context.directory;
    context.write_environment(&dataset, &engine, &mut Silent)?;
    directory.remove(SEARCH)?;
    directory.remove(TUNING)?;
    let record = search.arch_record(&state, &search.outcome(&state), search.epochs());
    directory.append_line(ARCH, &record)?;
    search_checkpoint(&state, &search.backbone, 1).write_newest(directory, SEARCH_CHECKPOINT)
}

/// Refuses a file if an imported number is not finite in 32 bits.
fn finite(path: &Path, found: Result<(), NotFinite>) -> Result<(), Error> {
    found.map_err(|NotFinite { what, value }| Error::Damaged {
        path: path.to_owned(),
        problem: format!("{what} contains {value}, but only finite 32-bit numbers are allowed"),
    })
}

/// Refuses numbers that no training produces: negative variances, and numbers whose squares are
/// infinite in 32 bits. A network could compute plausible outputs from infinite values.
fn usable(path: &Path, tensors: &[Named]) -> Result<(), Error> {
    let damaged = |name: &str, value: f32, problem: &str| Error::Damaged {
        path: path.to_owned(),
        problem: format!("{name} contains {value:e}, {problem}"),
    };
    for Named { name, data, .. } in tensors {
        if let Some(&value) = data.iter().find(|value| value.abs() > f32::MAX.sqrt()) {
            return Err(damaged(name, value, "whose square is infinite in 32 bits"));
        }
        if name.ends_with("running_var")
            && let Some(&value) = data.iter().find(|&&value| value < 0.0)
        {
            return Err(damaged(name, value, "but a variance is at least 0"));
        }
    }
    Ok(())
}

/// The names of the architecture parameters in public code: α and β.
fn arch_names(space: SpaceName, kind: CellKind) -> [&'static str; 2] {
    match (space, kind) {
        (SpaceName::NasBench201, _) => ["arch_parameters", "betas"],
        (SpaceName::Mobile | SpaceName::Plain, _) => ["alphas", "betas"],
        (SpaceName::Darts, CellKind::Normal) => ["alphas_normal", "betas_normal"],
        (SpaceName::Darts, CellKind::Reduction) => ["alphas_reduce", "betas_reduce"],
    }
}

fn read(path: &Path) -> Result<WeightsFile, Error> {
    WeightsFile::read(path).map_err(|error| match error {
        WeightsFileError::Read(error) => error.into(),
        pickle @ WeightsFileError::Pickle => Error::Mismatch {
            path: path.to_owned(),
            problem: pickle.to_string(),
            hints: &[],
        },
        other => Error::Damaged {
            path: path.to_owned(),
            problem: other.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PreprocessingRules;

    type Change = fn(&mut Preprocessing);

    #[test]
    fn other_preprocessing_is_named_by_its_field() {
        let here = Preprocessing {
            rules: PreprocessingRules::default(),
            channels: 1,
            centre_crop: 0.875,
            image_size: 8,
            mean: vec![0.5],
            std: vec![0.25],
            classes: vec!["a".to_owned(), "b".to_owned()],
        };
        let cases: [(Change, [&str; 3]); 7] = [
            (|own| own.channels = 3, ["channels", "3", "1"]),
            (|own| own.image_size = 9, ["image_size", "9", "8"]),
            (|own| own.centre_crop = 1.0, ["centre_crop", "1", "0.875"]),
            (|own| own.mean[0] = 0.625, ["mean", "[0.625]", "[0.5]"]),
            (|own| own.std[0] = 0.5, ["std", "[0.5]", "[0.25]"]),
            (|own| own.classes.swap(0, 1), ["classes[0]", "\"b\"", "\"a\""]),
            (|own| own.classes.truncate(1), ["classes[1]", "none", "\"b\""]),
        ];
        for (change, told) in cases {
            let mut own = here.clone();
            change(&mut own);
            assert_eq!(other_pictures(&own, &here).unwrap(), told);
        }
        let rounded = Preprocessing {
            mean: vec![0.500_01],
            ..here.clone()
        };
        assert_eq!(other_pictures(&rounded, &here), None);
    }
}
