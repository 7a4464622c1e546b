"""Many runs on the processes and machines of a Ray cluster: seeds × λ × targets × methods, or a selection made by Optuna.

Contract: each run has a directory in ``out``, which every machine of the cluster must be able to access. These directories are the
only state, so the same call resumes a stopped sweep, and finished runs with the same settings and images are not repeated. A run is
retried up to ``retries`` times, from its last checkpoint, if its process dies, if another process works on it, or if it fails for a
reason that may be temporary. Runs with invalid settings or images are not retried. The results are combined as by ``da2s compare``:
``compare.csv``, ``.json``, ``.md`` and ``.html`` in ``out``.

Needs Ray, and Optuna if it chooses the setups: ``pip install ray optuna``. Ray: Moritz et al., OSDI 2018; Optuna: Akiba et al., KDD 2019.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from . import _native
from .asking import Asked, PathLike, of_options, of_settings
from .data import images_of
from .errors import ConfigError, Da2sError
from .results import pandas_for
from .runner import Cluster, OnProgress, SweepRun
from .sampler import check_metric, chosen_by_optuna
from .setups import Values, check_directories, check_given, check_values, choices, flat, grid, plain, seeds_of, text, varied_of

if TYPE_CHECKING:
    import pandas as pd

    from .data import Data, Labelled


@dataclass(frozen=True)
class SweepResult:
    """The results of a sweep."""

    path: Path
    #: The page that compares the runs.
    page: Path
    runs: List[SweepRun]
    #: Means, spreads and paired tests: the content of ``compare.json``.
    comparison: Dict[str, Any] = field(repr=False)

    @property
    def failed(self) -> List[SweepRun]:
        """Runs that failed."""
        return [run for run in self.runs if run.failure is not None]

    def frame(self) -> "pd.DataFrame":
        """One row per run: ``compare.csv``."""
        frame: "pd.DataFrame" = pandas_for().read_csv(self.path / "compare.csv")
        return frame

    def best(self, metric: str = "network_accuracy", mode: str = "max") -> Dict[str, Any]:
        """The setup with the best mean over the seeds, among those whose runs all finished: ``{"method": …, "settings": {…}}``, with the
        settings as they were given, which :func:`da2s.run` accepts."""
        finished = [group for group in self.comparison["groups"] if group["finished"] == group["runs"]]
        groups = [group for group in finished if metric in group["spreads"]]
        if not groups:
            raise ConfigError(f"metric = {metric}: there is no setup whose runs all finished and measured it")
        best = _choose(mode)(groups, key=lambda group: group["spreads"][metric]["mean"])["setup"]
        # A comparison stores settings as text, the runs as they were given.
        given = next(run.settings for run in self.runs if (run.method, _texts(run)) == (best["method"], best["settings"]))
        return {"method": best["method"], "settings": dict(given)}


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
    on_progress: Optional[OnProgress] = None,
    **options: Any,
) -> SweepResult:
    """Executes one run per method, λ, target and seed, on the connected Ray cluster or on this machine.

    ``seeds`` is a list of seeds, or the number of seeds from 1; ``lambdas`` are values of ``search.regulariser.lambda``, ``targets``
    values of ``target.edges``, and ``vary`` gives values of any setting. With ``sampler="optuna"`` Optuna chooses ``trials`` setups
    from these values, or from ranges ``(low, high)`` and ``(low, high, "log")``, for the best mean of ``metric`` over the seeds: by
    default the highest ``network_accuracy``, or with ``search_only`` the highest ``discretized_accuracy``. Its choices depend on how
    many setups run in parallel, so a resumed sweep chooses the same setups only on a cluster that executes the same number of runs
    at a time. Each run uses ``cpus_per_run`` threads. ``on_progress`` is called with the name
    of the run and its events, in the process of the run. The other arguments are those of :func:`da2s.run`, except ``genotype``
    (a sweep needs searches) and ``resume`` (a sweep always resumes).
    """
    out = Path(out).absolute()
    last_file = _native.GAP if search_only else _native.SUMMARY
    metric = metric or ("discretized_accuracy" if search_only else "network_accuracy")
    mode = mode or "max"
    _choose(mode)
    for name, instead in {"seed": "seeds", "method": "methods", "threads": "cpus_per_run"}.items():
        if name in options:
            raise ConfigError(f"{name}: expected {instead}")
    of_options(options)
    methods = plain(methods)
    varied = plain(varied_of(lambdas, targets, vary))
    seed_list = seeds_of(seeds)
    check_values(methods, varied, seed_list)
    check_given("settings", settings or {})
    check_metric(metric, search_only)
    if retries < 0 or cpus_per_run < 1 or trials < 1:
        raise ConfigError("retries must be at least 0, cpus_per_run and trials at least 1")
    if baseline is not None and baseline not in methods:
        raise ConfigError(f"baseline = {baseline}: expected one of {', '.join(methods)}")
    if sampler not in (None, "optuna"):
        raise ConfigError(f"sampler = {sampler}: expected optuna, or None for every combination")
    setups = grid(methods, varied) if sampler is None else []
    for each in [setups] if sampler is None else choices(methods, varied):
        check_directories((setup, seed) for setup in each for seed in seed_list)
    # Invalid arguments are detected here, before any process starts; arrays are checked once.
    named, _ = images_of(data, test, class_names)
    asked = [*named, *of_options(options), *of_settings(flat(settings or {}))]
    with_methods = [Asked(recipe, config, [*asked, ("methods", "search.method", method)]) for method in methods]
    if "network.seeds" in varied or any(_trainings(asked) > 1 for asked in with_methods):
        raise ConfigError("network.seeds: a sweep trains each network once; leave it out, and give seeds for the number of searches")

    shared = {
        "data": _anchored(data),
        "test": test,
        "class_names": class_names,
        "recipe": recipe,
        "config": None if config is None else os.path.abspath(config),
        "settings": _with_absolute("data.dir", flat(settings or {})),
        "options": _with_absolute("data_dir", options),
        "threads": cpus_per_run,
        "folder": os.getcwd(),
        "search_only": search_only,
        "last_file": last_file,
    }
    cluster = Cluster(out, shared, retries, cpus_per_run, on_progress)
    out.mkdir(parents=True, exist_ok=True)
    if sampler is None:
        runs = cluster.make([(setup, seed) for setup in setups for seed in seed_list])
    else:
        runs = chosen_by_optuna(cluster, methods, varied, seed_list, trials, metric, mode)
    return _gathered(out, runs, baseline or methods[0], last_file)


def _trainings(asked: Asked) -> int:
    """How often a run trains its network."""
    try:
        return _native.trainings(asked.native())
    except Da2sError:
        # Settings that are invalid here may be valid with another method or a varied setting; each run checks its own.
        return 1


def _anchored(data: Optional["Data"]) -> Optional["Data"]:
    """The same data, with an absolute path for a folder: other processes have other working directories."""
    is_folder = isinstance(data, (str, os.PathLike)) and data not in _native.datasets()
    return os.path.abspath(data) if is_folder else data  # type: ignore[arg-type]


def _with_absolute(key: str, values: Mapping[str, Any]) -> Dict[str, Any]:
    """The same values, with the value of ``key`` as an absolute path."""
    value = values.get(key)
    return {**values, key: os.path.abspath(value)} if isinstance(value, (str, os.PathLike)) else dict(values)


def _choose(mode: str) -> Callable[..., Any]:
    if mode not in ("max", "min"):
        raise ConfigError(f"mode = {mode}: expected max or min")
    return max if mode == "max" else min


def _gathered(out: Path, runs: Sequence[SweepRun], baseline: str, last_file: str) -> SweepResult:
    """Writes the comparison of the runs and reads it back."""
    rows = []
    for run in runs:
        rows.append((run.method, list(_texts(run).items()), run.seed, run.path.name, run.failure))
    page, comparison = _native.compare(out, _dataset(runs), baseline, last_file, rows)
    return SweepResult(out, Path(page), list(runs), json.loads(comparison))


def _texts(run: SweepRun) -> Dict[str, str]:
    """The varied settings, as text."""
    return {key: text(value) for key, value in run.settings.items()}


def _dataset(runs: Sequence[SweepRun]) -> str:
    """The data set of the runs, taken from the first one that has begun."""
    for run in runs:
        try:
            return str(run.run.settings["data"]["dataset"])
        except Da2sError:
            # Not begun, or damaged.
            continue
    return "no run was begun"
