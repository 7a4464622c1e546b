//! A network with fixed weights, compiled once and run on images: what is deployed.
//!
//! It consists of [`Steps`] with all batch norms folded in. Compiling decides where every tensor
//! is in memory, packs all weights into one buffer, and makes sums, activation functions and
//! concatenations a part of the steps that compute their terms. Running it allocates nothing but
//! its results. A single image is divided among the threads, step by step; several images go
//! through the network one by one, each in one thread. Contract: the result has the same bits for
//! any number of threads and images. The plain version is in `da2s-infer`, which compares the two.

mod claims;
mod compile;
mod drafts;
mod layout;
mod run;
mod team;

use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};

use da2s_kernels::Level;
use da2s_kernels::fixed::padded;
use da2s_plan::Steps;
use rayon::prelude::*;

use self::claims::Claims;
use self::compile::Program;
use self::team::Team;
use crate::cpu::Buffer;

/// The weights of a step, with its batch norm folded in.
#[derive(Clone, Debug, PartialEq)]
pub enum StepWeights {
    /// A step without weights.
    None,
    /// A convolution: `[outputs, inputs of each, height, width]`, and a bias per output.
    Convolution(Vec<f32>, Vec<f32>),
    /// A squeeze-and-excitation: both matrices, each followed by its biases.
    Squeeze(Vec<f32>),
}

/// What is wrong with a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployedError {
    /// Its activations need too much memory.
    #[error("its activations need more than {most} bytes")]
    Memory {
        /// The limit.
        most: usize,
    },
    /// The weights of a step do not have its shape.
    #[error("the weights of {place} do not have its shape")]
    Weights {
        /// The name of the step.
        place: String,
    },
}

/// Floats of the activations of one image, at most.
const MOST_FLOATS: usize = 1 << 28;

/// A network that is ready to run.
#[derive(Debug)]
pub struct DeployedNetwork {
    program: Program,
    level: Level,
    /// The memory of calls that have ended.
    free: Mutex<Vec<Memory>>,
    /// The threads that help with single images; they are started when first needed.
    team: Mutex<Option<Team>>,
}

/// The memory that a call uses, and the claims to its pieces.
#[derive(Debug)]
struct Memory {
    buffer: Buffer,
    claims: Claims,
}

impl DeployedNetwork {
    /// Compiles `steps` for the best instructions of this CPU. `of_step` returns the weights of
    /// some outputs of the step with a number (of a squeeze-and-excitation, all weights). Several
    /// threads call it, and free these weights when they are packed, so that they are never in
    /// memory all at once.
    ///
    /// # Errors
    /// If it needs too much memory, the weights do not fit, or `of_step` fails.
    pub fn new<E: From<DeployedError> + Send>(
        steps: &Steps,
        of_step: impl Fn(usize, Range<usize>) -> Result<StepWeights, E> + Sync,
    ) -> Result<Self, E> {
        Self::at_level(steps, of_step, da2s_kernels::cpu_level())
    }

    /// Compiles `steps` for the instructions of `level`, like [`Self::new`].
    ///
    /// # Errors
    /// Like [`Self::new`].
    pub fn at_level<E: From<DeployedError> + Send>(
        steps: &Steps,
        of_step: impl Fn(usize, Range<usize>) -> Result<StepWeights, E> + Sync,
        level: Level,
    ) -> Result<Self, E> {
        let program = Program::new(steps, of_step)?;
        Ok(Self {
            program,
            level,
            free: Mutex::new(Vec::new()),
            team: Mutex::new(None),
        })
    }

    /// The global means of all images, one after another. An image is channels × rows × columns.
    ///
    /// # Panics
    /// If an image does not have the network's shape.
    pub fn features(&self, images: &[Vec<f32>]) -> Vec<f32> {
        let features = self.program.features();
        let len = self.program.image_len();
        assert!(
            images.iter().all(|image| image.len() == len),
            "an image of another shape than the network's"
        );
        let mut means = vec![0.0; images.len() * features];
        match images {
            [image] => self.run(Some(image), threads(), &mut means),
            _ => {
                let each = images.par_iter().zip(means.par_chunks_mut(features));
                each.for_each(|(image, means)| self.run(Some(image), 1, means));
            }
        }
        means
    }

    /// Runs all operations again on what the last call with one image left in memory, without
    /// copying an image, so that only the operations are timed. Returns the global means.
    pub fn run_again(&self) -> Vec<f32> {
        let mut means = vec![0.0; self.program.features()];
        self.run(None, threads(), &mut means);
        means
    }

    fn run(&self, image: Option<&[f32]>, threads: usize, means: &mut [f32]) {
        let mut memory = self.lend(threads);
        let frame = run::Frame {
            program: &self.program,
            level: self.level,
            memory: run::Shared::new(memory.buffer.as_mut_slice()),
        };
        if let Some(image) = image {
            frame.fill(image);
        }
        let work = |operation, piece| {
            // SAFETY: the claims give each piece to one thread, after all earlier phases.
            unsafe { frame.piece(operation, piece) };
        };
        let helpers = memory.claims.useful() - 1;
        // If another call is using the team, this one runs without it.
        let mut team = match self.team.try_lock() {
            _ if helpers == 0 => None,
            Ok(team) => Some(team),
            Err(TryLockError::Poisoned(team)) => Some(team.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let team = team.as_mut().and_then(|team| of_size(team, helpers));
        memory.claims.run(team, work);
        frame.means(means);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(memory);
    }

    /// Memory for one image, from an earlier call if there is some.
    fn lend(&self, threads: usize) -> Memory {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |memory: &Memory| memory.claims.threads() == threads;
        if let Some(at) = free.iter().rposition(same) {
            return free.swap_remove(at);
        }
        drop(free);
        let mut buffer = Buffer::default();
        buffer.reserve(self.program.memory_len());
        Memory {
            buffer,
            claims: Claims::new(&self.program.phases, threads),
        }
    }

    /// Channels of the result.
    pub fn feature_count(&self) -> usize {
        self.program.features()
    }
}

/// Threads for a single image: those of the pool, but not more than can run at the same time,
/// because they wait actively.
fn threads() -> usize {
    // The system is asked once: it reads files to answer.
    static MOST: OnceLock<usize> = OnceLock::new();
    let most = *MOST.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    rayon::current_num_threads().min(most)
}

/// The team with `helpers` threads besides the caller's, started if necessary; `None` if the system
/// cannot start them.
fn of_size(team: &mut Option<Team>, helpers: usize) -> Option<&mut Team> {
    if team.as_ref().is_none_or(|team| team.helpers() != helpers) {
        *team = Team::new(helpers).ok();
    }
    team.as_mut()
}

/// Blocks of 16 channels.
fn blocks(channels: usize) -> usize {
    padded(channels) / 16
}
