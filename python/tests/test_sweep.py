"""Sweeps, on a Ray cluster of two workers on this machine."""

import json
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from conftest import TINY, same_bits

import da2s
from da2s import runner, sampler, setups

ray = pytest.importorskip("ray", reason="sweeps are skipped: ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    from ray.cluster_utils import Cluster

    # Definitions of the tests are pickled by value: the workers do not see this folder.
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
    assert "it has search.epochs = 2, but 3 was requested" in other.failed[0].failure


def test_an_invalid_run_is_not_retried_and_the_others_finish(tmp_path):
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


def test_a_run_with_a_setting_that_is_no_longer_given_is_another_run(tmp_path):
    arguments = {"out": tmp_path / "sweep", "seeds": 1, "search_only": True}
    assert da2s.sweep("digits", settings=TINY, **arguments).failed == []
    fewer = {key: value for key, value in TINY.items() if key != "search.epochs"}
    (run,) = da2s.sweep("digits", settings=fewer, retries=3, **arguments).runs
    assert run.attempts == 1 and "it has search.epochs = 2, but 30 was requested" in run.failure


def test_a_run_that_diverges_is_not_retried(tmp_path):
    settings = {**TINY, "network.learning_rate": 1e30}
    (run,) = da2s.sweep("digits", out=tmp_path / "sweep", seeds=1, settings=settings, retries=3).runs
    assert run.attempts == 1 and "lower network.learning_rate" in run.failure


def test_the_other_runs_are_compared_if_one_is_damaged(tmp_path):
    damaged = tmp_path / "sweep/da2s-s1/config.toml"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("[data")
    swept = da2s.sweep("digits", out=tmp_path / "sweep", seeds=2, search_only=True, settings=TINY)
    assert [(run.attempts, run.failure is None) for run in swept.runs] == [(1, False), (1, True)]
    assert swept.comparison["dataset"] == "digits"
    assert (tmp_path / "sweep/compare.csv").is_file()


def test_numbers_of_numpy_are_numbers_and_the_best_settings_are_as_given(tmp_path):
    swept = da2s.sweep(
        "digits",
        out=tmp_path / "sweep",
        seeds=np.arange(4, 5),
        targets=np.array([1]),
        vary={"search.epochs": [np.int64(3)]},
        search_only=True,
        settings=TINY,
    )
    assert swept.failed == [] and swept.runs[0].path.name == "da2s-target.edges=1-search.epochs=3-s4"
    best = swept.best("gap", "min")
    assert best == {"method": "da2s", "settings": {"target.edges": 1, "search.epochs": 3}}
    again = da2s.search("digits", out=tmp_path / "run", method=best["method"], seed=4, settings={**TINY, **best["settings"]})
    assert again.search_epochs() == swept.runs[0].run.search_epochs()
    assert setups.seeds_of(np.int64(3)) == [1, 2, 3]
    assert setups.plain({"a": ([np.float32(0.5), np.array([1, 2])], "b")}) == {"a": ([0.5, [1, 2]], "b")}


def test_what_keeps_failing_is_given_up(tmp_path):
    def always(name, event):
        if isinstance(event, da2s.Step):
            os.kill(os.getpid(), signal.SIGKILL)

    swept = da2s.sweep("digits", out=tmp_path / "sweep", seeds=1, settings=TINY, retries=1, on_progress=always)
    assert [(run.attempts, bool(run.failure)) for run in swept.runs] == [(2, True)]
    with pytest.raises(da2s.ConfigError, match="there is no setup whose runs all finished"):
        swept.best()


def test_arrays_and_targets(digits, tmp_path):
    arguments = {
        "test": (digits.test.images, digits.test.labels),
        "recipe": "digits",
        "out": tmp_path / "sweep",
        "seeds": 1,
        "search_only": True,
        "settings": TINY,
    }
    swept = da2s.sweep((digits.train.images, digits.train.labels), targets=[1, [1, 2, 1, 3]], **arguments)
    assert swept.failed == []
    edges = [run.run.settings["target"]["edges"] for run in swept.runs]
    assert edges == [1, [1, 2, 1, 3]]
    assert swept.comparison["dataset"] == "arrays"
    # A finished run of other images is another run.
    other = digits.train.images.copy()
    other[3, 4, 5] ^= 1
    again = da2s.sweep((other, digits.train.labels), targets=[1], **arguments)
    assert "their checksum differs" in again.failed[0].failure
    (same,) = da2s.sweep((digits.train.images, digits.train.labels), targets=[1], **arguments).runs
    assert (same.failure, same.attempts) == (None, 0)


def test_a_run_in_use_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "BUSY_DELAY_S", 2.0)
    arguments = {"out": tmp_path / "sweep", "seeds": 1, "search_only": True, "settings": TINY}
    refused, let_go = threading.Event(), threading.Event()

    def hold(event):
        if isinstance(event, da2s.Step) and (event.epoch, event.step) == (1, 1):
            refused.set()
            assert let_go.wait(60)

    held = {"out": tmp_path / "sweep/da2s-s1", "settings": TINY, "on_progress": hold, "threads": 1}
    holder = threading.Thread(target=da2s.search, args=("digits",), kwargs=held)
    holder.start()
    assert refused.wait(60)
    never = da2s.sweep("digits", retries=0, **arguments)
    assert "is in use by another process" in never.failed[0].failure and never.runs[0].attempts == 1
    threading.Timer(0.5, let_go.set).start()
    # The holder may take long to end on a busy machine, hence the many retries.
    swept = da2s.sweep("digits", retries=30, **arguments)
    holder.join()
    assert swept.failed == [] and swept.runs[0].attempts > 1


