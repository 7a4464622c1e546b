//! Every parser of external bytes on damaged inputs: none may panic or exceed its memory limit.
//!
//! `cargo test --release --test fuzz [TARGET]` runs every target, or those whose name contains
//! TARGET, and prints a table. Each input depends only on the target's name and the number of the
//! run, so `DA2S_FUZZ_FIRST=NUMBER DA2S_FUZZ_RUNS=1` repeats a failure. `DA2S_FUZZ_RUNS` sets the
//! number of runs. `DA2S_FUZZ_TRACE=FILE` saves each input before it is tried, in case the process
//! dies. `.ci/fuzz` runs a million per target.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
#![allow(clippy::print_stdout, reason = "its result is a table")]

mod fixtures;
mod mutate;
mod runs;
mod targets;

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use peak_alloc::PeakAlloc;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use targets::Target;

/// Counts allocated bytes, so that a case that allocates too much fails.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Default number of runs per target.
const RUNS: u64 = 1000;
/// Bytes that a case may allocate per byte of its input, in addition to its target's limit.
const BYTES_PER_BYTE: usize = 16;
/// Number of failures after which a target stops.
const MOST_FAILURES: usize = 5;

/// The message of the last panic.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let number = |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().unwrap());
    let (first, runs) = (number("DA2S_FUZZ_FIRST", 0), number("DA2S_FUZZ_RUNS", RUNS));
    let filter = env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    panic::set_hook(Box::new(|info| *PANIC.lock().unwrap() = info.to_string()));
    let scratch = tempfile::tempdir().unwrap();
    println!("target                  runs  accepted  seconds  slowest ms  most MiB  failures");
    let mut failed = false;
    // A single thread: with more, the test would measure contention.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        for target in targets::all(scratch.path()) {
            if target.name.contains(&filter) {
                failed |= fuzz(&target, first, runs) > 0;
            }
        }
    });
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs `target` on the inputs from number `first`; returns the number of failures.
fn fuzz(target: &Target, first: u64, runs: u64) -> usize {
    let whole = target
        .seeds
        .iter()
        .filter(|seed| (target.run)(&(target.finish)(seed.to_vec())));
    assert!(whole.count() > 0, "{} accepts none of its valid inputs", target.name);
    let trace = env::var_os("DA2S_FUZZ_TRACE");
    // Slow targets get fewer runs, but an input requested by its number always runs.
    let runs = (runs / target.cost).max(1);
    let (mut accepted, mut failures, mut slowest_ms, mut most_bytes) = (0, Vec::new(), 0.0_f64, 0);
    let began = Instant::now();
    let mut done = 0;
    for run in first..first + runs {
        let input = input(target, run);
        if let Some(file) = &trace {
            fs::write(file, &input).unwrap();
        }
        let (before, allowed_bytes) = (MEMORY.current_usage(), target.most_bytes + BYTES_PER_BYTE * input.len());
        MEMORY.reset_peak_usage();
        let began = Instant::now();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        slowest_ms = slowest_ms.max(1e3 * began.elapsed().as_secs_f64());
        let taken_bytes = MEMORY.peak_usage().saturating_sub(before);
        most_bytes = most_bytes.max(taken_bytes);
        let problem = match outcome {
            Err(_) => Some(PANIC.lock().unwrap().clone()),
            Ok(_) if taken_bytes > allowed_bytes => {
                Some(format!("took {taken_bytes} bytes for an input of {}", input.len()))
            }
            Ok(whole) => {
                accepted += u64::from(whole);
                None
            }
        };
        done += 1;
        if let Some(problem) = problem {
            failures.push(format!(
                "  run {run}: {problem}; input in {}",
                kept(target, run, &input)
            ));
            if failures.len() == MOST_FAILURES {
                break;
            }
        }
    }
    println!(
        "{:<20}{done:>8}{:>8.1} %{:>9.1}{slowest_ms:>12.1}{:>10.1}{:>10}",
        target.name,
        100.0 * accepted as f64 / done as f64,
        began.elapsed().as_secs_f64(),
        most_bytes as f64 / f64::from(1 << 20),
        failures.len(),
    );
    for failure in &failures {
        println!("{failure}");
    }
    failures.len()
}

/// Input number `run` of `target`.
fn input(target: &Target, run: u64) -> Vec<u8> {
    // FNV-1a, so that targets get different damage.
    let name = target.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut rng = ChaCha8Rng::seed_from_u64(name.wrapping_add(run));
    let input = mutate::damaged(&target.seeds, target.words, &mut rng);
    (target.finish)(input)
}

/// Writes an input that failed; returns a message with its path.
fn kept(target: &Target, run: u64, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let file = folder.join(format!("{}-{run}", target.name));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, input))
        .unwrap();
    file.display().to_string()
}
