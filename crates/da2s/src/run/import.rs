//! Weights of a DARTS-family network or super-network from elsewhere, taken into a run.
//!
//! Contract: every tensor that the run's network or super-network has must be in the file, under the name that it has in
//! the PyTorch code of DARTS (or of NAS-Bench-201), in its shape; what else the file holds, as an auxiliary head, is passed over. What
//! is taken stands where a training or a search would have left it, so that every later stage goes on from it.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::checkpoint::Checkpoint;
use super::environment::Environment;
use super::retraining::BEST;
use super::searching::{self, ARCH};
use super::state_file::{TrainMeta, search_checkpoint};
use super::trained::{PREPROCESSING, preprocessing};
use super::{Context, prune};
use crate::backbone::{LoadError, Named, WeightsFile, WeightsFileError};
use crate::discretize::Genotype;
use crate::error::Error;
use crate::finite::NotFinite;
use crate::network::{NetworkSize, network};
use crate::observer::{Observer, Silent};
use crate::search::Search;
use crate::space::{CellKind, SpaceName};
use crate::train::TrainProgress;

/// Takes the weights of the network of `genotype` from the file `path`.
///
/// # Errors
/// If the file cannot be read, a tensor is missing, has another shape or a number that is not finite, or the genotype is not one of the
/// run's space.
pub fn import_network(
    context: &Context<'_>,
    genotype: &Genotype,
    path: &Path,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let file = read(path)?;
    let dataset = context.dataset()?;
    let (device, engine) = context.device()?;
    let size = NetworkSize {
        auxiliary: false,
        ..prune::network_size(context, &dataset)
    };
    let network = network(genotype, size, &engine)?;
    let loaded = network.load(&file.tensors, &device);
    let (weights, statistics) = loaded.map_err(|error| Error::load(path, &error))?;
    finite(path, NotFinite::in_values(&weights, &statistics, &network))?;
    let mut tensors = weights.named(&network);
    tensors.extend(statistics.named(&network));
    // Nothing is written before everything fits.
    prune::discretize(context, Some(genotype), observer)?;
    context.directory.remove("network")?;
    let meta = TrainMeta::new(&TrainProgress::default(), &genotype.to_string(), 1);
    Checkpoint { tensors, meta }.write(context.directory, BEST)?;
    context
        .directory
        .write_json(PREPROCESSING, &preprocessing(context, &dataset))
}

/// Takes the weights, statistics and architecture parameters of a super-network from the file `path`, as those of a search
/// that is finished.
///
/// # Errors
/// If the file cannot be read, or a tensor is missing, has another shape or a number that is not finite.
pub fn import_supernet(context: &Context<'_>, path: &Path) -> Result<(), Error> {
    let file = read(path)?;
    let (device, engine) = context.device()?;
    let dataset = context.dataset()?;
    let search = Search::new(context.config, &dataset, &device, &engine)?;
    let misfit = |error| Error::load(path, &error);
    let mut state = search.start();
    (state.weights, state.statistics) = search.backbone.load(&file.tensors, &device).map_err(misfit)?;
    for &kind in search.space.kinds() {
        let [alpha, beta] = arch_names(search.space.name, kind);
        let arch = state.arch.kind_mut(kind);
        arch.alpha = tensor(&file, alpha, arch.alpha.dims(), &device).map_err(misfit)?;
        // Only PC-DARTS and its like have weights of edges; without, all edges into a node weigh the same.
        if file.tensors.iter().any(|tensor| tensor.name == beta) {
            arch.beta = tensor(&file, beta, arch.beta.dims(), &device).map_err(misfit)?;
        } else {
            arch.beta = Tensor::zeros(arch.beta.dims(), &device);
        }
    }
    finite(
        path,
        NotFinite::in_values(&state.weights, &state.statistics, &search.backbone),
    )?;
    finite(path, NotFinite::in_arch(&state.arch))?;
    // Nothing is left to search, decided or not.
    state.progress.epochs_done = search.most_epochs();
    let directory = context.directory;
    Environment::now(context, &dataset, &engine).write(context, &mut Silent)?;
    directory.remove("search")?;
    let record = search.arch_record(&state, &search.outcome(&state), search.epochs());
    directory.append_line(ARCH, &record)?;
    search_checkpoint(&state, &search.backbone, 1).write_newest(directory, searching::CHECKPOINT)
}

/// Refuses a file with a number, among those that were taken from it, that is none, or none of 32 bits.
fn finite(path: &Path, found: Result<(), NotFinite>) -> Result<(), Error> {
    found.map_err(|NotFinite { what, value }| Error::Damaged {
        path: path.to_owned(),
        problem: format!("{what} holds {value}, where only finite numbers of 32 bits can be"),
    })
}

/// What public code calls the architecture parameters: α and β.
fn arch_names(space: SpaceName, kind: CellKind) -> [&'static str; 2] {
    match (space, kind) {
        (SpaceName::NasBench201, _) => ["arch_parameters", "betas"],
        (SpaceName::Darts, CellKind::Normal) => ["alphas_normal", "betas_normal"],
        (SpaceName::Darts, CellKind::Reduction) => ["alphas_reduce", "betas_reduce"],
    }
}

fn read(path: &Path) -> Result<WeightsFile, Error> {
    WeightsFile::read(path).map_err(|error| match error {
        WeightsFileError::Read(source) => Error::io("read", path, source),
        other => Error::Damaged {
            path: path.to_owned(),
            problem: other.to_string(),
        },
    })
}

fn tensor<const D: usize>(
    file: &WeightsFile,
    name: &str,
    shape: [usize; D],
    device: &Device,
) -> Result<Tensor<D>, LoadError> {
    let found = file.tensors.iter().find(|tensor| tensor.name == name);
    let Named { shape: own, data, .. } = found.ok_or_else(|| LoadError::Missing { name: name.to_owned() })?;
    if *own != shape {
        return Err(LoadError::Shape {
            name: name.to_owned(),
            found: own.clone(),
            expected: shape.to_vec(),
        });
    }
    Ok(Tensor::from_data(TensorData::new(data.clone(), shape), device))
}
