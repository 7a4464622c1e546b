"""Many runs on the processes and machines of a Ray cluster: seeds × λ × targets × methods, or what Optuna chooses of them.

Contract: a run is a directory below ``out``, which every machine of the cluster must see; those directories are all the state there
is, so a sweep that was stopped goes on with the same call, and a finished run is not made again. A run whose process dies, or that
fails in a way that may pass, is retried ``retries`` times and goes on where it was; one that cannot be (a setting, its images) is
not. What comes of it is gathered as ``da2s compare`` does: ``compare.csv``, ``.json``, ``.md`` and ``.html`` in ``out``.

Needs ``pip install 'da2s[ray]'``. Ray: Moritz et al., OSDI 2018; Optuna: Akiba et al., KDD 2019.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from . import _native
from .asking import MACHINE, PathLike, of_options
from .data import images_of
from .errors import ConfigError, DataError, GenotypeError, MissingPackage, RunDirectoryError
from .progress import Progress
from .results import Run, pandas_for

if TYPE_CHECKING:
    import pandas as pd

    from .data import Data, Labelled

#: The keys of the settings that have a name of their own here.
_LAMBDA = "search.regulariser.lambda"
_EDGES = "target.edges"
#: What no other attempt changes.
_FINAL = (ConfigError, DataError, GenotypeError, RunDirectoryError)

#: A method, and the settings that are varied.
Setup = Tuple[str, Tuple[Tuple[str, Any], ...]]
#: Values to choose among, or a range to choose from: ``(low, high)`` or ``(low, high, "log")``.
Values = Union[Sequence[Any], Tuple[float, float], Tuple[float, float, str]]


@dataclass(frozen=True)
class SweepRun:
    """A run of a sweep."""

    path: Path
    method: str
    #: The settings that are varied.
    settings: Dict[str, Any]
    seed: int
    #: Attempts that were made in this call: 0 where it was finished before.
    attempts: int
    #: Why it failed; none if it is finished.
    failure: Optional[str]

    @property
    def run(self) -> Run:
        """The run."""
        return Run(self.path)


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to."""

    path: Path
    #: The page that compares the runs.
    page: Path
    runs: List[SweepRun]
    #: Means, spreads and paired tests: what ``compare.json`` says.
    comparison: Dict[str, Any] = field(repr=False)

    @property
    def failed(self) -> List[SweepRun]:
        """Runs that failed."""
        return [run for run in self.runs if run.failure is not None]

    def frame(self) -> "pd.DataFrame":
        """A row a run: ``compare.csv``."""
        frame: "pd.DataFrame" = pandas_for().read_csv(self.path / "compare.csv")
        return frame

    def best(self, metric: str = "network_accuracy", mode: str = "max") -> Dict[str, Any]:
        """The setup, ``{"method": …, "settings": {…}}``, whose mean over the seeds is best; see :func:`sweep`."""
        groups = [group for group in self.comparison["groups"] if metric in group["spreads"]]
        if not groups:
            raise ConfigError(f"metric = {metric}: no finished run has measured it")
        best: Dict[str, Any] = _choose(mode)(groups, key=lambda group: group["spreads"][metric]["mean"])["setup"]
        return best


