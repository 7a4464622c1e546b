//! The processes of MPI that this command is one of, and how all of them end.
//!
//! Contract: one process leads, writes and tells; an error that all meet is told once, and one that
//! a single process meets ends all, so that none waits for what never comes.

use std::process::ExitCode;

use da2s::parallel::Group;

use crate::args::Verb;
use crate::exit::Code;
use crate::failure::Failure;

/// How long the process that leads has to end all by itself.
const LEADER_FIRST: std::time::Duration = std::time::Duration::from_secs(2);

/// What the starters of MPI programs set in the environment: Open MPI, MPICH and its kin, Slurm.
#[cfg(feature = "mpi")]
const STARTED: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"];

/// The processes that were started together with this one.
///
/// # Errors
/// If MPI does not start.
#[cfg(feature = "mpi")]
pub fn join() -> Result<Group, Failure> {
    // Without a starter MPI would have to be asked to run a single process, which costs time and
    // serves nobody.
    if STARTED.iter().any(|name| std::env::var_os(name).is_some()) {
        return Ok(Group::over(std::sync::Arc::new(da2s::parallel::Mpi::start()?)));
    }
    Ok(Group::alone())
}

/// This process alone.
#[cfg(not(feature = "mpi"))]
pub fn join() -> Result<Group, Failure> {
    Ok(Group::alone())
}

/// Refuses several processes for a command that is for one.
///
/// # Errors
/// [`Failure::OneProcess`], in all of them.
pub fn suit(verb: &Verb, group: &Group) -> Result<(), Failure> {
    match verb {
        Verb::Run(_) | Verb::Search(_) | Verb::Train(_) => Ok(()),
        _ if group.size() == 1 => Ok(()),
        _ => Err(Failure::OneProcess),
    }
}

/// The end of this process, and where it must be, of all.
pub fn end(group: &Group, ended: Result<(), Failure>) -> ExitCode {
    let Err(failure) = ended else {
        return Code::Done.into();
    };
    if failure.is_shared() {
        if group.leads() {
            failure.tell();
        }
        return failure.code().into();
    }
    if !group.leads() {
        // Whatever settings or images are wrong for all, the process that leads tells and cleans up
        // after; its end is ours then.
        std::thread::sleep(LEADER_FIRST);
    }
    let code = if group.leads() {
        failure.tell()
    } else {
        failure.tell_as(group.rank())
    };
    group.abort(failure.code().number());
    code
}