def test_a_stopped_sweep_can_be_resumed_at_once(tmp_path):
    begun = tmp_path / "begun"

    def slow(name, event):
        if isinstance(event, da2s.Step):
            begun.touch()
            time.sleep(0.2)

    def stop():
        while not begun.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    arguments = {"out": tmp_path / "sweep", "seeds": 1, "search_only": True, "settings": TINY, "retries": 0}
    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        da2s.sweep("digits", on_progress=slow, **arguments)
    thread.join()
    assert not (tmp_path / "sweep/da2s-s1/gap.json").exists()
    # The directory is no longer in use.
    swept = da2s.sweep("digits", **arguments)
    assert [(run.failure, run.attempts) for run in swept.runs] == [(None, 1)]


def test_relative_folders_are_relative_to_the_caller(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    sent = {}

    class Enough(Exception):
        pass

    def cluster(out, shared, *_):
        sent.update(shared)
        raise Enough

    monkeypatch.setattr(sys.modules["da2s.sweep"], "Cluster", cluster)
    for arguments in ({"data_dir": "images"}, {"settings": {"data": {"dir": "images"}}}):
        with pytest.raises(Enough):
            da2s.sweep("cifar10", out="sweep", **arguments)
        said = {**sent["options"], **sent["settings"]}
        assert said in ({"data_dir": str(tmp_path / "images")}, {"data.dir": str(tmp_path / "images")})
    (tmp_path / "images/train").mkdir()
    (tmp_path / "images/test").mkdir()
    monkeypatch.setattr(sys.modules["da2s.sweep"], "images_of", lambda *_: ([], None))
    with pytest.raises(Enough):
        da2s.sweep("images", out="sweep")
    assert sent["data"] == "images", "the name of a data set stays"
    with pytest.raises(Enough):
        da2s.sweep("images/train", out="sweep")
    assert sent["data"] == str(tmp_path / "images/train")
    assert not (tmp_path / "sweep").exists()


def test_the_mean_of_fewer_seeds_is_not_reported(tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna", reason="Optuna is skipped: it is not installed")
    studies = []
    create = optuna.create_study
    monkeypatch.setattr(optuna, "create_study", lambda **arguments: studies.append(create(**arguments)) or studies[-1])
    monkeypatch.setattr(sampler, "_value", lambda run, metric: 1.0 if run.seed == 1 else 3.0)

    class Made:
        def side_by_side(self, runs):
            return 1

        def make(self, wanted):
            return [
                da2s.SweepRun(
                    tmp_path / runner.directory(setup, seed),
                    setup[0],
                    {},
                    seed,
                    1,
                    "it failed" if (setup[0], seed) == ("darts", 2) else None,
                )
                for setup, seed in wanted
            ]

    runs = sampler.chosen_by_optuna(Made(), ["da2s", "darts"], {}, [1, 2], 8, "gap", "max")
    (study,) = studies
    told = {(trial.params["method"], trial.state.name, trial.value) for trial in study.trials}
    assert told == {("da2s", "COMPLETE", 2.0), ("darts", "FAIL", None)} and len(runs) == 4

    def group(method, finished, mean):
        return {"setup": {"method": method, "settings": {}}, "runs": 2, "finished": finished, "spreads": {"gap": {"mean": mean}}}

    swept = da2s.SweepResult(tmp_path, tmp_path, runs, {"groups": [group("da2s", 2, 1.0), group("darts", 1, 9.0)]})
    assert swept.best("gap")["method"] == "da2s"


def test_lambda_is_chosen_between_whole_numbers_too():
    optuna = pytest.importorskip("optuna", reason="Optuna is skipped: it is not installed")
    chosen = {setups.LAMBDA: 0.5, "search.epochs": 3}
    trial = optuna.trial.FixedTrial({"method": "da2s", **chosen})
    ranges = {setups.LAMBDA: (0, 1), "search.epochs": (2, 5)}
    assert sampler._suggested(trial, ["da2s"], ranges) == ("da2s", tuple(chosen.items()))


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
        ({"seeds": 0}, "seeds: expected at least one"),
        ({"seeds": [1.5]}, "seeds: expected integers, or the number of seeds from 1, found .1.5."),
        ({"lambdas": (1.0, 0.1), "sampler": "optuna"}, "expected a range of two numbers, low < high; use a list"),
        ({"targets": ("all", 2), "sampler": "optuna"}, "expected a range of two numbers"),
        ({"vary": {"search.epochs": (False, True)}, "sampler": "optuna"}, "expected a range of two numbers"),
        ({"lambdas": (0, 1, "log"), "sampler": "optuna"}, 'expected low above 0 for "log"'),
        ({"epochs": 3}, "epochs: expected one of"),
        ({"settings": {"run.seed": 3}}, "settings: run.seed: expected seeds"),
        ({"settings": {"search": {"method": "darts"}}}, "settings: search.method: expected methods"),
        ({"settings": {"run": {"threads": 3}}}, "settings: run.threads: expected cpus_per_run"),
        ({"vary": {"run.threads": [1, 2]}}, "vary: run.threads: expected cpus_per_run"),
        ({"vary": {"run": [{"seed": 1}, {"seed": 2}]}}, "vary: run.seed: expected seeds"),
        ({"vary": {"run.seed": (1, 9)}, "sampler": "optuna"}, "vary: run.seed: expected seeds"),
        ({"vary": {"target.edges": [1]}, "targets": [2]}, "vary: target.edges is also set by targets"),
        ({"vary": {"search.epochs": {"a": 1}}}, "search.epochs: expected a list"),
        ({"seeds": [1, 2, 1]}, "seeds: 1 occurs twice"),
        ({"methods": ["da2s", "darts", "da2s"]}, "methods: da2s occurs twice"),
        ({"targets": [1, [1, 2], [1, 2]]}, "target.edges: .1, 2. occurs twice"),
        ({"vary": {"run.device": ["a b", "a/b"]}}, "two of the runs would have this directory"),
        ({"vary": {"run.device": ["a b", "a/b"]}, "sampler": "optuna"}, "two of the runs would have this directory"),
        ({"metric": "accuracy"}, "metric = accuracy: expected one of gap, "),
        ({"metric": "network_accuracy", "search_only": True}, "metric = network_accuracy: expected one of gap, "),
        ({"metric": "genotype", "sampler": "optuna"}, "metric = genotype: expected one of gap, "),
        ({"settings": {"network": {"seeds": 2}}}, "network.seeds: a sweep trains each network once"),
        ({"vary": {"network.seeds": [1, 2]}}, "network.seeds: a sweep trains each network once"),
        ({"cpus_per_run": 2}, "cpus_per_run = 2: expected at most 1, the largest number of any machine in the cluster"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_created(tmp_path, arguments, message):
    with pytest.raises(da2s.ConfigError, match=message):
        da2s.sweep("digits", out=tmp_path / "sweep", **arguments)
    assert not (tmp_path / "sweep").exists()


def test_a_file_with_several_trainings_is_refused(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[network]\nseeds = 3\n")
    with pytest.raises(da2s.ConfigError, match="network.seeds: a sweep trains each network once"):
        da2s.sweep("digits", out=tmp_path / "sweep", config=file)
    # What is set last counts.
    settings = {**TINY, "network.seeds": 1}
    (run,) = da2s.sweep("digits", out=tmp_path / "sweep", seeds=1, search_only=True, config=file, settings=settings).runs
    assert run.failure is None
