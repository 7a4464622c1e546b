//! A run that is killed at random moments and resumed gives the same bits as an undisturbed run.
//!
//! `DA2S_KILLS` sets the number of kills; the default is a small sample. The book (*Determinism*)
//! has the command for hundreds.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{TINY, da2s, with};

/// Number of kills without `DA2S_KILLS`.
const KILLS: usize = 6;
/// Files that must be identical, whenever the run was killed.
const FILES: [&str; 14] = [
    "config.toml",
    "search/metrics.jsonl",
    "search/arch.jsonl",
    "search/checkpoint.safetensors",
    "genotype.json",
    "gap.json",
    "edge_gaps.json",
    "network/metrics.jsonl",
    "network/checkpoint.safetensors",
    "network/best.safetensors",
    "network/evaluation.json",
    "seeds/s2/network/metrics.jsonl",
    "seeds/s2/network/checkpoint.safetensors",
    "seeds/s2/network/best.safetensors",
];

/// Settings of a longer run: it has more epochs, and so more checkpoints during which it can be
/// killed, and a second training of the network from another seed.
const LONGER: [&str; 3] = ["search.epochs=4", "network.epochs=4", "network.seeds=2"];

/// Moments between 0 and 1, the same in every run of the test.
struct Moments(u64);

impl Moments {
    /// The next moment, by Marsaglia's xorshift.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn run(out: &Path) -> Process {
    let settings: Vec<&str> = TINY.iter().chain(&LONGER).copied().collect();
    let built = with("run", &settings);
    let mut command = Process::new(built.get_program());
    command.args(built.get_args());
    if out.exists() {
        command.arg("--resume");
    }
    command.args(["--quiet", "--out"]).arg(out);
    command
}

fn export(run: &Path, out: &Path) -> Process {
    let mut command = Process::new(da2s().get_program());
    command.args(["export", "--format", "onnx", "--out"]).arg(out).arg(run);
    command
}

/// Kills the process after `wait`; returns whether it was still running.
pub fn killed_after(mut command: Process, wait: Duration) -> bool {
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let id = Pid::from_raw(child.id().try_into().unwrap());
    let (ended, end) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let status = child.wait().unwrap();
        let _ = ended.send(());
        status
    });
    let at_work = end.recv_timeout(wait).is_err();
    if at_work {
        // The process may end first. Its id is not reused until the thread has waited for it.
        let _ = kill(id, Signal::SIGKILL);
    }
    let status = waiting.join().unwrap();
    assert!(status.success() || at_work, "{status}");
    !status.success()
}

/// Runs the command, and returns how long it took.
pub fn to_the_end(mut command: Process) -> Duration {
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    began.elapsed()
}

fn assert_same(ours: &Path, theirs: &Path, moments: &[f64]) {
    for name in FILES {
        assert!(
            fs::read(ours.join(name)).unwrap() == fs::read(theirs.join(name)).unwrap(),
            "{name} differs in a run that was killed at {moments:?} of its time"
        );
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the test reports how many kills the runs survived")]
fn killed_runs_resume_with_the_same_bits() {
    let kills = std::env::var("DA2S_KILLS").map_or(KILLS, |number| number.parse().expect("DA2S_KILLS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let place = |name: String| -> PathBuf { folder.path().join(name) };
    let undisturbed = place("undisturbed".to_owned());
    let run_time = to_the_end(run(&undisturbed));
    let model = place("undisturbed.onnx".to_owned());
    let export_time = to_the_end(export(&undisturbed, &model));

    let mut moments = Moments(0x5eed);
    let (mut survived, mut in_export, mut trial) = (0, 0, 0);
    while survived < kills {
        trial += 1;
        assert!(trial < 20 * (kills + 1), "the runs end before they can be killed");
        let out = place(format!("run-{trial}"));
        // Up to three kills per run, so that some hit a run that was already resumed.
        let mut times = Vec::new();
        while times.len() < 3 && survived < kills {
            let moment = moments.next();
            times.push(moment);
            if !killed_after(run(&out), run_time.mul_f64(moment)) {
                break;
            }
            survived += 1;
        }
        to_the_end(run(&out));
        assert_same(&undisturbed, &out, &times);

        let ours = place(format!("run-{trial}.onnx"));
        let moment = moments.next();
        if survived < kills && killed_after(export(&out, &ours), export_time.mul_f64(moment)) {
            (survived, in_export) = (survived + 1, in_export + 1);
            // Either complete or absent.
            assert!(!ours.exists() || fs::read(&ours).unwrap() == fs::read(&model).unwrap());
        }
        to_the_end(export(&out, &ours));
        assert!(
            fs::read(&ours).unwrap() == fs::read(&model).unwrap(),
            "the export differs"
        );
        fs::remove_dir_all(&out).unwrap();
    }
    println!("{survived} kills survived, {in_export} of them in an export, in {trial} runs");
}
