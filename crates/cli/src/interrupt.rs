//! Ctrl-C: the first press asks the library to stop behind the step under way, the second aborts at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user wants to stop.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that Ctrl-C, and a request of the system to terminate, raises.
    pub fn on_interrupt() -> Self {
        let flag = Self::default();
        let raised = flag.clone();
        let handled = ctrlc::set_handler(move || {
            if raised.0.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            let _ = writeln!(
                io::stderr(),
                "da2s: stopping behind this step; once more aborts at once"
            );
        });
        if let Err(error) = handled {
            // Without a handler Ctrl-C still ends the program, only less gently.
            let _ = writeln!(
                io::stderr(),
                "da2s: Ctrl-C will abort without a last checkpoint: {error}"
            );
        }
        flag
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
