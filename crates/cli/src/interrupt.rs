//! Ctrl-C: the first press requests a stop after the current step, the second aborts at once.
//!
//! Contract: nothing that blocks can prevent the second press from ending the program, not even a
//! standard error that nobody reads. So a separate thread writes the message, and the exit waits
//! for the terminal for at most [`GOODBYE`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::dashboard::screen;
use crate::exit::Code;
use crate::terminal::tell;

/// Time limit for restoring the terminal after the dashboard.
const GOODBYE: Duration = Duration::from_millis(500);

/// Whether the user wants to stop.
#[derive(Clone, Debug, Default)]
pub struct StopFlag {
    raised: Arc<AtomicBool>,
    /// Whether another process prints the messages.
    silent: bool,
}

impl StopFlag {
    /// A flag that is raised by Ctrl-C or a termination request of the system; a message is
    /// printed.
    pub fn on_interrupt() -> Self {
        Self::listening(false)
    }

    /// Like [`Self::on_interrupt`], for a process that prints no messages because another one does.
    pub fn on_interrupt_silent() -> Self {
        Self::listening(true)
    }

    fn listening(silent: bool) -> Self {
        let flag = Self {
            silent,
            ..Self::default()
        };
        let raised = flag.clone();
        if let Err(error) = ctrlc::set_handler(move || raised.interrupt()) {
            // Without a handler, Ctrl-C still ends the program, but without a checkpoint.
            tell(&format!("da2s: Ctrl-C will abort without a last checkpoint: {error}"));
        }
        flag
    }

    /// The action of Ctrl-C, also if it arrives as a key.
    pub fn interrupt(&self) {
        if self.raised.swap(true, Ordering::Relaxed) {
            within(GOODBYE, screen::give_back);
            abort(Code::Stopped);
        }
        // The dashboard shows this itself.
        if !self.silent && !screen::is_taken() {
            within(GOODBYE, || {
                tell("da2s: stopping after this step; press Ctrl-C again to abort now");
            });
        }
    }

    /// Raises the flag.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is raised.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}

/// Runs `work` in a separate thread, and waits for at most `patience`.
fn within(patience: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let worker = thread::Builder::new().spawn(move || {
        work();
        // The receiver may have stopped waiting.
        let _ = done.send(());
    });
    if worker.is_ok() {
        let _ = ended.recv_timeout(patience);
    }
}

/// Ends the process without flushing its buffers, which could block.
#[cfg(unix)]
pub fn abort(code: Code) -> ! {
    signal_hook::low_level::exit(code.number())
}

#[cfg(not(unix))]
pub fn abort(code: Code) -> ! {
    std::process::exit(code.number())
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail like a write to a full disk; by
/// default the system would end the process with SIGXFSZ.
#[cfg(unix)]
pub fn survive_file_limits() {
    // The flag is not needed: the failed write reports the problem.
    let came = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, came) {
        tell(&format!(
            "da2s: a limit on the size of files will end the program without a message: {error}"
        ));
    }
}

/// Other systems have no such signal.
#[cfg(not(unix))]
pub fn survive_file_limits() {}
