//! The terminal while the dashboard uses it: raw mode and the alternate screen, restored however
//! the program ends.
//!
//! Contract: [`give_back`] may be called from any thread, any number of times, and waits for a
//! drawing in progress; nothing is drawn after it. It is called when [`Screen`] is dropped, by a
//! panic before its message is written, by the second Ctrl-C before the process exits, and when
//! memory is exhausted, so it allocates nothing. The dashboard is drawn on the standard error, so
//! that the standard output can be redirected to a file.

use std::io::{self, BufWriter, IsTerminal, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::{Frame, Terminal};

use crate::exit::Code;
use crate::failure::Failure;

/// Whether the dashboard is using the terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, in use by the dashboard.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
}

impl Screen {
    /// Takes over the terminal.
    ///
    /// # Errors
    /// If there is no terminal, or it reports an error.
    pub fn take() -> Result<Self, Failure> {
        check()?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        TAKEN.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode()
            .and_then(|()| execute!(io::stderr(), EnterAlternateScreen, Hide))
            .and_then(|()| Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr()))));
        match taken {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(refused(error))
            }
        }
    }

    /// Draws, unless the terminal has been restored.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        // Locked during the whole drawing; the lock of the standard error is reentrant.
        let _whole = io::stderr().lock();
        if is_taken() {
            self.terminal.draw(draw)?;
        }
        Ok(())
    }
}

/// Waits for the terminal for at most `wait`; returns the events: keys, changes of its size.
///
/// # Errors
/// An I/O error; [`io::ErrorKind::UnexpectedEof`] if the terminal was closed, in which case
/// crossterm's own polling would never return.
pub fn events(wait: Duration) -> io::Result<Vec<Event>> {
    wait_for_input(wait)?;
    let mut events = Vec::new();
    while event::poll(Duration::ZERO)? {
        events.push(event::read()?);
    }
    Ok(events)
}

#[cfg(unix)]
fn wait_for_input(wait: Duration) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;

    let stdin = io::stdin();
    let mut input = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut input, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO)) {
        // A signal: the size has changed, or the program is to end.
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ended = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    match input[0].revents() {
        Some(seen) if seen.intersects(ended) => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn wait_for_input(wait: Duration) -> io::Result<()> {
    event::poll(wait).map(drop)
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Checks that there is a terminal.
///
/// # Errors
/// If the standard error or the standard input is not a terminal.
pub fn check() -> Result<(), Failure> {
    if io::stderr().is_terminal() && io::stdin().is_terminal() {
        Ok(())
    } else {
        Err(Failure::usage(
            "the dashboard needs a terminal, for its picture and its keys; without one, leave --tui out, or watch with `da2s \
             watch DIR --http PORT`",
        ))
    }
}

/// The failure for an error of the terminal.
pub fn refused(error: io::Error) -> Failure {
    Failure::new(Code::Files, format!("cannot use the terminal: {error}"))
}

/// Whether the dashboard is using the terminal.
pub fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// Restores the terminal if the dashboard was using it.
pub fn give_back() {
    let mut out = io::stderr().lock();
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Errors cannot be reported here, and each step helps without the other.
        let _ = execute!(out, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
