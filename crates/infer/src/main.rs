//! `da2s-infer NETWORK IMAGE…`: the classes that a deployed network assigns to images, and its
//! speed.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use da2s_engine::Allocator;
use da2s_images::{Class, Image, most_probable};
use da2s_infer::{Network, NetworkError};
use da2s_records::{escaped, one_line};
use serde::Serialize;

const HELP: &str = "\
Classifies images with a trained da2s network.

Usage: da2s-infer [OPTIONS] NETWORK IMAGE...

  NETWORK        a file of `da2s export --format safetensors`, or of `da2s quantise`
  IMAGE          image files: JPEG, PNG, WebP, BMP, TIFF or GIF

Options:
  --top K        classes to print for each image, the most probable first [default: 3]
  --json         print a JSON array instead of lines
  --repeat N     run each image N more times, at most 1000000, and print the median time of a run
  --batch N      with --repeat: copies of the image in each of these runs, at most 1024 [default: 1]
  --threads N    number of threads, at most 4096 [default: one per core]
  --help, --version

Exit codes:
    0  done
    2  invalid argument
    3  an image cannot be read
    5  the network cannot be read
    7  the result cannot be written, or the threads cannot be started
    8  weights or outputs of the network are NaN or infinite, or a variance is negative
   12  not enough memory
";

/// Asks for huge pages, with which the system clears the memory of a network faster.
#[global_allocator]
static MEMORY: Allocator = Allocator::new(exhausted);

/// Reports that `bytes` could not be allocated, and exits.
fn exhausted(bytes: usize) -> ! {
    // This write does not allocate.
    let _ = writeln!(
        io::stderr(),
        "da2s-infer: not enough memory: another {bytes} bytes could not be allocated"
    );
    std::process::exit(12)
}

/// Limit on repetitions, because the time of each is stored.
const MOST_REPETITIONS: usize = 1_000_000;
/// Limit on the images of a run: their activations are in memory together.
const MOST_BATCH: usize = 1024;
/// Limit on threads, as in a run of da2s.
const MOST_THREADS: usize = 4096;

/// The command-line arguments.
struct Arguments {
    network: PathBuf,
    images: Vec<PathBuf>,
    top: usize,
    json: bool,
    repeat: usize,
    batch: usize,
    threads: usize,
}

/// An image, its classes, and how long a run of `batch` copies of it took.
#[derive(Serialize)]
struct Prediction {
    image: String,
    classes: Vec<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    median_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
}

/// A reason in a sentence, with its exit code.
struct Failure(u8, String);

fn main() -> ExitCode {
    match run() {
        Ok((text, unreadable)) => match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                told(Failure(7, format!("cannot write the result: {error}")))
            }
            _ => unreadable
                .into_iter()
                .fold(ExitCode::SUCCESS, |_, reason| told(Failure(3, reason))),
        },
        Err(failure) => told(failure),
    }
}

fn told(Failure(code, reason): Failure) -> ExitCode {
    // If standard error is closed, the exit code still reports the failure.
    let _ = writeln!(io::stderr(), "da2s-infer: {}", one_line(&reason));
    code.into()
}

