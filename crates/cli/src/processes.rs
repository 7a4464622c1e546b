//! The MPI processes that this one belongs to, and how they end.
//!
//! Contract: the leading process writes and reports. An error that all processes get is reported
//! once; an error of a single process ends all of them, so that none waits forever.

use std::process::ExitCode;

use da2s::parallel::Group;

use crate::args::Verb;
use crate::exit::Code;
use crate::failure::Failure;

/// How long the other processes wait for the leading one to end them.
const LEADER_FIRST: std::time::Duration = std::time::Duration::from_secs(2);

/// Environment variables set by MPI launchers: Open MPI, MPICH and its derivatives, Slurm.
#[cfg(feature = "mpi")]
const STARTED: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"];

/// The processes that were started together with this one.
///
/// # Errors
/// If MPI does not start.
#[cfg(feature = "mpi")]
pub fn join() -> Result<Group, Failure> {
    // Without a launcher there is a single process, so starting MPI would only cost time.
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

/// Refuses several processes for a command that supports only one.
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

/// Ends this process and, if necessary, all of them.
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
        // If settings or images are invalid for all, the leading process reports that and cleans
        // up; it then ends the others too.
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
