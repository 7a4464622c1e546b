//! Processes that end with the one that started them, however that ends.
//!
//! On Linux the system ends a run of a comparison when the comparison is killed
//! (`PR_SET_PDEATHSIG`), so that the same command finds nobody at work. A run that is killed
//! resumes with the same bits. Elsewhere a comparison that is killed leaves its runs at work: macOS
//! has nothing like it, and the job objects of Windows are out of reach without `unsafe`.

use std::process::Command;

/// Tells a process who started it.
const PARENT: &str = "DA2S_ENDS_WITH";

/// Has the process that `command` starts end with this one.
pub fn tie(command: &mut Command) {
    command.env(PARENT, std::process::id().to_string());
}

/// Ties this process to the one that started it, if that asked for it.
#[cfg(target_os = "linux")]
pub fn hold() {
    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;

    let Some(parent) = std::env::var(PARENT).ok().and_then(|id| id.parse::<u32>().ok()) else {
        return;
    };
    // Where the system refuses, the run is as free as elsewhere.
    let held = set_pdeathsig(Signal::SIGKILL).is_ok();
    if held && std::os::unix::process::parent_id() != parent {
        // It ended before it could be held on to.
        std::process::exit(crate::exit::Code::Stopped.number());
    }
}

/// See the module.
#[cfg(not(target_os = "linux"))]
pub fn hold() {}
