//! `da2s serve`: an HTTP server to try the trained network of a run before it is deployed, with a
//! web page and a path for POST requests.
//!
//! Contract: the network is that of `da2s-infer`, in float32; images are decoded and preprocessed
//! as in `da2s predict`. Other machines are refused unless `--public` is given. Ctrl-C ends it
//! after the requests that have arrived.

mod pages;
mod turns;

use std::net::SocketAddr;

use da2s::run::{Job, deployed};

use self::pages::{Source, UPLOADS};
use super::http;
use super::session::this_command;
use crate::args::ServeArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::interrupt::abort;
use crate::terminal::tell;

/// Serves until Ctrl-C.
///
/// # Errors
/// If there is no trained network, or the address is unavailable, or other machines can reach it
/// without `--public`.
pub fn execute(arguments: &ServeArguments) -> Result<(), Failure> {
    let address = arguments.http;
    if !address.ip().is_loopback() && !arguments.public {
        return Err(Failure::usage(format!(
            "{address} can be reached from other machines, and da2s asks for no password: add --public if that is intended"
        )));
    }
    let run = &arguments.stage.run;
    let job = Job::read(run, &arguments.stage.request()?, this_command())?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(job.config().run.threads);
    threads
        .build_global()
        .map_err(|error| Failure::new(Code::Files, format!("cannot start the threads: {error}")))?;
    let network = deployed(&job.trained()?)?;
    let server = http::bind(address, Some(UPLOADS))?;
    let stopper = server.stopper();
    let interrupted = move || {
        if stopper.stop() {
            abort(Code::Stopped);
        }
    };
    ctrlc::set_handler(interrupted).map_err(|error| http::ended(&server, &error))?;
    http::announce(&server, "can use the network")?;
    if !arguments.stage.quiet {
        tell(&usage(server.address()));
    }
    let name = run.canonicalize().unwrap_or_else(|_| run.clone());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let source = Source::new(name, network, arguments.top.into());
    let served = server.serve(|asked| source.answer(asked));
    served.map_err(|error| http::ended(&server, &error))
}

/// How to use it from another program.
fn usage(here: SocketAddr) -> String {
    let path = UPLOADS.path;
    format!("da2s: open the page, or: curl --data-binary @photo.jpg http://{here}{path}; Ctrl-C ends it")
}
