//! Processes that end together with the process that started them, however it ends.
//!
//! On Linux the system kills the runs of a comparison when the comparison is killed
//! (`PR_SET_PDEATHSIG`), so the same command can be started again at once. A killed run can be
//! resumed, and its results are bit-identical to those of an undisturbed run. On other systems the
//! runs of a killed comparison continue: macOS has no such mechanism, and the job objects of
//! Windows require `unsafe`.

use std::process::Command;

/// Contains the id of the parent process.
const PARENT: &str = "DA2S_ENDS_WITH";

/// Makes the process that `command` starts end with this one.
pub fn tie(command: &mut Command) {
    command.env(PARENT, std::process::id().to_string());
}

/// Ties this process to its parent, if the parent requested it.
#[cfg(target_os = "linux")]
pub fn hold() {
    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;

    let Some(parent) = std::env::var(PARENT).ok().and_then(|id| id.parse::<u32>().ok()) else {
        return;
    };
    // If the system refuses, the run is independent, as on other systems.
    let held = set_pdeathsig(Signal::SIGKILL).is_ok();
    if held && std::os::unix::process::parent_id() != parent {
        // The parent ended before the signal was set up.
        std::process::exit(crate::exit::Code::Stopped.number());
    }
}

/// See the module.
#[cfg(not(target_os = "linux"))]
pub fn hold() {}
