"""Sweeps, on a Ray cluster of two workers on this machine."""

import json
import os
import signal

import pytest
from conftest import TINY, same_bits

import da2s

ray = pytest.importorskip("ray", reason="sweeps are skipped: ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    from ray.cluster_utils import Cluster

    # What the tests define travels as a value: the workers do not see this folder.
    ray.cloudpickle.register_pickle_by_value(__import__(__name__))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_run_whose_process_is_killed_is_retried_and_ends_with_the_same_bits(tmp_path):
    killed = tmp_path / "killed"

    def kill_once(name, event):
        at = name == "darts-s2" and isinstance(event, da2s.Step) and (event.stage, event.epoch) == ("search", 2)
        if at and not killed.exists():
            killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)

    swept = da2s.sweep(
        "digits", out=tmp_path / "sweep", seeds=2, methods=["da2s", "darts"], settings=TINY, retries=1, on_progress=kill_once
    )
    assert killed.exists()
    assert {run.path.name: run.attempts for run in swept.runs} == {"da2s-s1": 1, "da2s-s2": 1, "darts-s1": 1, "darts-s2": 2}
    assert swept.failed == []
    alone = da2s.run("digits", out=tmp_path / "alone", method="darts", seed=2, settings=TINY)
    assert same_bits(alone.path, tmp_path / "sweep/darts-s2") == []

    # The comparison is that of `da2s compare`.
    for name in ("compare.csv", "compare.json", "compare.md", "compare.html"):
        assert (tmp_path / "sweep" / name).is_file()
    (test,) = swept.comparison["tests"]
    assert (test["setup"]["method"], test["against"]["method"]) == ("darts", "da2s")
    gaps = {(run.method, run.seed): run.run.result.gap for run in swept.runs}
    difference = sum(gaps["darts", seed] - gaps["da2s", seed] for seed in (1, 2)) / 2
    assert test["results"]["gap"]["mean_difference"] == pytest.approx(difference)
    frame = swept.frame()
    assert list(frame["state"]) == ["finished"] * 4 and list(frame["seed"]) == [1, 2, 1, 2]

    # The same call finds everything done.
    before = (tmp_path / "sweep/da2s-s1/summary.json").stat().st_mtime_ns
    again = da2s.sweep("digits", out=tmp_path / "sweep", seeds=2, methods=["da2s", "darts"], settings=TINY)
    assert [run.attempts for run in again.runs] == [0] * 4
    assert (tmp_path / "sweep/da2s-s1/summary.json").stat().st_mtime_ns == before
    # With other settings they are other runs.
    other = da2s.sweep("digits", out=tmp_path / "sweep", seeds=1, methods=["da2s"], settings={**TINY, "search.epochs": 3})
    assert "it has search.epochs = 2, but 3 was asked for" in other.failed[0].failure


def test_a_run_that_cannot_be_is_not_retried_and_the_others_are_made(tmp_path):
    swept = da2s.sweep(
        "digits", out=tmp_path / "sweep", seeds=[4], lambdas=[0.5, -1.0], search_only=True, settings=TINY, retries=3
    )
    good, bad = swept.runs
    assert (good.failure, good.attempts, bad.attempts) == (None, 1, 1)
    assert "search.regulariser.lambda = -1.0" in bad.failure
    rows = json.loads((tmp_path / "sweep/compare.json").read_text())["runs"]
    assert [row["state"] for row in rows] == ["finished", "failed"]
    assert good.settings == {"search.regulariser.lambda": 0.5} and good.run.gap is not None
    assert not (good.path / "summary.json").exists()


def test_what_keeps_failing_is_given_up(tmp_path):
    def always(name, event):
        if isinstance(event, da2s.Step):
            os.kill(os.getpid(), signal.SIGKILL)

    swept = da2s.sweep("digits", out=tmp_path / "sweep", seeds=1, settings=TINY, retries=1, on_progress=always)
    assert [(run.attempts, bool(run.failure)) for run in swept.runs] == [(2, True)]
    with pytest.raises(da2s.ConfigError, match="no finished run"):
        swept.best()


def test_arrays_and_targets(digits, tmp_path):
    swept = da2s.sweep(
        (digits.train.images, digits.train.labels),
        test=(digits.test.images, digits.test.labels),
        recipe="digits",
        out=tmp_path / "sweep",
        seeds=1,
        targets=[1, [1, 2, 1, 3]],
        search_only=True,
        settings=TINY,
    )
    assert swept.failed == []
    edges = [run.run.settings["target"]["edges"] for run in swept.runs]
    assert edges == [1, [1, 2, 1, 3]]
    assert swept.comparison["dataset"] == "arrays"


def test_optuna_chooses(tmp_path):
    pytest.importorskip("optuna", reason="Optuna is skipped: it is not installed")
    arguments = {
        "out": tmp_path / "sweep",
        "seeds": 1,
        "methods": ["da2s", "darts"],
        "lambdas": (0.01, 10.0, "log"),
        "targets": [1, [1, 2, 1, 3]],
        "sampler": "optuna",
        "trials": 3,
        "metric": "gap",
        "mode": "min",
        "search_only": True,
        "settings": TINY,
    }
    swept = da2s.sweep("digits", **arguments)
    assert len(swept.runs) == 3 and swept.failed == []
    for run in swept.runs:
        assert 0.01 <= run.settings["search.regulariser.lambda"] <= 10.0
        assert run.settings["target.edges"] in (1, [1, 2, 1, 3])
    best = swept.best("gap", "min")
    least = min(swept.runs, key=lambda run: run.run.gap.points)
    assert (best["method"], float(best["settings"]["search.regulariser.lambda"])) == (
        least.method,
        least.settings["search.regulariser.lambda"],
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "da2s"}, "method: expected methods"),
        ({"methods": "da2s"}, "methods: expected a list"),
        ({"methods": []}, "methods: expected a list"),
        ({"sampler": "dice"}, "sampler = dice: expected optuna"),
        ({"lambdas": (0.1, 1.0)}, "a range is for a sampler"),
        ({"baseline": "darts"}, "baseline = darts: expected one of da2s"),
        ({"retries": -1}, "retries must be at least 0"),
        ({"mode": "most"}, "mode = most: expected max or min"),
        ({"seeds": 0}, "seeds: expected one or more"),
        ({"epochs": 3}, "epochs: expected one of"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(tmp_path, arguments, message):
    with pytest.raises(da2s.ConfigError, match=message):
        da2s.sweep("digits", out=tmp_path / "sweep", **arguments)
    assert not (tmp_path / "sweep").exists() or not any((tmp_path / "sweep").iterdir())
