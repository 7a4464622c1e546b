//! `da2s bench`: measures the time of typical steps on this machine.
//!
//! Each case runs in a child process of its own, because peak memory is a property of a process.
//! The child measures one case and prints it as JSON; the parent collects the results.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use super::session::start_threads;
use crate::args::{BenchArguments, BenchCase};
use crate::exit::Code;
use crate::failure::Failure;
use crate::terminal;
use da2s_bench::{Case, Measurement, Options, Results, measure};

/// Runs the requested measurements and prints them.
///
/// # Errors
/// Any failure.
pub fn execute(arguments: &BenchArguments) -> Result<(), Failure> {
    let engine = arguments.engine;
    start_threads(arguments.threads.into())?;
    let cases = match cases(arguments.case) {
        [case] => vec![measure(
            *case,
            Options {
                device: &arguments.device,
                engine,
                repeat: arguments.repeat.into(),
            },
        )?],
        several => several
            .iter()
            .map(|&case| elsewhere(case, arguments))
            .collect::<Result<_, _>>()?,
    };
    let results = Results::new(&arguments.device, engine, cases);
    if arguments.json {
        // Only numbers and names, so serialization cannot fail.
        return terminal::print(&format!("{}\n", serde_json::json!(results)));
    }
    terminal::print(&table(&results))
}

/// The cases that an argument selects.
fn cases(asked: BenchCase) -> &'static [Case] {
    match asked {
        BenchCase::Search => &[Case::Search],
        BenchCase::SearchSmall => &[Case::SearchSmall],
        BenchCase::SearchMobile => &[Case::SearchMobile],
        BenchCase::Retrain => &[Case::Retrain],
        BenchCase::Inference => &[Case::InferenceOne, Case::InferenceMany],
        BenchCase::InferenceOne => &[Case::InferenceOne],
        BenchCase::InferenceMany => &[Case::InferenceMany],
        BenchCase::Nas201Blocks => &[Case::Nas201Blocks],
        BenchCase::All => Case::ALL,
    }
}

/// Measures `case` in a child process. A failing child prints the reason itself, and its exit code
/// becomes ours.
fn elsewhere(case: Case, arguments: &BenchArguments) -> Result<Measurement, Failure> {
    let (threads, repeat) = (arguments.threads.to_string(), arguments.repeat.to_string());
    let failure = |reason: String, code: Code| Failure::new(code, format!("cannot measure {}: {reason}", case.name()));
    let output = std::env::current_exe()
        .and_then(|program| {
            Command::new(program)
                .args([
                    "bench",
                    "--json",
                    "--case",
                    case.name(),
                    "--engine",
                    arguments.engine.name(),
                ])
                .args([
                    "--device",
                    &arguments.device,
                    "--threads",
                    &threads,
                    "--repeat",
                    &repeat,
                ])
                .stderr(Stdio::inherit())
                .output()
        })
        .map_err(|error| failure(error.to_string(), Code::Files))?;
    let results: Option<Results> = serde_json::from_slice(&output.stdout).ok();
    let measured = results.and_then(|mut results| results.cases.pop());
    measured.ok_or_else(|| failure(output.status.to_string(), Code::of_process(output.status)))
}

fn table(results: &Results) -> String {
    let mut text = format!(
        "da2s {}, {}, {}, threads: {}, engine: {}\n",
        results.version,
        results.device,
        results.cpu_level,
        results.threads,
        results.engine.name()
    );
    for case in &results.cases {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{}", case.case.description());
        let _ = writeln!(text, "  {:<20}{:>12}", "median", milliseconds(case.median_ms));
        for phase in &case.phases {
            let _ = writeln!(text, "    {:<18}{:>12}", phase.name, milliseconds(phase.median_ms));
        }
        if let Some(used_ms) = case.processor_ms {
            let _ = writeln!(text, "  {:<20}{:>12}", "processor time", milliseconds(used_ms));
        }
        let _ = writeln!(
            text,
            "  {:<20}{:>7.1} GFLOP/s{}",
            "arithmetic",
            case.gflops,
            case.machine_gflops.map_or_else(String::new, |most| {
                let share = 100.0 * case.gflops / most;
                format!(", {share:.0} % of the {most:.1} that these threads reach")
            })
        );
        if let Some(bytes) = case.peak_resident_bytes {
            let _ = writeln!(text, "  {:<20}{:>9.0} MB", "memory, peak", bytes as f64 / 1e6);
        }
        if let Some(bytes) = case.estimated_bytes {
            let _ = writeln!(text, "  {:<20}{:>9.0} MB", "memory, estimated", bytes as f64 / 1e6);
        }
    }
    text
}

fn milliseconds(time_ms: f64) -> String {
    format!("{time_ms:.1} ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s::device::EngineName;
    use da2s_bench::Phase;

    #[test]
    fn every_case_can_be_requested_alone() {
        use clap::ValueEnum;
        for &case in Case::ALL {
            let asked = BenchCase::from_str(case.name(), false).unwrap();
            assert_eq!(cases(asked), [case]);
        }
    }

    #[test]
    fn the_table_has_medians_phases_and_memory() {
        let results = Results {
            version: "0.1.0".to_owned(),
            device: "cpu".to_owned(),
            cpu_level: "avx512".to_owned(),
            threads: 2,
            engine: EngineName::Auto,
            cases: vec![Measurement {
                case: Case::Retrain,
                batch: 32,
                repetitions_ms: vec![1000.0],
                median_ms: 1000.0,
                processor_ms: Some(1900.0),
                phases: vec![Phase {
                    name: "forward".to_owned(),
                    median_ms: 312.25,
                }],
                multiply_adds: 500_000_000,
                gflop: 96.0,
                gflops: 96.0,
                machine_gflops: Some(192.0),
                peak_resident_bytes: Some(1_234_000_000),
                estimated_bytes: Some(1_200_000_000),
            }],
        };
        insta::assert_snapshot!(table(&results), @r"
        da2s 0.1.0, cpu, avx512, threads: 2, engine: auto

        retraining step, 36 channels, 20 cells, auxiliary head, 32×32, batch 32
          median                 1000.0 ms
            forward               312.2 ms
          processor time         1900.0 ms
          arithmetic             96.0 GFLOP/s, 50 % of the 192.0 that these threads reach
          memory, peak             1234 MB
          memory, estimated        1200 MB
        ");
    }
}
