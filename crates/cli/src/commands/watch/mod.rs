//! `da2s watch`: shows a run of another process, on the terminal or as a page. Only reads.

mod pages;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use da2s_pages::Page;
use da2s_report::run::Follow;

use self::pages::Source;
use super::http;
use crate::args::WatchArguments;
use crate::dashboard::screen::Screen;
use crate::dashboard::{Driver, ESCAPE, INTERRUPT, Now, show};
use crate::exit::Code;
use crate::failure::Failure;
use crate::interrupt::StopFlag;

/// Watches until the user quits.
///
/// # Errors
/// If the directory is not a run or a file in it is damaged; if there is no terminal; if the
/// address is unavailable.
pub fn execute(arguments: &WatchArguments) -> Result<(), Failure> {
    let mut follow = Follow::new(&arguments.run)?;
    match arguments.http {
        Some(address) => serve(&arguments.run, follow, address),
        None => {
            let stop = StopFlag::on_interrupt();
            show(Screen::take()?, &mut follow, &mut Watcher { stop })
        }
    }
}

/// Serves the run in `run_dir` at `address` until Ctrl-C.
///
/// # Errors
/// If the address is unavailable, or the server fails later.
fn serve(run_dir: &Path, follow: Follow, address: SocketAddr) -> Result<(), Failure> {
    let server = http::bind(address, None)?;
    // It only reads, so there is nothing to save, and no thread to wait for.
    let interrupted = || std::process::exit(Code::Done.number());
    ctrlc::set_handler(interrupted).map_err(|error| http::ended(&server, &error))?;
    http::announce(&server, "can read the run")?;
    let source = Mutex::new(Source::new(run_dir, follow));
    let served = server.serve(|asked| {
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody would receive the page.
        if asked.is_dropped() {
            return Page::refusal(503, "The connection was closed.");
        }
        source.answer(asked.path)
    });
    served.map_err(|error| http::ended(&server, &error))
}

/// The driver of a dashboard that only watches.
struct Watcher {
    stop: StopFlag,
}

impl Driver for Watcher {
    fn now(&mut self, follow: &Follow) -> Now {
        Now::of_files(follow, SystemTime::now())
    }

    fn message(&self, follow: &Follow) -> Option<String> {
        follow.failure().map(str::to_owned)
    }

    fn keys(&self) -> &'static [(&'static str, &'static str)] {
        &[("q", "quit")]
    }

    fn press(&mut self, key: char) {
        if ['q', ESCAPE, INTERRUPT].contains(&key) {
            self.stop.raise();
        }
    }

    fn ended(&self) -> bool {
        self.stop.is_raised()
    }
}
