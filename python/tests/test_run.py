"""Runs: their results, the reported progress, single stages, resuming."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from conftest import TINY, same_bits

import da2s


def test_a_run_is_what_its_files_say(result):
    made, _ = result
    summary = json.loads((made.path / "summary.json").read_text())
    assert made.as_dict() == summary
    assert made.gap == pytest.approx(made.supernet_accuracy - made.discretized_accuracy)
    assert made.run.gap.points == made.gap
    assert str(made.run.genotype) == made.genotype
    assert made.run.genotype.parameters == made.parameters
    assert (made.path / "report.html").is_file()
    assert made.run.result == made
    settings = made.run.settings
    assert (settings["search"]["epochs"], settings["data"]["limit"]) == (2, 160)
    assert json.loads((made.path / "environment.json").read_text())["command"] == "da2s.run"


def test_progress_is_reported_in_order(result):
    made, heard = result
    stages = [event.stage for event in heard if isinstance(event, da2s.Started)]
    assert stages == ["search", "discretize", "train", "evaluate"]
    steps = [(event.epoch, event.step) for event in heard if isinstance(event, da2s.Step) and event.stage == "search"]
    assert steps == sorted(steps) and len(steps) == 2 * heard[1].steps
    assert [event for event in heard if isinstance(event, da2s.SearchEpoch)] == made.run.search_epochs()
    assert [event for event in heard if isinstance(event, da2s.TrainEpoch)] == made.run.train_epochs()
    assert [event for event in heard if isinstance(event, da2s.Gap)] == [made.run.gap]


def test_single_stages_give_the_same_results(result, tmp_path):
    made, _ = result
    run = da2s.search("digits", out=tmp_path / "run", settings=TINY)
    assert not (run.path / "genotype.json").exists()
    with pytest.raises(da2s.RunDirectoryError, match="da2s.evaluate"):
        run.result
    assert da2s.discretize(run).genotype.text == made.genotype
    da2s.train(run.path)
    again = da2s.evaluate(run)
    assert again.network_accuracy == made.network_accuracy
    assert same_bits(run.path, made.path) == []
    # Training for another number of epochs changes the setting of the run.
    before = len(run.train_epochs())
    with pytest.warns(UserWarning, match=f"the training starts from scratch for {before + 1} epochs instead of {before}"):
        da2s.train(run, epochs=before + 1)
    assert len(run.train_epochs()) == run.settings["network"]["epochs"] == before + 1
    with pytest.raises(da2s.ConfigError, match="epochs"):
        da2s.train(run, epochs=0)


def test_a_genotype_takes_the_place_of_a_search(result, tmp_path):
    made, _ = result
    given = da2s.run("digits", out=tmp_path / "text", genotype=made.genotype, settings=TINY)
    assert (given.gap, given.genotype) == (None, made.genotype)
    assert given.run.gap is None
    file = da2s.run("digits", out=tmp_path / "file", genotype=made.path / "genotype.json", settings=TINY)
    assert file.network_accuracy == given.network_accuracy


def test_an_exception_of_the_listener_stops_the_run_which_can_resume(result, tmp_path):
    made, _ = result
    heard = []

    class Enough(Exception):
        pass

    def enough(event):
        heard.append(event)
        if isinstance(event, da2s.Step) and (event.stage, event.epoch, event.step) == ("train", 2, 1):
            raise Enough

    out = tmp_path / "run"
    with pytest.raises(Enough):
        da2s.run("digits", out=out, settings=TINY, on_progress=enough)
    # A listener that raised an exception gets no more events.
    assert isinstance(heard[-1], da2s.Step) and heard[-1].step == 1
    assert not (out / "summary.json").exists() and not (out / "failure.txt").exists()
    da2s.run("digits", out=out, settings=TINY, resume=True)
    assert same_bits(out, made.path) == []


#: Long enough to be interrupted.
LONGER = {**TINY, "search.epochs": 25}

CHILD = """
import sys, da2s
def step(event):
    if isinstance(event, da2s.Step):
        print("step", flush=True)
try:
    da2s.run("digits", out=sys.argv[1], settings=eval(sys.argv[2]), on_progress=step)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_a_run_that_resumes_with_the_same_bits(tmp_path):
    out = tmp_path / "run"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(out), repr(LONGER)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "step\n"
    child.send_signal(signal.SIGINT)
    rest, _ = child.communicate()
    assert (child.returncode, rest.splitlines()[-1]) == (130, "interrupted")
    assert (out / "search/checkpoint.safetensors").is_file()
    assert not (out / "summary.json").exists() and not (out / "failure.txt").exists()
    da2s.run("digits", out=out, settings=LONGER, resume=True)
    whole = da2s.run("digits", out=tmp_path / "whole", settings=LONGER)
    assert same_bits(out, whole.path) == []


def test_other_threads_run_while_a_stage_computes(tmp_path):
    """The interpreter's lock is released: another thread continues to count between two steps."""
    over = threading.Event()
    counted, steps = [0], []

    def count():
        while not over.wait(0.0001):
            counted[0] += 1

    def told(event):
        if isinstance(event, da2s.Step):
            steps.append(counted[0])

    thread = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    # The interpreter forces nobody to release its lock: the thread counts only while the searching
    # thread has released it.
    sys.setswitchinterval(60)
    try:
        thread.start()
        da2s.search("digits", out=tmp_path / "run", settings=TINY, on_progress=told)
    finally:
        over.set()
        sys.setswitchinterval(interval)
        thread.join()
    assert any(later > earlier for earlier, later in zip(steps, steps[1:]))


def test_parallel_runs_in_threads_give_the_same_results(result, tmp_path):
    made, _ = result
    paths = [tmp_path / "a", tmp_path / "b"]
    threads = [
        threading.Thread(target=da2s.run, args=("digits",), kwargs={"out": path, "settings": TINY, "threads": threads})
        for path, threads in zip(paths, (1, 2))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in paths:
        assert same_bits(path, made.path) == []


def test_what_is_requested_is_done(tmp_path):
    nested = {**TINY, "target": {"edges": [1, 2, 1, 3]}}
    run = da2s.search("digits", out=tmp_path / "run", settings=nested, method="darts", seed=7, train_epochs=3, threads=1)
    settings = run.settings
    assert settings["target"]["edges"] == [1, 2, 1, 3]
    assert (settings["search"]["method"], settings["run"]["seed"]) == ("darts", 7)
    # A value in `settings` has precedence over a keyword argument.
    assert settings["network"]["epochs"] == 2
