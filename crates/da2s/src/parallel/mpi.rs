//! Messages over MPI: `mpirun -n 2 da2s run …`.
//!
//! Reference: MPI 3.1, chapter 5 (collectives); the crate `mpi` (rsmpi). Contract: a program has
//! one [`Mpi`] and keeps it until the program ends, since dropping it finalises MPI. MPI's own
//! error handling stays: if a process is lost, MPI and its launcher end the others.

use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use super::Transport;

/// Maximum size of one message in bytes: MPI counts in 32 bits.
const MOST_BYTES: usize = 1 << 30;

/// All processes of an MPI job.
pub struct Mpi {
    rank: usize,
    size: usize,
    /// Finalises MPI when dropped.
    _universe: Universe,
}

/// Why MPI does not start.
#[derive(Debug, thiserror::Error)]
pub enum MpiError {
    /// It is already running.
    #[error("MPI was started before in this program")]
    Started,
    /// It does not support programs with several threads.
    #[error("this MPI allows no calls from a program with threads (it offers {offered})")]
    Threads {
        /// The thread support that it offers.
        offered: String,
    },
}

impl Mpi {
    /// Joins the processes that were started together with this one.
    ///
    /// # Errors
    /// If MPI was already started, or does not support threads.
    pub fn start() -> Result<Self, MpiError> {
        let (universe, offered) = mpi::initialize_with_threading(Threading::Serialized).ok_or(MpiError::Started)?;
        if offered < Threading::Funneled {
            let offered = format!("{offered:?}");
            return Err(MpiError::Threads { offered });
        }
        let world = universe.world();
        // MPI uses signed numbers, which are never negative here.
        let count = |number: i32| usize::try_from(number).unwrap_or_default();
        Ok(Self {
            rank: count(world.rank()),
            size: count(world.size()),
            _universe: universe,
        })
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, own: &[f32]) -> Vec<f32> {
        let mut all = vec![0.0; own.len() * self.size];
        SimpleCommunicator::world().all_gather_into(own, &mut all[..]);
        all
    }

    fn all_gather_words(&self, own: &[u64]) -> Vec<u64> {
        let mut all = vec![0; own.len() * self.size];
        SimpleCommunicator::world().all_gather_into(own, &mut all[..]);
        all
    }

    fn all_to_all(&self, own: &[f32]) -> Vec<f32> {
        let mut pieces = vec![0.0; own.len()];
        SimpleCommunicator::world().all_to_all_into(own, &mut pieces[..]);
        pieces
    }

    fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
        let (world, mut length) = (SimpleCommunicator::world(), own.len() as u64);
        let leader = world.process_at_rank(0);
        leader.broadcast_into(&mut length);
        let mut bytes = own;
        bytes.resize(length as usize, 0);
        for piece in bytes.chunks_mut(MOST_BYTES) {
            leader.broadcast_into(piece);
        }
        bytes
    }

    fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mpi {{ rank: {}, size: {} }}", self.rank, self.size)
    }
}
