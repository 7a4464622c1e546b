//! `da2s serve`: a web page and an HTTP endpoint for the trained network of a run, to try it before
//! it is deployed.
//!
//! Contract: the network is that of `da2s-infer`, in float32; images are decoded and preprocessed
//! as in `da2s predict`. Other machines are refused unless `--public` is given. Ctrl-C ends it
//! after the requests that have arrived.

mod pages;

use std::net::SocketAddr;

use da2s::config::Layer;
use da2s::run::{Job, deployed};
use da2s_pages::{Server, Turns, Uploads};

use self::pages::Source;
use super::session::this_command;
use crate::args::ServeArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::interrupt::abort;
use crate::terminal::{self, tell};

/// Longest image that is accepted.
const MOST_IMAGE_BYTES: usize = 32 << 20;

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
    let mut request = arguments.stage.request()?;
    // Whatever device trained the network: `da2s-infer` runs it on the CPU.
    for (key, value) in [("run.device", "cpu"), ("run.engine", "auto")] {
        let layer = Layer::flag("da2s serve", key, value.into()).map_err(da2s::Error::from)?;
        request.layers.push(layer);
    }
    let job = Job::read(run, &request, this_command())?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(job.config().run.threads);
    threads
        .build_global()
        .map_err(|error| Failure::new(Code::Files, format!("cannot start the threads: {error}")))?;
    let network = deployed(&job.trained()?)?;
    let listen = |reason: String| {
        let advice = "choose another port, or 0 for any that is free";
        Failure::usage(format!("cannot serve at {address}: {reason}; {advice}"))
    };
    let uploads = Uploads {
        path: pages::PREDICT,
        most_bytes: MOST_IMAGE_BYTES,
    };
    let server = Server::bind(address, Some(uploads)).map_err(|error| listen(error.to_string()))?;
    let stopper = server.stopper();
    let interrupted = move || {
        if stopper.stop() {
            abort(Code::Stopped);
        }
    };
    ctrlc::set_handler(interrupted).map_err(|error| listen(error.to_string()))?;
    let here = server.address();
    if server.is_public() {
        tell(
            "da2s: anyone who can reach this machine, at its IP address, can use the network: the page asks for no password",
        );
    }
    terminal::print(&format!("http://{here}/\n"))?;
    if !arguments.stage.quiet {
        tell(&usage(here));
    }
    let name = run.canonicalize().unwrap_or_else(|_| run.clone());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let source = Source {
        name,
        network,
        top: arguments.top.into(),
        most_bytes: MOST_IMAGE_BYTES,
        turns: Turns::default(),
    };
    server
        .serve(move |asked| source.answer(asked))
        .map_err(|error| listen(error.to_string()))
}

/// How to use it from another program.
fn usage(here: SocketAddr) -> String {
    let path = pages::PREDICT;
    format!("da2s: open the page, or: curl --data-binary @photo.jpg http://{here}{path}; Ctrl-C ends it")
}
