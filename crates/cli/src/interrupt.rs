//! Ctrl-C: the first press asks the library to stop behind the step under way, the second aborts at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dashboard::screen;

/// Whether the user wants to stop.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that Ctrl-C, and a request of the system to terminate, raises.
    pub fn on_interrupt() -> Self {
        let flag = Self::default();
        let raised = flag.clone();
        if let Err(error) = ctrlc::set_handler(move || raised.interrupt()) {
            // Without a handler Ctrl-C still ends the program, only less gently.
            let _ = writeln!(
                io::stderr(),
                "da2s: Ctrl-C will abort without a last checkpoint: {error}"
            );
        }
        flag
    }

    /// What Ctrl-C does, also where it comes as a key.
    pub fn interrupt(&self) {
        if self.0.swap(true, Ordering::Relaxed) {
            screen::give_back();
            std::process::exit(130);
        }
        // The dashboard says it in its own way.
        if !screen::is_taken() {
            let _ = writeln!(
                io::stderr(),
                "da2s: stopping behind this step; once more aborts at once"
            );
        }
    }

    /// Raises it.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