def sweep(
    data: Optional["Data"] = None,
    *,
    out: PathLike,
    seeds: Union[int, Sequence[int]] = 3,
    methods: Sequence[str] = ("da2s",),
    lambdas: Optional[Values] = None,
    targets: Optional[Sequence[Any]] = None,
    vary: Optional[Mapping[str, Values]] = None,
    baseline: Optional[str] = None,
    search_only: bool = False,
    sampler: Optional[str] = None,
    trials: int = 20,
    metric: Optional[str] = None,
    mode: Optional[str] = None,
    retries: int = 2,
    cpus_per_run: int = 1,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    recipe: Optional[str] = None,
    config: Optional[PathLike] = None,
    settings: Optional[Mapping[str, Any]] = None,
    on_progress: Optional[Callable[[str, Progress], object]] = None,
    **options: Any,
) -> SweepResult:
    """Makes a run for every method, λ, target and seed, on the Ray cluster that is there or on this machine.

    ``seeds`` are a number of seeds from 1, or the seeds; ``lambdas`` values of ``search.regulariser.lambda``, ``targets`` of
    ``target.edges``, and ``vary`` of any setting. With ``sampler="optuna"`` Optuna chooses ``trials`` setups among these values,
    or from ranges ``(low, high)`` and ``(low, high, "log")``, for the best mean of ``metric`` over the seeds: by default the highest
    ``network_accuracy``, or with ``search_only`` the highest ``discretized_accuracy``. Each run takes ``cpus_per_run`` threads.
    ``on_progress`` is called with the name of the run and what happens, in the process of the run. Further arguments are those of
    :func:`da2s.run`.
    """
    out = Path(out).absolute()
    last_file = "gap.json" if search_only else "summary.json"
    metric = metric or ("discretized_accuracy" if search_only else "network_accuracy")
    mode = mode or "max"
    _choose(mode)
    for name, instead in {"seed": "seeds", "method": "methods", "threads": "cpus_per_run"}.items():
        if name in options:
            raise ConfigError(f"{name}: expected {instead}")
    of_options(options)
    named = {_LAMBDA: lambdas, _EDGES: targets, **(vary or {})}
    varied: Dict[str, Values] = {key: values for key, values in named.items() if values is not None}
    listed: Dict[str, Values] = {"methods": methods, **varied}
    for name, values in listed.items():
        if isinstance(values, str) or not len(values):
            raise ConfigError(f"{name}: expected a list of one value or more")
    if retries < 0 or cpus_per_run < 1 or trials < 1:
        raise ConfigError("retries must be at least 0, cpus_per_run and trials at least 1")
    seed_list = list(range(1, seeds + 1)) if isinstance(seeds, int) else list(seeds)
    if not seed_list:
        raise ConfigError("seeds: expected one or more")
    if baseline is not None and baseline not in methods:
        raise ConfigError(f"baseline = {baseline}: expected one of {', '.join(methods)}")

    shared = {
        "data": data,
        "test": test,
        "class_names": class_names,
        "recipe": recipe,
        "config": None if config is None else os.path.abspath(config),
        "settings": dict(settings or {}),
        "options": {**options, "threads": cpus_per_run},
        "search_only": search_only,
        "last_file": last_file,
    }
    # What cannot be is found here, not in some process; arrays are looked at once.
    images_of(data, test, class_names)
    out.mkdir(parents=True, exist_ok=True)
    cluster = _Cluster(out, shared, retries, cpus_per_run, on_progress)
    if sampler is None:
        setups = _grid(methods, varied)
        runs = cluster.make([(setup, seed) for setup in setups for seed in seed_list])
    elif sampler == "optuna":
        runs = _chosen_by_optuna(cluster, methods, varied, seed_list, trials, metric, mode)
    else:
        raise ConfigError(f"sampler = {sampler}: expected optuna, or None for every combination")
    return _gathered(out, runs, baseline or methods[0], last_file)


def _grid(methods: Sequence[str], varied: Mapping[str, Values]) -> List[Setup]:
    for key, values in varied.items():
        if _is_range(values):
            raise ConfigError(f"{key}: a range is for a sampler; expected a list of values")
    combinations = list(product(*([(key, value) for value in values] for key, values in varied.items())))
    return [(method, settings) for method in methods for settings in combinations]


def _is_range(values: Values) -> bool:
    """Whether values are the ends of a range: a tuple, where a list is of values."""
    return isinstance(values, tuple) and len(values) in (2, 3) and (len(values) == 2 or values[2] == "log")


def _choose(mode: str) -> Callable[..., Any]:
    if mode not in ("max", "min"):
        raise ConfigError(f"mode = {mode}: expected max or min")
    return max if mode == "max" else min


