//! Converts the states of search and training to checkpoints, and back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use da2s_records::Named;
use serde::{Deserialize, Serialize};

use super::Error;
use super::checkpoint::Checkpoint;
use super::resume::CheckpointMeta;
use crate::arch::Removed;
use crate::backbone::{Backbone, LoadError, find_tensor};
use crate::device::host;
use crate::hint::Hint;
use crate::optim::{AdamMeans, ArchMoment};
use crate::resumable::Resumable;
use crate::retrain::{Average, TrainProgress, TrainState};
use crate::search::{Search, SearchProgress, SearchState};
use crate::space::CellKind;
use crate::stage::Stage;

/// The number of processes if a checkpoint of an earlier version does not contain it.
const fn one() -> usize {
    1
}

/// A search state without its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SearchMeta {
    progress: SearchProgress,
    /// Processes that search together.
    #[serde(default = "one")]
    processes: usize,
    /// Adam's steps: α and β of normal cells, α and β of reduction cells.
    adam_steps: [usize; 4],
    /// What has been removed from each kind of cell, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    removed: BTreeMap<String, Removed>,
}

impl CheckpointMeta for SearchMeta {
    fn processes(&self) -> usize {
        self.processes
    }
}

impl CheckpointMeta for TrainMeta {
    fn processes(&self) -> usize {
        self.processes
    }
}

/// The state of a search of `processes` as a checkpoint.
pub(super) fn search_checkpoint(state: &SearchState, backbone: &Backbone, processes: usize) -> Checkpoint<SearchMeta> {
    let mut tensors = backbone.named(&state.weights, &state.statistics);
    tensors.extend(state.sgd.named(backbone));
    let (mut adam_steps, mut removed) = ([0; 4], BTreeMap::new());
    for (index, (kind, arch)) in state.arch.kinds().iter().enumerate() {
        let (moments, name) = (state.arch_moments.kind(kind), kind.name());
        tensors.push(named(format!("arch.{name}.alpha"), &arch.alpha));
        tensors.push(named(format!("arch.{name}.beta"), &arch.beta));
        adam_steps[2 * index] = push_moments(&mut tensors, &format!("adam.{name}.alpha"), moments.alpha.as_ref());
        if let Some(own) = &arch.removed {
            removed.insert(name.to_owned(), Removed::clone(own));
        }
        adam_steps[2 * index + 1] = push_moments(&mut tensors, &format!("adam.{name}.beta"), moments.beta.as_ref());
    }
    Checkpoint {
        tensors,
        meta: SearchMeta {
            progress: state.progress.clone(),
            processes,
            adam_steps,
            removed,
        },
    }
}

/// The state of `search` in a checkpoint.
pub(super) fn search_state(
    search: &Search,
    checkpoint: &Checkpoint<SearchMeta>,
    device: &Device,
) -> Result<SearchState, LoadError> {
    let (tensors, mut state) = (&checkpoint.tensors, search.start());
    let backbone = search.backbone_after(checkpoint.meta.progress.epochs_done);
    (state.weights, state.statistics) = backbone.load(tensors, device)?;
    state.sgd.restore(backbone, tensors, device)?;
    state.progress = checkpoint.meta.progress.clone();
    let kinds: Vec<CellKind> = state.arch.kinds().iter().map(|(kind, _)| kind).collect();
    for (index, kind) in kinds.into_iter().enumerate() {
        let name = kind.name();
        let arch = state.arch.kind_mut(kind);
        arch.alpha = find_tensor(tensors, &format!("arch.{name}.alpha"), arch.alpha.dims(), device)?;
        arch.beta = find_tensor(tensors, &format!("arch.{name}.beta"), arch.beta.dims(), device)?;
        let (alpha, beta) = (arch.alpha.dims(), arch.beta.dims());
        if let Some(removed) = checkpoint.meta.removed.get(name) {
            let found = vec![removed.edges.len(), removed.operations.len()];
            let expected = vec![beta[0], alpha[0] * alpha[1]];
            if found != expected {
                let name = format!("arch.{name}.removed");
                return Err(LoadError::Shape { name, found, expected });
            }
            arch.removed = Some(Arc::new(removed.clone()));
        }
        let steps = &checkpoint.meta.adam_steps[2 * index..];
        let moments = state.arch_moments.kind_mut(kind);
        moments.alpha = find_moments(tensors, &format!("adam.{name}.alpha"), alpha, steps[0], device)?;
        moments.beta = find_moments(tensors, &format!("adam.{name}.beta"), beta, steps[1], device)?;
    }
    Ok(state)
}

