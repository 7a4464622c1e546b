//! A stage at work: it computes in threads of its own without the interpreter, while the thread
//! that asked for it listens.
//!
//! Contract: what is told is heard in the thread that called, in order. An exception there, Ctrl-C
//! among them, asks the stage to stop behind the step under way, and is raised when it has: the run
//! can then be resumed.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use da2s::Error;
use da2s::observer::{Event, Observer, Warning};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use rayon::ThreadPool;
use serde_json::{json, to_string};

use crate::errors::{exception, raised};
use crate::hints::with_hints;

/// How often Python's signals are looked at where nothing is told.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Something told.
enum Told {
    /// The name of a class of `da2s.progress`, and its fields as JSON.
    Progress(&'static str, String),
    Warning(Warning),
}

/// The observer in the threads that compute.
struct Teller<'a> {
    sender: SyncSender<Told>,
    /// Whether anybody wants to hear of progress.
    has_listener: bool,
    stop: &'a AtomicBool,
}

/// Does `work` in `threads`; `listener` is called with the class and the fields of what happens.
///
/// # Errors
/// The exception that the listener or a signal raised; otherwise that of the stage.
pub fn listen<T: Send>(
    py: Python<'_>,
    threads: &ThreadPool,
    listener: Option<&Py<PyAny>>,
    work: impl FnOnce(&mut dyn Observer) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let (sender, receiver) = sync_channel(1);
    let mut teller = Teller {
        sender,
        has_listener: listener.is_some(),
        stop: &stop,
    };
    let (done, heard) = py.detach(|| {
        // The receiver moves along, since two threads cannot share it.
        let receiver = receiver;
        thread::scope(|scope| {
            let worker = scope.spawn(|| threads.install(move || work(&mut teller)));
            let heard = hear(&receiver, listener, &stop);
            (worker.join(), heard)
        })
    });
    match (done, heard) {
        (Err(_), _) => Err(exception(
            py,
            "InternalError",
            "this is a defect of da2s; please report it with the lines above",
        )),
        (Ok(_), Err(exception)) => Err(exception),
        (Ok(Err(error)), Ok(())) => Err(raised(py, &error)),
        (Ok(Ok(done)), Ok(())) => Ok(done),
    }
}

/// Listens until nobody can tell anything any more, and returns the first exception.
fn hear(receiver: &Receiver<Told>, listener: Option<&Py<PyAny>>, stop: &AtomicBool) -> PyResult<()> {
    let mut first = Ok(());
    loop {
        let told = match receiver.recv_timeout(LOOK_EVERY) {
            Ok(told) => Some(told),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return first,
        };
        let heard = Python::attach(|py| {
            py.check_signals()?;
            match told {
                // Who has raised an exception hears no more.
                Some(told) if first.is_ok() => told.tell(py, listener),
                _ => Ok(()),
            }
        });
        if heard.is_err() && first.is_ok() {
            stop.store(true, Ordering::Relaxed);
            first = heard;
        }
    }
}

impl Told {
    fn tell(self, py: Python<'_>, listener: Option<&Py<PyAny>>) -> PyResult<()> {
        match (self, listener) {
            (Self::Warning(warning), _) => warn(py, &warning),
            (Self::Progress(class, fields), Some(listener)) => listener.call1(py, (class, fields)).map(drop),
            (Self::Progress(..), None) => Ok(()),
        }
    }
}

/// Warns whom it concerns: the caller of the function of da2s that called.
///
/// # Errors
/// The exception that Python's filters make of it.
pub fn warn(py: Python<'_>, warning: &Warning) -> PyResult<()> {
    let text = with_hints(&warning.text, &warning.hints);
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &CString::new(text)?, 2)
}

impl Teller<'_> {
    fn tell(&self, told: Told) {
        // The thread that listens does so until this one has ended.
        let _ = self.sender.send(told);
    }
}

impl Observer for Teller<'_> {
    fn on(&mut self, event: Event<'_>) {
        let (class, fields) = match event {
            Event::Warning(warning) => {
                self.tell(Told::Warning(warning));
                return;
            }
            _ if !self.has_listener => return,
            Event::Started {
                stage,
                epochs,
                resumed_at,
            } => (
                "Started",
                Ok(json!({ "stage": stage.name(), "epochs": epochs, "resumed_at": resumed_at }).to_string()),
            ),
            Event::Step {
                stage,
                epoch,
                step,
                steps,
                loss,
                accuracy,
            } => (
                "Step",
                Ok(json!({
                    "stage": stage.name(),
                    "epoch": epoch,
                    "step": step,
                    "steps": steps,
                    "loss": loss,
                    "accuracy": accuracy,
                })
                .to_string()),
            ),
            Event::SearchEpoch(metrics) => ("SearchEpoch", to_string(metrics)),
            Event::TrainEpoch(metrics) => ("TrainEpoch", to_string(metrics)),
            Event::Gap(gap) => ("Gap", to_string(gap)),
            // Nobody here asks for checkpoints.
            Event::Checkpoint { .. } => return,
        };
        // Numbers and names, which can always be written.
        if let Ok(fields) = fields {
            self.tell(Told::Progress(class, fields));
        }
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