def _chosen_by_optuna(
    cluster: "_Cluster",
    methods: Sequence[str],
    varied: Mapping[str, Values],
    seeds: Sequence[int],
    trials: int,
    metric: str,
    mode: str,
) -> List[SweepRun]:
    """The runs of the setups that Optuna asks for, each told as the mean over its seeds. Optuna's seed is the first of them."""
    try:
        import optuna
    except ImportError as error:
        raise MissingPackage("sampler='optuna' needs Optuna: pip install 'da2s[ray]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    better = optuna.study.StudyDirection
    direction = better.MAXIMIZE if mode == "max" else better.MINIMIZE
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=seeds[0]))
    made: Dict[str, SweepRun] = {}
    while len(study.trials) < trials:
        # As many at a time as the cluster computes side by side: each then knows all that were told before.
        asked = [study.ask() for _ in range(min(cluster.side_by_side(len(seeds)), trials - len(study.trials)))]
        setups = [_suggested(trial, methods, varied) for trial in asked]
        wanted = [(setup, seed) for setup in setups for seed in seeds]
        # Two trials may come to the same setup.
        missing = {_name(*each): each for each in wanted if _name(*each) not in made}
        for run in cluster.make(list(missing.values())):
            made[run.path.name] = run
        for trial, setup in zip(asked, setups):
            runs = [made[_name(setup, seed)] for seed in seeds]
            found = [_value(run, metric) for run in runs if run.failure is None]
            values = [value for value in found if value is not None]
            if values:
                study.tell(trial, fmean(values))
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return list(made.values())


