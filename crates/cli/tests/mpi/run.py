#!/usr/bin/env python3
"""da2s over MPI, with a real mpirun and two processes: the same bits each time, a lost process, a stop, errors.

Installs nothing. If something that it needs is missing (mpirun, mpicc, libclang), it prints what is missing and skips the tests. Builds
da2s with the feature `mpi` into the target directory of the workspace, unless DA2S_MPI_BINARY names a built binary. Written for Open MPI.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
NEEDS = "openmpi-bin libopenmpi-dev libclang-dev"
# Longer than any run takes here on a busy machine: a run that exceeds this hangs, which is an
# error.
LIMIT_S = 400
SMALL = [
    "--threads", "1", "--search-epochs", "4", "--train-epochs", "2",
    "--set", "search.warmup_epochs=1", "--set", "search.channels=4", "--set", "search.cells=3", "--set", "search.batch_size=16",
    "--set", "network.channels=4", "--set", "network.cells=3", "--set", "network.batch_size=16",
    "--set", "network.drop_path=0.2", "--set", "data.validation_fraction=0.1",
]  # fmt: skip
# Files of a run that have the same bits each time.
SAME = [
    "config.toml", "search/metrics.jsonl", "search/arch.jsonl", "search/checkpoint.safetensors", "genotype.json", "gap.json",
    "network/metrics.jsonl", "network/best.safetensors", "network/checkpoint.safetensors", "network/evaluation.json",
]  # fmt: skip


def absent():
    """The name of what is missing, or None."""
    for tool in ["mpirun", "mpicc"]:
        if shutil.which(tool) is None:
            return tool
    if "DA2S_MPI_BINARY" not in os.environ and not any(
        glob.glob(pattern) for pattern in ["/usr/lib/llvm-*/lib/libclang*.so*", "/usr/lib*/libclang*.so*", "/usr/lib/*/libclang*.so*"]
    ) and "LIBCLANG_PATH" not in os.environ:
        return "libclang"
    return None


def build():
    """The binary."""
    if own := os.environ.get("DA2S_MPI_BINARY"):
        return own
    subprocess.run(["cargo", "build", "--release", "--features", "mpi"], cwd=ROOT, check=True)
    return str(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "da2s")


class Cases:
    def __init__(self, da2s, folder):
        self.da2s, self.folder = da2s, folder
        self.environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def start(self, *words, processes=2):
        """Starts da2s in several processes, and does not wait for them."""
        command = ["mpirun", "-n", str(processes), "--oversubscribe", "--bind-to", "none", self.da2s, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self.environment, start_new_session=True)

    def end(self, started):
        """Exit code, output and errors of what was started; hanging is a failure."""
        try:
            out, err = started.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            raise AssertionError(f"it hangs: {started.args}") from None
        return started.returncode, out, err

    def run(self, *words, processes=2):
        return self.end(self.start(*words, processes=processes))

    def out(self, name):
        return str(self.folder / name)

    def process(self, mpirun, rank):
        """The process of a rank, found by a variable that Open MPI sets in its environment."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (path / "environ").read_bytes().split(b"\0")
            except (OSError, ValueError, IndexError):
                continue
            if parent == mpirun.pid and f"OMPI_COMM_WORLD_RANK={rank}".encode() in words:
                return int(path.name)
        raise AssertionError(f"no process of rank {rank}")

    def after_epoch(self, started, name, epoch):
        """Waits until an epoch of the search is written."""
        metrics, deadline = self.folder / name / "search/metrics.jsonl", time.monotonic() + LIMIT_S
        while not metrics.is_file() or metrics.read_text().count("\n") < epoch:
            assert started.poll() is None, started.communicate()
            assert time.monotonic() < deadline, "no epoch is written"
            time.sleep(0.01)

    def same(self, one, other):
        for name in SAME:
            first, second = (self.folder / run / name for run in (one, other))
            assert first.read_bytes() == second.read_bytes(), f"{first} and {second} differ"

    # The cases, in this order: the first creates the run with which the others are compared.

    def two_processes_give_the_same_bits_each_time(self):
        for name in ["whole", "again"]:
            code, out, err = self.run("run", *SMALL, "--out", self.out(name))
            assert code == 0, err
            # Only one process reports.
            assert out.count("retrained") == 1 and err.count("search 4/4:") == 1, (out, err)
        self.same("whole", "again")
        environment = json.loads((self.folder / "whole/environment.json").read_text())
        assert environment["processes"] == 2
        summary = json.loads((self.folder / "whole/summary.json").read_text())
        assert summary["supernet_accuracy"] > 20 and summary["network_accuracy"] > 20, summary
        assert summary["genotype"].startswith("Genotype(normal=[(")

    def one_process_with_mpi_gives_the_same_bits_as_without(self):
        code, _, err = self.run("run", "-q", *SMALL, "--out", self.out("one"), processes=1)
        assert code == 0, err
        alone = subprocess.run([self.da2s, "run", "-q", *SMALL, "--out", self.out("alone")], capture_output=True, text=True)
        assert alone.returncode == 0, alone.stderr
        self.same("one", "alone")

    def a_lost_process_ends_the_run_which_resumes_from_its_checkpoint(self):
        started = self.start("run", *SMALL, "--out", self.out("lost"))
        self.after_epoch(started, "lost", 2)
        os.kill(self.process(started, 1), signal.SIGKILL)
        code, _, err = self.end(started)
        assert code != 0 and "signal 9" in err, (code, err)
        assert not (self.folder / "lost/genotype.json").exists(), "the process was lost after the search, not in it"
        # With another number of processes it would be another run.
        code, _, err = self.run("run", *SMALL, "--resume", "--out", self.out("lost"), processes=1)
        assert code == 5 and "it was written by 2 processes, and this is 1 process" in err, (code, err)
        code, _, err = self.run("run", *SMALL, "--resume", "--out", self.out("lost"))
        assert code == 0, err
        self.same("whole", "lost")

    def a_stop_of_one_process_stops_all_after_the_same_step(self):
        started = self.start("run", *SMALL, "--out", self.out("stopped"))
        self.after_epoch(started, "stopped", 1)
        os.kill(self.process(started, 1), signal.SIGINT)
        code, _, err = self.end(started)
        assert code == 130 and err.count("da2s: stopped in epoch") == 1, (code, err)
        code, _, err = self.run("run", *SMALL, "--resume", "--out", self.out("stopped"))
        assert code == 0, err
        self.same("whole", "stopped")

    def a_file_that_the_leader_cannot_write_ends_all(self):
        started = self.start("run", *SMALL, "--out", self.out("full"))
        self.after_epoch(started, "full", 1)
        metrics = self.folder / "full/search/metrics.jsonl"
        metrics.rename(metrics.with_suffix(".kept"))
        metrics.mkdir()
        code, _, err = self.end(started)
        assert code == 7 and "da2s: cannot write" in err and "metrics.jsonl: it is a folder" in err, (code, err)
        assert "it is a folder" in (self.folder / "full/failure.txt").read_text()

    def nan_is_reported_once(self):
        code, _, err = self.run("run", "-q", *SMALL, "--set", "search.learning_rate=1e30", "--out", self.out("numbers"))
        assert code == 8 and err.count("lower search.learning_rate") == 1, (code, err)

    def other_commands_are_for_one_process(self):
        code, _, err = self.run("discretize", self.out("whole"))
        assert code == 2 and err.count("only run, search and train work in several processes") == 1, (code, err)

    def a_network_is_trained_from_scratch_by_another_number_of_processes(self):
        shutil.copytree(self.folder / "whole", self.folder / "from_scratch")
        code, out, err = self.run("train", "-q", "--threads", "1", self.out("from_scratch"), processes=3)
        assert code == 0 and out.strip() == self.out("from_scratch"), (code, out, err)


def main():
    if "--can-build" in sys.argv:
        return 0 if absent() is None else 1
    if missing := absent():
        print(f"MPI tests skipped: {missing} is absent (Debian: apt-get install {NEEDS})")
        return
    da2s = build()
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(da2s, Path(folder))
        for name, case in Cases.__dict__.items():
            if "_" in name and not name.startswith("_") and name != "after_epoch":
                began = time.monotonic()
                case(cases)
                print(f"ok  {name.replace('_', ' ')} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