/// A training state without its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TrainMeta {
    progress: TrainProgress,
    /// Processes that train together.
    #[serde(default = "one")]
    processes: usize,
    /// The genotype of the network: names and shapes alone do not identify it.
    pub(super) genotype: String,
}

impl TrainMeta {
    /// For a training of the network of `genotype` by `processes` with this `progress`.
    pub(super) fn new(progress: &TrainProgress, genotype: &str, processes: usize) -> Self {
        Self {
            progress: progress.clone(),
            processes,
            genotype: genotype.to_owned(),
        }
    }

    /// Whether these best weights were imported: a training saves its best weights after at least
    /// one epoch.
    pub(super) fn is_imported(&self) -> bool {
        self.progress.epochs_done == 0
    }

    /// Refuses the weights in `path` if they belong to another genotype.
    pub(super) fn expect(&self, genotype: &str, path: &Path) -> Result<(), Error> {
        if self.genotype == genotype {
            return Ok(());
        }
        Err(Error::Mismatch {
            path: path.to_owned(),
            problem: "it contains the network of another genotype".to_owned(),
            hints: &[Hint::RunFirst(Stage::Train)],
        })
    }
}

/// The state of a training by `processes` as a checkpoint.
pub(super) fn train_checkpoint(
    state: &TrainState,
    network: &Backbone,
    genotype: &str,
    processes: usize,
) -> Checkpoint<TrainMeta> {
    let mut tensors = network.named(&state.weights, &state.statistics);
    tensors.extend(state.sgd.named(network));
    tensors.extend(state.average.iter().flat_map(|average| average.named(network)));
    Checkpoint {
        tensors,
        meta: TrainMeta::new(&state.progress, genotype, processes),
    }
}

/// The training state of a checkpoint; `state` is the start of the same training.
pub(super) fn train_state(
    mut state: TrainState,
    checkpoint: &Checkpoint<TrainMeta>,
    network: &Backbone,
    device: &Device,
) -> Result<TrainState, LoadError> {
    (state.weights, state.statistics) = network.load(&checkpoint.tensors, device)?;
    state.sgd.restore(network, &checkpoint.tensors, device)?;
    if state.average.is_some() {
        state.average = Some(Average::restored(network, &checkpoint.tensors, device)?);
    }
    state.progress = checkpoint.meta.progress.clone();
    Ok(state)
}

fn named<const D: usize>(name: String, tensor: &Tensor<D>) -> Named {
    Named {
        name,
        shape: tensor.dims().to_vec(),
        data: host(tensor),
    }
}

/// Adds the optimiser's state and returns the number of Adam's steps; 0 before the first step, and
/// for SGD.
fn push_moments<const D: usize>(tensors: &mut Vec<Named>, name: &str, moment: Option<&ArchMoment<D>>) -> usize {
    match moment {
        None => 0,
        Some(ArchMoment::Velocity(velocity)) => {
            tensors.push(named(format!("{name}.velocity"), velocity));
            0
        }
        Some(ArchMoment::Adam(means)) => {
            tensors.push(named(format!("{name}.mean"), &means.mean));
            tensors.push(named(format!("{name}.square"), &means.square));
            means.steps
        }
    }
}

fn find_moments<const D: usize>(
    tensors: &[Named],
    name: &str,
    shape: [usize; D],
    steps: usize,
    device: &Device,
) -> Result<Option<ArchMoment<D>>, LoadError> {
    if steps == 0 {
        let velocity = format!("{name}.velocity");
        return match find_tensor(tensors, &velocity, shape, device) {
            Ok(velocity) => Ok(Some(ArchMoment::Velocity(Box::new(velocity)))),
            Err(LoadError::Missing { .. }) => Ok(None),
            Err(other) => Err(other),
        };
    }
    let mean = find_tensor(tensors, &format!("{name}.mean"), shape, device)?;
    let square = find_tensor(tensors, &format!("{name}.square"), shape, device)?;
    Ok(Some(ArchMoment::Adam(Box::new(AdamMeans { steps, mean, square }))))
}