/// The text to print, and a sentence for each image that cannot be read.
fn run() -> Result<(String, Vec<String>), Failure> {
    let usage = |error: lexopt::Error| Failure(2, format!("{error}; see --help"));
    let arguments = match parse(lexopt::Parser::from_env()).map_err(usage)? {
        Ok(arguments) => arguments,
        Err(text) => return Ok((text, Vec::new())),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .use_current_thread()
        .build_global()
        .map_err(|error| Failure(7, format!("cannot start the threads: {error}")))?;
    let network = Network::read(&arguments.network).map_err(|error| {
        let code = match error {
            NetworkError::NotFinite { .. } | NetworkError::Variance { .. } => 8,
            _ => 5,
        };
        Failure(code, format!("{}: {error}", arguments.network.display()))
    })?;
    let preprocessing = network.preprocessing();
    let mut predictions = Vec::with_capacity(arguments.images.len());
    let mut unreadable = Vec::new();
    for path in &arguments.images {
        let picture = match Image::read_preprocessed(path, preprocessing) {
            Ok(picture) => picture,
            Err(error) => {
                unreadable.push(error.to_string());
                continue;
            }
        };
        let logits = network.finite_logits(std::slice::from_ref(&picture)).map_err(|error| {
            let (network, image) = (arguments.network.display(), path.display());
            Failure(8, format!("{network} on {image}: {error}"))
        })?;
        let is_timed = arguments.repeat > 0;
        let time_ms = is_timed.then(|| median_ms(&network, &vec![picture; arguments.batch], arguments.repeat));
        predictions.push(Prediction {
            image: path.display().to_string(),
            classes: most_probable(&preprocessing.classes, &logits.concat(), arguments.top),
            median_ms: time_ms,
            batch: is_timed.then_some(arguments.batch),
        });
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(&predictions).map_err(|error| Failure(7, error.to_string()))?;
        return Ok((text + "\n", unreadable));
    }
    Ok((predictions.iter().map(line).collect(), unreadable))
}

/// The median time of `repeat` runs of the network on `batch`.
fn median_ms(network: &Network, batch: &[Vec<f32>], repeat: usize) -> f64 {
    let time_ms = |_| {
        let began = Instant::now();
        std::hint::black_box(network.logits(batch));
        1e3 * began.elapsed().as_secs_f64()
    };
    let mut times_ms: Vec<f64> = (0..repeat).map(time_ms).collect();
    times_ms.sort_by(f64::total_cmp);
    times_ms[repeat / 2]
}

/// A prediction as a line of text. Names are escaped, because they come from other people's files.
fn line(one: &Prediction) -> String {
    let class = |class: &Class| format!("  {} {:.2} %", escaped(&class.name), 100.0 * class.probability);
    let classes: String = one.classes.iter().map(class).collect();
    let time = match (one.median_ms, one.batch) {
        (Some(median_ms), None | Some(1)) => format!("  ({median_ms:.2} ms)"),
        (Some(median_ms), Some(batch)) => format!("  ({median_ms:.2} ms for {batch} images)"),
        (None, _) => String::new(),
    };
    format!("{}{classes}{time}\n", escaped(&one.image))
}

/// The arguments, or the text to print instead (help, version).
fn parse(mut parser: lexopt::Parser) -> Result<Result<Arguments, String>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut paths: Vec<OsString> = Vec::new();
    let (mut top, mut json, mut repeat, mut batch, mut threads) = (3, false, 0, None, 0);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("top") => top = parser.value()?.parse()?,
            Long("json") => json = true,
            Long("repeat") => repeat = parser.value()?.parse()?,
            Long("batch") => batch = Some(parser.value()?.parse()?),
            Long("threads") => threads = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(Err(HELP.to_owned())),
            Short('V') | Long("version") => return Ok(Err(format!("da2s-infer {}\n", env!("CARGO_PKG_VERSION")))),
            Value(path) => paths.push(path),
            Short(_) | Long(_) => return Err(argument.unexpected()),
        }
    }
    let mut paths = paths.into_iter().map(PathBuf::from);
    let network = paths.next().ok_or("a network is missing")?;
    let images: Vec<PathBuf> = paths.collect();
    if images.is_empty() {
        return Err("images are missing".into());
    }
    if batch.is_some() && repeat == 0 {
        return Err("--batch needs --repeat".into());
    }
    let batch = batch.unwrap_or(1);
    for (flag, number) in [("--top", top), ("--batch", batch)] {
        if number == 0 {
            return Err(format!("{flag} must be at least 1").into());
        }
    }
    for (flag, number, most) in [
        ("--repeat", repeat, MOST_REPETITIONS),
        ("--batch", batch, MOST_BATCH),
        ("--threads", threads, MOST_THREADS),
    ] {
        if number > most {
            return Err(format!("{flag} {number}: expected a number up to {most}").into());
        }
    }
    Ok(Ok(Arguments {
        network,
        images,
        top,
        json,
        repeat,
        batch,
        threads,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_escaped_for_the_terminal() {
        let one = Prediction {
            image: "a\u{1b}]0;b\u{7}.png".to_owned(),
            classes: vec![Class {
                name: "cat\u{1b}[2J\n".to_owned(),
                probability: 0.75,
            }],
            median_ms: Some(1.5),
            batch: Some(1),
        };
        assert_eq!(
            line(&one),
            "a\\u001b]0;b\\u0007.png  cat\\u001b[2J\\n 75.00 %  (1.50 ms)\n"
        );
    }
}