def _suggested(trial: Any, methods: Sequence[str], varied: Mapping[str, Values]) -> Setup:
    method = trial.suggest_categorical("method", list(methods))
    settings = []
    for key, values in varied.items():
        if _is_range(values):
            low, high, log = values[0], values[1], len(values) == 3
            whole = isinstance(low, int) and isinstance(high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            settings.append((key, suggest(key, low, high, log=log)))
        else:
            # Optuna takes words and numbers, but a value may be a list.
            texts = [json.dumps(value) for value in values]
            settings.append((key, json.loads(trial.suggest_categorical(key, texts))))
    return method, tuple(settings)


def _value(run: SweepRun, metric: str) -> Optional[float]:
    """What a finished run came to."""
    if (run.path / "summary.json").is_file():
        fields: Dict[str, Any] = run.run.result.as_dict()
    else:
        gap = run.run.gap
        rows = gap.as_trained if gap else None
        fields = {} if gap is None or rows is None else {
            "gap": gap.points,
            "supernet_accuracy": rows.supernet,
            "discretized_operations_accuracy": rows.operations,
            "discretized_edges_accuracy": rows.edges,
            "discretized_accuracy": rows.both,
            "discretized_recalibrated_accuracy": gap.recalibrated.both,
        }
    if metric not in fields:
        raise ConfigError(f"metric = {metric}: expected one of {', '.join(fields)}")
    value = fields[metric]
    return None if value is None else float(value)


class _Cluster:
    """The runs of a sweep on Ray."""

    def __init__(
        self,
        out: Path,
        shared: Dict[str, Any],
        retries: int,
        cpus_per_run: int,
        on_progress: Optional[Callable[[str, Progress], object]],
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingPackage("sweep needs Ray: pip install 'da2s[ray]'") from error
        self.ray = ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        self.out = out
        self.retries = retries
        self.cpus_per_run = cpus_per_run
        # Images are sent to each machine once. Retries are counted here: Ray's own would not tell a defect from a mistake.
        self.shared = ray.put((shared, on_progress))
        self.task = ray.remote(max_retries=0, num_cpus=cpus_per_run)(_make)

    def side_by_side(self, runs: int) -> int:
        """How many setups of so many runs the cluster computes at a time, at least one."""
        cpus = self.ray.cluster_resources().get("CPU", 1)
        return max(1, int(cpus // (runs * self.cpus_per_run)))

    def make(self, wanted: Sequence[Tuple[Setup, int]]) -> List[SweepRun]:
        """Makes these runs, and returns them in their order; Ctrl-C stops them behind their steps under way."""
        attempts = [0] * len(wanted)
        failures: List[Optional[str]] = [None] * len(wanted)
        pending: Dict[Any, int] = {}

        def submit(at: int) -> None:
            setup, seed = wanted[at]
            path = str(self.out / _name(setup, seed))
            pending[self.task.remote(path, setup, seed, self.shared)] = at

        for at in range(len(wanted)):
            submit(at)
        try:
            while pending:
                done, _ = self.ray.wait(list(pending), num_returns=1)
                for reference in done:
                    at = pending.pop(reference)
                    retry, failures[at], worked = self._outcome(reference)
                    attempts[at] += worked
                    if retry and attempts[at] <= self.retries:
                        submit(at)
        except BaseException:
            for reference in pending:
                self.ray.cancel(reference)
            raise
        return [
            SweepRun(self.out / _name(setup, seed), setup[0], dict(setup[1]), seed, tried, failure)
            for (setup, seed), tried, failure in zip(wanted, attempts, failures)
        ]

    def _outcome(self, reference: Any) -> Tuple[bool, Optional[str], int]:
        """Whether to try again, why it failed, and whether anything was computed."""
        try:
            kind, text = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            # The process, or the machine that it was on, is gone.
            return True, f"{type(error).__name__}: {str(error).splitlines()[0]}", 1
        if kind == "done":
            return False, None, int(text == "made")
        return kind == "again", text, 1


def _make(path: str, setup: Setup, seed: int, shared: Tuple[Dict[str, Any], Any]) -> Tuple[str, str]:
    """Makes a run, or goes on with it, in a process of Ray."""
    from . import stages

    plan, on_progress = shared
    method, varied = setup
    name = os.path.basename(path)
    settings = {**plan["settings"], **dict(varied)}
    options = {**plan["options"], "method": method, "seed": seed}
    data, arrays = plan["data"], {key: plan[key] for key in ("test", "class_names")}
    made = {"out": path, "resume": True, "recipe": plan["recipe"], "config": plan["config"], "settings": settings}
    listen = None if on_progress is None else lambda event: on_progress(name, event)
    try:
        if os.path.isfile(os.path.join(path, plan["last_file"])):
            # Taking it up asks whether it is the same run.
            stages.created("sweep", data, **arrays, **made, options=options).close()
            return "done", "found"
        if plan["search_only"]:
            run = stages.search(data, on_progress=listen, **arrays, **made, **options)
            held = {"data": data, **arrays} if isinstance(data, (tuple, list)) else {}
            machine = {name: value for name, value in options.items() if name in MACHINE}
            stages.discretize(run, on_progress=listen, **held, **machine)
        else:
            stages.run(data, on_progress=listen, **arrays, **made, **options)
    except _FINAL as error:
        return "final", str(error)
    except Exception as error:
        return "again", str(error) or type(error).__name__
    return "done", "made"


def _gathered(out: Path, runs: Sequence[SweepRun], baseline: str, last_file: str) -> SweepResult:
    """The comparison of the runs, written and read."""
    rows = []
    for run in runs:
        settings = [(key, _text(value)) for key, value in run.settings.items()]
        rows.append((run.method, settings, run.seed, run.path.name, run.failure))
    page, comparison = _native.compare(out, _dataset(runs), baseline, last_file, rows)
    return SweepResult(out, Path(page), list(runs), json.loads(comparison))


def _dataset(runs: Sequence[SweepRun]) -> str:
    """The data set that the runs share, as far as one of them was begun."""
    for run in runs:
        if (run.path / "config.toml").is_file():
            return str(run.run.settings["data"]["dataset"])
    return "no run was begun"


def _text(value: Any) -> str:
    """A value as TOML writes it, where it is no text."""
    return value if isinstance(value, str) else json.dumps(value)


def _name(setup: Setup, seed: int) -> str:
    """The directory of a run."""
    method, settings = setup
    parts = [method, *(f"{key}={_text(value)}" for key, value in settings), f"s{seed}"]
    return re.sub(r"[^A-Za-z0-9._=+-]+", "_", "-".join(parts)).replace("_-", "-")
